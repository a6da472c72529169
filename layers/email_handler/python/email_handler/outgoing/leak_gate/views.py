"""The ways of writing text that a reader's program undoes: percent-encoding, entities, tags, folded lines.

Each is a :class:`Decoding`. A :class:`View` is a decoded text that remembers where each character came from, so that
what is found in it can be replaced in the source and nothing else is touched. Every pattern here starts at a literal
or is bounded: the time is linear in the text.
"""

import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from email_handler.mail.entities import unescape


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


@dataclass(frozen=True, slots=True)
class Decoding:
    """One way of writing text that a reader's program undoes.

    ``whole`` decodes a text at once, fast; ``tokens`` and ``meaning`` decode it piece by piece, for a :class:`View`.
    """

    sign: str  # only a text with these characters can be encoded this way; "" if any text can
    whole: Callable[[str], str]
    tokens: re.Pattern[str]
    meaning: Callable[[str], str]


def _percent(text: str) -> str:
    return unquote_to_bytes(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _quoted_printable(text: str) -> str:
    return binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unescaped(text: str) -> str:
    return _INVISIBLE.sub("", unescape(text))


def _without_markup(text: str) -> str:
    return "" if text.startswith("<") else _unescaped(text)


_BLOCK = re.compile(
    r"</?(?:address|blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|table|td|tr|ul)[\s/>]", re.IGNORECASE
)


def _line_break(tag: str) -> str:
    return "\n" if _BLOCK.match(tag) else ""


def _nothing(_: str) -> str:
    return ""


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\u3002", ".")


_REFERENCE = r"&#?[A-Za-z0-9]{1,31};?"
# Unicode's default ignorable code points (DerivedCoreProperties), except those that some scripts' letters need.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]+"
)
_OTHER_FORMS = re.compile("[\u3002\uff01-\uff5e\uff61\U0001d400-\U0001d7ff]+")
_COMMENT = re.compile(r"<!--(?:[^-<]|-(?!->)|<(?!!--))*+-->")
_TAG = re.compile(r"<[^<>]*>")
_TOKEN = re.compile(rf"<[^<>]*>|{_REFERENCE}|{_INVISIBLE.pattern}")


def _removing(pattern: str) -> Decoding:
    tokens = re.compile(f"{pattern}|{_INVISIBLE.pattern}")
    return Decoding("", lambda text: tokens.sub("", text), tokens, _nothing)


PERCENT = Decoding("%", _percent, re.compile(r"(?:%[0-9A-Fa-f]{2})+"), _percent)
QUOTED = Decoding("=", _quoted_printable, re.compile(r"(?:=[0-9A-Fa-f]{2})+|=[ \t]{0,8}\r?\n"), _quoted_printable)
ENTITY = Decoding("&", unescape, re.compile(_REFERENCE), unescape)
MARKUP = Decoding("", lambda text: _unescaped(_TAG.sub("", text)), _TOKEN, _without_markup)
LINES = Decoding(
    "<",
    lambda text: _unescaped(_TAG.sub(lambda tag: _line_break(tag[0]), text)),
    re.compile(rf"{_TOKEN.pattern}|\r?\n"),
    lambda token: (
        _line_break(token) if token.startswith("<") else " " if token.endswith("\n") else _without_markup(token)
    ),
)
"""HTML as lines of text: the tags of a block break the line, a line break of the source does not."""
FOLDED = _removing(r"\r?\n[ \t]")  # RFC 5545 §3.1, RFC 6350 §3.2
FLOWED = _removing(r" \r?\n>*")  # RFC 3676 with DelSp
WRAPPED = _removing(r" ?\r?\n[>| \t]*")  # a line that a client wrapped, then quoted

LETTERS = Decoding("", lambda text: _OTHER_FORMS.sub(lambda found: _plain(found[0]), text), _OTHER_FORMS, _plain)
"""Full-width and mathematical letters, and the full stops that count as dots in domain names (RFC 3490 §3.1)."""
COMMENT = Decoding("<!--", lambda text: _COMMENT.sub("", text), _COMMENT, _nothing)

type Chain = tuple[Decoding, ...]
"""Encodings to undo one after the other."""

CHAINS: tuple[Chain, ...] = (
    (),
    (LETTERS,),
    (PERCENT,),
    (ENTITY,),
    (ENTITY, PERCENT),
    (PERCENT, PERCENT),
    (QUOTED,),
    (FOLDED,),
    (FLOWED,),
    (WRAPPED,),
    (FOLDED, QUOTED),
)
HTML_CHAINS = (*CHAINS, (MARKUP,), (MARKUP, WRAPPED), (COMMENT,), (COMMENT, MARKUP), (LINES,))


def decode(text: str, chain: Iterable[Decoding]) -> str | None:
    """Return *text* with each encoding of *chain* undone in turn, or None if one of them does not occur in it."""
    for decoding in chain:
        decoded = decoding.whole(text) if decoding.sign in text else text
        if decoded == text:
            return None
        text = decoded
    return text


def view(text: str, chain: Iterable[Decoding]) -> View:
    """Return the :class:`View` of *text* with each encoding of *chain* undone in turn."""
    seen = _view((text,), (Piece(len(text), 0, len(text), literal=True),))
    for decoding in chain:
        seen = _decoded(seen, decoding)
    return seen


def _decoded(seen: View, decoding: Decoding) -> View:
    chunks: list[str] = []
    pieces: list[Piece] = []
    position = 0
    for token in decoding.tokens.finditer(seen.text):
        chunks.append(seen.text[position : token.start()])
        pieces += seen.cut(position, token.start())
        if meaning := decoding.meaning(token[0]):
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
