"""What the use cases need from the world, as Protocols: what each call raises and what is atomic.

Adapters and the tests' fakes need not inherit; contract tests hold both to the same cases.
Every method may raise the *Unavailable* error of its port (transient).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from email_handler.conversations.jobs import Job
from email_handler.conversations.records import (
    AttachmentRecord,
    Contact,
    Conversation,
    Decision,
    LedgerItem,
    MessageRecord,
    PendingEvent,
    Reference,
    SendState,
    Status,
)
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

if TYPE_CHECKING:
    from email_handler.spam.learned import Act, Example  # with what splits a text into words, which senders need not

type Clock = Callable[[], datetime]
"""Returns the current time as an aware UTC datetime."""

type ListKind = Literal["allow", "block"]
"""Which of the operator's two lists an address or domain is on."""


class Archive(Protocol):
    """The bucket. Raises ArchiveUnavailable."""

    def get(self, key: str) -> bytes:
        """Return the object at *key*. Raises ArchiveObjectMissing."""
        ...

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store *body* at *key*, replacing what was there (the bucket is versioned)."""
        ...

    def let_expire(self, key: str, expires: bool) -> None:
        """Tag the object at *key* so that the bucket's lifecycle deletes it after 90 days, or (False) keeps it.

        Idempotent. Raises ArchiveObjectMissing.
        """
        ...

    def keys(self, prefix: str, after: str = "") -> Iterator[tuple[ArchiveKey, datetime]]:
        """Yield every key below *prefix* (and behind the key *after*, if given) with its last modification, in the order
        of the keys, page after page."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything a receiving use case must know before it decides, asked at once (two batch reads)."""

    receipt: ReceiptId
    decider: Decider
    fingerprints: tuple[str, ...] = ()  # a message with any of them is a duplicate
    contact: EmailAddress | Literal[""] = ""
    subject: str = ""  # base subject: with *contact*, the topic
    references: tuple[str, ...] = ()  # local parts of In-Reply-To and References, bounded by the caller (<= 40)
    conversation: ConversationId | Literal[""] = ""  # from a thread address
    namesakes: tuple[ConversationId, ...] = ()  # names for a LinkedIn person: which of them are taken, and by whom
    counters: tuple[str, ...] = ()  # names of counters: what was counted under them
    sends: tuple[LedgerId, ...] = ()  # ledger ids: which of them exist


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the table knows of a :class:`Question`, read consistently."""

    decision: Decision | None = None
    duplicate_of: ReceiptId | None = None  # the first unexpired fingerprint by another (receipt, function)
    contact: Contact | None = None
    counts: Mapping[str, int] = field(default_factory=dict)  # of Question.counters, 0 if nothing was counted
    cautious: bool = False  # doubtful messages are held instead of forwarded
    listed: ListKind | Literal[""] = ""  # the operator's lists, by address, then by domain
    references: tuple[Reference, ...] = ()  # those found, in the order asked
    by_reference: tuple[Conversation, ...] = ()  # their conversations, same order, no repeats
    by_awaited: tuple[
        Conversation, ...
    ] = ()  # those that await one of Question.references from the contact, same order
    by_topic: Conversation | None = None  # the contact's latest conversation with that base subject
    by_id: Conversation | None = None  # Question.conversation
    namesakes: tuple[Conversation, ...] = ()  # those of Question.namesakes that exist, in the order asked
    sends: Mapping[LedgerId, LedgerItem] = field(default_factory=dict)  # of Question.sends, and of the references found


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One transaction: all of it or nothing.

    Conditions: no decision yet for (receipt, decider); conversation and contact unchanged since they were read
    (``version`` is the version read; 0 means: must not exist yet; stored as version + 1); no ledger item with these
    ids yet; each counter below its limit; no reference of these local parts to another conversation (within one conversation the first stays); no
    unexpired ``fingerprint`` or ``no_copy_of`` by another (receipt, function); each cancelled send still QUEUED, as it was read. So a caller leaves out of ``references`` what its question
    found elsewhere: such a commit would never succeed.
    """

    decision: Decision
    message: MessageRecord
    conversation: Conversation | None = None
    contact: Contact | None = None
    topic: tuple[EmailAddress, str] | None = None  # (contact, base subject) now leads to the conversation
    references: tuple[Reference, ...] = ()
    fingerprint: str = ""  # kept for 3 days
    no_copy_of: tuple[str, ...] = ()  # fingerprints that were not asked for: the message had not been read
    ledger: tuple[LedgerItem, ...] = ()
    counted: Mapping[str, int] = field(default_factory=dict)  # names of counters, each with its limit: one more
    expires_at: datetime | None = None  # TTL of message and decision for HOLD and DROP
    bounced: LedgerId | Literal[""] = ""  # feedback: this send (SENT) becomes BOUNCED
    cancelled: tuple[LedgerItem, ...] = ()  # these sends, QUEUED, become CANCELLED for their ``reason``
    listed: tuple[EmailAddress, ListKind] | None = None  # this address is on the operator's list from now on


