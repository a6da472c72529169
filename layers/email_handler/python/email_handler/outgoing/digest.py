"""The digest of held messages: one email to the owner, with all they need to decide about each."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Self

from email_handler.conversations.owners import Owners
from email_handler.conversations.records import LedgerItem, MessageRecord
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.outgoing.actions import held_actions
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.notice import compose_for_owner
from email_handler.outgoing.pieces import Card, Heading, Paragraph, Piece
from email_handler.outgoing.reasons import words
from email_handler.outgoing.unlinked import quoted
from email_handler.values import dataclass

MAX_ENTRIES = 50  # shown in one email; the rest is counted
MAX_LENGTH = 120  # characters of a subject, a sender, or the reasons
MAX_EXCERPT = 200  # characters of how a message begins
MAX_REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEntry:
    """One held message as the digest shows it and the archive keeps it, as JSON."""

    receipt: str
    function: str
    at: str  # in UTC, as shown
    sender: str
    sender_name: str
    verified: bool
    subject: str
    score: float
    reasons: Sequence[str]  # in words, the weightiest first
    releasable: bool = True  # False: of the owner's own, or in their name; a digest queued earlier does not say
    snippet: str = ""  # how the message begins; a digest queued earlier does not say
    token: str = ""  # secret: opens the message for commands; a digest queued earlier does not say

    @classmethod
    def of(cls, record: MessageRecord, *, releasable: bool) -> Self:
        """Return the entry of the held message *record*, which may be *releasable*."""
        return cls(
            receipt=record.receipt,
            function=record.function,
            at=f"{record.at.day} {record.at:%B, %H:%M}",
            sender=record.sender,
            sender_name=record.sender_name,
            verified=record.verified,
            subject=record.subject,
            score=record.score,
            reasons=list(words(record.reasons)),
            releasable=releasable,
            snippet=record.snippet,
            token=record.token,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What one digest tells: how many messages are held, and the latest of them, at most MAX_ENTRIES."""

    count: int
    entries: Sequence[HeldEntry]  # newest first

    def to_json(self) -> bytes:
        """Return the digest as the archive keeps it."""
        return json.dumps({"count": self.count, "entries": [asdict(entry) for entry in self.entries]}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Return the digest that the archive keeps as *body*; one queued by an earlier version is a list of entries."""
        stored = json.loads(body)
        found = stored["entries"] if isinstance(stored, dict) else stored
        count = stored["count"] if isinstance(stored, dict) else len(found)
        return cls(count=count, entries=[HeldEntry(**entry) for entry in found[:MAX_ENTRIES]])


def compose_digest(digest: Digest, *, owners: Owners, item: LedgerItem) -> Composed:
    """Return *digest* to the owner, as text and HTML, with what can be done about each message.

    No address, subject or name becomes a link, whatever the client makes of text: some senders want them clicked.
    """
    title = f"{digest.count} message{'s were' if digest.count != 1 else ' was'} held"
    more = digest.count - len(digest.entries)
    all_of_them: tuple[Piece, ...] = (
        Heading(title),
        Paragraph("If that is right, there is nothing to do. Each is kept for 90 days."),
        *(_card(entry, owners.thread_domain) for entry in digest.entries),
        *([Paragraph(f"And {more} more: email-handler held list")] if more > 0 else []),
    )
    fields = (
        ("From", writer.mailbox("Held messages", owners.notices_address)),
        ("To", owners.public_addresses[0]),
        ("Subject", writer.unstructured(title)),
    )
    named = ", ".join(
        dict.fromkeys(quoted(entry.sender_name or entry.sender, 40) or "nobody" for entry in digest.entries)
    )
    return compose_for_owner(fields, title, f"From {named}"[:MAX_LENGTH], all_of_them, item)


def _card(entry: HeldEntry, thread_domain: str) -> Card:
    sender = quoted(displayed(entry.sender, MAX_LENGTH), MAX_LENGTH)
    named = f"{quoted(entry.sender_name, MAX_LENGTH)} ({sender})" if entry.sender_name else sender
    verification = "" if entry.verified else ", not verified"
    actions = held_actions(entry.receipt, entry.token, thread_domain) if entry.token else ()
    advice = "" if actions else f"To release it: email-handler held release {entry.receipt} --function {entry.function}"
    if not entry.releasable:
        actions, advice = actions[1:], "It was not sent to the contact. If you wrote it, send it again."
    why = quoted("; ".join(entry.reasons[:MAX_REASONS]), 300)
    return Card(
        title=quoted(entry.subject, MAX_LENGTH) or "(no subject)",
        byline=f"{named or 'nobody'}{verification} · {entry.at} UTC",
        excerpt=quoted(entry.snippet, MAX_EXCERPT),
        finding=f"Held: {why}" if why else "",
        advice=advice,
        actions=actions,
    )
