"""Status codes and addresses in text. Every function reads a bounded length, in one pass."""

import re
from collections.abc import Iterable

from email_handler.identifiers import EmailAddress
from email_handler.mail.patterns import regex

TEXT_LIMIT = 65_536  # characters read of a report, a notice, or a returned message's header
LINE_LIMIT = 2_000
RECIPIENTS_LIMIT = 50  # as many as one message of SES can have
_LINES_LIMIT = 1_500
_DIAGNOSTIC_LIMIT = 300

_LINE_END = regex(r"\r\n|\r|\n")
_ADDRESS = regex(r"[^\s@<>\"'(),;:\[\]{}|*]{1,64}@[^\s@<>\"'(),;:\[\]{}|*/]{1,255}")
ENHANCED_STATUS = regex(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\d|\.\d)")
"""An enhanced status code (RFC 3463 §2), but not a piece of an IP address."""

REPLY_CODE = regex(r"(?<![\d.:\-/])([45])[0-57]\d(?=[ \-]|$)(?! ?(?:bytes|kb|mb|seconds|hours))", re.MULTILINE)
"""An SMTP reply code that reports a failure (RFC 5321 §4.2), but not a size or a time."""

_AFTER_REPLY = regex(
    r"(?<![\d.])[45]\d\d[ \-]{1,3}\(?#?([45]\.\d{1,3}\.\d{1,3})(?!\d|\.\d)|#([45]\.\d{1,3}\.\d{1,3})\b"
)
"""An enhanced status code beside a reply code, or after ``#``."""


def lines_of(text: str) -> list[str]:
    """Return the lines of *text*, cut to what is read of it."""
    return [line[:LINE_LIMIT] for line in _LINE_END.split(text[:TEXT_LIMIT])[:_LINES_LIMIT]]


def status_in(value: str) -> str:
    """Return the first enhanced status code in *value*, "" without one."""
    found = ENHANCED_STATUS.search(value[:LINE_LIMIT])
    return found.group() if found else ""


def best_status_in(text: str) -> str:
    """Return the enhanced code in *text*, preferably one beside a reply code; of a bare reply code its class."""
    beside = _AFTER_REPLY.search(text)
    if beside:
        return beside.group(1) or beside.group(2)
    enhanced = ENHANCED_STATUS.search(text)
    if enhanced:
        return enhanced.group()
    reply = REPLY_CODE.search(text)
    return f"{reply.group(1)}.0.0" if reply else ""


def addresses_in(text: str) -> list[EmailAddress]:
    """Return the addresses in one line or field, in order, their domains in lower case."""
    found: list[EmailAddress] = []
    for match in _ADDRESS.finditer(text[:LINE_LIMIT]):
        local, _, domain = match.group().rstrip(".!?").removeprefix("mailto:").rpartition("@")
        local = local[5:] if local[:5].lower() == "smtp=" else local  # Exchange's notation
        domain = domain.partition("..")[0]  # Sendmail's words follow an address without a space
        if local and domain:
            found.append(EmailAddress(f"{local}@{domain.lower()}"))
    return found[:RECIPIENTS_LIMIT]


def distinct(addresses: Iterable[EmailAddress]) -> tuple[EmailAddress, ...]:
    """Return the first spelling of each of *addresses*, ignoring case."""
    first: dict[str, EmailAddress] = {}
    for address in addresses:
        first.setdefault(address.lower(), address)
    return tuple(first.values())[:RECIPIENTS_LIMIT]


def without_addresses(text: str) -> str:
    """Return *text* as one short line with its addresses replaced, fit for a log."""
    words = ("[address]" if "@" in word else word for word in text[:LINE_LIMIT].split())
    return " ".join(words)[:_DIAGNOSTIC_LIMIT]
