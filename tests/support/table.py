"""The table as the template defines it, for tests without a deployed stack."""

from typing import Any

from email_handler.adapters.dynamodb.keys import INDEXES
from email_handler.adapters.dynamodb.ledger import DynamoLedger
from email_handler.adapters.dynamodb.records import DynamoRecords


def create_table(client: Any, name: str) -> None:
    """Create the table *name*: keys pk and sk, and every index with its hash key and ``at``."""
    keys = ["pk", "sk", "at", *(f"by_{index}" for index in INDEXES)]
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
                    {"AttributeName": "at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in INDEXES
        ],
    )


class DynamoTable(DynamoRecords, DynamoLedger):
    """Both ports of the table in one object, like the fake."""
