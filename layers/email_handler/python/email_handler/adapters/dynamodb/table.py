"""One DynamoDB table with keys ``pk`` and ``sk``: expressions, batches, pages, and what its errors mean.

Expressions use ``#name`` for every attribute and ``:value`` for every value. Names are bound here, since DynamoDB
reserves half of ours (``state``, ``status``, ``source``, ...).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import batched
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from email_handler.adapters.aws import FAILURES, code, translating
from email_handler.adapters.dynamodb.items import Attributes, Item, decode, encode, timestamp
from email_handler.errors import EmailHandlerError, RecordChanged, RecordsUnavailable

ABSENT = "attribute_not_exists(#pk)"
PRESENT = "attribute_exists(#pk)"
PAGE = 100
"""Items that a query reads ahead: bounds memory, however long a conversation is."""

_BATCH = 100  # keys that BatchGetItem takes
_TRIES = 5  # of what BatchGetItem left unread, with 50 ms doubled between them: under a second in all

# Codes of a call, or of a cancelled transaction's reasons, that mean: somebody else was faster.
_RACES = {"ConditionalCheckFailed", "TransactionConflict", "TransactionConflictException"}

type Key = tuple[str, str]
"""Partition key and sort key."""


class Table:
    """The calls that records and ledger need. All raise RecordsUnavailable."""

    def __init__(self, client: Any, name: str, pause: Callable[[float], None]) -> None:
        """Use *client* (boto3, DynamoDB) on the table *name*; *pause* waits that many seconds."""
        self._client = client
        self._name = name
        self._pause = pause

    def get(self, key: Key) -> Attributes | None:
        """Return the item at *key*, read consistently."""
        response = self._call("get_item", TableName=self._name, Key=_key(key), ConsistentRead=True)
        return decode(response["Item"]) if "Item" in response else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Attributes]:
        """Return those items of *keys* that exist, read consistently, 100 keys a call."""
        return {(found["pk"], found["sk"]): found for found in self._read_batches(keys, {})}

    def existing(self, keys: Iterable[Key]) -> set[Key]:
        """Return those of *keys* that have an item, read consistently, 100 keys a call."""
        return {(found["pk"], found["sk"]) for found in self._read_batches(keys, {"ProjectionExpression": "#pk, #sk"})}

    def _read_batches(self, keys: Iterable[Key], expressions: dict[str, str]) -> Iterator[Attributes]:
        for batch in batched(dict.fromkeys(keys), _BATCH):
            yield from self._read_batch([_key(key) for key in batch], expressions)

    def _read_batch(self, wanted: list[Item], expressions: dict[str, str]) -> Iterator[Attributes]:
        for attempt in range(_TRIES):
            request = {"Keys": wanted, "ConsistentRead": True, **_bound(expressions, {})}
            response = self._call("batch_get_item", RequestItems={self._name: request})
            yield from map(decode, response["Responses"].get(self._name, ()))
            wanted = response.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if not wanted:
                return
            self._pause(0.05 * 2**attempt)
        raise RecordsUnavailable("DynamoDB left keys of a batch unread again and again")

    def query(
        self, condition: str, values: Mapping[str, Any], attributes: str = "", **options: Any
    ) -> Iterator[Attributes]:
        """Yield the items under the key *condition*, page after page; of each only *attributes* (``#name, #name``) if they
        are given. *options* are Query's own parameters."""
        expressions = {"KeyConditionExpression": condition}
        if attributes:
            expressions["ProjectionExpression"] = attributes
        return self._pages("query", _bound(expressions, values) | {"Limit": PAGE} | options)

    def found(
        self, index: str, value: str, within: str = "", bounds: Mapping[str, Any] | None = None, **options: Any
    ) -> Iterator[Attributes]:
        """Yield the items to which *index* leads for *value*, as the table has them, page after page; those that have left
        the index by now are left out. *within* restricts the range key by the values *bounds*."""
        condition = f"#by_{index} = :value" + (f" AND {within}" if within else "")
        entries = self.query(condition, {"value": value, **(bounds or {})}, "#pk, #sk", IndexName=index, **options)
        for page in batched(entries, options.get("Limit", PAGE)):
            keys = [(entry["pk"], entry["sk"]) for entry in page]
            items = self.get_many(keys)
            yield from (items[key] for key in keys if items.get(key, {}).get(f"by_{index}") == value)

    def scan(self, condition: str, values: Mapping[str, Any]) -> Iterator[Attributes]:
        """Yield the items that fulfil *condition*, page after page. Reads every item of the table."""
        return self._pages("scan", _bound({"FilterExpression": condition}, values))

    def waiting(self, what: str, before: datetime, since: datetime | None = None) -> Iterator[Attributes]:
        """Yield the items with ``by_send_state`` *what* of a time before *before*, and from *since* on if given, oldest
        first. Eventually consistent."""
        between = {"since": timestamp(since) if since else "0", "until": timestamp(before - timedelta.resolution)}
        return self.found("send_state", what, "#at BETWEEN :since AND :until", between)

    def _pages(self, operation: str, request: dict[str, Any]) -> Iterator[Attributes]:
        while True:
            page = self._call(operation, TableName=self._name, **request)
            yield from map(decode, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def put(
        self, key: Key, attributes: Attributes, condition: str = "", values: Mapping[str, Any] | None = None
    ) -> Item:
        """Return the transaction's entry that stores *attributes* at *key*, replacing what was there."""
        expressions = {"ConditionExpression": condition} if condition else {}
        item = _key(key) | encode(attributes)
        return {"Put": {"TableName": self._name, "Item": item, **_bound(expressions, values or {})}}

    def update(self, key: Key, assignments: str, condition: str, values: Mapping[str, Any]) -> Item:
        """Return the transaction's entry (for :meth:`write` as well) that changes the item at *key*, creating it if absent.

        *assignments* follow ``SET`` and may go on with ``REMOVE``.
        """
        expressions = {"UpdateExpression": f"SET {assignments}"}
        if condition:
            expressions["ConditionExpression"] = condition
        return {"Update": {"TableName": self._name, "Key": _key(key), **_bound(expressions, values)}}

    def remove_from(self, key: Key, attributes: str, condition: str, values: Mapping[str, Any]) -> Item:
        """Return the entry for :meth:`write` that removes *attributes* (``#name, #name``) from the item at *key*."""
        expressions = {"UpdateExpression": f"REMOVE {attributes}", "ConditionExpression": condition}
        return {"Update": {"TableName": self._name, "Key": _key(key), **_bound(expressions, values)}}

    def check(self, key: Key, condition: str, values: Mapping[str, Any]) -> Item:
        """Return the transaction's entry that changes nothing, and fails unless the item at *key* fulfils *condition*."""
        expressions = {"ConditionExpression": condition}
        return {"ConditionCheck": {"TableName": self._name, "Key": _key(key), **_bound(expressions, values)}}

    def remove(self, key: Key, version: int = 0) -> Item:
        """Return the transaction's entry that deletes the item at *key*, if it is still *version* (0: any, or none)."""
        expressions = {"ConditionExpression": "#version = :version"} if version else {}
        return {
            "Delete": {
                "TableName": self._name,
                "Key": _key(key),
                **_bound(expressions, {"version": version} if version else {}),
            }
        }

    def put_version(self, key: Key, attributes: Attributes, version: int) -> Item:
        """Return the transaction's entry that stores *attributes* as the version after *version* (0: must be absent)."""
        condition, values = ("#version = :version", {"version": version}) if version else (ABSENT, {})
        return self.put(key, attributes | {"version": version + 1}, condition, values)

    def write(self, update: Item) -> Attributes | None:
        """Make one *update* by itself. Return the item as it is then, None if the condition failed."""
        try:
            response = self._client.update_item(ReturnValues="ALL_NEW", **update["Update"])
        except FAILURES as error:
            if code(error) == "ConditionalCheckFailedException":
                return None
            raise _translated(error) from error
        return decode(response["Attributes"])

    def transact(self, writes: list[Item]) -> None:
        """Make all of *writes* (at most 100) or none. Raises RecordChanged if a condition failed.

        botocore adds a ClientRequestToken, so that its own retries take effect once.
        """
        self._call("transact_write_items", TransactItems=writes)

    def delete(self, key: Key) -> None:
        """Delete the item at *key*, if there is one."""
        self._call("delete_item", TableName=self._name, Key=_key(key))

    def _call(self, operation: str, **request: Any) -> Any:
        with translating(_translated):
            return getattr(self._client, operation)(**request)


def _key(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _bound(expressions: dict[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *expressions* with the names and values that they use."""
    request: dict[str, Any] = dict(expressions)
    names = {f"#{name}": name for text in expressions.values() for name in re.findall(r"#(\w+)", text)}
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = encode({f":{name}": value for name, value in values.items()})
    return request


def _translated(error: ClientError | BotoCoreError) -> EmailHandlerError:
    reasons = {code(error)}
    if isinstance(error, ClientError):
        reasons |= {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}
    what = ", ".join(sorted(reasons - {"None", "TransactionCanceledException"}))
    if reasons & _RACES:
        return RecordChanged(f"DynamoDB: {what}")
    return RecordsUnavailable(f"DynamoDB failed: {what}")
