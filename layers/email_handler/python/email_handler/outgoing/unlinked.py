"""A stranger's words for the owner's own email, in a form that no mail client turns into a link.

Clients make links of more than URLs: of bare domains, addresses, any ``scheme:``, network paths, IP addresses, and phones
of telephone numbers and dates in figures. So this has no list of what they recognise: it marks the characters that all of
these need. What remains are places and dates in words, which only open a map or a calendar.
"""

import re

_PARTS = re.compile(
    r"""
    (?P<at> (?<=\S) [@\uff20\ufe6b] (?=\S) )
    | (?P<dot> (?<![\s.]) [.\u3002\uff0e\uff61\u2024\ufe52] (?=[^\s.\u3002\uff0e\uff61\u2024\ufe52,;:!?)\]}'"]) )  # dots of RFC 3490 §3.1 and of UTS #46
    | (?P<colon> (?<=[a-z]) [:\uff1a\ufe55\ufe13] (?=\S) )  # RFC 3986 §3.1
    | (?P<slashes> // | \\\\ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONG_NUMBER = re.compile(r"\d(?:[\s()/+\u00ad\u200b-\u200f\u2010-\u2015\u2060-]{0,3}\d){6,}")  # seven digits or more
_FOURTH = re.compile(r"((?:\d\D*){3})(\d)")
_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\.\d|\w)")  # a price or a version, but no IP address


def unlinked(text: str) -> str:
    """Return one line of *text* with visible brackets where it could become a link: ``jane at customer[.]example``,
    ``+1 20[2] 555 [0]123``."""
    numbers = {match.start() + match.group().index(".") for match in _NUMBER.finditer(text)}

    def marked(match: re.Match[str]) -> str:
        if match.lastgroup == "at":
            return " at "
        return match.group() if match.start() in numbers else f"[{match.group()}]"

    return _LONG_NUMBER.sub(lambda found: _FOURTH.sub(r"\1[\2]", found[0]), _PARTS.sub(marked, text))
