"""The ports in memory, with the adapters' conditions: `tests/contract` runs the same tests on both.

Every fake keeps its contents in plain attributes, and can be made to fail once::

    fakes.records.fail("commit", RecordsUnavailable("down"))               # refused
    fakes.records.fail("commit", RecordsUnavailable("lost"), after=True)   # took effect, the response was lost
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any, Concatenate

from email_handler.adapters.dynamodb import keys
from email_handler.conversations.awaited import conversations_awaiting
from email_handler.conversations.disposition import Outcome
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
from email_handler.errors import (
    ArchiveObjectMissing,
    ConfigUnavailable,
    LeaseHeld,
    MessageTooLarge,
    RecordChanged,
    UnknownConversation,
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
from email_handler.ports import (
    BUILTIN,
    Clock,
    Commit,
    ConfigDocument,
    Known,
    ListKind,
    Question,
    SendContext,
    SentCommit,
)
from email_handler.spam.learned import Act, Example

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FINGERPRINT_AGE = timedelta(days=3)
VERDICTS = {Outcome.HOLD: "held", Outcome.FLAG: "flagged", Outcome.DROP: "dropped"}


class Failing:
    """Raises once for each call of `fail`."""

    def __init__(self) -> None:
        self._faults: dict[str, list[tuple[BaseException, bool]]] = defaultdict(list)
        self._lock = RLock()  # every call is atomic, as a conditional write is

    def fail(self, method: str, error: BaseException, *, after: bool = False) -> None:
        """Let the next call of *method* raise *error*, instead of its effect or *after* it."""
        assert callable(getattr(self, method))
        self._faults[method].append((error, after))


def _can_fail[S: Failing, **P, R](method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    name = method.__name__

    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock:
            if not self._faults[name]:
                return method(self, *args, **kwargs)
            error, after = self._faults[name].pop(0)
            if after:
                method(self, *args, **kwargs)
            raise error

    return call


class FakeArchive(Failing):
    """A bucket. `objects` maps keys to bodies."""

    def __init__(self, objects: Mapping[str, bytes] | None = None, clock: Clock = lambda: NOW) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = dict(objects or {})
        self.content_types: dict[str, str] = {}
        self.written: list[str] = []  # keys, once for each version
        self.expiring: set[str] = set()
        self.modified: dict[str, datetime] = dict.fromkeys(self.objects, clock())
        self._clock = clock

    @_can_fail
    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise ArchiveObjectMissing("the archive holds no object at the key that a record names")
        return self.objects[key]

    @_can_fail
    def put(self, key: str, body: bytes, content_type: str) -> None:
        self.objects[key] = body
        self.written.append(key)
        self.content_types[key] = content_type
        self.modified[key] = self._clock()

    @_can_fail
    def let_expire(self, key: str, expires: bool) -> None:
        if key not in self.objects:
            raise ArchiveObjectMissing("the archive holds no object at the key that a record names")
        (self.expiring.add if expires else self.expiring.discard)(key)

    @_can_fail
    def keys(self, prefix: str, after: str = "") -> Iterator[tuple[ArchiveKey, datetime]]:
        below = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        return ((ArchiveKey(key), self.modified[key]) for key in below)


class FakeRecords(Failing):
    """The table: Records and SendLedger in one."""

    def __init__(self, clock: Clock = lambda: NOW) -> None:
        super().__init__()
        self._clock = clock
        self.decisions: dict[tuple[ReceiptId, Decider], Decision] = {}
        self.decided_at: dict[tuple[ReceiptId, Decider], datetime] = {}
        self.message_records: dict[tuple[ReceiptId, FunctionName], MessageRecord] = {}
        self.expires: dict[tuple[ReceiptId, FunctionName], datetime] = {}
        self.conversations: dict[ConversationId, Conversation] = {}
        self.contacts: dict[str, Contact] = {}
        self.topics: dict[tuple[str, str], ConversationId] = {}
        self.references: dict[str, Reference] = {}
        self.fingerprints: dict[str, tuple[ReceiptId, Decider, datetime]] = {}
        self.ledger: dict[LedgerId, LedgerItem] = {}
        self.counters: Counter[str] = Counter()
        self.lists: dict[str, ListKind] = {}
        self.cautious = False
        self.checkpoints: dict[str, str] = {}
        self.written: dict[ConversationId, datetime] = {}  # when each conversation was written last
        self.learned: dict[ReceiptId, Example] = {}

    # Records

    @_can_fail
    def look_up(self, question: Question) -> Known:
        contact = keys.mailbox(question.contact)
        references = tuple(self.references[r] for r in dict.fromkeys(question.references) if r in self.references)
        by_reference = dict.fromkeys(r.conversation for r in references if r.conversation in self.conversations)
        known = self.contacts.get(contact)
        by_awaited = conversations_awaiting(known, question.references, self._clock())
        topic = self.topics.get((contact, question.subject.casefold())) if contact and question.subject else None
        domain = contact.rpartition("@")[2]
        sends = (*question.sends, *(LedgerId(r.ledger) for r in references))
        return Known(
            decision=self.decisions.get((question.receipt, question.decider)),
            duplicate_of=self._duplicate_of(question.fingerprints, question.receipt, question.decider),
            contact=known,
            counts={name: self.counters[name] for name in question.counters},
            cautious=self.cautious,
            listed=self.lists.get(contact) or self.lists.get(domain) or "",
            references=references,
            by_reference=tuple(self.conversations[ConversationId(c)] for c in by_reference),
            by_awaited=tuple(self.conversations[c] for c in by_awaited if c in self.conversations),
            by_topic=self.conversations.get(topic) if topic else None,
            by_id=self.conversations.get(question.conversation) if question.conversation else None,
            namesakes=tuple(self.conversations[n] for n in question.namesakes if n in self.conversations),
            sends={s: self.ledger[s] for s in sends if s in self.ledger},
        )

    def _duplicate_of(self, fingerprints: Sequence[str], receipt: ReceiptId, decider: Decider) -> ReceiptId | None:
        for first, by, expires in (self.fingerprints[f] for f in fingerprints if f in self.fingerprints):
            if (first, by) != (receipt, decider) and expires > self._clock():
                return first
        return None

    @_can_fail
    def commit(self, commit: Commit) -> None:
        key = (commit.decision.receipt, commit.decision.decider)
        holds = (
            key not in self.decisions
            and self._unchanged(commit.conversation, commit.contact)
            and not any(item.id in self.ledger for item in commit.ledger)
            and all(self.references.get(r.local_part, r).conversation == r.conversation for r in commit.references)
            and self._duplicate_of([commit.fingerprint, *commit.no_copy_of], *key) is None
            and all(self.counters[name] < limit for name, limit in commit.counted.items())
            and all(
                (stored.state, stored.attempt, stored.lost) == (SendState.QUEUED, item.attempt, item.lost)
                for item in commit.cancelled
                for stored in [self._item(item.id)]
            )
            and (
                not commit.bounced
                or (commit.bounced in self.ledger and self.ledger[commit.bounced].state in _MAY_BOUNCE)
            )
        )
        if not holds:
            raise RecordChanged("a condition of the commit failed: look up and decide again")
        self.decisions[key] = commit.decision
        self.decided_at[key] = self._clock()
        message_key = (commit.message.receipt, commit.message.function)
        self.message_records[message_key] = commit.message
        self.expires.pop(message_key, None)
        if commit.expires_at:
            self.expires[message_key] = commit.expires_at
        self._store(commit.conversation, commit.contact)
        if commit.topic:
            contact, subject = commit.topic
            self.topics[keys.mailbox(contact), subject.casefold()] = ConversationId(commit.decision.conversation)
        for reference in commit.references:
            self.references.setdefault(reference.local_part, reference)
        if commit.fingerprint:
            self.fingerprints[commit.fingerprint] = (*key, self._clock() + FINGERPRINT_AGE)
        for item in commit.ledger:
            self.ledger[item.id] = item
        self.counters.update(commit.counted.keys())
        if commit.bounced:
            self.ledger[commit.bounced] = replace(
                self.ledger[commit.bounced],
                state=SendState.BOUNCED,
                reason="; ".join(map(str, commit.message.reasons)),
            )
        for item in commit.cancelled:
            self.ledger[item.id] = replace(self.ledger[item.id], state=SendState.CANCELLED, reason=item.reason)
        if commit.listed:
            entry, kind = commit.listed
            self.lists[keys.mailbox(entry)] = kind

    def _unchanged(self, conversation: Conversation | None, contact: Contact | None) -> bool:
        stored = self.conversations.get(conversation.id) if conversation else None
        known = self.contacts.get(keys.mailbox(contact.address)) if contact else None
        return (conversation is None or (stored.version if stored else 0) == conversation.version) and (
            contact is None or (known.version if known else 0) == contact.version
        )

    def _store(self, conversation: Conversation | None, contact: Contact | None) -> None:
        if conversation:
            self.conversations[conversation.id] = replace(conversation, version=conversation.version + 1)
            self.written[conversation.id] = max(self._clock(), conversation.updated_at)
        if contact:
            self.contacts[keys.mailbox(contact.address)] = replace(contact, version=contact.version + 1)

    @_can_fail
    def finish(self, receipt: ReceiptId, decider: Decider) -> None:
        if (receipt, decider) in self.decisions:
            self.decisions[receipt, decider] = replace(self.decisions[receipt, decider], done=True)

    @_can_fail
    def unfinished(self, before: datetime) -> Iterator[Decision]:
        waiting = sorted((at, key) for key, at in self.decided_at.items() if at < before)
        return iter([self.decisions[key] for _, key in waiting if not self.decisions[key].done])

    @_can_fail
    def decision(self, receipt: ReceiptId, decider: Decider) -> Decision | None:
        return self.decisions.get((receipt, decider))

    @_can_fail
    def undecided(self, receipts: Sequence[ReceiptId], decider: Decider) -> list[ReceiptId]:
        return [receipt for receipt in receipts if (receipt, decider) not in self.decisions]

    @_can_fail
    def message(self, receipt: ReceiptId, function: FunctionName) -> MessageRecord | None:
        return self.message_records.get((receipt, function))

    @_can_fail
    def describe_attachments(
        self, receipt: ReceiptId, function: FunctionName, attachments: Sequence[AttachmentRecord], text_chars: int
    ) -> None:
        record = self.message_records.get((receipt, function))
        if record is None:
            raise UnknownConversation("the table holds no such message")
        self.message_records[receipt, function] = replace(record, attachments=tuple(attachments), text_chars=text_chars)

    @_can_fail
    def conversation(self, conversation: ConversationId) -> Conversation | None:
        return self.conversations.get(conversation)

    @_can_fail
    def messages(self, conversation: ConversationId) -> Iterator[MessageRecord]:
        of_it = [m for m in self.message_records.values() if m.conversation == conversation]
        return iter(sorted(of_it, key=lambda m: (m.at, m.receipt, m.function)))

    @_can_fail
    def find(self, index: str, value: str, limit: int = 50) -> Iterator[Conversation | MessageRecord | LedgerItem]:
        match index:
            case "verdict":
                of_messages = [m for m in self.message_records.values() if VERDICTS.get(m.outcome) == value]
                return iter(sorted(of_messages, key=lambda m: m.at, reverse=True)[:limit])
            case "send_state":
                waiting = [i for i in self.ledger.values() if i.state == value and i.state is not SendState.SENT]
                return iter(sorted(waiting, key=lambda i: i.queued_at, reverse=True)[:limit])
            case "contact" | "domain" | "status" | "public_address" | "source" | "day":
                of_it = [c for c in self.conversations.values() if value and _indexed(c)[index] == keys.mailbox(value)]
                newest = (lambda c: c.updated_at) if index == "status" else (lambda c: c.started_at)
                return iter(sorted(of_it, key=newest, reverse=True)[:limit])
            case _:
                raise ValueError(f"the table has no index {index}")

    @_can_fail
    def put_listed(self, entry: str, kind: ListKind | None) -> None:
        if kind:
            self.lists[keys.mailbox(entry)] = kind
        else:
            self.lists.pop(keys.mailbox(entry), None)

    @_can_fail
    def listed(self) -> Iterator[tuple[str, ListKind]]:
        return iter(sorted(self.lists.items()))

    @_can_fail
    def set_cautious(self, cautious: bool) -> None:
        self.cautious = cautious

    @_can_fail
    def sends(self, state: SendState, before: datetime, since: datetime | None = None) -> Iterator[LedgerItem]:
        of_it = [i for i in self.ledger.values() if i.state is state and i.queued_at < before]
        of_time = [i for i in of_it if since is None or i.queued_at >= since]
        return iter(sorted(of_time, key=lambda i: i.queued_at))

    @_can_fail
    def held(self, since: datetime, until: datetime) -> Iterator[MessageRecord]:
        return (
            m
            for m in self.find("verdict", "held", limit=10**9)
            if isinstance(m, MessageRecord) and since <= m.at < until
        )

    @_can_fail
    def checkpoint(self, name: str) -> str:
        return self.checkpoints.get(name, "")

    @_can_fail
    def set_checkpoint(self, name: str, checkpoint: str) -> None:
        self.checkpoints[name] = checkpoint

    # SendLedger

    @_can_fail
    def context(self, job: Job) -> SendContext:
        item = self._item(job.ledger)
        conversation = self.conversations.get(ConversationId(item.conversation))
        message = self.message_records.get((item.source, item.source_function))
        if message is None or (item.conversation and conversation is None):
            raise UnknownConversation("a send names a conversation or message that the table does not hold")
        return SendContext(item=item, conversation=conversation, message=message)

    @_can_fail
    def contact(self, address: EmailAddress) -> Contact | None:
        return self.contacts.get(keys.mailbox(address))

    def _item(self, ledger: LedgerId) -> LedgerItem:
        if ledger not in self.ledger:
            raise UnknownConversation("the table holds no such send")
        return self.ledger[ledger]

    @_can_fail
    def claim(self, ledger: LedgerId, now: datetime, lease_until: datetime) -> LedgerItem | None:
        item = self._item(ledger)
        if item.state not in {SendState.QUEUED, SendState.SENDING}:
            return None
        crashed = item.state is SendState.SENDING
        if crashed and item.lease_until is not None and item.lease_until > now:
            raise LeaseHeld("another worker is sending this; its lease still runs")
        self.ledger[ledger] = replace(
            item,
            state=SendState.SENDING,
            attempt=item.attempt + 1,
            lease_until=lease_until,
            lost=item.lost + crashed,
        )
        return self.ledger[ledger]

    @_can_fail
    def sent(self, commit: SentCommit) -> bool:
        stored = self._item(commit.item.id)
        if stored.ses_id == commit.item.ses_id and stored.state in {SendState.SENT, SendState.BOUNCED}:
            return stored.attempt == commit.item.attempt
        if (
            stored.state is not SendState.SENDING
            or stored.attempt != commit.item.attempt
            or not self._unchanged(commit.conversation, commit.contact)
            or any(copy.id in self.ledger for copy in commit.copies)
        ):
            raise RecordChanged("the send, its conversation or contact has changed: read again and record again")
        self.ledger |= {copy.id: copy for copy in commit.copies}
        self.ledger[commit.item.id] = replace(commit.item, state=SendState.SENT, lease_until=None)
        self.references[commit.reference.local_part] = commit.reference
        self._store(commit.conversation, commit.contact)
        return True

    @_can_fail
    def published(self, ledger: LedgerId) -> None:
        if ledger in self.ledger:
            self.ledger[ledger] = replace(self.ledger[ledger], unpublished_since=None)

    @_can_fail
    def unpublished(self, before: datetime) -> Iterator[LedgerItem]:
        return iter([i for i in self.ledger.values() if i.unpublished_since and i.unpublished_since < before])

    @_can_fail
    def add(self, item: LedgerItem) -> None:
        self.ledger.setdefault(item.id, item)

    @_can_fail
    def give_back(self, item: LedgerItem, state: SendState, reason: str, due: datetime) -> None:
        stored = self._item(item.id)
        given = replace(item, state=state, reason=reason, due=due, lease_until=None)
        if stored == given:
            return
        if (stored.attempt, stored.state) != (item.attempt, item.state):
            raise RecordChanged("the send is no longer this attempt's")
        self.ledger[item.id] = given

    @_can_fail
    def by_id(self, ledger: LedgerId) -> LedgerItem | None:
        return self.ledger.get(ledger)

    @_can_fail
    def by_ses_id(self, ses_id: SesId) -> LedgerItem | None:
        reference = self.references.get(ses_id)
        return self.ledger.get(LedgerId(reference.ledger)) if reference and reference.ledger else None


_MAY_BOUNCE = {SendState.SENT, SendState.BOUNCED}


def _indexed(conversation: Conversation) -> dict[str, str]:
    return {
        "contact": keys.mailbox(conversation.contact),
        "domain": conversation.contact.rpartition("@")[2].lower(),
        "status": conversation.status,
        "public_address": keys.mailbox(conversation.public_address),
        "source": conversation.source.lower(),
        "day": conversation.started_at.astimezone(UTC).date().isoformat(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """One message of a dead-letter queue."""

    body: str
    kind: str
    reason: str
    attempts: int


class FakeJobs(Failing):
    """The queues: `queued` jobs and `dead_lettered` messages, in the order they arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.queued: list[Job] = []
        self.delays: dict[LedgerId, timedelta] = {}  # of the jobs that were queued with one
        self.dead_lettered: list[DeadLettered] = []

    @_can_fail
    def queue(self, jobs: Sequence[Job], delay: timedelta = timedelta()) -> None:
        self.queued.extend(jobs)
        self.delays.update((job.ledger, delay) for job in jobs if delay)

    @_can_fail
    def dead_letter(self, job_body: str, kind: str, reason: str, attempts: int) -> None:
        self.dead_lettered.append(DeadLettered(body=job_body, kind=kind, reason=reason, attempts=attempts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One sent message: the bytes as SES received them, and the envelope."""

    raw: bytes
    sender: str
    recipients: tuple[EmailAddress, ...]
    ses_id: SesId
    ledger: LedgerId


class FakeMailer(Failing):
    """SES: messages that were sent are in `sent`."""

    LARGEST = 40 * 1024 * 1024

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Sent] = []

    @_can_fail
    def send(self, raw: bytes, sender: str, recipients: Sequence[str], ledger: LedgerId) -> SesId:
        if len(raw) > self.LARGEST:
            raise MessageTooLarge("the composed message is larger than SES accepts")
        ses_id = SesId(f"0100019a00000000-{len(self.sent):08x}-0000-4000-8000-000000000000-000000")
        to = tuple(map(EmailAddress, recipients))
        self.sent.append(Sent(raw=raw, sender=sender, recipients=to, ses_id=ses_id, ledger=ledger))
        return ses_id


class FakeConfig(Failing):
    """Parameters and the documents they point to; None stands for ``builtin``."""

    def __init__(self, documents: Mapping[str, bytes | None] | None = None) -> None:
        super().__init__()
        self.documents: dict[str, bytes | None] = dict(documents or {})

    @_can_fail
    def read(self, parameter: str) -> ConfigDocument | None:
        if parameter not in self.documents:
            raise ConfigUnavailable("the parameter could not be read and there is no earlier copy")
        body = self.documents[parameter]
        return None if body is None else ConfigDocument(body=body, version=f"{parameter}@fake")


class FakePointer(Failing):
    """One parameter: `key` is what it holds now, `moved` what it has held since."""

    def __init__(self, key: str = BUILTIN) -> None:
        super().__init__()
        self.key = key
        self.moved: list[str] = []

    @_can_fail
    def where(self) -> str:
        return self.key

    @_can_fail
    def move(self, key: str) -> None:
        self.key = key
        self.moved.append(key)


class FakeJudgements(Failing):
    """What the owner decided, as the records of a fake table tell."""

    def __init__(self, records: FakeRecords) -> None:
        super().__init__()
        self.records = records

    @_can_fail
    def conversations(
        self, status: Status, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, Conversation]]:
        written = [(self.records.written[c.id], c) for c in self.records.conversations.values() if c.status is status]
        return iter(sorted((one for one in written if since <= one[0] < until), key=lambda one: one[0]))

    @_can_fail
    def decided(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, Decision]]:
        decided = [
            (at, self.records.decisions[key]) for key, at in self.records.decided_at.items() if key[1] == "operator"
        ]
        return iter(sorted((one for one in decided if since <= one[0] < until), key=lambda one: one[0]))

    @_can_fail
    def acts(self, receipts: Sequence[ReceiptId]) -> dict[ReceiptId, Act]:
        return {receipt: self.records.learned[receipt].act for receipt in receipts if receipt in self.records.learned}

    @_can_fail
    def examples(self) -> Iterator[tuple[ReceiptId, Example]]:
        return iter(list(self.records.learned.items()))

    @_can_fail
    def learn(self, receipt: ReceiptId, example: Example) -> None:
        self.records.learned[receipt] = example

    @_can_fail
    def unlearn(self, receipt: ReceiptId) -> None:
        self.records.learned.pop(receipt, None)


class FakeEvents(Failing):
    """The bus: `published` events in the order they arrived, repeated ones included."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[PendingEvent] = []

    @_can_fail
    def publish(self, events: Sequence[PendingEvent]) -> None:
        self.published.extend(events)

    def details(self, detail_type: str) -> list[dict[str, Any]]:
        """Return the details of the events of one type."""
        return [event.detail for event in self.published if event.detail_type == detail_type]
