"""Whether an address is a part of a longer one whose other characters are encoded: ``me@home.example%2Enet`` and
``ren&eacute;me@home.example`` are somebody else's, in whatever way the text around them is read."""

import re

from email_handler.mail.documents.reading import BOUNDARY, KERN
from email_handler.mail.entities import unescape
from email_handler.mail.patterns import regex
from email_handler.outgoing.leak_gate import decodings, views

_NEAR = 96  # characters beside an address
_TIMES = 4  # that an encoding is undone
# Of the escapes that a path, a formula or a style may look like, only dots and hyphens are undone.
_TOKENS = regex(
    r"&(?:#[xX]?[0-9A-Fa-f]{1,7}(?![0-9A-Fa-f]);?|[A-Za-z0-9]{1,31};)"
    r"|%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*+"
    r"|=[89A-Fa-f][0-9A-Fa-f](?:=[89A-Fa-f][0-9A-Fa-f])*+"
    rf"|=[ \t]{{0,8}}(?:\r?\n|{BOUNDARY})"
    r"|(?:[-+=]|\\x|\\u00|\\[ux]\{|_x00|\\0{0,4})2(?P<sign>[DdEe])(?:_|\}|(?<=\\2[DdEe]) |(?<=\\002[DdEe]) )?"
    r"|\\u(?P<code>[0-9A-Fa-f]{4})"
    r"|\\(?P<itself>[.-])"
)
_FOLLOWS = regex(rf"[A-Za-z0-9.{KERN}-]{{0,{_NEAR}}}[&%=+\\_]|{KERN}?-2[DdEe]")
_PRECEDES = regex(r"(?:;|\\)[.+_-]{0,8}\Z")
_LONGEST_RUN = 12  # characters that _PRECEDES looks at


def behind(text: str, end: int) -> str:
    """Return what follows an address that ends at *end* of *text*, decoded; "" if nothing of it is encoded."""
    return _decoded(text[end : end + _NEAR]) if _FOLLOWS.match(text, end) else ""


def before(text: str, start: int, end: int) -> str:
    """Return *text* up to *end*, the end of a local part that begins at *start*, decoded; "" if nothing is encoded."""
    if not _PRECEDES.search(text, max(start - _LONGEST_RUN, 0), start):
        return ""
    return _decoded(text[max(start - _NEAR, 0) : end])


def _decoded(text: str) -> str:
    decoded = text
    for _ in range(_TIMES):
        again = _TOKENS.sub(_meaning, decoded)
        if again == decoded:
            break
        decoded = again
    return "" if decoded == text else views.normal(decoded)


def _meaning(token: re.Match[str]) -> str:
    if token["sign"]:
        return "-" if token["sign"] in "Dd" else "."
    if token["itself"]:
        return token["itself"]
    if token["code"]:
        return chr(int(token["code"], 16))
    if token[0][0] == "&":
        return unescape(token[0])
    return decodings.percent_decoded(token[0].replace("=", "%")) if token[0][1] not in f" \t\r\n{BOUNDARY}" else ""
