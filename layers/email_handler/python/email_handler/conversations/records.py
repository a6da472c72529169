"""What the table keeps, as values. Bodies and texts are in the archive, never here."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import LONGEST_DELAY, Job, JobKind
from email_handler.identifiers import (
    ArchiveKey,
    ConversationId,
    Decider,
    EmailAddress,
    FunctionName,
    LedgerId,
    ReceiptId,
    SesId,
)
from email_handler.values import dataclass


class Status(StrEnum):
    """Whose turn it is in a conversation."""

    OPEN = "open"  # no reply yet
    ANSWERED = "answered"  # the owner wrote last
    WAITING = "waiting"  # the contact has written since the owner's last reply
    SNOOZED = "snoozed"  # the owner has put it off: until then, or until the contact writes
    CLOSED = "closed"
    SPAM = "spam"


AWAITING = (Status.OPEN, Status.WAITING)
"""It is the owner's turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The files that were too large for the forward of a message."""

    function: FunctionName  # with the message's receipt, the key of its record
    archive_key: ArchiveKey
    messages: int  # that it takes to send them
    kept: tuple[str, ...]  # names of files that are too large for any message


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One message and its Message-IDs: the contact's client knows one, each of the owner's mailboxes another.

    Full ids without angle brackets, "" or absent while unknown.
    """

    receipt: ReceiptId  # the received message, the contact's or the owner's
    contact_id: str  # the contact's own Message-ID, or SES's id of the reply they got
    owner_ids: dict[str, str]  # mailbox -> SES's id of the forward it got, or the owner's own Message-ID
    reply_address: EmailAddress | Literal[""] = ""  # where a reply to this message goes
    left_out: LeftOut | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One thread with one contact. ``version`` counts writes; every write is conditional on the one it read."""

    id: ConversationId
    token: str  # the secret part of the thread address
    contact: EmailAddress | Literal[""]  # From of the first message; "" where it had none
    contact_name: str
    public_address: EmailAddress  # the address it came to, without tag: replies leave from it
    source: str  # the tag of contact+tag@, "" without
    subject: str  # base subject (no Re:, AW:, ...) of the contact's side
    owner_subject: str  # base subject of the owner's side
    mailboxes: tuple[EmailAddress, ...]  # private: where its messages are forwarded
    status: Status
    verified: bool  # whether the contact was verified in any message
    reply_address: EmailAddress | Literal[""]  # where a reply goes: of the last verified message, else the first
    reply_differs: bool  # Reply-To's domain differs from From's in that message: the banner warns
    started_at: datetime
    updated_at: datetime
    received: int = 0  # messages from the contact
    sent: int = 0  # replies by the owner
    links: tuple[Link, ...] = ()  # the first and the last few messages, oldest first (see evolve.MAX_LINKS)
    # Who takes part besides the contact: From, To and Cc of verified messages (at most evolve.MAX_PARTICIPANTS).
    participants: tuple[EmailAddress, ...] = ()
    linkedin_thread: str = ""
    untold: tuple[str, ...] = ()  # unchecked parts of replies, for the next forward to tell the owner
    replies: tuple[LedgerId, ...] = ()  # sends of the last few replies: those still queued can be cancelled
    snoozed_until: datetime | None = None  # counts as long as the status is SNOOZED
    reminders: tuple[LedgerId, ...] = ()  # those that the operator's command caused: no decision names them
    started_with: ReceiptId | Literal[""] = ""  # the owner's message that started it, "" if the contact's did
    version: int = 0

    @property
    def on_linkedin(self) -> bool:
        """Return whether the contact writes through LinkedIn."""
        return bool(self.linkedin_thread) or self.id.startswith("linkedin-")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRecord:
    """What the attachment function found in one attachment."""

    number: int
    name: str
    declared_type: str
    detected_type: str
    size: int
    sha256: str
    archive_key: str
    text_key: str  # "" without text
    text_chars: int
    status: str  # "extracted", "extracted in part", "no text", "unsupported", "failed: <constant>"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord:
    """One received message, or an event or digest of ours, with its outcome. Key: (receipt, function)."""

    receipt: ReceiptId
    function: FunctionName
    archive_key: ArchiveKey
    at: datetime
    outcome: Outcome
    conversation: ConversationId | Literal[""] = ""  # "" if it belongs to none (held, dropped, strangers)
    reasons: tuple[Reason, ...] = ()
    score: float = 0.0
    rules_version: str = ""
    sender: EmailAddress | Literal[""] = ""  # From, for display: not verified by itself
    sender_name: str = ""
    verified: bool = False
    verification: str = ""  # SenderVerification.reason
    public_address: EmailAddress | Literal[""] = ""
    source: str = ""
    subject: str = ""
    message_id: str = ""
    reply_address: EmailAddress | Literal[""] = ""  # where a reply to this very message goes
    automatic: str = ""  # why it was taken for a machine's, "" if it was not
    snippet: str = ""  # the first characters of the new text
    size: int = 0  # bytes
    files: int | None = None  # attached to it; None if nobody could read it, and in older records
    defects: tuple[str, ...] = ()
    attachments: tuple[AttachmentRecord, ...] = ()
    envelope_sender: str = ""  # "" for the null sender
    feedback: dict[str, str] = field(default_factory=dict)  # of a bounce or complaint: kind, recipient, status, ledger
    text_chars: int = 0
    changes: tuple[str, ...] = ()  # of a reply: what left in other words than the owner's
    unchecked: tuple[
        str, ...
    ] = ()  # of a reply: the parts that the leak gate did not read in full, each with the reason
    token: str = ""  # of a held one, secret: the owner's commands about it name it
    tells: tuple[str, ...] = ()  # what the forward of this message tells of earlier replies: their ``unchecked``


