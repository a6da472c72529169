"""Text, hidden text and links of an HTML body, read in one linear pass.

This is a tokenizer without a tree: tree builders take quadratic time on nested elements (11 s in the fastest one for
``<div>`` 80,000 times), and ``html.parser`` on unfinished tags. Nothing raises and no text is lost.
"""

import re
from collections import Counter

from email_handler.mail.entities import unescape
from email_handler.mail.markup import VOID, Kind, attributes, tokens
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

MAX_HTML = 1_000_000  # characters read as HTML; email clients stop far earlier (Gmail shows 102 kB)
MAX_LINKS = 1000
MAX_QUOTES = 30  # quote marks before a line; deeper quotations show this many
MAX_ATTRIBUTES = 10_000  # characters of a tag's attributes that are read
MAX_OPEN = 200  # open elements remembered; of deeper ones only the text is read

_LEFTOVER = regex(r"<[^<>]*+>")
_SPACE = regex(r"[ \t\r\n\f\u00a0]+")
_CONTROL = regex(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_HIDING = regex(
    r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden|mso-hide\s{0,9}:\s{0,9}all|"
    r"(?:font-size|max-height|max-width|opacity)\s{0,9}:\s{0,9}0(?:\.0{1,9})?(?:px|pt|em|rem|%)?\s{0,9}(?:[;!]|$)",
    re.IGNORECASE,
)
_COLOR = regex(
    r"(?i)(?:^|[;\s])(color|background(?:-color)?)\s{0,9}:\s{0,9}(#[0-9a-f]{3,6}|rgb\([\d ,]{5,20}\)|[a-z]{3,20})"
)

_NOT_SHOWN = frozenset(("script", "style", "title"))
_PARAGRAPHS = frozenset(("p", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table"))
_BLOCKS = _PARAGRAPHS | frozenset(
    (
        "address", "article", "aside", "body", "caption", "center", "dd", "div", "dl", "dt", "fieldset", "figure",
        "footer", "form", "header", "hr", "li", "main", "nav", "pre", "section", "tbody", "tfoot", "thead", "tr",
    )
)  # fmt: skip
_CLOSES_ITSELF = frozenset(("p", "li", "td", "th", "tr", "dt", "dd", "option"))  # another one ends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One ``<a href>``: its destination and its visible text."""

    href: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The contents of an HTML body."""

    text: str  # the visible text: blocks as lines ended by ``\n``, quotations marked with ``> ``
    hidden: str  # text that readers do not see: display:none, size 0, the background's color, ...
    links: tuple[Link, ...]
    images: int


def html_text(html: str, limit: int = MAX_HTML, page: Page | None = None) -> str:
    """Return the visible text of *html*, else its hidden text, else that of its title, images and links.

    It is "" only if the page is empty. Only the first *limit* characters are read as HTML; after them tags are
    removed, up to ten times *limit*. *page*: what :func:`read_page` returned for these *limit* characters, if known.
    """
    text = (page or read_page(html[:limit])).text
    if len(html) <= limit:
        return text
    return f"{text}\n{_LEFTOVER.sub(' ', html[limit : limit * 10])}{html[limit * 10 :]}"


def read_page(html: str) -> Page:
    """Read the first MAX_HTML characters of *html* (any text). Never raises; takes linear time."""
    reader = _Reader()
    reader.read(html[:MAX_HTML])
    return reader.page()


@dataclass(slots=True)
class _Style:
    """What an element's contents inherit from it."""

    name: str
    invisible: bool  # display:none and the like
    blended: bool  # the text has the color of its background
    color: str
    background: str


class _Reader:
    """The state of one pass over an HTML text."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []
        self.blank = False  # a blank line precedes the next line
        self.hidden: list[str] = []
        self.links: list[Link] = []
        self.href: str | None = None
        self.link_text: list[str] = []
        self.alternatives: list[str] = []  # the title and the texts of images
        self.images = 0
        self.open = [_Style("", invisible=False, blended=False, color="#000", background="#fff")]
        self.counts: Counter[str] = Counter()  # of each name in it
        self.quotes = 0  # open quotations
        self.level = 0  # quotations around the last line
        self.pre = 0

    def read(self, html: str) -> None:
        for kind, name, text in tokens(html):
            if kind is Kind.START:
                self.start(name, text)
            elif kind is Kind.END:
                self.end(name)
            elif name == "title":
                self.alternatives.append(text)
            elif name not in _NOT_SHOWN:
                self.text(text)

    def start(self, name: str, text: str) -> None:
        self.start_line(name)
        found = attributes(text, MAX_ATTRIBUTES) if text and _needs_attributes(name, text) else {}
        if name == "img":
            self.images += 1
            if found.get("alt") and len(self.alternatives) < MAX_LINKS:
                self.alternatives.append(found["alt"])
        if name in VOID:
            return
        if name in _CLOSES_ITSELF and self.open[-1].name == name:
            self.close(len(self.open) - 1)
        if len(self.open) <= MAX_OPEN:
            self.open.append(self.style(name, found))
            self.counts[name] += 1
        if name == "a" and "href" in found:
            self.end_link()
            self.href = found["href"]
        elif name == "blockquote":
            self.quotes += 1
        elif name == "pre":
            self.pre += 1

    def start_line(self, name: str) -> None:
        """Add the line end, bullet or space with which the element *name* begins."""
        if name == "br":
            self.end_line(forced=True)
        elif name in _BLOCKS:
            self.end_line()
            self.blank = self.blank or name in _PARAGRAPHS
            if name == "li":
                self.line.append("* ")
        elif name in ("td", "th"):
            self.line.append(" ")

    def style(self, name: str, found: dict[str, str]) -> _Style:
        outer = self.open[-1]
        if not found:
            return _Style(name, outer.invisible, outer.blended, outer.color, outer.background)
        css = found.get("style", "")
        color = found.get("color", "")
        background = found.get("bgcolor", "")
        for declared in _COLOR.finditer(css):
            if declared[1].lower() == "color":
                color = declared[2]
            else:
                background = declared[2]
        color = _normal_color(color) or outer.color
        background = _normal_color(background) or outer.background
        if "url(" in css or "background" in found:
            background = "?"  # an image, so of unknown color
        return _Style(
            name,
            outer.invisible or "hidden" in found or bool(_HIDING.search(css)),
            color == background,
            color,
            background,
        )

    def end(self, name: str) -> None:
        if name in _BLOCKS:
            self.end_line()
            self.blank = self.blank or name in _PARAGRAPHS
        if name == "a":
            self.end_link()
        elif name == "blockquote":
            self.quotes = max(self.quotes - 1, 0)
        elif name == "pre":
            self.pre = max(self.pre - 1, 0)
        if self.counts[name]:
            place = len(self.open) - 1
            while self.open[place].name != name:
                place -= 1
            self.close(place)

    def close(self, place: int) -> None:
        """Close the open elements from *place* on."""
        for style in self.open[place:]:
            self.counts[style.name] -= 1
        del self.open[place:]

    def text(self, text: str) -> None:
        text = unescape(text)
        if not text:
            return
        style = self.open[-1]
        if style.invisible or style.blended:
            self.hidden.append(text)
        if style.invisible:
            return
        if self.pre:
            first, *others = text.replace("\r\n", "\n").split("\n")
            self.line.append(first)
            for other in others:
                self.end_line(forced=True)
                self.line.append(other)
        else:
            self.line.append(text)
        if self.href is not None:
            self.link_text.append(text)

    def end_line(self, *, forced: bool = False) -> None:
        text = "".join(self.line)
        self.line.clear()
        text = text.rstrip() if self.pre else _SPACE.sub(" ", text).strip()
        if not text and not forced:
            return
        level = min(self.quotes, MAX_QUOTES)
        quote = ">" * level + " " if level else ""
        if self.blank and self.lines:
            self.lines.append(">" * min(level, self.level))
        self.blank = False
        self.level = level
        self.lines.append(f"{quote}{text}".rstrip())

    def end_link(self) -> None:
        if self.href is not None and len(self.links) < MAX_LINKS:
            self.links.append(Link(href=_one_line(self.href), text=_one_line("".join(self.link_text))))
        self.href = None
        self.link_text.clear()

    def page(self) -> Page:
        self.end_line()
        self.end_link()
        hidden = _one_line(" ".join(self.hidden))
        text = _CONTROL.sub("", "\n".join(self.lines)).strip("\n")
        if not text.strip():
            text = hidden or "\n".join(
                [_one_line(a) for a in self.alternatives]
                or [link.href for link in self.links]
                or ["[image]"] * min(self.images, 1)
            )
        return Page(text=text, hidden=hidden, links=tuple(self.links), images=self.images)


def _needs_attributes(name: str, text: str) -> bool:
    if name in ("a", "img"):
        return True
    lower = text.lower()
    return "style" in lower or "hidden" in lower or "color" in lower or "background" in lower


def _normal_color(color: str) -> str:
    if not color:
        return ""
    color = color.strip().lower().lstrip("#")
    color = {"white": "fff", "ffffff": "fff", "black": "000", "000000": "000", "rgb(255,255,255)": "fff"}.get(
        color.replace(" ", ""), color
    )
    return f"#{color}" if color else ""


def _one_line(text: str) -> str:
    return _CONTROL.sub("", _SPACE.sub(" ", text)).strip()
