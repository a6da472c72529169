"""The model of words: what a message's words say, as points between 0 and a cap.

It is a logistic model over the words of a text, pairs of neighbours, and the words of the subject once more, all as
32-bit hashes. ``bench/train_words.py`` makes the file. A message in a language that the model has not seen has hardly a
word in it, and gets no points.
"""

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, repeat
from math import sqrt
from pathlib import Path
from zlib import crc32

from email_handler.errors import BadWords

FORMAT = 1
SMOOTHING = 6  # counted words added to a text's own, so that one word alone says little
_BUILTIN = Path(__file__).parents[1] / "builtin" / "spam-words.model"
_SEPARATORS = str.maketrans(dict.fromkeys(',;!?"()[]{}<>*|~#+^`\\\u2026\u3001\u3002', " "))
_LONGEST = 24  # letters of a word
_LONG = 1500  # words of a text whose ends are also judged apart
_PART = 80  # words at an end
_FEWEST_KNOWN = 0.1  # of a text's words; with fewer, its language is not the model's
_NAMED = 5  # words that explain the points
_IN_SUBJECT = crc32(b"subject: ")


def words(text: str) -> list[str]:
    """Return the words of *text* in order: those of letters only, in lower case; ``follow-up`` is one.

    Numbers, web addresses, email addresses and file names are left out: they say who wrote to whom, not what is sold.
    """
    plain = (
        f"{text.lower()} ".translate(_SEPARATORS)
        .replace(". ", " ")
        .replace(": ", " ")
        .replace("-", "")
        .replace("'", "")
    )
    return [word for word in plain.split() if 1 < len(word) <= _LONGEST and word.isalpha()]


def parts(text: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the words that are counted together: all of *text*; and of a long one also those at either end, so that
    padding does not outweigh what is sold."""
    yield text
    if len(text) > _LONG:
        yield text[:_PART]
        yield text[-_PART:]


def features(subject: Sequence[str], text: Sequence[str]) -> list[int]:
    """Return the hash of each word of *text*, then of each pair of neighbours (CRC-32 of their UTF-8, with a space
    between), then of each word of *subject*."""
    encoded = [word.encode() for word in text]
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
        best, counted = 0.0, None
        for of_text in (part for text in texts for part in parts(words(text))):
            points = self._points(of_subject, of_text)
            if points > best:
                best, counted = points, of_text
        if counted is None:
            return WordPoints(points=0.0)
        return WordPoints(points=round(best, 1), named=self._named(of_subject, counted))

    def _points(self, subject: Sequence[str], text: Sequence[str]) -> float:
        found = set(features(subject, text))
        known = self.weights.keys() & found
        if len(known) < _FEWEST_KNOWN * len(set(text)):
            return 0.0
        return self.gain * sum(map(self.weights.__getitem__, known)) / sqrt(len(known) + SMOOTHING) + self.base

    def _named(self, subject: Sequence[str], text: Sequence[str]) -> tuple[str, ...]:
        spelled = [*text, *map(" ".join, pairwise(text)), *subject]
        weighed = {
            name: weight
            for name, feature in zip(spelled, features(subject, text), strict=True)
            if (weight := self.weights.get(feature, 0)) > 0
        }
        return tuple(sorted(weighed, key=lambda name: (-weighed[name], name))[:_NAMED])


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
