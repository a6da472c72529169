"""Links to the web, shown as what they are."""

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote

_URL = re.compile(r"https?://[^\s<>\"'\\^`{|}\x00-\x20\x7f-\xa0]{1,2000}", re.IGNORECASE)
_AFTER = ".,;:!?)]"
_PARTS = re.compile(r"(?P<scheme>https?://)(?:[^/?#\\]*@)?(?P<host>[^/?#\\:]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # what browsers take for a dot in a host
_LONGEST = 253  # characters of a host, RFC 1035 section 2.3.4; encoding longer labels takes quadratic time


def split_links(text: str) -> Sequence[tuple[str, bool]]:
    """Return *text* in pieces, each with whether it is a link to the web."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for match in _URL.finditer(text):
        url = match[0].rstrip(_AFTER)
        pieces += [(text[at : match.start()], False), (url, True)]
        at = match.start() + len(url)
    return [*pieces, (text[at:], False)]


def shown(url: str) -> str:
    """Return *url* for people: its host as browsers look it up, in which no letter of one alphabet looks like that of
    another (RFC 3492), and without the name before an @, which could look like a host."""
    parts = _PARTS.fullmatch(url)
    if not parts:
        return url
    host = unicodedata.normalize("NFKC", unquote(parts["host"])).lower()
    if len(host) > _LONGEST:
        return f"{parts['scheme']}…"
    return parts["scheme"] + ".".join(map(_label, _DOTS.split(host))) + parts["rest"]


def _label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
