"""What has changed in the table, for the search index. Nothing here scans it."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import read, timestamp
from email_handler.adapters.dynamodb.table import Table
from email_handler.conversations.records import Conversation, MessageRecord, Status
from email_handler.identifiers import ConversationId, FunctionName, ReceiptId
from email_handler.values import dataclass

type MessageId = tuple[ReceiptId, FunctionName]
"""What names a message's record."""

BATCH = 100
"""Records that one call reads by their ids."""


@dataclass(frozen=True, slots=True)
class Written[T]:
    """That a record was written: enough to tell whether it has been read since."""

    id: T
    stamp: str  # another one after a change
    at: datetime  # by the writer's clock


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it is now."""

    message: MessageRecord
    expires: datetime | None = None  # when the table forgets it


def stamp_of(message: MessageRecord) -> str:
    """Return what tells a held or dropped message from what it becomes: a decision about it adds a reason."""
    return _stamp(message.conversation, len(message.reasons))


class DynamoChanges:
    """Reads of what has changed. Indexes are eventually consistent; records are read consistently."""

    def __init__(self, client: Any, table: str, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB; from several threads) on *table*; *pause* (seconds) waits between tries of a
        throttled batch."""
        self._table = Table(client, table, pause)

    def conversations_of(self, status: Status, page: int) -> Iterator[Written[ConversationId]]:
        """Yield the conversations of *status*, the last written first, *page* of them a call as they are asked for."""
        for item in self._written("status", status, "#id, #version, #at", page):
            yield Written(item["id"], str(item["version"]), datetime.fromisoformat(item["at"]))

    def messages_of(self, verdict: str, page: int) -> Iterator[Written[MessageId]]:
        """Yield the messages of *verdict* (``held``, ``dropped``), those that came last first, in the same way: their time
        is that of their arrival, however late they were recorded."""
        for item in self._written("verdict", verdict, "#receipt, #function, #at, #conversation, #reasons", page):
            yield Written(
                (item["receipt"], item["function"]),
                _stamp(item.get("conversation", ""), len(item.get("reasons", ()))),
                datetime.fromisoformat(item["at"]),
            )

    def _written(self, index: str, value: str, attributes: str, page: int) -> Iterator[dict[str, Any]]:
        newest_first: dict[str, Any] = {"IndexName": index, "ScanIndexForward": False, "Limit": page}
        return self._table.query(f"#by_{index} = :value", {"value": value}, attributes, **newest_first)

    def conversations(self, ids: Iterable[ConversationId]) -> list[Conversation]:
        """Return those of the conversations *ids* that exist."""
        return [read(Conversation, item) for item in self._table.get_many(map(keys.conversation, ids)).values()]

    def messages(self, ids: Iterable[MessageId]) -> list[Stored]:
        """Return those of the messages *ids* that exist."""
        return list(map(_stored, self._table.get_many(keys.message(*id_) for id_ in ids).values()))

    def glance(self, messages: Iterable[MessageId] = ()) -> tuple[int, list[Stored]]:
        """Return how often something was erased, and those of *messages* that exist: one call for up to 99 of them."""
        found = self._table.get_many([keys.ERASURES, *(keys.message(*id_) for id_ in messages)])
        erasures = int(found.pop(keys.ERASURES, {}).get("count", 0))
        return erasures, list(map(_stored, found.values()))

    def erased(self, since: datetime) -> Iterator[tuple[str, datetime]]:
        """Yield the digest (``keys.digest``) of each id that was erased at *since* or later, with the time."""
        marked, values = "#pk = :pk AND #sk BETWEEN :since AND :end", {"since": timestamp(since), "end": "9999"}
        for mark in self._table.query(marked, {"pk": keys.ERASURES[0], **values}, ConsistentRead=True):
            at, _, digest = mark["sk"].partition("#")
            yield digest, datetime.fromisoformat(at)

    def message_ids(self, conversation: ConversationId) -> list[MessageId]:
        """Return which messages are a conversation's, oldest first."""
        own, values = "#pk = :pk AND begins_with(#sk, :prefix)", {"prefix": "MESSAGE#"}
        pk = keys.conversation(conversation)[0]
        pointers = self._table.query(own, {"pk": pk, **values}, ConsistentRead=True, Limit=1000)
        return [(pointer["receipt"], pointer["function"]) for pointer in pointers]


def _stamp(conversation: str, reasons: int) -> str:
    return f"{conversation} {reasons}"


def _stored(item: dict[str, Any]) -> Stored:
    expires = datetime.fromtimestamp(int(item["expires_at"]), UTC) if "expires_at" in item else None
    return Stored(read(MessageRecord, item), expires)
