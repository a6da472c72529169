"""What only the operator's command does with the records: statuses, a person's data, erasing."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import Item, read, read_optional, timestamp
from email_handler.adapters.dynamodb.records import versioned
from email_handler.adapters.dynamodb.table import PRESENT, Key, Table
from email_handler.conversations.records import Contact, Conversation, LedgerItem, MessageRecord, Status
from email_handler.conversations.threads import local_part
from email_handler.errors import RecordChanged
from email_handler.identifiers import ConversationId, LedgerId
from email_handler.ports import LEARNING_DUE, Clock

MARKS_KEPT = timedelta(days=400)
"""How long the table tells that something was erased: a search index that was not brought up to date for longer is made
anew."""

TRIES = 5  # of a write that others are faster than


class DynamoOperator:
    """The operator's own reads and writes of the table."""

    def __init__(self, client: Any, table: str, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB) on *table*; *clock* dates writes, *pause* (seconds) waits between tries of a
        throttled batch."""
        self._table = Table(client, table, pause)
        self._clock = clock

    def put_status(self, conversation: ConversationId, status: Status) -> bool:
        """Give a conversation the operator's *status*; return False if there is none.

        The version counts up, so a concurrent writer must read the conversation again.
        """
        change = self._table.update(
            keys.conversation(conversation),
            "#status = :status, #by_status = :status, #at = :now, #version = #version + :one",
            PRESENT,
            {"status": status.value, "now": timestamp(self._clock()), "one": 1},
        )
        return self._table.write(change) is not None

    def put_snoozed(self, conversation: ConversationId, until: datetime, reminder: LedgerId) -> bool:
        """Put a conversation off until *until*, when *reminder* is due; return False if there is none."""
        change = self._table.update(
            keys.conversation(conversation),
            "#status = :status, #by_status = :status, #at = :now, #version = #version + :one, #snoozed_until = :until,"
            " #reminders = list_append(if_not_exists(#reminders, :none), :reminders)",
            PRESENT,
            {"status": Status.SNOOZED.value, "now": timestamp(self._clock()), "one": 1}
            | {"until": timestamp(until), "none": [], "reminders": [reminder]},
        )
        return self._table.write(change) is not None

    def messages_from(self, address: str) -> Iterator[MessageRecord]:
        """Yield every message with *address* in From (display, not verified).

        Reads the whole table: no index leads to a second copy of a message, or to what somebody wrote into another's
        conversation.
        """
        for attributes in self._table.scan("#type = :type", {"type": "message"}):
            message = read(MessageRecord, attributes)
            if message.sender.lower() == address.lower():
                yield message

    def sends(self, ledgers: Iterable[LedgerId]) -> list[LedgerItem]:
        """Return those of the sends *ledgers* that exist, whether or not their conversation does."""
        wanted = list(dict.fromkeys(map(keys.send, ledgers)))
        found = self._table.get_many(wanted)
        return [read(LedgerItem, found[key]) for key in wanted if key in found]

    def close(self, conversation: Conversation) -> bool:
        """Delete *conversation* if it is still as it was read, and return whether it was: from then on, messages that
        arrive start another one."""
        try:
            gone = self._table.remove(keys.conversation(conversation.id), conversation.version)
            self._table.transact([gone, *self._mark_erased(conversation.id)])
        except RecordChanged:
            return False
        return True

    def erase(
        self, messages: Sequence[MessageRecord], sends: Sequence[LedgerItem], conversation: Conversation | None
    ) -> int:
        """Delete *messages* with their decisions, *sends*, and the ids that lead to them; return how many items that
        were. Only the point-in-time recovery still knows them. *conversation* is theirs as it was, if that is known.

        Each message goes after all that is found through it, at once with the pointer by which its conversation lists
        it, and in the order given: until then a second run finds everything that is left.
        """
        about = {message.receipt for message in messages}
        ids = [message.message_id for message in messages] + [send.ses_id for send in sends]
        for link in conversation.links if conversation else ():
            ids += [link.contact_id, *link.owner_ids.values()]
        references = self._table.get_many([keys.reference(local_part(id_)) for id_ in ids if id_])
        to_delete = [key for key, reference in references.items() if reference["receipt"] in about]  # others' ids stay
        to_delete += [keys.send(send.id) for send in sends]
        for message in messages:
            to_delete.append(keys.decision(message.receipt, message.function))
            if any(reason.stage == "operator" for reason in message.reasons):
                to_delete.append(keys.decision(message.receipt, "operator"))
        self._unlearn(messages)
        return self._delete(to_delete) + sum(self._erase_message(message, conversation) for message in messages)

    def _unlearn(self, messages: Sequence[MessageRecord]) -> None:
        """Forget the examples that *messages* are, and let the next daily pass make the personal model without them."""
        learned = [keys.learned(message.receipt) for message in messages]
        if self._table.existing(learned):
            due = {"goes_on": timestamp(self._clock())}
            self._table.write(self._table.update(keys.checkpoint(LEARNING_DUE), "#goes_on = :goes_on", "", due))
            self._delete(learned)

    def _erase_message(self, message: MessageRecord, conversation: Conversation | None) -> int:
        pair = [keys.message(message.receipt, message.function)]
        if message.conversation:
            pair.append(keys.pointer(message))
        there = self._table.existing(pair)
        marks = (
            [] if conversation else self._mark_erased(message.receipt)
        )  # whoever knows the conversation knows its messages
        self._table.transact([*map(self._table.remove, pair), *marks])
        return len(there)

    def _mark_erased(self, id_: str) -> list[Item]:
        """Return the writes by which search indexes learn that a conversation or a message was erased."""
        now = self._clock()
        kept = {"expires_at": int((now + MARKS_KEPT).timestamp())}
        counted = self._table.update(
            keys.ERASURES, "#count = if_not_exists(#count, :none) + :one", "", {"none": 0, "one": 1}
        )
        return [self._table.update(keys.erased(id_, now), "#expires_at = :expires_at", "", kept), counted]

    def contact(self, address: str) -> Contact | None:
        """Return what is known of one contact."""
        return read_optional(Contact, self._table.get(keys.contact(address)))

    def forget(self, address: str, *, wholly: bool) -> int:
        """Remove what leads from the contact *address* to conversations that are gone; and *wholly*, their record, unless
        they have started another conversation by now. Return how many items were deleted. Raises RecordChanged."""
        topics = self._table.query("#pk = :pk", {"pk": keys.topic(address, "")[0]}, ConsistentRead=True)
        leading = {(topic["pk"], topic["sk"]): keys.conversation(topic["conversation"]) for topic in topics}
        there = self._table.existing(leading.values())
        deleted = self._delete([topic for topic, conversation in leading.items() if conversation not in there])
        for _ in range(TRIES - 1):
            try:
                return deleted + self._forget(address, wholly=wholly)
            except RecordChanged:  # they write at this moment
                continue
        return deleted + self._forget(address, wholly=wholly)

    def _forget(self, address: str, *, wholly: bool) -> int:
        contact = self.contact(address)
        if contact is None:
            return 0
        named = (*(id_ for id_, *_ in contact.conversations), *(id_ for _, id_, _ in contact.awaited))
        there = self._table.existing(map(keys.conversation, named))
        kept = tuple(one for one in contact.conversations if keys.conversation(one[0]) in there)
        if wholly and not kept:
            self._table.transact([self._table.remove(keys.contact(address), contact.version)])
            return 1
        awaited = tuple(one for one in contact.awaited if keys.conversation(one[1]) in there)
        if (kept, awaited) != (contact.conversations, contact.awaited):
            left = replace(contact, conversations=kept, awaited=awaited)
            self._table.transact(versioned(self._table, None, left, self._clock()))
        return 0

    def _delete(self, to_delete: Sequence[Key]) -> int:
        there = self._table.existing(to_delete)
        for key in to_delete:
            if key in there:
                self._table.delete(key)
        return len(there)
