"""The records and the send ledger on one DynamoDB table with eight sparse indexes (ADR 0005).

Keys, as ``pk / sk``:

====================== ================================= ==========================================================
RECEIPT#<receipt>      DECISION#<function>               Decision; ``by_send_state`` = ``undone`` until finished
RECEIPT#<receipt>      MESSAGE#<function>                MessageRecord
CONV#<conversation>    CONV                              Conversation
CONV#<conversation>    MESSAGE#<at>#<receipt>#<function> which messages are its own, in order
CONTACT#<address>      CONTACT                           Contact
TOPIC#<address>        SUBJECT#<base subject>            the contact's latest conversation of that subject
REF#<local part>       REF                               Reference
PRINT#<fingerprint>    PRINT                             first (receipt, function) of a mail, for 3 days
SEND#<ledger id>       SEND                              LedgerItem, with ``contact``, whom it is about
SEND#<ledger id>       EVENT                             event of a send; ``by_send_state`` = ``unpublished``
COUNT#<day>            COUNT                             acknowledgements queued on that day
LIST                   <address or domain>               the operator's allow- and block-list
====================== ================================= ==========================================================
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched, islice
from typing import Any, Literal
from uuid import uuid4

from email_handler.adapters.items import Attributes, Item, key_part, read, timestamp, write
from email_handler.adapters.table import ABSENT, PAGE, PRESENT, Key, Table
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind, ledger_id
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
from email_handler.conversations.threads import local_part
from email_handler.errors import LeaseHeld, RecordChanged, UnknownConversation
from email_handler.identifiers import ConversationId, FunctionName, LedgerId, ReceiptId, SesId
from email_handler.ports import Clock, Commit, Known, ListKind, Question, SendContext, SentCommit

INDEXES = ("contact", "domain", "status", "public_address", "source", "day", "verdict", "send_state")
"""The table's indexes, each with hash key ``by_<name>`` and range key ``at``, projecting everything."""

FINGERPRINT_AGE = timedelta(days=3)
"""For how long a second copy of a mail is called a duplicate."""

_COUNT_AGE = timedelta(days=8)  # a day's count is asked for on that day only; a week more for whoever wonders
_VERDICTS = {Outcome.HOLD: "held", Outcome.FLAG: "flagged", Outcome.DROP: "dropped"}
_UNFINISHED, _UNPUBLISHED = "unfinished", "unpublished"


