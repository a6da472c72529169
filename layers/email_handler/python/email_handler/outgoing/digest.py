"""The digest of held messages: one email to the owner, with all they need to decide and nothing to click."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from email_handler.conversations.owners import Owners
from email_handler.conversations.records import LedgerItem, MessageRecord
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.notice import compose_for_owner
from email_handler.outgoing.unlinked import quoted

DIGEST = "digest"  # a ledger item's ``note``, beside NoticeKind's values
MAX_ENTRIES = 50  # shown in one email; the rest is counted
MAX_LENGTH = 120  # characters of a subject, a sender, or the reasons
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
    reasons: Sequence[str]
    releasable: bool = True  # False: of the owner's own, or in their name; a digest queued earlier does not say

    @classmethod
    def of(cls, record: MessageRecord, *, releasable: bool) -> Self:
        """Return the entry of the held message *record*, which may be *releasable*."""
        return cls(
            receipt=record.receipt,
            function=record.function,
            at=f"{record.at:%Y-%m-%d %H:%M}",
            sender=record.sender,
            sender_name=record.sender_name,
            verified=record.verified,
            subject=record.subject,
            score=record.score,
            reasons=[reason.detail or str(reason) for reason in record.reasons],
            releasable=releasable,
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
    """Return *digest* to the owner, as text and HTML.

    No address, subject or name becomes a link, whatever the client makes of text: some senders want them clicked.
    """
    title = "One message is held" if digest.count == 1 else f"{digest.count} messages are held"
    blocks = [_block(entry) for entry in digest.entries]
    more = digest.count - len(blocks)
    ending = [f"… and {more} more: email-handler held list"] if more > 0 else []
    ending.append("Held messages are kept for 90 days. You need not do anything about messages that are rightly held.")
    fields = (
        ("From", writer.mailbox("Held messages", owners.notices_address)),
        ("To", owners.public_addresses[0]),
        ("Subject", writer.unstructured(title)),
    )
    return compose_for_owner(fields, f"{title}.", [*blocks, *([line] for line in ending)], item)


def _block(entry: HeldEntry) -> list[str]:
    sender = quoted(displayed(entry.sender, MAX_LENGTH), MAX_LENGTH)
    named = f"{quoted(entry.sender_name, MAX_LENGTH)} ({sender})" if entry.sender_name else sender
    verification = "" if entry.verified else ", not verified"
    release = f"email-handler held release {entry.receipt}" + (" --function reply" if entry.function == "reply" else "")
    if not entry.releasable:
        release = "not sent to the contact; if you wrote it, send it again"
    return [
        quoted(entry.subject, MAX_LENGTH) or "(no subject)",
        f"  from {named or 'nobody'}{verification}, {entry.at} UTC",
        f"  held: {quoted('; '.join(entry.reasons[:MAX_REASONS]), 300) or 'no reason recorded'} (score {entry.score:g})",
        f"  {release}",
    ]