@dataclass(frozen=True, slots=True, kw_only=True)
class SendContext:
    """What a sender needs to compose, read at once and consistently."""

    item: LedgerItem
    conversation: Conversation | None  # None for a notice about a message that named no conversation
    message: MessageRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCommit:
    """One transaction after SES's response: the ledger item SENT (conditional on *attempt*), the reference of SES's
    id, and the conversation's links and counters (conditional on its version)."""

    item: LedgerItem  # with ses_id, sent_key and since when its event waits; item.attempt is the attempt that sent
    reference: Reference
    conversation: Conversation | None = None
    contact: Contact | None = None
    copies: tuple[LedgerItem, ...] = ()  # sends that this one causes; none with their ids may exist yet


class Records(Protocol):
    """Conversations, messages, contacts, decisions. Raises RecordsUnavailable."""

    def look_up(self, question: Question) -> Known:
        """Return what the table knows of *question*: consistent reads, at most two batches."""
        ...

    def commit(self, commit: Commit) -> None:
        """Write all of *commit* or nothing. Raises RecordChanged if a condition failed: look up and decide again."""
        ...

    def finish(self, receipt: ReceiptId, decider: Decider) -> None:
        """Mark the decision's jobs queued and its events published. Idempotent."""
        ...

    def unfinished(self, before: datetime) -> Iterator[Decision]:
        """Yield decisions older than *before* that are not finished (for the reconciler)."""
        ...

    def decision(self, receipt: ReceiptId, decider: Decider) -> Decision | None:
        """Return what was decided about a receipt, or None if it has no state yet."""
        ...

    def undecided(self, receipts: Sequence[ReceiptId], decider: Decider) -> list[ReceiptId]:
        """Return those of *receipts* about which *decider* has not decided, in the same order: consistent batch reads."""
        ...

    def message(self, receipt: ReceiptId, function: FunctionName) -> MessageRecord | None:
        """Return the record of one received message."""
        ...

    def describe_attachments(
        self, receipt: ReceiptId, function: FunctionName, attachments: Sequence[AttachmentRecord], text_chars: int
    ) -> None:
        """Add what the attachment function found to the message's record. Idempotent.

        Raises UnknownConversation if there is no such message.
        """
        ...

    def conversation(self, conversation: ConversationId) -> Conversation | None:
        """Return one conversation."""
        ...

    def messages(self, conversation: ConversationId) -> Iterator[MessageRecord]:
        """Yield the conversation's received messages (of both functions), oldest first."""
        ...

    def find(self, index: str, value: str, limit: int = 50) -> Iterator[Conversation | MessageRecord | LedgerItem]:
        """Yield what the index *index* holds for *value*, newest first (of conversations, those that began last; by
        status, those written last), at most *limit*. Eventually consistent.

        Conversations by contact (address), domain, status, public_address, source and day (of their start,
        ``YYYY-MM-DD``); messages by verdict (``held``, ``flagged``, ``dropped``); ledger items by send_state (every
        :class:`SendState` but ``sent``). Raises ValueError for another index.
        """
        ...

    def put_listed(self, entry: str, kind: ListKind | None) -> None:
        """Put an address or a domain on the operator's allow-list or block-list, or remove it (None)."""
        ...

    def listed(self) -> Iterator[tuple[str, ListKind]]:
        """Yield the entries of the operator's lists, in alphabetical order."""
        ...

    def set_cautious(self, cautious: bool) -> None:
        """Let every look-up from now on say whether doubtful messages are held. Idempotent."""
        ...

    def sends(self, state: SendState, before: datetime, since: datetime | None = None) -> Iterator[LedgerItem]:
        """Yield the sends in *state* (any but SENT) queued before *before*, and at *since* or later if given, oldest
        first. Eventually consistent."""
        ...

    def held(self, since: datetime, until: datetime) -> Iterator[MessageRecord]:
        """Yield all held messages of *since* or later and before *until*, newest first. Eventually consistent."""
        ...

    def checkpoint(self, name: str) -> str:
        """Return where the work *name* goes on, "" at its beginning."""
        ...

    def set_checkpoint(self, name: str, checkpoint: str) -> None:
        """Remember where the work *name* goes on."""
        ...