class DynamoRecords:
    """Ports Records and SendLedger on one table."""

    def __init__(self, client: Any, table: str, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB) on *table*; *clock* dates decisions and fingerprints, *pause* (seconds)
        waits between tries of a throttled batch."""
        self._table = Table(client, table, pause)
        self._clock = clock

    # Records

    def look_up(self, question: Question) -> Known:
        """Answer *question*: one batch for what it names, a second for what the references and the topic lead to."""
        contact, domain = question.contact, question.contact.rpartition("@")[2]
        decision_key = _decision(question.receipt, question.function)
        print_keys, count_key = [_print(one) for one in question.fingerprints], _count(question.day)
        contact_key, topic_key = _contact(contact), _topic(contact, question.subject)
        acknowledgement_key = _send(ledger_id(JobKind.ACKNOWLEDGEMENT, contact))
        list_keys = [_listed(contact), _listed(domain)]
        conversation_key = _conversation(question.conversation)
        reference_keys = [_reference(local_part) for local_part in dict.fromkeys(question.references)]
        send_keys = [_send(ledger) for ledger in question.sends]
        asked = [decision_key, *reference_keys, *send_keys, *print_keys]
        asked += [contact_key, acknowledgement_key, *list_keys] if contact else []
        asked += [topic_key] if contact and question.subject else []
        asked += [conversation_key] if question.conversation else []
        asked += [count_key] if question.day else []
        first = self._table.get_many(asked)

        references = tuple(read(Reference, first[key]) for key in reference_keys if key in first)
        by_reference = list(dict.fromkeys(_conversation(reference.conversation) for reference in references))
        by_topic = _conversation(first[topic_key]["conversation"]) if topic_key in first else None
        send_keys += [_send(LedgerId(reference.ledger)) for reference in references if reference.ledger]
        second = self._table.get_many({*by_reference, *send_keys, *filter(None, [by_topic])} - set(asked))

        known = first | second
        listed: ListKind | Literal[""] = next((first[key]["kind"] for key in list_keys if key in first), "")
        sends = [read(LedgerItem, known[key]) for key in send_keys if key in known]
        return Known(
            decision=_read(Decision, first.get(decision_key)),
            duplicate_of=self._duplicate_of((first[key] for key in print_keys if key in first), question),
            contact=_read(Contact, first.get(contact_key)),
            acknowledged=acknowledgement_key in first,
            acknowledgements_today=int(first[count_key]["count"]) if count_key in first else 0,
            listed=listed,
            references=references,
            by_reference=tuple(read(Conversation, known[key]) for key in by_reference if key in known),
            by_topic=_read(Conversation, known.get(by_topic)) if by_topic else None,
            by_id=_read(Conversation, first.get(conversation_key)),
            sends={item.id: item for item in sends},
        )

    def _duplicate_of(self, prints: Iterable[Attributes], question: Question) -> ReceiptId | None:
        now = self._clock().timestamp()
        for first in prints:
            own = (first["receipt"], first["function"]) == (question.receipt, question.function)
            if first["expires_at"] > now and not own:  # DynamoDB deletes up to days later
                return ReceiptId(first["receipt"])
        return None

    def commit(self, commit: Commit) -> None:
        """Write *commit* in one transaction. Raises RecordChanged when a condition failed.

        Should the answer be lost, the next run's look-up finds the decision of this one.
        """
        decision, message = commit.decision, commit.message
        expires = {"expires_at": int(commit.expires_at.timestamp())} if commit.expires_at else {}
        waiting = _indexed(self._clock(), send_state="" if decision.done else _UNFINISHED)
        about = commit.contact.address if commit.contact else commit.conversation.contact if commit.conversation else ""
        writes = [
            self._table.put(
                _decision(decision.receipt, decision.function), write(decision) | waiting | expires, ABSENT
            ),
            self._table.put(
                _message(message.receipt, message.function),
                {"type": "message"}
                | write(message)
                | _indexed(message.at, verdict=_VERDICTS.get(message.outcome, ""))
                | expires,
            ),
            *self._versioned(commit.conversation, commit.contact),
        ]
        if message.conversation:
            pointer = {"receipt": message.receipt, "function": message.function}
            writes.append(self._table.put(_pointer(message), pointer | expires))
        if commit.topic:
            writes.append(self._table.put(_topic(*commit.topic), {"conversation": decision.conversation}))
        writes += [
            self._table.update(
                _reference(local_part),
                ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in write(reference)),
                f"{ABSENT} OR #conversation = :conversation",
                write(reference),
            )
            for local_part, reference in {r.local_part: r for r in reversed(commit.references)}.items()
        ]
        if commit.fingerprint:
            writes.append(self._first_print(commit))
        writes += [
            self._table.put(_send(item.id), _ledger_attributes(item) | {"contact": about}, ABSENT)
            for item in {item.id: item for item in reversed(commit.ledger)}.values()
        ]
        if commit.acknowledgement_day:
            writes.append(self._counted(commit.acknowledgement_day))
        if commit.bounced:
            writes.append(self._bounced(commit.bounced, "; ".join(map(str, message.reasons))))
        self._table.transact(writes)

    def _first_print(self, commit: Commit) -> Item:
        now = self._clock()
        mine = {"receipt": commit.decision.receipt, "function": commit.decision.function}
        return self._table.put(
            _print(commit.fingerprint),
            mine | {"expires_at": int((now + FINGERPRINT_AGE).timestamp())},
            f"{ABSENT} OR #expires_at <= :now OR (#receipt = :receipt AND #function = :function)",
            mine | {"now": int(now.timestamp())},
        )

    def _counted(self, day: str) -> Item:
        expires = int((self._clock() + _COUNT_AGE).timestamp())
        return self._table.update(
            _count(day), "#count = if_not_exists(#count, :none) + :one, #expires_at = :expires", "",
            {"none": 0, "one": 1, "expires": expires},
        )  # fmt: skip

    def _bounced(self, ledger: LedgerId, reason: str) -> Item:
        return self._table.update(
            _send(ledger),
            "#state = :bounced, #by_send_state = :bounced, #reason = :reason",
            "#state IN (:sent, :unknown, :bounced)",
            {
                "bounced": SendState.BOUNCED.value,
                "sent": SendState.SENT.value,
                "unknown": SendState.UNKNOWN.value,
                "reason": write(reason),
            },
        )

    def _versioned(self, conversation: Conversation | None, contact: Contact | None) -> list[Item]:
        """Return the writes of *conversation* and *contact*, each only if it is still as it was read."""
        writes = []
        if conversation:
            key, attributes = _conversation(conversation.id), _conversation_attributes(conversation)
            writes.append(self._next_version(key, attributes, conversation.version))
        if contact:
            writes.append(self._next_version(_contact(contact.address), write(contact), contact.version))
        return writes

    def _next_version(self, key: Key, attributes: Attributes, version: int) -> Item:
        condition, values = ("#version = :version", {"version": version}) if version else (ABSENT, {})
        return self._table.put(key, attributes | {"version": version + 1}, condition, values)

    def finish(self, receipt: ReceiptId, function: FunctionName) -> None:
        """Mark the decision done and take it out of the index of what waits. Idempotent."""
        change = self._table.update(
            _decision(receipt, function), "#done = :done REMOVE #by_send_state", PRESENT, {"done": True}
        )
        self._table.write(change)  # where the condition fails, there is no such decision any more: nothing to mark

    def unfinished(self, before: datetime) -> Iterator[Decision]:
        """Yield unfinished decisions, oldest first, page after page. Eventually consistent."""
        for attributes in self._waiting(_UNFINISHED, before):
            yield read(Decision, attributes)

    def decision(self, receipt: ReceiptId, function: FunctionName) -> Decision | None:
        """Return what was decided about a receipt."""
        return _read(Decision, self._table.get(_decision(receipt, function)))

    def message(self, receipt: ReceiptId, function: FunctionName) -> MessageRecord | None:
        """Return the record of one received message."""
        return _read(MessageRecord, self._table.get(_message(receipt, function)))

    def describe_attachments(
        self, receipt: ReceiptId, function: FunctionName, attachments: Sequence[AttachmentRecord], text_chars: int
    ) -> None:
        """Add what was found out to the message's record. Raises UnknownConversation."""
        change = self._table.update(
            _message(receipt, function),
            "#attachments = :attachments, #text_chars = :text_chars",
            PRESENT,
            {"attachments": write(tuple(attachments)), "text_chars": text_chars},
        )
        if self._table.write(change) is None:
            raise UnknownConversation("the table holds no such message")

    def conversation(self, conversation: ConversationId) -> Conversation | None:
        """Return one conversation."""
        return _read(Conversation, self._table.get(_conversation(conversation)))

    def messages(self, conversation: ConversationId) -> Iterator[MessageRecord]:
        """Yield the conversation's messages, oldest first: the pointers by pages, then each page's messages."""
        pointers = self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {"pk": _conversation(conversation)[0], "prefix": "MESSAGE#"},
            ConsistentRead=True,
        )
        for page in batched(pointers, PAGE):
            keys = [_message(pointer["receipt"], pointer["function"]) for pointer in page]
            found = self._table.get_many(keys)
            yield from (read(MessageRecord, found[key]) for key in keys if key in found)

    def find(self, index: str, value: str, limit: int = 50) -> Iterator[Conversation | MessageRecord | LedgerItem]:
        """Yield what *index* holds for *value*, newest first. Raises ValueError for an index there is not."""
        if index not in INDEXES:
            raise ValueError(f"the table has no index {index}")
        return self._find(index, value, limit)

    def _find(self, index: str, value: str, limit: int) -> Iterator[Conversation | MessageRecord | LedgerItem]:
        if not value:
            return
        found = self._table.query(
            f"#by_{index} = :value",
            {"value": key_part(value.lower())},
            IndexName=index,
            ScanIndexForward=False,
            Limit=min(limit, PAGE),
        )
        for attributes in islice(found, limit):
            match attributes.get("type"):
                case "conversation":
                    yield read(Conversation, attributes)
                case "message":
                    yield read(MessageRecord, attributes)
                case "send":
                    yield read(LedgerItem, attributes)

    def put_listed(self, entry: str, kind: ListKind | None) -> None:
        """Put an address or a domain on a list, or take it off both (None)."""
        if kind:
            self._table.write(self._table.update(_listed(entry), "#kind = :kind", "", {"kind": kind}))
        else:
            self._table.delete(_listed(entry))

    def listed(self) -> Iterator[tuple[str, ListKind]]:
        """Yield the operator's lists in alphabetical order."""
        entries = self._table.query("#pk = :pk", {"pk": "LIST"}, ConsistentRead=True)
        return ((entry["sk"], entry["kind"]) for entry in entries)

    def put_status(self, conversation: ConversationId, status: Status) -> bool:
        """Give a conversation the operator's *status*; False where there is none. Whoever read it before and would write
        it now has to read it anew."""
        change = self._table.update(
            _conversation(conversation),
            "#status = :status, #by_status = :status, #version = #version + :one",
            PRESENT,
            {"status": status.value, "one": 1},
        )
        return self._table.write(change) is not None

    def messages_from(self, address: str) -> Iterator[MessageRecord]:
        """Yield every message whose From (display, not proof) is *address*. Reads the whole table: no index leads to
        a second copy of a mail, or to what somebody wrote into another's conversation."""
        for attributes in self._table.scan("#type = :type", {"type": "message"}):
            message = read(MessageRecord, attributes)
            if message.sender.lower() == address.lower():
                yield message

    def erase(
        self, messages: Sequence[MessageRecord], sends: Sequence[LedgerItem], conversation: Conversation | None
    ) -> int:
        """Delete *messages* with what was decided about them, *sends*, and *conversation*, and return how many items
        that were. For good: only the point-in-time recovery still knows them.

        The conversation goes last: until then a second run finds everything.
        """
        about = {message.receipt for message in messages}
        named = [message.message_id for message in messages] + [send.ses_id for send in sends]
        for link in conversation.links if conversation else ():
            named += [link.contact_id, *link.owner_ids.values()]
        references = self._table.get_many([_reference(local_part(name)) for name in named if name])
        keys = [key for key, reference in references.items() if reference["receipt"] in about]  # others' ids stay
        for send in sends:
            keys += [_event(send.id), _send(send.id)]
        for message in messages:
            decided = [_decision(message.receipt, message.function), _message(message.receipt, message.function)]
            if any(reason.stage == "operator" for reason in message.reasons):
                decided.append(_decision(message.receipt, "release"))
            keys += [*decided, *([_pointer(message)] if message.conversation else [])]
        if conversation:
            topics = self._table.query("#pk = :pk", {"pk": _topic(conversation.contact, "")[0]}, ConsistentRead=True)
            keys += [(topic["pk"], topic["sk"]) for topic in topics if topic["conversation"] == conversation.id]
            keys.append(_conversation(conversation.id))
        return self._delete(keys)

    def contact(self, address: str) -> Contact | None:
        """Return what is known of one contact."""
        return _read(Contact, self._table.get(_contact(address)))

    def erase_contact(self, address: str) -> int:
        """Delete the record of a contact; return how many items that were. Their conversations have been erased."""
        topics = list(self._table.query("#pk = :pk", {"pk": _topic(address, "")[0]}, ConsistentRead=True))
        return self._delete([*((topic["pk"], topic["sk"]) for topic in topics), _contact(address)])

    def forget_conversation(self, contact: Contact, conversation: ConversationId) -> None:
        """Take an erased conversation out of its *contact*'s record. Raises RecordChanged: read the contact anew."""
        kept = tuple(one for one in contact.conversations if one[0] != conversation)
        self._table.transact(self._versioned(None, replace(contact, conversations=kept)))

    def _delete(self, keys: Sequence[Key]) -> int:
        there = self._table.get_many(keys)
        for key in keys:
            if key in there:
                self._table.delete(key)
        return len(there)

    # SendLedger

    def context(self, ledger: LedgerId) -> SendContext:
        """Return the send with its conversation, message and contact: the ledger item, then one batch."""
        attributes = self._ledger_attributes(ledger)
        item = read(LedgerItem, attributes)
        message_key = _message(item.source, item.source_function)
        conversation_key, contact_key = _conversation(item.conversation), _contact(attributes.get("contact", ""))
        found = self._table.get_many([message_key, conversation_key, contact_key])
        if message_key not in found or (item.conversation and conversation_key not in found):
            raise UnknownConversation("a send names a conversation or message that the table does not hold")
        return SendContext(
            item=item,
            conversation=_read(Conversation, found.get(conversation_key)),
            message=read(MessageRecord, found[message_key]),
            contact=_read(Contact, found.get(contact_key)),
        )

    def _ledger_attributes(self, ledger: LedgerId) -> Attributes:
        attributes = self._table.get(_send(ledger))
        if attributes is None:
            raise UnknownConversation("the table holds no such send")
        return attributes

    def claim(self, ledger: LedgerId, now: datetime, lease_until: datetime) -> LedgerItem | None:
        """Take the send for one attempt: one conditional write for what is queued, a read and a second for the rest.

        A claim bears a name of its own, by which one whose answer was lost recognises itself when botocore repeats it,
        instead of taking itself for another worker. It then counts as two attempts.
        """
        changes = (
            "#state = :sending, #by_send_state = :sending, #attempt = #attempt + :one,"
            " #lease_until = :lease, #claim = :claim"
        )
        values = {
            "sending": SendState.SENDING.value,
            "one": 1,
            "lease": timestamp(lease_until),
            "claim": uuid4().hex,
        }
        if_queued = "#state = :queued OR #claim = :claim"
        queued = values | {"queued": SendState.QUEUED.value}
        claimed = self._table.write(self._table.update(_send(ledger), changes, if_queued, queued))
        if claimed is not None:
            return read(LedgerItem, claimed)
        item = read(LedgerItem, self._ledger_attributes(ledger))
        if item.state not in {SendState.QUEUED, SendState.SENDING}:
            return None
        if item.state is SendState.SENDING and item.lease_until is not None and item.lease_until <= now:
            if_expired = "(#state = :sending AND #attempt = :attempt) OR #claim = :claim"
            expired = values | {"attempt": item.attempt, "possible_duplicate": True}
            marking = self._table.update(
                _send(ledger), f"{changes}, #possible_duplicate = :possible_duplicate", if_expired, expired
            )
            claimed = self._table.write(marking)
            if claimed is not None:
                return read(LedgerItem, claimed)
        raise LeaseHeld("another worker is sending this; its lease still runs")

    def sent(self, commit: SentCommit) -> None:
        """Record SES's answer in one transaction, conditional on the attempt. The same answer again is harmless."""
        item = replace(commit.item, state=SendState.SENT, lease_until=None)
        writes = [
            self._ledger_change(item, commit.item.attempt, SendState.SENDING),
            # SES's ids are ours alone: whoever may have claimed this one before, it leads to this send.
            self._table.put(_reference(commit.reference.local_part), write(commit.reference)),
            *self._versioned(commit.conversation, commit.contact),
        ]
        if commit.event:
            waiting = _indexed(self._clock(), send_state=_UNPUBLISHED)
            attributes = {"ledger": item.id, "event": write(commit.event)}
            writes.append(self._table.put(_event(item.id), attributes | waiting))
        try:
            self._table.transact(writes)
        except RecordChanged:
            stored = read(LedgerItem, self._ledger_attributes(item.id))
            if stored.ses_id != item.ses_id or stored.state not in {SendState.SENT, SendState.BOUNCED}:
                raise

    def published(self, ledger: LedgerId) -> None:
        """Forget the event of a send. Idempotent."""
        self._table.delete(_event(ledger))

    def unpublished(self, before: datetime) -> Iterator[tuple[LedgerId, PendingEvent]]:
        """Yield events of sends that were not published, oldest first, page after page. Eventually consistent."""
        for attributes in self._waiting(_UNPUBLISHED, before):
            yield LedgerId(attributes["ledger"]), read(PendingEvent, attributes["event"])

    def give_back(self, item: LedgerItem, state: SendState, reason: str, due: datetime) -> None:
        """End this attempt without a send, conditional on the attempt and state of *item*."""
        given = replace(item, state=state, reason=reason, due=due, lease_until=None)
        change = self._ledger_change(given, item.attempt, item.state)
        if self._table.write(change) is None and read(LedgerItem, self._ledger_attributes(item.id)) != given:
            raise RecordChanged("the send is no longer this attempt's")  # nor ours already, with a lost answer

    def by_ses_id(self, ses_id: SesId) -> LedgerItem | None:
        """Return the send that SES knows as *ses_id*."""
        reference = _read(Reference, self._table.get(_reference(ses_id)))
        if reference is None or not reference.ledger:
            return None
        return _read(LedgerItem, self._table.get(_send(LedgerId(reference.ledger))))

    def _ledger_change(self, item: LedgerItem, attempt: int, state: SendState) -> Item:
        """Return the write that makes the stored send *item*, if its attempt and state are these."""
        attributes = _ledger_attributes(item)
        gone = [name for name in ("lease_until", "by_send_state") if name not in attributes]
        assignments = ", ".join(f"#{name} = :{name}" for name in attributes)
        removals = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        return self._table.update(
            _send(item.id),
            assignments + removals,
            "#attempt = :read_attempt AND #state = :read_state",
            attributes | {"read_attempt": attempt, "read_state": state.value},
        )

    def _waiting(self, what: str, before: datetime) -> Iterator[Attributes]:
        return self._table.query(
            "#by_send_state = :what AND #at < :before",
            {"what": what, "before": timestamp(before)},
            IndexName="send_state",
        )


