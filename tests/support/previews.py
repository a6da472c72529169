"""What a list of messages shows beside the subject: the first text of a page, hidden or not, as mail clients take it."""

import re
from html import unescape

_SILENT = re.compile(r"<(head|style|title|script)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_BLANK = re.compile(r"[\s\u00a0\u200c\u034f\u2007]+")


def preview(page: str, limit: int = 100) -> str:
    """Return the first *limit* characters of *page* (HTML, or plain text without a ``<``) on one line."""
    text = unescape(_SILENT.sub(" ", page))[: 10 * limit]
    return _BLANK.sub(" ", text[: _shown(text, limit)]).strip()


def _shown(text: str, limit: int) -> int:
    """Return where the preview of *text* ends: blanks between words take the room of one."""
    room, at = limit, 0
    while at < len(text) and room:
        room -= not text[at].isspace() or text[at] == "\u00a0"
        at += 1
    return at
