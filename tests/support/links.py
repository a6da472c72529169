"""What mail clients make links of, for tests of texts of ours that quote somebody else."""

import re

_CLICKABLE = re.compile(
    r"[^\s.][.\u3002\uff0e\uff61][a-z]|\S[@\uff20]\S|[a-z][:\uff1a]\S|//|\\\\|(?<![\w.])\d+(?:\.\d+){3}"
    r"|(?:\d[\s()/+.-]{0,3}){7}",
    re.IGNORECASE,
)
"""What every kind of link has: a domain, an address, a scheme, a network path, an IP address, a telephone number."""
_MARKS = re.compile(r"\[([.:\u3002\uff0e\uff61\uff1a\d]|//|\\\\)\]")


def first_link(text: str) -> str:
    """Return what a client could link first in *text*; "" if there is nothing."""
    found = _CLICKABLE.search(_MARKS.sub("____", text))
    return found.group() if found else ""