class SendLedger(Protocol):
    """The ledger of sends: every write is conditional, later ones on the attempt. Raises RecordsUnavailable."""

    def context(self, job: Job) -> SendContext:
        """Return the item of *job* with its conversation and message. Raises UnknownConversation."""
        ...

    def contact(self, address: EmailAddress) -> Contact | None:
        """Return what is known of the contact *address*."""
        ...

    def claim(self, ledger: LedgerId, now: datetime, lease_until: datetime) -> LedgerItem | None:
        """Take the item for one attempt: QUEUED (or SENDING with an expired lease) becomes SENDING with attempt + 1.

        Return the item as it is now, with one more in ``lost`` if an earlier lease had expired; None if it is SENT,
        FAILED, UNKNOWN, BOUNCED or CANCELLED already. Raises LeaseHeld while another lease runs.
        """
        ...

    def add(self, item: LedgerItem) -> None:
        """Store *item*, a send that another send causes; one with its id stays as it is."""
        ...

    def sent(self, commit: SentCommit) -> bool:
        """Record SES's response, all or nothing. Recording the same response again is harmless. Return whether this
        attempt has recorded it; if another has, that one publishes the event and queues the copies.

        Raises RecordChanged if the ledger item is no longer this attempt's, or the conversation or contact has changed:
        read them again and record again, since the message has left.
        """
        ...

    def published(self, ledger: LedgerId) -> None:
        """Record that the event of a send that left is published. Idempotent."""
        ...

    def unpublished(self, before: datetime) -> Iterator[LedgerItem]:
        """Yield the sends that left before *before* and whose event is not published, those queued first before others.
        Eventually consistent."""
        ...

    def give_back(self, item: LedgerItem, state: SendState, reason: str, due: datetime) -> None:
        """End this attempt without a send: QUEUED (try again at *due*), FAILED, UNKNOWN or CANCELLED.

        All other fields of *item* are stored too: senders count refusals and lost responses this way. ``redrive`` and
        SES's feedback queue an ended send again by it, and the operator cancels a queued one. Raises RecordChanged unless the stored attempt and state are
        *item*'s.
        """
        ...

    def by_id(self, ledger: LedgerId) -> LedgerItem | None:
        """Return the send *ledger*."""
        ...

    def by_ses_id(self, ses_id: SesId) -> LedgerItem | None:
        """Return the send that SES knows as *ses_id*."""
        ...


class Jobs(Protocol):
    """The three send queues and their dead letters. Raises QueueUnavailable."""

    def queue(self, jobs: Sequence[Job], delay: timedelta = timedelta()) -> None:
        """Put each job in the queue of its kind (notices share the forward queue), which delivers it after *delay* (at
        most 15 minutes). Queuing twice is harmless."""
        ...

    def dead_letter(self, job_body: str, kind: str, reason: str, attempts: int) -> None:
        """Send a job to the dead-letter queue of *kind* with its reason and number of attempts as attributes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message of a dead-letter queue, hidden from others while it is looked at."""

    queue: str  # its URL
    handle: str  # SQS's receipt handle: names this receive
    body: str
    reason: str  # "" if the queue's own redrive policy put it there
    attempts: int
    target: str = ""  # of an event that EventBridge could not deliver: ARN of what it was for


