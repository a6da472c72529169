"""What only the operator's command does with the records: statuses, a person's data, erasing."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import read, read_optional
from email_handler.adapters.dynamodb.records import versioned
from email_handler.adapters.dynamodb.table import PRESENT, Key, Table
from email_handler.conversations.records import Contact, Conversation, LedgerItem, MessageRecord, Status
from email_handler.conversations.threads import local_part
from email_handler.identifiers import ConversationId


class DynamoOperator:
    """The operator's own reads and writes of the table."""

    def __init__(self, client: Any, table: str, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB) on *table*; *pause* (seconds) waits between tries of a throttled batch."""
        self._table = Table(client, table, pause)

    def put_status(self, conversation: ConversationId, status: Status) -> bool:
        """Give a conversation the operator's *status*; return False if there is none.

        The version counts up, so a concurrent writer must read the conversation again.
        """
        change = self._table.update(
            keys.conversation(conversation),
            "#status = :status, #by_status = :status, #version = #version + :one",
            PRESENT,
            {"status": status.value, "one": 1},
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

    def erase(
        self, messages: Sequence[MessageRecord], sends: Sequence[LedgerItem], conversation: Conversation | None
    ) -> int:
        """Delete *messages* with their decisions, *sends*, and *conversation*; return how many items that were. Only
        the point-in-time recovery still knows them.

        The conversation goes last: until then a second run finds everything.
        """
        about = {message.receipt for message in messages}
        ids = [message.message_id for message in messages] + [send.ses_id for send in sends]
        for link in conversation.links if conversation else ():
            ids += [link.contact_id, *link.owner_ids.values()]
        references = self._table.get_many([keys.reference(local_part(id_)) for id_ in ids if id_])
        to_delete = [key for key, reference in references.items() if reference["receipt"] in about]  # others' ids stay
        for send in sends:
            to_delete += [keys.event(send.id), keys.send(send.id)]
        for message in messages:
            id_ = message.receipt, message.function
            to_delete += [keys.decision(*id_), keys.message(*id_)]
            if any(reason.stage == "operator" for reason in message.reasons):
                to_delete.append(keys.decision(message.receipt, "operator"))
            if message.conversation:
                to_delete.append(keys.pointer(message))
        if conversation:
            to_delete += self._topics(conversation.contact, conversation.id)
            to_delete.append(keys.conversation(conversation.id))
        return self._delete(to_delete)

    def contact(self, address: str) -> Contact | None:
        """Return what is known of one contact."""
        return read_optional(Contact, self._table.get(keys.contact(address)))

    def erase_contact(self, address: str) -> int:
        """Delete the record of a contact, whose conversations are erased; return how many items that were."""
        return self._delete([*self._topics(address), keys.contact(address)])

    def forget_conversation(self, contact: Contact, conversation: ConversationId) -> None:
        """Remove an erased conversation from its *contact*'s record. Raises RecordChanged: read the contact again."""
        kept = tuple(one for one in contact.conversations if one[0] != conversation)
        self._table.transact(versioned(self._table, None, replace(contact, conversations=kept)))

    def _topics(self, contact: str, conversation: str = "") -> list[Key]:
        """Return the keys of a contact's topics, of one conversation or of all."""
        found = self._table.query("#pk = :pk", {"pk": keys.topic(contact, "")[0]}, ConsistentRead=True)
        return [(topic["pk"], topic["sk"]) for topic in found if conversation in ("", topic["conversation"])]

    def _delete(self, to_delete: Sequence[Key]) -> int:
        there = self._table.get_many(to_delete)
        for key in to_delete:
            if key in there:
                self._table.delete(key)
        return len(there)