type Awaited = tuple[str, ConversationId, datetime]
"""A Message-ID that a contact's message names and that no message had yet, as a digest; the conversation that a message
joins which has or names it; and since when (see ``awaited.py``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One address that wrote to us or was written to."""

    address: EmailAddress
    name: str
    first_at: datetime
    updated_at: datetime
    messages: int = 0
    conversations: tuple[tuple[ConversationId, str, datetime], ...] = ()  # latest few: id, subject, start
    written_to: bool = False  # the owner has replied to them: no more acknowledgements
    unreachable: bool = False  # hard bounce or complaint: no more acknowledgements
    relayed: tuple[tuple[str, datetime], ...] = ()  # latest few replies to them: digest of the text, time
    awaited: tuple[Awaited, ...] = ()  # ids that their verified messages name, the latest few, oldest first
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One Message-ID that messages may name in In-Reply-To or References, by its part before ``@``."""

    local_part: str
    conversation: ConversationId | Literal[""]  # "" for a notice that belongs to none
    receipt: ReceiptId  # the received message behind it
    ledger: LedgerId | Literal[""] = ""  # our send with this id, "" for ids of others


class SendState(StrEnum):
    """States of a ledger item."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    BOUNCED = "bounced"
    CANCELLED = "cancelled"


REMINDER = "reminder"
"""Note of the notice at the end of a snooze."""

TEXT_ONLY = "text-only"
"""Note of the second forward of a message whose first was refused for content or size: text and a list of the rest."""

COPY = "copy"
"""Note of what another mailbox gets of a reply: who replied, and what the contact got."""

STARTED = "started"
"""Note of what the owner gets who started a conversation: one line, to reply to."""


RECEIVED = "Message Received"
"""What workflows hear of every message that is not held or dropped."""