class DeadLetters(Protocol):
    """The dead-letter queues, for the operator. Raises QueueUnavailable."""

    def letters(self) -> Iterator[DeadLetter]:
        """Yield every message of the queues once, page after page."""
        ...

    def discard(self, letter: DeadLetter) -> None:
        """Delete a message that has been dealt with."""
        ...


class Health(Protocol):
    """What AWS knows and no alarm sees."""

    def conditions(self) -> tuple[str, ...]:
        """Return what is wrong now, a sentence each: what, and what to do. Free of addresses."""
        ...

    def dead_letters(self) -> tuple[str, ...]:
        """Return those of them that are about dead letters."""
        ...


class Alerts(Protocol):
    """The alarm topic. Raises HealthUnknown."""

    def publish(self, subject: str, text: str) -> None:
        """Send *text* to all subscribers, under *subject* (at most 100 characters, ASCII)."""
        ...


class Mailer(Protocol):
    """SES v2 ``SendEmail`` with raw content: one attempt, never retried inside."""

    def send(self, raw: bytes, sender: str, recipients: Sequence[str], ledger: LedgerId) -> SesId:
        """Hand *raw* to SES, whose events name *ledger*.

        Raises SendingThrottled, SendingBlocked, MessageRefused or SendOutcomeUnknown.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDocument:
    """One configuration document and its version (S3 key and ETag), for the record of a decision."""

    body: bytes
    version: str


class ConfigSource(Protocol):
    """Documents in S3 that SSM parameters point to. Cached with a time-to-live and the ETag."""

    def read(self, parameter: str) -> ConfigDocument | None:
        """Return the document that *parameter* points to; None if it points nowhere (values ``builtin`` and ``off``).

        The last good copy outlives an outage. Raises ConfigUnavailable if there is none.
        """
        ...


BUILTIN, OFF = "builtin", "off"
"""What a parameter holds if it points to no document: the layer's own is used, or, switched off, none."""


class DocumentPointer(Protocol):
    """One parameter that points to a document. Raises ConfigUnavailable."""

    def where(self) -> str:
        """Return the key of the document in force, BUILTIN or OFF; never a cached value."""
        ...

    def move(self, key: str) -> None:
        """Point to *key*. Who reads by a ConfigSource follows within its time-to-live."""
        ...


LEARNING_DUE = "learning due"
"""Checkpoint: since when examples differ from those that the personal model was made of, "" if they do not."""


class Judgements(Protocol):
    """What the owner decided about messages, and the examples that were made of it. Raises RecordsUnavailable."""

    def conversations(
        self, status: Status, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, Conversation]]:
        """Yield the conversations of *status* that were last written at *since* or later and before *until*, with that
        time, oldest first. Eventually consistent."""
        ...

    def decided(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, Decision]]:
        """Yield the operator's decisions about held messages, by the time of the decision, in the same way."""
        ...

    def acts(self, receipts: Sequence[ReceiptId]) -> "dict[ReceiptId, Act]":
        """Return as what those of *receipts* were learned that were: consistent batch reads."""
        ...

    def examples(self) -> "Iterator[tuple[ReceiptId, Example]]":
        """Yield all examples, in no order, page after page."""
        ...

    def learn(self, receipt: ReceiptId, example: "Example") -> None:
        """Store the example that the message *receipt* is, instead of an earlier one. Idempotent."""
        ...

    def unlearn(self, receipt: ReceiptId) -> None:
        """Forget the example of *receipt*, if there is one."""
        ...


class Events(Protocol):
    """The event bus. Raises QueueUnavailable, also if only some entries failed."""

    def publish(self, events: Sequence[PendingEvent]) -> None:
        """Publish *events* under source ``email-handler``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The text of one attachment."""

    detected_type: str  # by content; "" if unknown
    text: str  # "" if none
    status: str  # "extracted", "extracted in part" (the text was cut), "no text", "unsupported", "failed: <constant>"


class TextExtractor(Protocol):
    """Reads the text of documents. Raises nothing: ``status`` says what could not be read."""

    def extract(self, payload: bytes, charset: str, seconds: float) -> Extracted:
        """Return type (by content) and text of *payload*, after *seconds* at most.

        *charset* is what the part declares, "" if nothing.
        """
        ...
