"""A text as the programs of its readers may decode it, in every order that occurs.

A :class:`View` is a decoded text that remembers where each character came from, so that what is found in it can be
replaced in the source and nothing else is touched.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from email_handler.mail.documents.reading import BOUNDARY, KERN
from email_handler.mail.patterns import regex
from email_handler.outgoing.leak_gate.decodings import (
    ALTERNATIVES,
    ENCODED_WORDS,
    ENTITY,
    ESCAPE,
    FOLDED,
    IMCEA,
    LETTERS,
    MIXED,
    MIXED_QUOTED,
    NOT_SHOWN,
    OCTAL,
    OFFICE,
    PERCENT,
    PROOFPOINT,
    PROOFPOINT_3,
    QUOTED,
    TABS,
    TAGS,
    TERMINAL,
    UNSEEN,
    Chain,
    Decoding,
)
from email_handler.values import dataclass

_SEEN_AS_NOTHING = frozenset((BOUNDARY, KERN))


class Piece(NamedTuple):
    """A run of characters of a view, and the range of the source that it stands for."""

    length: int  # characters in the view
    start: int
    end: int
    literal: bool  # maps character by character; any other piece (an entity, ``%40``) maps as a whole


@dataclass(frozen=True, slots=True)
class View:
    """A decoded text that remembers where each of its characters stands in the source."""

    text: str
    pieces: tuple[Piece, ...]
    offsets: tuple[int, ...]  # where each piece starts in ``text``, and last where ``text`` ends

    def cut(self, start: int, end: int) -> Iterator[Piece]:
        """Yield the pieces of ``text[start:end]`` in order, the first and the last cut to fit."""
        for index in range(bisect_right(self.offsets, start) - 1, len(self.pieces)):
            offset, piece = self.offsets[index], self.pieces[index]
            if offset >= end:
                return
            first, last = max(start - offset, 0), min(end - offset, piece.length)
            if first < last:
                source = (piece.start + first, piece.start + last) if piece.literal else (piece.start, piece.end)
                yield Piece(last - first, *source, piece.literal)

    def sources(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the source ranges that ``text[start:end]`` comes from, in order."""
        return [(piece.start, piece.end) for piece in self.cut(start, end)]

    def shown(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the source ranges of what a reader sees of ``text[start:end]``, in order."""
        at, ranges = start, []
        for piece in self.cut(start, end):
            run = self.text[at : at + piece.length]
            if run not in _SEEN_AS_NOTHING:
                ranges.append((piece.start, piece.end))
            at += piece.length
        return ranges


_SIGNS = regex(r"[%&=\\<]")
_CALENDAR = regex("BEGIN:V", re.IGNORECASE)  # of a calendar, an event or a vCard
_TIMES = 8  # that one encoding is undone
_HEAD = 4096  # characters in which a calendar or a vCard begins
_CLOSE = 8192  # characters; what needles match is much shorter
_WITHIN_A_WORD = f"x{KERN}"


def chains(text: str, *, markup: bool) -> Iterator[tuple[Chain, str]]:
    """Yield *text* in each way that a reader's program could decode it, with the decodings, the plainest first.

    Boundaries inside are not yet marked: :data:`LETTERS` and :data:`UNSEEN` follow.
    """
    seen: set[str] = set()
    for chain, reading in _readings(text, markup=markup):
        if reading not in seen:
            seen.add(reading)
            yield chain, reading


def _readings(text: str, *, markup: bool) -> Iterator[tuple[Chain, str]]:
    starts: dict[str, Chain] = {text: ()}
    if _CALENDAR.match(text):  # nothing of it is read folded: what follows a fold is the rest of a word
        starts = {FOLDED.whole(text): (FOLDED,)}
    elif _CALENDAR.search(text, 0, _HEAD):
        starts.setdefault(FOLDED.whole(text), (FOLDED,))
    plain, plainly = next(iter(starts.items()))
    kinds = (PROOFPOINT, IMCEA, OCTAL, ENCODED_WORDS, TERMINAL, OFFICE)
    for kind in (*kinds, *((NOT_SHOWN, TABS, ALTERNATIVES) if markup else ())):
        for chain, reading in _repeated(plainly, plain, kind):
            starts.setdefault(reading, chain)
    for decoded, chain in tuple(starts.items()) if markup else ():
        for path, bare in _without_tags(chain, decoded):
            starts.setdefault(bare, path)
    for decoded, start in starts.items():
        for chain, reading in _decodings(start, decoded):
            yield chain, reading
            # Markup that was itself encoded.
            if markup and reading.count("<") > decoded.count("<"):
                yield from _without_tags(chain, reading)


def _without_tags(chain: Chain, text: str) -> Iterator[tuple[Chain, str]]:
    """Yield *text* without what each of :data:`TAGS` finds."""
    for kind in TAGS:
        yield (*chain, kind), kind.whole(text)


def _decodings(start: Chain, text: str) -> Iterator[tuple[Chain, str]]:
    """Yield *text*, with each kind of encoding undone, and with several of them, again and again."""
    for chain, reading in _undone(start, text):
        yield chain, reading
        if (link := PROOFPOINT_3.whole(reading)) != reading:
            yield from _undone((*chain, PROOFPOINT_3), link)


def _undone(start: Chain, text: str) -> Iterator[tuple[Chain, str]]:
    yield start, text
    if _SIGNS.search(text):
        for kind in (PERCENT, ENTITY, QUOTED, ESCAPE, MIXED, MIXED_QUOTED):
            yield from _repeated(start, text, kind)


def _repeated(start: Chain, text: str, kind: Decoding) -> Iterator[tuple[Chain, str]]:
    chain, decoded = start, text
    for _ in range(_TIMES):
        before, chain, decoded = decoded, (*chain, kind), kind.whole(decoded)
        if decoded == before:
            return
        yield chain, decoded


def windows(text: str, size: int = 1 << 20, overlap: int = 4096) -> Iterator[str]:
    """Yield *text* in pieces of *size* characters that overlap, cut where a word ends if there is such a place.

    What is cut within a word begins so that nothing begins at the cut.
    """
    start, before = 0, ""
    while len(text) - start > size + overlap:
        yield before + text[start : start + size + overlap]
        end = start + size
        cut = max(text.rfind(" ", end - overlap, end), text.rfind("\n", end - overlap, end))
        start, before = (cut, "") if cut != -1 else (end, _WITHIN_A_WORD)
    yield before + text[start:]


def near(text: str, may_be_in: Callable[[str], bool]) -> Iterator[str]:
    """Yield those parts of *text* that *may_be_in* is true for, so that only they are looked at closely."""
    if may_be_in(text):
        yield from filter(may_be_in, windows(text, _CLOSE, _CLOSE // 4))


def normal(text: str) -> str:
    """Return *text* as needles are looked for in it: one form of each letter, boundaries for what is not seen."""
    return UNSEEN.whole(LETTERS.whole(text))


_ALONE = regex("(?<![\udc80-\udcff])[\udcc0-\udcff](?=[A-Za-z0-9])|[\udcc0-\udcff](?=[.+_-])")
_SOFT_HYPHEN = regex("(?<![\udc80-\udcff])\udcad(?![\udc80-\udcff])")
_NO_CHARACTER = regex("[\ud800-\udfff]")


def letters_of(content: bytes) -> str:
    """Return *content*, text in no known charset, as UTF-8 or by this guess: a byte alone within words is a letter, one
    of several is a part of a character that may end a word, as in Chinese."""
    text = content.decode("utf-8", "surrogateescape")
    if text.isascii() or not _NO_CHARACTER.search(text):
        return text
    return _NO_CHARACTER.sub("\x7f", _ALONE.sub("\u0101", _SOFT_HYPHEN.sub(KERN, text)))


def view(text: str, chain: Iterable[Decoding]) -> View:
    """Return the :class:`View` of *text* with each decoding of *chain* applied in turn."""
    seen = _view((text,), (Piece(len(text), 0, len(text), literal=True),))
    for decoding in chain:
        if decoding.whole(seen.text) != seen.text:
            seen = _decoded(seen, decoding)
    return seen


def _decoded(seen: View, decoding: Decoding) -> View:
    chunks: list[str] = []
    pieces: list[Piece] = []
    position = 0
    for token in decoding.tokens.finditer(seen.text):
        meaning = decoding.meaning if isinstance(decoding.meaning, str) else decoding.meaning(token[0])
        if meaning == token[0]:
            continue
        chunks.append(seen.text[position : token.start()])
        pieces += seen.cut(position, token.start())
        if meaning:
            sources = seen.sources(*token.span())
            chunks.append(meaning)
            pieces.append(Piece(len(meaning), sources[0][0], sources[-1][1], literal=False))
        position = token.end()
    chunks.append(seen.text[position:])
    pieces += seen.cut(position, len(seen.text))
    return _view(chunks, pieces)


def _view(chunks: Iterable[str], pieces: Iterable[Piece]) -> View:
    pieces = tuple(pieces)
    return View("".join(chunks), pieces, tuple(accumulate((piece.length for piece in pieces), initial=0)))
