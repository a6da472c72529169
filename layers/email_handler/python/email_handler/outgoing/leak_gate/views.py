"""The ways of writing text that a reader's program undoes: percent-encoding, entities, tags, folded lines.

Each is a :class:`Decoding`. A :class:`View` is a decoded text that remembers where each character came from, so that
what is found in it can be replaced in the source and nothing else is touched. Every pattern here starts at a literal
or is bounded: the time is linear in the text.
"""

import binascii
import html
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True, slots=True)
class View:
    """A decoded text and where its characters stand in the text it was made of.

    ``shown[i]`` is the offset in ``text`` and ``pieces[i]`` the ``(start, end, literal)`` in the source: a literal
    piece maps character by character, others (an entity, ``%40``) as a whole.
    """

    text: str
    shown: tuple[int, ...]
    pieces: tuple[tuple[int, int, bool], ...]

    def sources(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the source ranges that ``text[start:end]`` came from, in order."""
        index = bisect_right(self.shown, start) - 1
        while index < len(self.shown) and self.shown[index] < end:
            offset, (source, source_end, literal) = self.shown[index], self.pieces[index]
            if literal:
                length = source_end - source
                first, last = max(start - offset, 0), min(end - offset, length)
                if first < last:
                    yield source + first, source + last
            else:
                yield source, source_end
            index += 1


@dataclass(frozen=True, slots=True)
class Decoding:
    """One way of writing text that a reader's client undoes.

    ``whole`` undoes it all at once, fast; ``tokens`` and ``meaning`` do so piece by piece, for a :class:`View`.
    """

    sign: str  # a text without these characters is not written so; "" where there are no such characters
    whole: Callable[[str], str]
    tokens: re.Pattern[str]
    meaning: Callable[[str], str]


def _percent(text: str) -> str:
    return unquote_to_bytes(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _quoted_printable(text: str) -> str:
    return binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _unescaped(text: str) -> str:
    return _INVISIBLE.sub("", html.unescape(text) if "&" in text else text)


def _without_markup(text: str) -> str:
    return "" if text.startswith("<") and text.endswith(">") else _unescaped(text)


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
# Default ignorable code points (Unicode, DerivedCoreProperties), those of scripts whose letters need them aside.
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
ENTITY = Decoding("&", html.unescape, re.compile(_REFERENCE), html.unescape)
MARKUP = Decoding("", lambda text: _unescaped(_TAG.sub("", text)), _TOKEN, _without_markup)
LINES = Decoding(
    "<",
    lambda text: _unescaped(_TAG.sub(lambda tag: _line_break(tag[0]), text)),
    re.compile(rf"{_TOKEN.pattern}|\r?\n"),
    lambda token: (
        _line_break(token) if token.startswith("<") else " " if token.endswith("\n") else _without_markup(token)
    ),
)
"""HTML as lines of text: a tag that begins or ends a block breaks the line, a line break of the source does not."""
FOLDED = _removing(r"\r?\n[ \t]")  # RFC 5545 §3.1, RFC 6350 §3.2
FLOWED = _removing(r" \r?\n>*")  # RFC 3676 with DelSp
WRAPPED = _removing(r" ?\r?\n[>| \t]*")  # and whatever quoting made of it

LETTERS = Decoding("", lambda text: _OTHER_FORMS.sub(lambda found: _plain(found[0]), text), _OTHER_FORMS, _plain)
"""Full-width and mathematical letters, and the full stops that name servers take for dots (RFC 3490 §3.1)."""
COMMENT = Decoding("<!--", lambda text: _COMMENT.sub("", text), _COMMENT, _nothing)

CHAINS: tuple[tuple[Decoding, ...], ...] = (
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
    """Return *text* with each encoding of *chain* undone; None where one of them does not occur in it."""
    for decoding in chain:
        decoded = decoding.whole(text) if decoding.sign in text else text
        if decoded == text:
            return None
        text = decoded
    return text


def view(text: str, chain: Iterable[Decoding]) -> View:
    """Return the view of *text* that undoes each encoding of *chain* in turn."""
    seen = View(text, (0,), ((0, len(text), True),))
    for decoding in chain:
        seen = _decoded(seen, decoding)
    return seen


def _decoded(seen: View, decoding: Decoding) -> View:
    chunks: list[str] = []
    shown: list[int] = []
    pieces: list[tuple[int, int, bool]] = []
    length = position = 0

    def add(chunk: str, origin: Iterable[tuple[int, int]], *, literal: bool) -> None:
        nonlocal length
        if literal:  # what is literal here may have been decoded before: keep its pieces apart
            start = position
            index = bisect_right(seen.shown, start) - 1
            end = start + len(chunk)
            while index < len(seen.shown) and seen.shown[index] < end:
                offset, (source, source_end, plain) = seen.shown[index], seen.pieces[index]
                width = (seen.shown[index + 1] if index + 1 < len(seen.shown) else len(seen.text)) - offset
                first, last = max(start - offset, 0), min(end - offset, width)
                if first < last:
                    shown.append(length)
                    pieces.append((source + first, source + last, True) if plain else (source, source_end, False))
                    length += last - first
                index += 1
        else:
            ranges = list(origin)
            if ranges:
                shown.append(length)
                pieces.append((ranges[0][0], ranges[-1][1], False))
                length += len(chunk)
        chunks.append(chunk)

    for token in decoding.tokens.finditer(seen.text):
        if token.start() > position:
            add(seen.text[position : token.start()], (), literal=True)
        if shown_as := decoding.meaning(token[0]):
            add(shown_as, seen.sources(*token.span()), literal=False)
        position = token.end()
    if position < len(seen.text):
        add(seen.text[position:], (), literal=True)
    return View("".join(chunks), tuple(shown), tuple(pieces))
