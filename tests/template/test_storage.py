"""Table, archive and pointers match what the adapters expect."""

from email_handler.adapters.dynamodb.keys import INDEXES
from tests.support.stack import RESOURCES
from tests.support.table import projection

TABLE = RESOURCES["Records"]["Properties"]
ARCHIVE = RESOURCES["Archive"]["Properties"]


def keys(schema: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(key["AttributeName"], key["KeyType"]) for key in schema]


def test_the_table_has_the_adapters_indexes_with_what_they_read_there() -> None:
    assert keys(TABLE["KeySchema"]) == [("pk", "HASH"), ("sk", "RANGE")]
    assert list(INDEXES) == [index["IndexName"] for index in TABLE["GlobalSecondaryIndexes"]]
    for index in TABLE["GlobalSecondaryIndexes"]:
        assert [(f"by_{index['IndexName']}", "HASH"), (INDEXES[index["IndexName"]], "RANGE")] == keys(
            index["KeySchema"]
        )
        assert index["Projection"] == projection(index["IndexName"])


def test_the_table_deletes_expired_items_can_be_restored_and_costs_nothing_while_idle() -> None:
    assert TABLE["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert TABLE["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert TABLE["BillingMode"] == "PAY_PER_REQUEST"


def test_the_archive_is_private_encrypted_and_versioned() -> None:
    (encryption,) = ARCHIVE["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert set(ARCHIVE["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(ARCHIVE["PublicAccessBlockConfiguration"]) == 4
    assert encryption == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert ARCHIVE["VersioningConfiguration"] == {"Status": "Enabled"}


def test_neither_deletion_nor_a_failed_creation_deletes_messages_and_records() -> None:
    """A rollback could delete neither a bucket that SES has written its test object to, nor a protected table."""
    for name in ("Archive", "Records"):
        assert RESOURCES[name]["DeletionPolicy"] == "Retain"
        assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_pointers_start_at_the_layers_built_in_documents() -> None:
    for name in ("RulesPointer", "RoutesPointer", "AcknowledgementPointer", "SignaturePointer", "LearnedPointer"):
        assert RESOURCES[name]["Properties"]["Value"] == "builtin"
