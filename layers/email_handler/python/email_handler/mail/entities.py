"""HTML's character references (``&amp;``, ``&#64;``), decoded from any text.

``html.unescape`` raises on a number of more than 4,300 digits (Python's limit for ``int()``), so nothing else may call it.
"""

import re
from html import unescape as _unescape  # noqa: TID251 - the one safe place

from email_handler.mail.patterns import regex

_LONG_NUMBER = regex(r"&#(?=[0-9]{8}|[xX][0-9a-fA-F]{8})(?:[xX]0*+([0-9a-fA-F]*+)|0*+([0-9]*+))")
_MOST_DIGITS = 7  # of the last code point, 1114111; with more, a number means none
_NO_CHARACTER = "1114112"  # becomes U+FFFD, as in browsers


def unescape(text: str) -> str:
    """Return *text* with its character references decoded as browsers do (HTML §13.2.5.72). Never raises.

    Leading zeros do not count, however many; a number beyond Unicode is U+FFFD.
    """
    return _unescape(_LONG_NUMBER.sub(_shortened, text)) if "&" in text else text


def _shortened(found: re.Match[str]) -> str:
    mark, digits = ("x", found[1]) if found[1] is not None else ("", found[2])
    return f"&#{mark}{digits or '0'}" if len(digits) <= _MOST_DIGITS else f"&#{_NO_CHARACTER}"
