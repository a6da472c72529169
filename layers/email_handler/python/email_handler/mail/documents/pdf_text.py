"""The text that a PDF's content stream shows (ISO 32000-1 §9.4), in the order in which it is drawn."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from email_handler.mail.documents.pdf_fonts import UNKNOWN, Font
from email_handler.mail.documents.pdf_objects import Document, hex_string, literal_string, string_text, unescaped
from email_handler.mail.documents.reading import BOUNDARY, KERN

_BEGIN = re.compile(rb"\bBT\b")
_STATE = re.compile(rb"(?<![^\s])(?:[qQ](?![^\s])|/([^\s/]{1,100})\s{1,9}[-+.\d]{1,20}\s{1,9}Tf\b)")
_TOKEN = re.compile(
    rb"[\0\s]++|%[^\r\n]*+"
    rb"|\((?P<literal>(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+)\)|(?P<deep>\()"
    rb"|<(?P<hex>[0-9A-Fa-f\s]*+)>|/(?P<name>[^\0\s()<>\[\]{}/%]*+)"
    rb"|(?P<number>[+-]?(?:\d++\.?\d*+|\.\d++))|(?P<word>[A-Za-z'\"*]++)|.",
    re.DOTALL,
)
_SHOWS = frozenset((b"Tj", b"TJ", b"'", b'"'))
_MARKS = frozenset((b"BDC", b"DP"))
_SPACE = 180  # thousandths of an em: a larger gap within an array parts words


@dataclass(slots=True)
class Shown:
    """What content streams show."""

    runs: list[str] = field(default_factory=list)  # boundaries included
    codes: list[str] = field(default_factory=list)  # the same, as if codes were characters: some maps are wrong
    further: list[str] = field(default_factory=list)  # texts of marked content (ActualText)
    complete: bool = True  # every string's font has a character map, and every string ends


def show(content: bytes, font_named: Callable[[bytes], Font], found: Shown) -> None:
    """Add what *content* shows to *found*; *font_named* returns the font of a name in the stream's resources."""
    at = 0
    fonts = [UNKNOWN]  # the graphics state (§8.4): the font that is chosen, above those that "q" saved
    while begun := _BEGIN.search(content, at):
        for state in _STATE.finditer(content, at, begun.start()):
            if state[1]:
                fonts[-1] = font_named(state[1])
            elif state[0] == b"q":
                fonts.append(fonts[-1])
            elif len(fonts) > 1:
                fonts.pop()
        at, fonts[-1] = _text_object(content, begun.end(), fonts[-1], font_named, found)


def _text_object(  # noqa: C901 - one branch for each kind of token
    content: bytes, at: int, font: Font, font_named: Callable[[bytes], Font], found: Shown
) -> tuple[int, Font]:
    """Read the operators from *at* to the end of the text object; return the offset behind it and the font chosen."""
    name = b""
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
            case "deep":
                document = Document()
                literal, at = literal_string(content, at, document)
                pending.append(literal)
                found.complete = found.complete and document.complete
            case "word":
                word = token["word"]
                if word == b"ET":
                    break
                if word == b"Tf":
                    font = font_named(name)
                elif word in _SHOWS:
                    _show(pending, font, found)
                elif word in _MARKS:
                    found.further += [string_text(item) for item in pending if isinstance(item, bytes)]
                pending = []
            case _:
                pass
    return at, font


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
