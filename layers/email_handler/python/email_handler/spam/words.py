"""The model of words: what a message's words say, as points between 0 and a cap.

It is a logistic model over the words of a text, pairs of neighbours, and the words of the subject once more, all as
32-bit hashes. ``bench/train_words.py`` makes the file. A message in a language that the model has not seen has hardly a
word in it, and gets no points.
"""

import json
import sys
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import repeat
from math import sqrt
from pathlib import Path
from unicodedata import category
from zlib import crc32

from email_handler.errors import BadWords
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

FORMAT = 1
SMOOTHING = 6  # counted words added to a text's own, so that one word alone says little
_BUILTIN = Path(__file__).parents[1] / "builtin" / "spam-words.model"
_ENDING = ',;!?"()[]{}<>*|~#+^`\\'  # and of other scripts, an ellipsis and the full stops of Chinese
_SEPARATED = bytes.maketrans(_ENDING.encode(), b" " * len(_ENDING))
_LONGEST = 24  # letters of a word
_UNSPACED = regex("[\u3040-\u30ff\u3400-\u9fff]")
_LONG = 400  # words of a text of which windows are also judged apart
_WINDOW = 200  # words of one; each begins in the middle of the one before
FEWEST_KNOWN = 0.1  # of a text's words; with fewer, its language is not the model's
_NAMED = 5  # words that explain the points
_IN_SUBJECT = crc32(b"subject: ")


def words(text: str) -> list[str]:
    """Return the words of *text* in order: those of letters only, in lower case; ``follow-up`` is one, and so is each
    Chinese or Japanese character, which no spaces separate.

    Numbers, web addresses, email addresses and file names are left out: they say who wrote to whom, not what is sold.
    """
    lower = text.lower()
    if not text.isascii():
        lower = _UNSPACED.sub(r" \g<0> ", lower).replace("\u2026", " ").replace("\u3001", " ").replace("\u3002", " ")
    # Bytes are translated at once, a text character by character.
    plain = lower.encode("utf-8", "surrogatepass").translate(_SEPARATED).decode("utf-8", "surrogatepass")
    plain = f"{plain} ".replace(". ", " ").replace(": ", " ").replace("-", "").replace("'", "")
    return [
        word
        for word in plain.split()
        if len(word) <= _LONGEST
        and ((word.isalpha() and len(word) > 1) or (not word.isascii() and _is_foreign_word(word)))
    ]


def _is_foreign_word(word: str) -> bool:
    if len(word) == 1:
        return bool(_UNSPACED.match(word))
    return all(category(letter)[0] in "LM" for letter in word)  # Hindi writes vowels as marks