def _read[T](record: Callable[..., T], attributes: Attributes | None) -> T | None:
    return None if attributes is None else read(record, attributes)


# Keys. Addresses are compared in lower case, as everywhere that asks whether it is the same person.


def _decision(receipt: ReceiptId, function: FunctionName) -> Key:
    return f"RECEIPT#{key_part(receipt)}", f"DECISION#{function}"


def _message(receipt: ReceiptId, function: FunctionName) -> Key:
    return f"RECEIPT#{key_part(receipt)}", f"MESSAGE#{function}"


def _pointer(message: MessageRecord) -> Key:
    at = timestamp(message.at)
    return f"CONV#{key_part(message.conversation)}", f"MESSAGE#{at}#{key_part(message.receipt)}#{message.function}"


def _conversation(conversation: str) -> Key:
    return f"CONV#{key_part(conversation)}", "CONV"


def _contact(address: str) -> Key:
    return f"CONTACT#{key_part(address.lower())}", "CONTACT"


def _topic(contact: str, subject: str) -> Key:
    return f"TOPIC#{key_part(contact.lower())}", f"SUBJECT#{key_part(subject.casefold())}"


def _reference(local_part: str) -> Key:
    return f"REF#{key_part(local_part)}", "REF"


def _print(fingerprint: str) -> Key:
    return f"PRINT#{key_part(fingerprint)}", "PRINT"


