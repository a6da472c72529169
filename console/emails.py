"""A stranger's email, made harmless: its HTML for a frame of its own, its pictures, its links, its files.

Two readers that have nothing in common clean the HTML: ``mail.confinement`` writes known elements anew from tokens, with
CSS that it has parsed; ``nh3`` builds a browser's tree of that and keeps what its list allows. What is left is shown
under a policy that allows no script, no form, no navigation and no request. The HTML has a page of its own, so that the
console's page is never in one document with it.
"""

import base64
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import nh3

from email_handler.mail.confinement import MAX_CONFINED, confine
from email_handler.mail.filenames import safe_filename
from email_handler.mail.html import read_page
from email_handler.mail.message import Message
from email_handler.mistakes import attempt_or

FRAME_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
"""For the HTML of an email. Without ``allow-…`` a sandbox runs no script, opens and navigates nothing, and has an origin
that is nobody's; ``unsafe-inline`` is for CSS alone, which can load only ``data:`` pictures."""

FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

MAX_PICTURE = 1_000_000  # bytes of a picture that is shown
MAX_PICTURES = 4_000_000  # bytes of all pictures of an email
MAX_LINKS = 100

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_REMOTE = re.compile(r"""url\(\s*["']?(?!data:image/(?:png|gif|jpe?g);base64,)[^)]*\)""", re.IGNORECASE)
_DATA = re.compile(r"data:image/(?:png|gif|jpe?g);base64,([A-Za-z0-9+/=%]+)", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_RUN = re.compile(r"(?<=>)[^<>]{4000,}")
_ENTITIES = 500  # in one text of the tree: nh3 copies all of a text for each (1.9 million of them took 31 s)

_PRESENTATIONAL = {"align", "bgcolor", "class", "dir", "height", "id", "lang", "style", "title", "valign", "width"}
_TAGS = {
    "a", "abbr", "address", "article", "b", "bdi", "big", "blockquote", "br", "caption", "center", "cite", "code",
    "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small",
    "span", "strike", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
    "var", "wbr",
}  # fmt: skip
_ATTRIBUTES = {
    "*": _PRESENTATIONAL,
    "a": {"href"},
    "font": {"color", "face", "size"},
    "img": {"alt", "src"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "ul": {"type"},
}

_SHEET = """
:root{color-scheme:light;background:#fff;color:#202124;font:15px/1.5 system-ui,sans-serif}
body{margin:12px;overflow-wrap:anywhere}img{max-width:100%;height:auto}
a{cursor:text}
"""
_DARK = (
    "@media (prefers-color-scheme:dark){:root{color-scheme:dark;background:#17191c}"
    "body,body>article{background:#17191c!important;color:#e6e8eb!important}}"  # article: the email's body, confined
)
"""For an email that is made for dark screens too; all others stay on white, where their colours can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where an email's link says that it leads, and where it does."""

    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """An email's HTML for its frame."""

    page: str  # a whole document
    blocked: int  # pictures that were not loaded


def framed(message: Message) -> Framed:
    """Return the HTML of *message* (any bytes) as a page that loads nothing, and how many pictures that left out."""
    confined = attempt_or(None, confine, message.html[:MAX_CONFINED])
    if confined is None:
        return Framed(page=_page("", f"<pre>{html.escape(message.text)}</pre>"), blocked=0)
    pictures = _Pictures(_inline_pictures(message))
    body = nh3.clean(
        _RUN.sub(_in_pieces, confined.body),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        attribute_filter=pictures.attribute,
    )
    sheet = pictures.css(confined.sheet).replace("<", "\\3c ")
    return Framed(page=_page(sheet, body), blocked=pictures.blocked)


def _in_pieces(run: re.Match[str]) -> str:
    """Return a long run of text with elements that show nothing in it, so that no text of the tree has many entities."""
    parts = run[0].split("&")
    return "<wbr>&".join("&".join(parts[at : at + _ENTITIES]) for at in range(0, len(parts), _ENTITIES))


def links(message: Message) -> list[Link]:
    """Return the links of *message*'s HTML to the web, with where they really lead, each destination once."""
    page = message.page or read_page(message.html)
    found: dict[str, Link] = {}
    for link in page.links:
        if _WEB.match(link.href):
            found.setdefault(link.href, Link(text=" ".join(link.text.split())[:80], url=link.href))
    return list(found.values())[:MAX_LINKS]


def file_headers(name: str) -> Mapping[str, str]:
    """Return the headers under which a browser stores a file of a stranger's called *name*, and never shows it."""
    safe = safe_filename(name).strip() or "file"
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(safe, safe='')}",
        "Content-Security-Policy": FILE_POLICY,
    }


def _page(sheet: str, body: str) -> str:
    own = _SHEET + _DARK * ("prefers-color-scheme" in sheet)
    return (
        f'<!doctype html><html lang="und"><head><meta charset="utf-8"><title>Email</title><style>{own}</style>'
        f"<style>{sheet}</style></head><body>{body}</body></html>"
    )


class _Pictures:
    """What becomes of each picture that an email asks for."""

    def __init__(self, inline: Mapping[str, str]) -> None:
        self._inline = inline
        self.blocked = 0

    def attribute(self, tag: str, name: str, value: str) -> str | None:
        """Return the *value* of an attribute, or None to leave it out (nh3's ``attribute_filter``)."""
        if name == "style":
            return self.css(value)
        if tag == "img" and name == "src":
            return self._source(value)
        if name == "href":
            return None if value.lower().startswith(("data:", "cid:")) else value
        return value

    def css(self, text: str) -> str:
        """Return CSS without the pictures that it would load."""
        closed, end, rest = text.rpartition(
            ")"
        )  # behind the last one, each search for another would read on to the end
        closed, count = _REMOTE.subn("none", closed + end)
        self.blocked += count
        return closed + rest

    def _source(self, url: str) -> str | None:
        if url.lower().startswith("cid:"):
            found = self._inline.get(url[4:].strip("<>"))
        else:
            data = _DATA.fullmatch(url)
            found = url if data and len(data[1]) <= MAX_PICTURE else None
        self.blocked += found is None
        return found


def _inline_pictures(message: Message) -> dict[str, str]:
    """Return the simple pictures that *message* carries, as ``data:`` URLs by Content-ID."""
    left = MAX_PICTURES
    found: dict[str, str] = {}
    for attachment in message.attachments:
        payload, name = attachment.payload, attachment.part.content_id
        kind = picture_type(payload)
        if name and kind and len(payload) <= min(MAX_PICTURE, left):
            left -= len(payload)
            found[name] = f"data:{kind};base64,{base64.b64encode(payload).decode()}"
    return found


def picture_type(payload: bytes) -> str:
    """Return the type of a picture that every browser draws by itself, "" for anything else: SVG is a document."""
    return next((kind for begins, kind in _PICTURES.items() if payload.startswith(begins)), "")
