"""The text that a PDF's content stream shows (ISO 32000-1 §9.4), in the order in which it is drawn."""

import re
from collections.abc import Callable
from dataclasses import field

from email_handler.mail.documents.pdf_fonts import UNKNOWN, Font
from email_handler.mail.documents.pdf_objects import Document, hex_string, literal_string, string_text, unescaped
from email_handler.mail.documents.reading import BOUNDARY, KERN
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

_IMAGE = regex(rb"[^()]{0,1000}?\sID\s")  # the dictionary of an inline image (§8.9.7)
_IMAGE_END = regex(rb"\sEI(?!\S)")
_TOKEN = regex(
    rb"[\0\s]++|%[^\r\n]*+"
    rb"|(?P<path>(?:[-+.\d\s]{1,200}+(?:re|cm|rg|RG|scn?|SCN?|[mlcvyhwfFSsnWgGkK]\*?)(?![A-Za-z*'\"]))++)"
    rb"|\((?P<literal>(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+)\)|(?P<deep>\()"
    rb"|<(?P<hex>[0-9A-Fa-f\s]*+)>|/(?P<name>[^\0\s()<>\[\]{}/%]*+)"
    rb"|(?P<number>[+-]?(?:\d++\.?\d*+|\.\d++))|(?P<word>[A-Za-z'\"*]++)|.",
    re.DOTALL,
)
_SHOWS = frozenset((b"Tj", b"TJ", b"'", b'"'))
_MARKS = frozenset((b"BDC", b"DP", b"BMC"))
_BEGINS = frozenset((b"BDC", b"BMC"))
_SPACE = 180  # thousandths of an em: a larger gap within an array parts words


@dataclass(slots=True)
class Shown:
    """What content streams show."""

    runs: list[str] = field(default_factory=list)  # boundaries included
    codes: list[str] = field(default_factory=list)  # the same, as if codes were characters: some maps are wrong
    further: list[str] = field(default_factory=list)  # texts of marked content (ActualText)
    complete: bool = True  # every string's font has a character map, and every string ends


def show(content: bytes, at: int, font_named: Callable[[bytes], Font], found: Shown) -> None:  # noqa: C901, PLR0912 - one branch for each kind of token
    """Add what *content* shows from *at* on to *found*; *font_named* returns the font of a name in its resources.

    Readers show text outside text objects (BT and ET) too.
    """
    fonts = [UNKNOWN]  # the graphics state (§8.4): the font that is chosen, above those that "q" saved
    name = tag = b""
    marked: list[int | None] = []  # marked content that is open: where it begins in what is shown if it is reversed
    pending: list[bytes | float] = []
    while token := _TOKEN.match(content, at):
        at = token.end()
        match token.lastgroup:
            case "literal":
                pending.append(unescaped(token["literal"]))
            case "hex":
                pending.append(hex_string(token["hex"]))
            case "number":
                pending.append(float(token["number"][:30]))
            case "name":
                name = token["name"]
                tag = tag or name
            case "deep":
                document = Document()
                literal, at = literal_string(content, at, document)
                pending.append(literal)
                found.complete = found.complete and document.complete
            case "path":
                pending, tag = [], b""
            case "word":
                word = token["word"]
                if word == b"Tf":
                    fonts[-1] = font_named(name)
                elif word in _SHOWS:
                    _show(pending, fonts[-1], found)
                elif word in _MARKS:
                    found.further += [string_text(item) for item in pending if isinstance(item, bytes)]
                    if word in _BEGINS:
                        marked.append(len(found.runs) if tag == b"ReversedChars" else None)
                elif word == b"EMC" and marked:
                    if (begun := marked.pop()) is not None:
                        found.further += _from_behind(found.runs[begun:])
                elif word == b"q":
                    fonts.append(fonts[-1])
                elif word == b"Q" and len(fonts) > 1:
                    fonts.pop()
                elif word == b"BI":
                    at = _behind_image(content, at)
                pending, tag = [], b""
            case _:
                pass


def _from_behind(runs: list[str]) -> tuple[str, str]:
    """Return the reversed *runs* (§14.8.2.3.3): each by itself, and as some programs write them, all together."""
    return "".join(run[::-1] for run in runs), "".join(runs)[::-1]


def _behind_image(content: bytes, at: int) -> int:
    """Return the offset behind the inline image whose dictionary begins at *at*, or *at* if there is none."""
    begun = _IMAGE.match(content, at)
    ended = begun and _IMAGE_END.search(content, begun.end() - 1)
    return ended.end() if ended else at


def _show(pending: list[bytes | float], font: Font, found: Shown) -> None:
    between = BOUNDARY
    for item in pending:
        if isinstance(item, float):
            if abs(item) > _SPACE:
                between = BOUNDARY
            continue
        found.runs += (between, font.text(item))
        if font.width == 1 and font.characters:
            found.codes += (between, item.decode("latin-1"))
        between = KERN
        if item.strip() and not font.reads(item):
            found.complete = False
    found.runs.append(BOUNDARY)
    found.codes.append(BOUNDARY)
