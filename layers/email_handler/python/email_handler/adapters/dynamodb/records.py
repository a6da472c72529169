"""Port Records on the table."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched, islice
from typing import Any, Literal

from email_handler.adapters.dynamodb.items import Attributes, Item, key_part, read, read_optional, write
from email_handler.adapters.dynamodb.keys import (
    INDEXES,
    UNFINISHED,
    contact_key,
    conversation_attributes,
    conversation_key,
    count_key,
    decision_key,
    indexed,
    ledger_attributes,
    listed_key,
    message_attributes,
    message_key,
    pointer_key,
    print_key,
    reference_key,
    send_key,
    topic_key,
)
from email_handler.adapters.dynamodb.table import ABSENT, PAGE, PRESENT, Table
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

_COUNT_AGE = timedelta(days=8)  # a day's count is asked for on that day only; a week more for anyone who looks


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
        decision, conversation = (
            decision_key(question.receipt, question.decider),
            conversation_key(question.conversation),
        )
        prints, count = list(map(print_key, question.fingerprints)), count_key(question.day)
        topic = topic_key(contact, question.subject)
        lists = [listed_key(contact), listed_key(address_domain(contact))]
        named = list(map(reference_key, dict.fromkeys(question.references)))
        sends = list(map(send_key, question.sends))
        asked = [decision, *named, *sends, *prints]
        asked += [contact_key(contact), *lists] if contact else []
        asked += [topic] if contact and question.subject else []
        asked += [conversation] if question.conversation else []
        asked += [count] if question.day else []
        first = self._table.get_many(asked)

        references = tuple(read(Reference, first[key]) for key in named if key in first)
        by_reference = list(dict.fromkeys(conversation_key(reference.conversation) for reference in references))
        by_topic = conversation_key(first[topic]["conversation"]) if topic in first else None
        sends += [send_key(reference.ledger) for reference in references if reference.ledger]
        second = self._table.get_many({*by_reference, *sends, *filter(None, [by_topic])} - set(asked))

        found = first | second
        listed: ListKind | Literal[""] = next((first[key]["kind"] for key in lists if key in first), "")
        items = [read(LedgerItem, found[key]) for key in sends if key in found]
        return Known(
            decision=read_optional(Decision, first.get(decision)),
            duplicate_of=self._duplicate_of((first[key] for key in prints if key in first), question),
            contact=read_optional(Contact, first.get(contact_key(contact))),
            acknowledgements_today=int(first[count]["count"]) if count in first else 0,
            listed=listed,
            references=references,
            by_reference=tuple(read(Conversation, found[key]) for key in by_reference if key in found),
            by_topic=read_optional(Conversation, found.get(by_topic)) if by_topic else None,
            by_id=read_optional(Conversation, first.get(conversation)),
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
        decision, message = commit.decision, commit.message
        expires = {"expires_at": int(commit.expires_at.timestamp())} if commit.expires_at else {}
        unfinished = indexed(self._clock(), send_state="" if decision.done else UNFINISHED)
        about = commit.contact.address if commit.contact else commit.conversation.contact if commit.conversation else ""
        writes = [
            self._table.put(
                decision_key(decision.receipt, decision.decider), write(decision) | unfinished | expires, ABSENT
            ),
            self._table.put(message_key(message.receipt, message.function), message_attributes(message) | expires),
            *versioned(self._table, commit.conversation, commit.contact),
        ]
        if message.conversation:
            pointer = {"receipt": message.receipt, "function": message.function}
            writes.append(self._table.put(pointer_key(message), pointer | expires))
        if commit.topic:
            writes.append(self._table.put(topic_key(*commit.topic), {"conversation": decision.conversation}))
        writes += [
            self._table.update(
                reference_key(local_part),
                ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in write(reference)),
                f"{ABSENT} OR #conversation = :conversation",
                write(reference),
            )
            for local_part, reference in {r.local_part: r for r in reversed(commit.references)}.items()
        ]
        if commit.fingerprint:
            writes.append(self._first_print(commit))
        writes += [
            self._table.put(send_key(item.id), ledger_attributes(item) | {"contact": about}, ABSENT)
            for item in {item.id: item for item in reversed(commit.ledger)}.values()
        ]
        if commit.acknowledgement_day:
            writes.append(self._counted(commit.acknowledgement_day))
        if commit.bounced:
            writes.append(self._bounced(commit.bounced, "; ".join(map(str, message.reasons))))
        self._table.transact(writes)

    def _first_print(self, commit: Commit) -> Item:
        now = self._clock()
        mine = {"receipt": commit.decision.receipt, "decider": commit.decision.decider}
        return self._table.put(
            print_key(commit.fingerprint),
            mine | {"expires_at": int((now + FINGERPRINT_AGE).timestamp())},
            f"{ABSENT} OR #expires_at <= :now OR (#receipt = :receipt AND #decider = :decider)",
            mine | {"now": int(now.timestamp())},
        )

    def _counted(self, day: str) -> Item:
        expires = int((self._clock() + _COUNT_AGE).timestamp())
        return self._table.update(
            count_key(day), "#count = if_not_exists(#count, :none) + :one, #expires_at = :expires", "",
            {"none": 0, "one": 1, "expires": expires},
        )  # fmt: skip

    def _bounced(self, ledger: LedgerId, reason: str) -> Item:
        return self._table.update(
            send_key(ledger),
            "#state = :bounced, #by_send_state = :bounced, #reason = :reason",
            "#state IN (:sent, :unknown, :bounced)",
            {
                "bounced": SendState.BOUNCED.value,
                "sent": SendState.SENT.value,
                "unknown": SendState.UNKNOWN.value,
                "reason": write(reason),
            },
        )

    def finish(self, receipt: ReceiptId, decider: Decider) -> None:
        """Mark the decision done and remove it from the index of unfinished ones. Idempotent."""
        change = self._table.update(
            decision_key(receipt, decider), "#done = :done REMOVE #by_send_state", PRESENT, {"done": True}
        )
        self._table.write(change)  # if the condition fails, the decision is gone: nothing to mark

    def unfinished(self, before: datetime) -> Iterator[Decision]:
        """Yield unfinished decisions, oldest first, page after page. Eventually consistent."""
        return (read(Decision, attributes) for attributes in self._table.waiting(UNFINISHED, before))

    def decision(self, receipt: ReceiptId, decider: Decider) -> Decision | None:
        """Return what was decided about a receipt."""
        return read_optional(Decision, self._table.get(decision_key(receipt, decider)))

    def message(self, receipt: ReceiptId, function: FunctionName) -> MessageRecord | None:
        """Return the record of one received message."""
        return read_optional(MessageRecord, self._table.get(message_key(receipt, function)))

    def describe_attachments(
        self, receipt: ReceiptId, function: FunctionName, attachments: Sequence[AttachmentRecord], text_chars: int
    ) -> None:
        """Add what was found in the attachments to the message's record. Raises UnknownConversation."""
        change = self._table.update(
            message_key(receipt, function),
            "#attachments = :attachments, #text_chars = :text_chars",
            PRESENT,
            {"attachments": write(tuple(attachments)), "text_chars": text_chars},
        )
        if self._table.write(change) is None:
            raise UnknownConversation("the table holds no such message")

    def conversation(self, conversation: ConversationId) -> Conversation | None:
        """Return one conversation."""
        return read_optional(Conversation, self._table.get(conversation_key(conversation)))

    def messages(self, conversation: ConversationId) -> Iterator[MessageRecord]:
        """Yield the conversation's messages, oldest first: the pointers by pages, then each page's messages."""
        pointers = self._table.query(
            "#pk = :pk AND begins_with(#sk, :prefix)",
            {"pk": conversation_key(conversation)[0], "prefix": "MESSAGE#"},
            ConsistentRead=True,
        )
        for page in batched(pointers, PAGE):
            keys = [message_key(pointer["receipt"], pointer["function"]) for pointer in page]
            found = self._table.get_many(keys)
            yield from (read(MessageRecord, found[key]) for key in keys if key in found)

    def find(self, index: str, value: str, limit: int = 50) -> Iterator[Conversation | MessageRecord | LedgerItem]:
        """Yield what *index* holds for *value*, newest first. Raises ValueError for an unknown index."""
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
        """Put an address or a domain on a list, or remove it from both (None)."""
        if kind:
            self._table.write(self._table.update(listed_key(entry), "#kind = :kind", "", {"kind": kind}))
        else:
            self._table.delete(listed_key(entry))

    def listed(self) -> Iterator[tuple[str, ListKind]]:
        """Yield the operator's lists in alphabetical order."""
        entries = self._table.query("#pk = :pk", {"pk": "LIST"}, ConsistentRead=True)
        return ((entry["sk"], entry["kind"]) for entry in entries)


def versioned(table: Table, conversation: Conversation | None, contact: Contact | None) -> list[Item]:
    """Return the writes of *conversation* and *contact*, each only if it is still as it was read."""
    writes = []
    if conversation:
        key, attributes = conversation_key(conversation.id), conversation_attributes(conversation)
        writes.append(table.put_version(key, attributes, conversation.version))
    if contact:
        writes.append(table.put_version(contact_key(contact.address), write(contact), contact.version))
    return writes
