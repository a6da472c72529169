"""What an HTML body shows and where it leads: just enough for rules, in one pass over bounded text.

Not a parser: a reader's mail program decides what it shows, and spam is written against parsers. Everything here takes
any text, never raises, and is linear.
"""

import html
from dataclasses import dataclass

import pcre2

HTML_LIMIT = 96 * 1024  # characters read from each end of an HTML body; its text is cut again by the windows
_LINKS = 200

_COMMENT = pcre2.compile(r"<!--.*?-->|<(style|script|head|title)\b[^>]*+>.*?</\1\s*+>", pcre2.I | pcre2.S)
_HIDDEN = pcre2.compile(
    r"<([a-z]{1,10})\b[^>]*?\bstyle\s*+=\s*+[\"'][^\"'>]*?"
    r"(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden|font-size\s*+:\s*+0(?![.\d])|opacity\s*+:\s*+0(?![.\d])|mso-hide\s*+:\s*+all)"
    r"[^>]*+>((?:[^<]++|<(?!/\1\b))*+)",
    pcre2.I,
)
_ANCHOR = pcre2.compile(r"<a\b[^>]*?\bhref\s*+=\s*+[\"']?+([^\"'\s>]++)[^>]*+>((?:[^<]++|<(?!/a\b))*+)", pcre2.I)
_ADDRESS = pcre2.compile(
    r"<(?:area|form|img|iframe)\b[^>]*?\b(?:href|action|src)\s*+=\s*+[\"']?+([^\"'\s>]++)", pcre2.I
)
_IMAGE = pcre2.compile(r"<img\b[^>]*+>", pcre2.I)
_PIXEL = pcre2.compile(r"\b(?:width|height)\s*+=\s*+[\"']?+[0-5](?!\d)", pcre2.I)
_BREAK = pcre2.compile(r"<(?:br|/?p|/?div|/?t[rdh]|/?li|/?h[1-6]|/?table|hr)\b[^>]*+>", pcre2.I)
_TAG = pcre2.compile(r"<[!/?a-z][^>]*+>", pcre2.I)
_BARE = pcre2.compile(r"\b(?:https?://|www\.)[^\s<>\"']++", pcre2.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Markup:
    """One HTML body as rules see it."""

    visible: str  # its text without comments, styles and hidden elements; white space as it fell
    hidden_chars: int  # characters of text in elements that are styled not to be shown
    links: tuple[tuple[str, str], ...]  # (address, text shown), in order
    addresses: tuple[str, ...]  # of images, forms and the like
    images: int  # shown, tracking pixels excluded


NOTHING = Markup(visible="", hidden_chars=0, links=(), addresses=(), images=0)


def read_markup(body: str) -> Markup:
    """Return what *body* (HTML, any length) shows and where it leads."""
    if not body:
        return NOTHING
    if len(body) > 2 * HTML_LIMIT:
        body = body[:HTML_LIMIT] + "\n" + body[-HTML_LIMIT:]
    try:
        return _read(body)
    except pcre2.LibraryError:  # a limit of the library: take the text as it is, which rules then see whole
        return Markup(visible=body, hidden_chars=0, links=(), addresses=(), images=0)


def bare_addresses(text: str) -> list[str]:
    """Return the web addresses that stand in plain *text*, read from both ends if it is long."""
    if len(text) > 2 * HTML_LIMIT:
        text = text[:HTML_LIMIT] + "\n" + text[-HTML_LIMIT:]
    return [found.group() for _, found in zip(range(_LINKS), _BARE.finditer(text), strict=False)]


def _read(body: str) -> Markup:
    body = _COMMENT.sub("", body)
    hidden = 0
    if _HIDDEN.search(body):
        hidden = sum(len(_text(found.group(2)).strip()) for found in _HIDDEN.finditer(body))
        body = _HIDDEN.sub("", body)
    found_links = zip(range(_LINKS), _ANCHOR.finditer(body), strict=False)
    return Markup(
        visible=_text(body),
        hidden_chars=hidden,
        links=tuple((html.unescape(link.group(1)), _text(link.group(2)).strip()) for _, link in found_links),
        addresses=tuple(
            html.unescape(found.group(1)) for _, found in zip(range(_LINKS), _ADDRESS.finditer(body), strict=False)
        ),
        images=sum(1 for found in _IMAGE.finditer(body) if not _PIXEL.search(found.group())),
    )


def _text(body: str) -> str:
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", body)))