def _send(ledger: LedgerId) -> Key:
    return f"SEND#{key_part(ledger)}", "SEND"


def _event(ledger: LedgerId) -> Key:
    return f"SEND#{key_part(ledger)}", "EVENT"


def _count(day: str) -> Key:
    return f"COUNT#{day}", "COUNT"


def _listed(entry: str) -> Key:
    return "LIST", key_part(entry.lower()) or "-"


# What the indexes see of an item: nothing where a value is missing, for a sparse index costs only what it holds.


def _indexed(at: datetime, **values: str) -> Attributes:
    by = {f"by_{name}": key_part(value.lower()) for name, value in values.items() if value}
    return by | {"at": timestamp(at)} if by else {}


def _conversation_attributes(conversation: Conversation) -> Attributes:
    indexed = _indexed(
        conversation.updated_at,
        contact=conversation.contact,
        domain=conversation.contact.rpartition("@")[2],
        status=conversation.status,
        public_address=conversation.public_address,
        source=conversation.source,
        day=conversation.started_at.astimezone(UTC).date().isoformat(),
    )
    return {"type": "conversation", **write(conversation), **indexed}


def _ledger_attributes(item: LedgerItem) -> Attributes:
    waiting = "" if item.state is SendState.SENT else item.state
    return {"type": "send", **write(item), **_indexed(item.queued_at, send_state=waiting)}
