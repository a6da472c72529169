"""A stranger's words for the owner's own email, in a form that no mail client turns into a link.

Clients make links of more than URLs: of bare domains, addresses, any ``scheme:``, network paths, IP addresses, and phones
of telephone numbers and dates in figures. So this has no list of what they recognise: it marks the characters that all of
these need. What remains are places and dates in words, which only open a map or a calendar.
"""

import re

from email_handler.mail import writer
from email_handler.mail.patterns import regex

_PARTS = regex(
    r"""
    (?P<at> (?<=\S) [@\uff20\ufe6b] (?=\S) )
    | (?P<dot> (?<![\s.]) [.\u3002\uff0e\uff61\u2024\ufe52] (?=[^\s.\u3002\uff0e\uff61\u2024\ufe52,;:!?)\]}'"]) )  # dots of RFC 3490 §3.1 and of UTS #46
    | (?P<colon> (?<=[a-z]) [:\uff1a\ufe55\ufe13] (?=\S) )  # RFC 3986 §3.1
    | (?P<slashes> // | \\\\ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONG_NUMBER = regex(r"\d(?:[^\w\[\],;:]{0,3}\d){6,}")  # seven digits or more
_FOURTH = regex(r"((?:\d\D*){3})(\d)")
# A price, a version or a status, but no IP address.
_NUMBER = regex(r"(?<![\w.])(?:\d+\.\d+|\d\.\d{1,3}\.\d{1,3})(?![\w.]*\.\d|\w)")


def quoted(text: str, limit: int) -> str:
    """Return what somebody else wrote, for a text of ours: one line of at most *limit* characters, :func:`unlinked`."""
    return unlinked(writer.one_line(text, limit))


def unlinked(text: str) -> str:
    """Return one line of *text* with visible brackets where it could become a link: ``jane at customer[.]example``,
    ``+1 20[2] 555 [0]123``."""
    numbers = {dot for match in _NUMBER.finditer(text) for dot in range(*match.span()) if text[dot] == "."}

    def marked(match: re.Match[str]) -> str:
        if match.lastgroup == "at":
            return " at "
        return match.group() if match.start() in numbers else f"[{match.group()}]"

    return _LONG_NUMBER.sub(lambda found: _FOURTH.sub(r"\1[\2]", found[0]), _PARTS.sub(marked, text))
