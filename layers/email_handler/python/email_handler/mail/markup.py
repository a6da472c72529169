"""Tokens of an HTML text, read in one linear pass. Nothing raises and no text is lost.

Not a browser's tokenizer in every detail: what never ends (a tag, a comment, a ``<title>``) hides nothing behind it here.
"""

from collections.abc import Iterator
from enum import Enum, auto

from email_handler.mail.entities import unescape
from email_handler.mail.patterns import regex

# A whole tag. As in browsers, quotes count only after "=", and a quote that never closes is an ordinary character.
# Possessive quantifiers keep the time linear.
_TAG = regex(r"""<(/?)([a-zA-Z][^\s/>]{0,40}+)((?:[^>=]++|=\s*+"[^"]*+"|=\s*+'[^']*+'|=)*+)>""")
_ATTRIBUTE = regex(r"""([^\s=/>"']{1,60}+)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s>]*+)""")
_LEFTOVER = regex(r"<[^<>]*+>")

VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
RAW = frozenset(("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"))
"""Elements whose contents are text without tags."""
_CLOSING = {name: regex(f"(?i)</{name}(?=[\\s/>])") for name in RAW}


class Kind(Enum):
    """What a token is."""

    TEXT = auto()  # text, with its character references
    START = auto()  # a start tag: its name in lower case, and the text of its attributes
    END = auto()  # an end tag: its name in lower case
    RAW = auto()  # the contents of the raw element whose start tag came before


def tokens(html: str) -> Iterator[tuple[Kind, str, str]]:
    """Yield each token of *html* (any text): its kind, the element's name ("" for text), and its text."""
    at = 0
    last_end = html.rfind(">")
    comment_end = html.rfind("-->")  # a comment that never ends is read as a tag, so the text after it stays
    unclosed: set[str] = set()  # raw elements without an end tag: read on as if they were not raw
    while (start := html.find("<", at)) >= 0:
        if start > at:
            yield Kind.TEXT, "", html[at:start]
        at = start
        if start > last_end:
            break
        tag = _TAG.match(html, start)
        if tag is not None:
            name, at = tag[2].lower(), tag.end()
            yield (Kind.END if tag[1] else Kind.START), name, tag[3]
            if name in RAW and not tag[1] and name not in unclosed:
                if (closing := _CLOSING[name].search(html, at)) is None:
                    unclosed.add(name)
                    continue
                yield Kind.RAW, name, html[at : closing.start()]
                at = closing.start()
        elif start < comment_end and html.startswith("<!--", start):
            at = html.find("-->", start + 2) + 3
        elif html[start + 1 : start + 2] in ("!", "?", "/"):
            at = html.find(">", start) + 1
        elif html[start + 1 : start + 2].isalpha():  # a tag that never ends: the rest is text
            yield Kind.TEXT, "", _LEFTOVER.sub(" ", html[start:])
            return
        else:
            yield Kind.TEXT, "", "<"
            at = start + 1
    yield Kind.TEXT, "", html[at:]


def attributes(text: str, limit: int) -> dict[str, str]:
    """Return the attributes in a start tag's *text* by lower-case name, of its first *limit* characters.

    The first of several of a name counts, as in browsers. Of those without a value only ``hidden`` and ``nowrap``.
    """
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text[:limit]):
        value = match[2]
        if value[:1] in ("'", '"') and value[-1:] == value[:1]:
            value = value[1:-1]
        found.setdefault(match[1].lower(), unescape(value))
    lower = text.lower() if len(text) <= limit else ""
    for name, pattern in _FLAGS.items():
        if name in lower and pattern.search(lower):
            found.setdefault(name, "")
    return found


_FLAGS = {name: regex(rf"(?:^|\s){name}(?:[\s/=]|$)") for name in ("hidden", "nowrap")}
