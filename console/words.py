"""Records in words, for people: what became of a message, of a send, and when."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import COPY, REMINDER, STARTED, TEXT_ONLY, LedgerItem, SendState, Status
from email_handler.mail.ignorable import IGNORABLE

_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)

_CODE = re.compile(r"[a-z]+:([a-z-]+)")
"""A reason as records have it: ``feedback:bounce``."""


class Tone(StrEnum):
    """How good a thing is; the class of its element."""

    OK = "ok"
    DIM = "dim"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Said:
    """A few words and how good that is."""

    text: str
    tone: Tone


OUTCOMES = {
    Outcome.DELIVER: Said("Forwarded", Tone.OK),
    Outcome.FLAG: Said("Forwarded with a warning", Tone.WARN),
    Outcome.HOLD: Said("Held", Tone.BAD),
    Outcome.DROP: Said("Dropped", Tone.BAD),
    Outcome.RECORD: Said("Recorded only", Tone.DIM),
    Outcome.RELAY: Said("Sent to the contact", Tone.OK),
}

STATUSES = {
    Status.OPEN: Said("Waits for your first reply", Tone.WARN),
    Status.WAITING: Said("Waits for your reply", Tone.WARN),
    Status.ANSWERED: Said("You wrote last", Tone.DIM),
    Status.SNOOZED: Said("Snoozed", Tone.DIM),
    Status.CLOSED: Said("Closed", Tone.DIM),
    Status.SPAM: Said("Spam", Tone.BAD),
}

SENDS = {
    SendState.QUEUED: Said("Queued", Tone.WARN),
    SendState.SENDING: Said("Being sent", Tone.WARN),
    SendState.SENT: Said("Sent", Tone.OK),
    SendState.FAILED: Said("Failed", Tone.BAD),
    SendState.UNKNOWN: Said("May have been sent", Tone.BAD),
    SendState.BOUNCED: Said("Bounced", Tone.BAD),
    SendState.CANCELLED: Said("Cancelled", Tone.DIM),
}

_NOUNS = {
    JobKind.ACKNOWLEDGEMENT: "Acknowledgement",
    JobKind.FORWARD: "Forward to you",
    JobKind.REPLY: "Reply",
    JobKind.NOTICE: "Notice to you",
}
_NOTES = {
    COPY: "Copy for your colleague",
    REMINDER: "Reminder",
    STARTED: "Line to reply to",
    TEXT_ONLY: "Second forward, text only",
}
_SENT = {
    JobKind.ACKNOWLEDGEMENT: "Acknowledged",
    JobKind.FORWARD: "Forwarded to you",
    JobKind.REPLY: "Sent",
    JobKind.NOTICE: "You were told",
}


def describe_send(send: LedgerItem) -> Said:
    """Return what became of *send*, and why."""
    state = SENDS[send.state]
    noun = _NOTES.get(send.note) or _NOUNS[send.kind]
    text = f"{noun}: {state.text.lower()}"
    if send.state is SendState.SENT:
        text = _SENT[send.kind] if send.note not in _NOTES else f"{noun} sent"
    why = _CODE.sub(lambda code: code[1].replace("-", " "), send.reason)
    if why and send.state is not SendState.SENT and why not in text:
        text += f" ({why})"
    if send.possible_duplicate:
        text += "; a second copy may have left"
    return Said(text, state.tone)


def describe_reason(reason: Reason) -> str:
    """Return *reason* as a sentence for people; what has none says where it comes from."""
    said = reason.detail or f"{reason.stage}: {reason.rule}".replace("-", " ")
    return said[:1].upper() + said[1:]


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago *moment* was, in its largest unit: ``2 days``."""
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if count := seconds // length:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "now"


def short(moment: datetime, now: datetime) -> str:
    """Return *moment* in UTC, as pages show it until a script shows it in the reader's zone."""
    recent = abs(now - moment) < timedelta(days=183)
    return f"{moment.astimezone(UTC):%-d %b %H:%M} UTC" if recent else f"{moment.astimezone(UTC):%-d %b %Y}"


def size(count: float) -> str:
    """Return *count* bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"  # noqa: PLR2004
        count /= 1000
    return f"{count:.1f} GB"


def plain(text: str) -> str:
    """Return a stranger's *text* without what is not seen or turns the direction of what follows: a name shown with it
    would not be the name that is there."""
    return IGNORABLE.sub("", _CONTROL.sub("", text))
