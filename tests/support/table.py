"""The table as the template defines it, for tests without a deployed stack."""

from typing import Any

from email_handler.adapters.dynamodb.keys import INDEXES, STAMPS
from email_handler.adapters.dynamodb.ledger import DynamoLedger
from email_handler.adapters.dynamodb.records import DynamoRecords


def create_table(client: Any, name: str) -> None:
    """Create the table *name*: keys pk and sk, and every index with its keys and what it holds besides."""
    keys = ["pk", "sk", *sorted(set(INDEXES.values())), *(f"by_{index}" for index in INDEXES)]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": f"by_{index}", "KeyType": "HASH"},
                    {"AttributeName": range_key, "KeyType": "RANGE"},
                ],
                "Projection": projection(index),
            }
            for index, range_key in INDEXES.items()
        ],
    )


def projection(index: str) -> dict[str, Any]:
    """Return what *index* holds."""
    if index not in STAMPS:
        return {"ProjectionType": "KEYS_ONLY"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(STAMPS[index])}


class DynamoTable(DynamoRecords, DynamoLedger):
    """Both ports of the table in one object, like the fake."""
