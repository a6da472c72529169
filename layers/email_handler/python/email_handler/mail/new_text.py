"""The new text of a message: what its author wrote, without quotations and signature, for snippets and search."""

import re
from collections.abc import Iterator, Sequence

from email_handler.mail.html import html_text
from email_handler.mail.patterns import regex
from email_handler.mail.quotations import begins_original, is_quoted, is_rule, own_passages
from email_handler.mail.surroundings import without_preface, without_signature

TEXT_LIMIT = 1_000_000  # characters read; no person writes more
LINES_LIMIT = 20_000  # lines read

_QUOTING_ELEMENT = regex(
    r"<(?:div|blockquote|span|hr|table)\b[^<>]{0,300}?\b(?:id|class|type|name)\s?=\s?[\"']?(?:[\w -]{0,40}\b)?(gmail_quote\w{0,12}"
    r"|yahoo_quoted|moz-cite-prefix|(?:x_)?divRplyFwdMsg|(?:x_)?appendonsend|OLK_SRC_BODY_SECTION|protonmail_quote"
    r"|zmail_extra|stopSpelling|zwchr|ms-outlook-mobile-reference-message|cite|mail_quote|tutanota_quote)\b",
    re.IGNORECASE,
)
"""Gmail, Yahoo, Thunderbird, Outlook (web, desktop, Mac, mobile), Proton, Zoho, Hotmail, Zimbra, Apple Mail."""

_BLOCK_QUOTING = regex(r"gmail|moz|protonmail|zmail|cite|mail_quote|tutanota", re.IGNORECASE)
"""Those whose quotation is a blockquote, so that its end shows."""


def new_text(text: str, html: str = "") -> str:
    """Return the lines of *text* that its author wrote: no quoted lines, no introductions to them, no signature.

    *text* is the visible plain text; *html* is the HTML body, "" if there is none. The result is "" if nothing is new,
    as in a bare forward. Text between quoted lines is kept in order. Never raises; takes linear time.
    """
    lines = _lines(text.replace("\r\n", "\n").replace("\r", "\n"))
    passages = own_passages(lines)
    if len(passages) == 1 and len(passages[0]) == len(lines):
        passages = _around_quotation(html) or passages
    passages[0] = without_preface(passages[0])
    kept = [line for passage in passages for line in without_signature(passage)]
    return "\n".join(_trimmed(kept) or _trimmed([line for passage in passages for line in passage]))


def _lines(text: str) -> list[str]:
    return text[:TEXT_LIMIT].split("\n", LINES_LIMIT)[:LINES_LIMIT]


def _around_quotation(html: str) -> list[list[str]]:
    """Return the author's passages above the element in which a client puts the quotation and, if that has marked lines,
    those between and below them; [] if there is no such element or nothing is left.

    This finds quotations that the plain text does not mark: both have the same contents (RFC 2046 §5.1.4).
    """
    found = _QUOTING_ELEMENT.search(html[:TEXT_LIMIT])
    if not found:
        return []
    above = own_passages(_lines(html_text(html[: found.start()])))
    below = _lines(html_text(html[found.start() : TEXT_LIMIT])) if _BLOCK_QUOTING.match(found.group(1)) else []
    quote = next((number for number, line in enumerate(below) if is_quoted(line)), len(below))
    passages = [*above, *(own_passages(below[quote:]) if not begins_original(below[:quote]) else [])]
    return passages if any(line.strip() for passage in passages for line in passage) else []


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Drop blank lines and rules at both ends, and more than one blank line between."""
    return list(_squeezed([line.rstrip() for line in lines]))


def _squeezed(lines: Sequence[str]) -> Iterator[str]:
    start, end = 0, len(lines)
    while end > start and (not lines[end - 1] or is_rule(lines[end - 1])):
        end -= 1
    while start < end and not lines[start]:
        start += 1
    previous = "x"
    for line in lines[start:end]:
        if line or previous:
            yield line
        previous = line