EVENTS = {
    JobKind.ACKNOWLEDGEMENT: "Acknowledgement Sent",
    JobKind.FORWARD: "Message Forwarded",
    JobKind.REPLY: "Reply Sent",
}
"""What workflows hear of a send that has left; nothing of a notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """How often in a row a send could not leave for the same kind of reason."""

    kind: str  # class of the error
    times: int  # in this row
    since: datetime  # of the first in this row
    in_all: int  # of any kind
    first_at: datetime  # of the first of any kind


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerItem:
    """One send and its state."""

    id: LedgerId
    kind: JobKind
    conversation: ConversationId | Literal[""]  # "" for a notice about a message that named none
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
    # Attempts that may have sent it: SES's response was lost, or the process ended without a record.
    lost: int = field(default=0, metadata={"formerly": "possible_duplicate"})
    refusals: Refusals | None = None  # since the send was queued, or redriven
    sent_sha256: str = ""  # of the message that is kept below ``sent/``, as far as a refused attempt tells
    note: str = ""  # notices: a NoticeKind (outgoing.notice), DIGEST, COPY or STARTED; forwards: TEXT_ONLY
    detail: str = ""  # notices: why, if the message's record does not say it
    copies: tuple[LedgerId, ...] = ()  # of a reply that left: what the owner's mailboxes get of it
    discarded: bool = False  # if it stays unknown whether it left, nobody wants it sent again
    unpublished_since: datetime | None = None  # when it left, until its event is published

    @property
    def undecided(self) -> bool:
        """Return whether a person must decide: it may have left as often as it may. An acknowledgement is not missed."""
        return self.state is SendState.UNKNOWN and self.kind is not JobKind.ACKNOWLEDGEMENT and not self.discarded

    @property
    def possible_duplicate(self) -> bool:
        """Return whether more than one copy may have left."""
        return self.lost > 0

    @property
    def ends_at(self) -> datetime:
        """Return until when this send is on its way: it is due then, or its lease ends."""
        return max(self.due, self.lease_until or self.due)

    @property
    def left_to_a_pass(self) -> bool:
        """Return whether nobody but an hourly pass queues this send: no queue could keep its job back for so long."""
        return self.attempt == 0 and self.due - self.queued_at > LONGEST_DELAY

    @property
    def job(self) -> Job:
        """Return the job that asks for this send."""
        return Job(
            kind=self.kind,
            ledger=self.id,
            conversation=self.conversation,
            source=self.source,
            archive_key=self.archive_key,
        )

    @property
    def event(self) -> "PendingEvent | None":
        """Return the event that this send has left, while it waits to be published."""
        if self.unpublished_since is None:
            return None
        detail = {
            "version": 1,
            "conversation": self.conversation,
            "receipt": self.source,
            "function": self.source_function,
            "ledger": self.id,
            "ses_id": self.ses_id,
            "archive_key": self.sent_key,
            "possible_duplicate": self.possible_duplicate,
            "at": self.unpublished_since.isoformat(),
        }
        return PendingEvent.of(EVENTS[self.kind], detail, (self.id,), self.unpublished_since)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """One event for workflows, stored with the decision that caused it and published after."""

    id: str  # deterministic: consumers can drop a second copy
    detail_type: str  # "Conversation Started", "Message Received", ...
    detail: dict[str, Any]  # ids and metadata, never a body
    at: datetime

    @classmethod
    def of(cls, detail_type: str, detail: dict[str, Any], about: tuple[str, ...], at: datetime) -> "PendingEvent":
        """Return the event *detail_type* about what the ids *about* name; they and the type give its id."""
        name = detail_type.lower().replace(" ", "-")
        return cls(id="-".join((*about, name)), detail_type=detail_type, detail=detail, at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one receipt, once: a second run reads it and does not decide again."""

    receipt: ReceiptId
    decider: Decider
    outcome: Outcome
    conversation: ConversationId | Literal[""]
    jobs: tuple[Job, ...]
    announces: tuple[str, ...] = ()  # detail types of its events
    detail: dict[str, Any] = field(default_factory=dict)  # of each of them, with receipt, function and time
    later: dict[LedgerId, datetime] = field(default_factory=dict)  # of jobs that are not due at once: when they are
    done: bool = False  # jobs queued and events published
    mistake: str = ""  # type and place of the mistake of ours that forced it, for the log

    @property
    def events(self) -> tuple[PendingEvent, ...]:
        """Return its events for workflows. Only *Message Received* says how many files there are."""
        return tuple(map(self._event, self.announces))

    def _event(self, detail_type: str) -> PendingEvent:
        left_out = () if detail_type == RECEIVED else ("attachments",)
        detail = {name: value for name, value in self.detail.items() if name not in left_out}
        about = (detail["receipt"], detail["function"])
        return PendingEvent.of(detail_type, detail, about, datetime.fromisoformat(detail["at"]))
