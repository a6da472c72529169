"""Port Records on the table."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched, islice, starmap
from typing import Any

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import Attributes, Item, key_part, read, read_optional, timestamp, write
from email_handler.adapters.dynamodb.table import ABSENT, PAGE, PRESENT, Table
from email_handler.conversations.awaited import conversations_awaiting
from email_handler.conversations.records import (
    AttachmentRecord,
    Contact,
    Conversation,
    Decision,
    LedgerItem,
    MessageRecord,
    Reference,
    SendState,
)
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ConversationId, Decider, FunctionName, LedgerId, ReceiptId
from email_handler.mail.addresses import address_domain
from email_handler.ports import Clock, Commit, Known, ListKind, Question

FINGERPRINT_AGE = timedelta(days=3)
"""For how long a second copy of a message counts as a duplicate."""

_TYPES = {"conversation": Conversation, "message": MessageRecord, "send": LedgerItem}
_COUNT_AGE = timedelta(days=8)  # a counter is asked for on its day only; a week more for anyone who looks


class DynamoRecords:
    """Conversations, messages, contacts and decisions."""

    def __init__(self, client: Any, table: str, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB) on *table*; *clock* dates decisions and fingerprints, *pause* (seconds)
        waits between tries of a throttled batch."""
        self._table = Table(client, table, pause)
        self._clock = clock

    def look_up(self, question: Question) -> Known:
        """Return what is known: one batch for what *question* names, a second for what those items lead to."""
        contact = question.contact
        decision = keys.decision(question.receipt, question.decider)
        conversation = keys.conversation(question.conversation)
        namesakes = list(map(keys.conversation, question.namesakes))
        prints = list(map(keys.fingerprint, question.fingerprints))
        counters = {name: keys.count(name) for name in question.counters}
        topic = keys.topic(contact, question.subject)
        lists = [keys.listed(contact), keys.listed(address_domain(contact))]
        named = list(map(keys.reference, dict.fromkeys(question.references)))
        sends = list(map(keys.send, question.sends))
        asked = [keys.CAUTION, decision, *named, *sends, *prints, *namesakes, *counters.values()]
        asked += [keys.contact(contact), *lists] if contact else []
        asked += [topic] if question.subject else []
        asked += [conversation] if question.conversation else []
        first = self._table.get_many(asked)

        references = tuple(read(Reference, first[key]) for key in named if key in first)
        by_reference = list(dict.fromkeys(keys.conversation(reference.conversation) for reference in references))
        known = read_optional(Contact, first.get(keys.contact(contact)))
        awaiting = conversations_awaiting(known, question.references, self._clock())
        by_awaited = list(map(keys.conversation, awaiting))
        by_topic = keys.conversation(first[topic]["conversation"]) if topic in first else None
        sends += [keys.send(reference.ledger) for reference in references]
        second = self._table.get_many({*by_reference, *by_awaited, *sends, *filter(None, [by_topic])} - set(asked))

        found = first | second
        items = [read(LedgerItem, found[key]) for key in sends if key in found]
        return Known(
            decision=keys.read_decision(first[decision]) if decision in first else None,
            duplicate_of=self._duplicate_of((first[key] for key in prints if key in first), question),
            contact=known,
            counts={name: int(first[key]["count"]) if key in first else 0 for name, key in counters.items()},
            cautious=first.get(keys.CAUTION, {}).get("cautious", False),
            listed=next((first[key]["kind"] for key in lists if key in first), ""),
            references=references,
            by_reference=tuple(read(Conversation, found[key]) for key in by_reference if key in found),
            by_awaited=tuple(read(Conversation, found[key]) for key in by_awaited if key in found),
            by_topic=read_optional(Conversation, found.get(by_topic)) if by_topic else None,
            by_id=read_optional(Conversation, first.get(conversation)),
            namesakes=tuple(read(Conversation, first[key]) for key in namesakes if key in first),
            sends={item.id: item for item in items},
        )

    def _duplicate_of(self, prints: Iterable[Attributes], question: Question) -> ReceiptId | None:
        now = self._clock().timestamp()
        for first in prints:
            own = (first["receipt"], first["decider"]) == (question.receipt, question.decider)
            if first["expires_at"] > now and not own:  # DynamoDB deletes up to days later
                return ReceiptId(first["receipt"])
        return None

    def commit(self, commit: Commit) -> None:
        """Write *commit* in one transaction. Raises RecordChanged if a condition failed.

        If the response is lost, the next run's look-up finds this run's decision.
        """
        put, decision, message = self._table.put, commit.decision, commit.message
        expires = {"expires_at": int(commit.expires_at.timestamp())} if commit.expires_at else {}
        now = self._clock()
        by_operator = keys.DECIDED if decision.decider == "operator" else ""
        found_by = keys.indexed(now, send_state="" if decision.done else keys.UNFINISHED, verdict=by_operator)
        writes = [
            put(
                keys.decision(decision.receipt, decision.decider),
                keys.decision_attributes(decision) | found_by | expires,
                ABSENT,
            ),
            put(keys.message(message.receipt, message.function), keys.message_attributes(message) | expires),
            *versioned(self._table, commit.conversation, commit.contact, now),
        ]
        if message.conversation:
            pointer = {"receipt": message.receipt, "function": message.function}
            writes.append(put(keys.pointer(message), pointer | expires))
        if commit.topic:
            writes.append(put(keys.topic(*commit.topic), {"conversation": decision.conversation}))
        references = {reference.local_part: reference for reference in reversed(commit.references)}
        writes += map(self._reference, references.values())
        writes += self._prints(commit, now)
        writes += [
            put(keys.send(item.id), keys.ledger_attributes(item), ABSENT)
            for item in {item.id: item for item in reversed(commit.ledger)}.values()
        ]
        writes += starmap(self._counted, commit.counted.items())
        if commit.bounced:
            writes.append(self._bounced(commit.bounced, "; ".join(map(str, message.reasons))))
        writes += map(self._cancelled, commit.cancelled)
        if commit.listed:
            writes.append(self._listed(*commit.listed))
        self._table.transact(writes)

    def _reference(self, reference: Reference) -> Item:
        attributes = write(reference)
        assignments = ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in attributes)
        condition = f"{ABSENT} OR #conversation = :conversation"
        return self._table.update(keys.reference(reference.local_part), assignments, condition, attributes)

    def _prints(self, commit: Commit, now: datetime) -> Iterator[Item]:
        mine = {"receipt": commit.decision.receipt, "decider": commit.decision.decider}
        no_others = f"{ABSENT} OR #expires_at <= :now OR (#receipt = :receipt AND #decider = :decider)"
        known = mine | {"now": int(now.timestamp())}
        if commit.fingerprint:
            stored = mine | {"expires_at": int((now + FINGERPRINT_AGE).timestamp())}
            yield self._table.put(keys.fingerprint(commit.fingerprint), stored, no_others, known)
        for other in set(commit.no_copy_of) - {commit.fingerprint}:
            yield self._table.check(keys.fingerprint(other), no_others, known)

    def _counted(self, counter: str, limit: int) -> Item:
        values = {"none": 0, "one": 1, "expires": int((self._clock() + _COUNT_AGE).timestamp()), "limit": limit}
        assignments = "#count = if_not_exists(#count, :none) + :one, #expires_at = :expires"
        return self._table.update(keys.count(counter), assignments, f"{ABSENT} OR #count < :limit", values)

    def _bounced(self, ledger: LedgerId, reason: str) -> Item:
        states = {state.value: state.value for state in (SendState.BOUNCED, SendState.SENT)}
        return self._table.update(
            keys.send(ledger),
            # One whose event is not published stays where a pass looks for it (DynamoLedger.published).
            "#state = :bounced, #by_send_state = if_not_exists(#by_send_state, :bounced), #reason = :reason",
            "#state IN (:sent, :bounced)",
            states | {"reason": write(reason)},
        )

    def _cancelled(self, item: LedgerItem) -> Item:
        values = {"cancelled": SendState.CANCELLED.value, "queued": SendState.QUEUED.value}
        return self._table.update(
            keys.send(item.id),
            "#state = :cancelled, #by_send_state = :cancelled, #reason = :reason",
            "#state = :queued AND #attempt = :attempt AND #lost = :lost",
            values | {"reason": item.reason, "attempt": item.attempt, "lost": item.lost},
        )

    def finish(self, receipt: ReceiptId, decider: Decider) -> None:
        """Mark the decision done and remove it from the index of unfinished ones. Idempotent."""
        assignments, values = "#done = :done REMOVE #by_send_state", {"done": True}
        change = self._table.update(keys.decision(receipt, decider), assignments, PRESENT, values)
        self._table.write(change)  # if the condition fails, the decision is gone: nothing to mark

    def unfinished(self, before: datetime) -> Iterator[Decision]:
        """Yield unfinished decisions, oldest first, page after page. Eventually consistent."""
        return map(keys.read_decision, self._table.waiting(keys.UNFINISHED, before))

    def decision(self, receipt: ReceiptId, decider: Decider) -> Decision | None:
        """Return what was decided about a receipt."""
        found = self._table.get(keys.decision(receipt, decider))
        return None if found is None else keys.read_decision(found)

    def undecided(self, receipts: Sequence[ReceiptId], decider: Decider) -> list[ReceiptId]:
        """Return those of *receipts* without a decision, in the same order."""
        wanted = {receipt: keys.decision(receipt, decider) for receipt in receipts}
        decided = self._table.existing(wanted.values())
        return [receipt for receipt, key in wanted.items() if key not in decided]

    def message(self, receipt: ReceiptId, function: FunctionName) -> MessageRecord | None:
        """Return the record of one received message."""
        return read_optional(MessageRecord, self._table.get(keys.message(receipt, function)))

    def describe_attachments(
        self, receipt: ReceiptId, function: FunctionName, attachments: Sequence[AttachmentRecord], text_chars: int
    ) -> None:
        """Add what was found in the attachments to the message's record. Raises UnknownConversation."""
        change = self._table.update(
            keys.message(receipt, function),
            "#attachments = :attachments, #text_chars = :text_chars",
            PRESENT,
            {"attachments": write(tuple(attachments)), "text_chars": text_chars},
        )
        if self._table.write(change) is None:
            raise UnknownConversation("the table holds no such message")

    def conversation(self, conversation: ConversationId) -> Conversation | None:
        """Return one conversation."""
        return read_optional(Conversation, self._table.get(keys.conversation(conversation)))

    def messages(self, conversation: ConversationId) -> Iterator[MessageRecord]:
        """Yield the conversation's messages, oldest first: the pointers by pages, then each page's messages."""
        pointers = self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {"pk": keys.conversation(conversation)[0], "prefix": "MESSAGE#"},
            ConsistentRead=True,
        )
        for page in batched(pointers, PAGE):
            wanted = [keys.message(pointer["receipt"], pointer["function"]) for pointer in page]
            found = self._table.get_many(wanted)
            yield from (read(MessageRecord, found[key]) for key in wanted if key in found)

    def find(self, index: str, value: str, limit: int = 50) -> Iterator[Conversation | MessageRecord | LedgerItem]:
        """Yield what *index* holds for *value*, newest first (of conversations, those that began last; by status, those
        written last). Raises ValueError for an unknown index."""
        if index not in keys.INDEXES:
            raise ValueError(f"the table has no index {index}")
        if not value:
            return iter(())
        listed = keys.send_state(value) if index == "send_state" else key_part(keys.mailbox(value))
        newest_first: dict[str, Any] = {"ScanIndexForward": False, "Limit": min(limit, PAGE)}
        found = self._table.found(index, listed, **newest_first) if listed else iter(())
        known = (item for item in found if item.get("type") in _TYPES)
        wanted = (item for item in known if index != "send_state" or item["state"] == value)
        return (read(_TYPES[item["type"]], item) for item in islice(wanted, limit))

    def put_listed(self, entry: str, kind: ListKind | None) -> None:
        """Put an address or a domain on a list, or remove it from both (None)."""
        if kind:
            self._table.write(self._listed(entry, kind))
        else:
            self._table.delete(keys.listed(entry))

    def _listed(self, entry: str, kind: ListKind) -> Item:
        return self._table.update(keys.listed(entry), "#kind = :kind", "", {"kind": kind})

    def listed(self) -> Iterator[tuple[str, ListKind]]:
        """Yield the operator's lists in alphabetical order."""
        entries = self._table.query("#pk = :pk", {"pk": "LIST"}, ConsistentRead=True)
        return ((entry["sk"], entry["kind"]) for entry in entries)

    def set_cautious(self, cautious: bool) -> None:
        """Record whether doubtful messages are held. Idempotent."""
        self._table.write(self._table.update(keys.CAUTION, "#cautious = :cautious", "", {"cautious": cautious}))

    def sends(self, state: SendState, before: datetime, since: datetime | None = None) -> Iterator[LedgerItem]:
        """Yield the sends in *state* queued before *before* (from *since* on), oldest first, page after page."""
        found = self._table.waiting(keys.send_state(state), before, since)
        return (read(LedgerItem, attributes) for attributes in found if attributes["state"] == state)

    def held(self, since: datetime, until: datetime) -> Iterator[MessageRecord]:
        """Yield the held messages of *since* or later and before *until*, newest first, page after page."""
        between = {"since": timestamp(since), "until": timestamp(until - timedelta.resolution)}
        in_time = "#at BETWEEN :since AND :until"
        found = self._table.found("verdict", "held", in_time, between, ScanIndexForward=False)
        return (read(MessageRecord, attributes) for attributes in found)

    def checkpoint(self, name: str) -> str:
        """Return where the work *name* goes on, "" at its beginning."""
        found: str = (self._table.get(keys.checkpoint(name)) or {}).get("goes_on", "")
        return found

    def set_checkpoint(self, name: str, checkpoint: str) -> None:
        """Remember where the work *name* goes on."""
        change = self._table.update(keys.checkpoint(name), "#goes_on = :goes_on", "", {"goes_on": checkpoint})
        self._table.write(change)


def versioned(table: Table, conversation: Conversation | None, contact: Contact | None, now: datetime) -> list[Item]:
    """Return the writes, made *now*, of *conversation* and *contact*, each only if it is still as it was read."""
    writes = []
    if conversation:
        key, attributes = keys.conversation(conversation.id), keys.conversation_attributes(conversation, now)
        writes.append(table.put_version(key, attributes, conversation.version))
    if contact:
        writes.append(table.put_version(keys.contact(contact.address), write(contact), contact.version))
    return writes