def windows(count: int) -> Iterator[slice]:
    """Yield the places of the words that are judged together, of *count*: all; and of a long text also windows of it, so
    that padding, before, behind or in between, does not outweigh what is sold."""
    yield slice(0, count)
    if count > _LONG:
        for start in range(0, count - _WINDOW // 2, _WINDOW // 2):
            yield slice(start, min(start + _WINDOW, count))


def parts(text: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the words of *text* that are judged together, see :func:`windows`."""
    return (text[window] for window in windows(len(text)))


def features(subject: Sequence[str], text: Sequence[str]) -> list[int]:
    """Return the hash of each word of *text*, then of each pair of neighbours (CRC-32 of their UTF-8, with a space
    between), then of each word of *subject*."""
    encoded = list(map(str.encode, text))
    single = list(map(crc32, encoded))
    pairs = map(crc32, encoded[1:], map(crc32, repeat(b" "), single))
    return [*single, *pairs, *(crc32(word.encode(), _IN_SUBJECT) for word in subject)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPoints:
    """What the model says of a message."""

    points: float  # from 0, not yet capped
    named: tuple[str, ...] = ()  # the words and pairs that weighed most, as the message has them


@dataclass(frozen=True, slots=True, kw_only=True)
class WordModel:
    """Weights of words, and how their sum becomes points."""

    header: Mapping[str, object]  # how the model was made: counts, folds, date
    weights: Mapping[int, int]  # by the hash of each word or pair that counts, -127 to 127
    gain: float  # points for a unit of the normalised sum
    base: float  # points of a text without a known word, below 0

    def assess(self, subject: str, texts: Iterable[str]) -> WordPoints:
        """Return what the words of a message say: those of its *subject* and of the one of its *texts* that says most.

        Each text is the subject and a body.
        """
        of_subject = words(subject)
        best, name = 0.0, partial(tuple[str, ...])
        for of_text in map(words, texts):
            hashed = features(of_subject, of_text)
            for points, known in self._judged(hashed, len(of_text)):
                if points > best:
                    best, name = points, partial(self.named, of_subject, of_text, hashed, known)
        return WordPoints(points=round(best, 1), named=name())

    def odds(self, known: Collection[int]) -> float:
        """Return the normalised sum of the weights of *known*, hashes that have one, times the gain."""
        return self.gain * sum(map(self.weights.__getitem__, known)) / sqrt(len(known) + SMOOTHING)

    def named(
        self, subject: Sequence[str], text: Sequence[str], hashed: Sequence[int], known: Iterable[int], sign: int = 1
    ) -> tuple[str, ...]:
        """Return the words and pairs among *known* that weigh most for spam (with *sign* -1, against it): *hashed* are the
        features of *subject* and *text*."""
        weights = {one: weight for one in known if (weight := sign * self.weights[one]) > 0}
        least = min(sorted(weights.values())[-2 * _NAMED :], default=0)  # a name can be of the text and of the subject
        heaviest = [(-weight, hashed.index(one)) for one, weight in weights.items() if weight >= least]
        names = sorted((weight, _spelled(place, subject, text)) for weight, place in heaviest)
        return tuple(dict.fromkeys(name for _, name in names))[:_NAMED]

    def _judged(self, hashed: Sequence[int], count: int) -> Iterator[tuple[float, Collection[int]]]:
        """Yield the points and the known features of each window of a text of *count* words, if enough of its words are
        known."""
        known = self.weights.keys() & hashed
        for window in windows(count):
            single, here = hashed[window], known
            if len(single) < count:
                pairs, of_subject = hashed[count + window.start : count + window.stop - 1], hashed[2 * count - 1 :]
                here = known.intersection([*single, *pairs, *of_subject])
            if len(here) >= FEWEST_KNOWN * len(single) or len(here) >= FEWEST_KNOWN * len(set(single)):
                yield self.odds(here) + self.base, here


def _spelled(place: int, subject: Sequence[str], text: Sequence[str]) -> str:
    """Return what the feature at *place* of :func:`features` is the hash of."""
    if place < len(text):
        return text[place]
    first, pairs = place - len(text), max(len(text) - 1, 0)
    return f"{text[first]} {text[first + 1]}" if first < pairs else subject[first - pairs]


def load_words(document: bytes) -> WordModel:
    """Return the model in *document*: a line of JSON, then the hashes (four bytes each, little-endian, ascending), then
    the weights (one signed byte each). Raises :class:`BadWords`."""
    line, _, body = document.partition(b"\n")
    try:
        header = json.loads(line)
        count, gain, base = header["features"], float(header["gain"]), float(header["base"])
        if header["format"] != FORMAT or len(body) != 5 * count:
            raise BadWords("the model of words has another format or length than it says")
    except (ValueError, TypeError, KeyError) as error:
        raise BadWords(f"the model of words has no header: {type(error).__name__}") from error
    hashes, weights = array("I", body[: 4 * count]), array("b", body[4 * count :])
    if sys.byteorder == "big":
        hashes.byteswap()
    return WordModel(header=header, weights=dict(zip(hashes, weights, strict=True)), gain=gain, base=base)


def write_words(header: Mapping[str, object], weights: Mapping[int, int]) -> bytes:
    """Return the document that :func:`load_words` reads, the same for the same arguments. *header* has gain and base."""
    ordered = sorted(weights)
    hashes = array("I", ordered)
    if sys.byteorder == "big":
        hashes.byteswap()
    line = json.dumps({"format": FORMAT, "features": len(ordered), **header}, ensure_ascii=False)
    return line.encode() + b"\n" + hashes.tobytes() + array("b", map(weights.__getitem__, ordered)).tobytes()


@cache
def builtin_words() -> WordModel:
    """Return the model that ships with the layer."""
    return load_words(_BUILTIN.read_bytes())
