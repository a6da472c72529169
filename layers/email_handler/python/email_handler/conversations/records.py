"""What the table keeps, as values. Bodies and texts are in the archive, never here."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import Job, JobKind
from email_handler.identifiers import (
    ArchiveKey,
    ConversationId,
    EmailAddress,
    FunctionName,
    LedgerId,
    ReceiptId,
    SesId,
)


class Status(StrEnum):
    """Whose turn it is in a conversation."""

    OPEN = "open"  # nobody has answered yet
    ANSWERED = "answered"  # the owner spoke last
    WAITING = "waiting"  # the contact has written since the owner's last answer
    CLOSED = "closed"
    SPAM = "spam"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One mail under the Message-IDs it has: the contact's client knows one, each of the owner's mailboxes another.
    Full ids without angle brackets, "" or absent while not known yet."""

    receipt: ReceiptId  # the received mail, theirs or the owner's
    contact_id: str  # their own Message-ID, or SES's of the answer they got
    owner_ids: dict[str, str]  # mailbox -> SES's id of the forward it got, or the owner's own Message-ID
    reply_address: EmailAddress | Literal[""] = ""  # where an answer to this mail goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One thread with one contact. ``version`` counts writes; every write is conditional on the one it read."""

    id: ConversationId
    token: str  # the secret part of the thread address
    contact: EmailAddress | Literal[""]  # From of the first message; "" where it had none
    contact_name: str
    public_address: EmailAddress  # the address it came to, without tag: answers leave from it
    source: str  # the tag of contact+tag@, "" without
    subject: str  # base subject (no Re:, AW:, ...) of the contact's side
    owner_subject: str  # base subject of the owner's side
    mailboxes: tuple[EmailAddress, ...]  # private: where its mail is forwarded
    status: Status
    verified: bool  # whether the contact was verified in any of its messages
    reply_address: EmailAddress | Literal[""]  # where an answer goes: of the last verified message, else the first
    reply_differs: bool  # Reply-To's domain differs from From's in that message: the banner warns
    started_at: datetime
    updated_at: datetime
    received: int = 0  # messages from the contact
    sent: int = 0  # answers by the owner
    links: tuple[Link, ...] = ()  # first and last few mails, oldest first (bounded, see conversations.MAX_LINKS)
    participants: tuple[
        EmailAddress, ...
    ] = ()  # who takes part besides the contact: From and Cc of verified mail (<= 10)
    linkedin_thread: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRecord:
    """What the attachment function found out about one attachment."""

    number: int
    name: str
    declared_type: str
    detected_type: str
    size: int
    sha256: str
    archive_key: str
    text_key: str  # "" where no text
    text_chars: int
    status: str  # "extracted", "no text", "unsupported", "failed: <constant>"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """One received message, with its outcome. Key: (receipt, function)."""

    receipt: ReceiptId
    function: FunctionName
    archive_key: ArchiveKey
    conversation: ConversationId | Literal[""]  # "" for messages that belong to none (held, dropped, strangers)
    at: datetime
    outcome: Outcome
    reasons: tuple[Reason, ...]
    score: float
    rules_version: str
    sender: EmailAddress | Literal[""]  # From (display), not proof
    sender_name: str
    verified: bool
    verification: str  # SenderProof.reason
    public_address: EmailAddress | Literal[""]
    source: str
    subject: str
    message_id: str
    reply_address: EmailAddress | Literal[""]  # where an answer to this very message goes
    automatic: str  # why it was taken for machine mail, "" if it was not
    snippet: str  # first 200 characters of the new text
    size: int
    defects: tuple[str, ...] = ()
    attachments: tuple[AttachmentRecord, ...] = ()
    envelope_sender: str = ""  # "" for the null sender
    feedback: dict[str, str] = field(default_factory=dict)  # for RECORD of a bounce: recipient, status, ses id
    text_chars: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One address that wrote to us or was written to."""

    address: EmailAddress
    name: str
    first_at: datetime
    updated_at: datetime
    messages: int = 0
    conversations: tuple[tuple[ConversationId, str, datetime], ...] = ()  # latest few: id, subject, start
    written_to: bool = False  # the owner has answered them: no acknowledgement any more
    unreachable: bool = False  # hard bounce or complaint: no acknowledgement any more
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One Message-ID that mail may name in In-Reply-To or References, by its part before ``@``."""

    local_part: str
    conversation: ConversationId | Literal[""]  # "" for a notice that belongs to none
    receipt: ReceiptId  # the received message behind it
    ledger: LedgerId | Literal[""] = ""  # our send that bears it, "" for ids of others


class SendState(StrEnum):
    """States of a ledger item."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"


TEXT_ONLY = "text-only"
"""Note of the second forward of a mail whose first was refused for content or size: its text and a list of the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerItem:
    """One send and what became of it."""

    id: LedgerId
    kind: JobKind
    conversation: ConversationId | Literal[""]  # "" for a notice about mail that named none
    source: ReceiptId
    source_function: FunctionName
    archive_key: ArchiveKey
    recipients: tuple[EmailAddress, ...]  # the envelope; private for forwards and notices
    state: SendState
    queued_at: datetime
    due: datetime
    attempt: int = 0
    lease_until: datetime | None = None
    ses_id: SesId | Literal[""] = ""
    sent_key: ArchiveKey | Literal[""] = ""
    reason: str = ""  # of the last failure; constant text, addresses removed
    possible_duplicate: bool = False  # a second copy may have left: SES's answer to the first was lost
    note: str = ""  # notices: what the owner is told (a constant's name, see rewriting.notice); forwards: TEXT_ONLY

    @property
    def job(self) -> Job:
        """Return the queue message that asks for this send."""
        return Job(
            kind=self.kind,
            ledger=self.id,
            conversation=self.conversation,
            source=self.source,
            archive_key=self.archive_key,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """One event for workflows, stored with the decision that caused it, published after."""

    id: str  # deterministic: consumers may drop a second copy
    detail_type: str  # "Conversation Started", "Message Received", ...
    detail: dict[str, Any]  # ids and metadata, never a body
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one receipt by one function; a second run reads it and never decides anew."""

    receipt: ReceiptId
    function: FunctionName
    outcome: Outcome
    conversation: ConversationId | Literal[""]
    jobs: tuple[Job, ...]
    events: tuple[PendingEvent, ...]
    done: bool = False  # jobs queued and events published
