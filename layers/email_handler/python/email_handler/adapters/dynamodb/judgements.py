"""Port Judgements on the table."""

import time
from base64 import b64decode, b64encode  # noqa: TID251 - of what we wrote ourselves
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import Attributes, read, timestamp, write
from email_handler.adapters.dynamodb.table import Table
from email_handler.conversations.records import Conversation, Decision, Status
from email_handler.identifiers import ReceiptId
from email_handler.spam.learned import Act, Example

_PAGE = 1000  # examples of a call; it returns a megabyte of them at most


class DynamoJudgements:
    """What the owner decided about messages, and the examples that were made of it."""

    def __init__(self, client: Any, table: str, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB) on *table*; *pause* (seconds) waits between tries of a throttled batch."""
        self._table = Table(client, table, pause)

    def conversations(
        self, status: Status, since: datetime, until: datetime
    ) -> Iterator[tuple[datetime, Conversation]]:
        """Yield the conversations of *status* written at *since* or later and before *until*, oldest first."""
        for item in self._written("status", status, since, until):
            yield datetime.fromisoformat(item["at"]), read(Conversation, item)

    def decided(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, Decision]]:
        """Yield the operator's decisions of *since* or later and before *until*, oldest first."""
        for item in self._written("verdict", keys.DECIDED, since, until):
            yield datetime.fromisoformat(item["at"]), keys.read_decision(item)

    def _written(self, index: str, value: str, since: datetime, until: datetime) -> Iterator[Attributes]:
        if since >= until:
            return iter(())
        bounds = {"since": timestamp(since), "until": timestamp(until - timedelta.resolution)}
        found = self._table.found(index, value, "#at BETWEEN :since AND :until", bounds)
        return (item for item in found if item["at"] <= bounds["until"])  # the table may be ahead of the index

    def acts(self, receipts: Sequence[ReceiptId]) -> dict[ReceiptId, Act]:
        """Return as what those of *receipts* were learned that were."""
        wanted = {keys.learned(receipt): receipt for receipt in receipts}
        found = self._table.get_many(wanted)
        return {wanted[key]: Act(item["act"]) for key, item in found.items()}

    def examples(self) -> Iterator[tuple[ReceiptId, Example]]:
        """Yield all examples, page after page, read consistently."""
        for item in self._table.query("#pk = :pk", {"pk": keys.LEARNED}, ConsistentRead=True, Limit=_PAGE):
            yield ReceiptId(item["sk"]), read(Example, item | {"features": _read(item["features"])})

    def learn(self, receipt: ReceiptId, example: Example) -> None:
        """Store the example that *receipt* is."""
        attributes = write(example) | {"features": _written(example.features)}
        assignments = ", ".join(f"#{name} = :{name}" for name in attributes)
        self._table.write(self._table.update(keys.learned(receipt), assignments, "", attributes))

    def unlearn(self, receipt: ReceiptId) -> None:
        """Forget the example of *receipt*, if there is one."""
        self._table.delete(keys.learned(receipt))


def _written(features: Sequence[int]) -> str:
    """Return hashes of 32 bits as text: half as long as their numbers."""
    return b64encode(b"".join(feature.to_bytes(4, "little") for feature in features)).decode()


def _read(text: str) -> list[int]:
    """Return what :func:`_written` wrote."""
    packed = b64decode(text)
    return [int.from_bytes(packed[at : at + 4], "little") for at in range(0, len(packed), 4)]
