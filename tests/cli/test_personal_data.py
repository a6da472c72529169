"""``email-handler export`` and ``erase``: all data of one person, and of nobody else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.connection import Connection, connect
from cloud.cloud import LocalCloud
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ConversationId, ReceiptId
from tests.support.operator import arrive, held, lines, person, run

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def connection(cloud: LocalCloud) -> Connection:
    return connect(endpoint=cloud.endpoint)


def conversation_of(cloud: LocalCloud, address: str) -> str:
    (found,) = lines(cloud, "list", "--contact", address)
    return str(found["id"])


def everything(cloud: LocalCloud, connection: Connection) -> str:
    """Return all items of the table and all versions of the archive's objects as one text to search."""
    clients = cloud.clients
    items: list[Any] = []
    for page in clients.dynamodb.get_paginator("scan").paginate(TableName=cloud.outputs["RecordsTable"]):
        # These items recognise duplicates for three days: a hash and a receipt, no personal data.
        items += [item for item in page["Items"] if not item["pk"]["S"].startswith("PRINT#")]
    return json.dumps(items) + "\n".join(_versions(cloud, connection.bucket))


def _versions(cloud: LocalCloud, bucket: str) -> Iterator[str]:
    s3 = cloud.clients.s3
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for found in page.get("Versions", ()):
            key, version = found["Key"], found["VersionId"]
            yield key + s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"].read().decode("latin-1")


def test_an_export_holds_records_and_messages_as_received_and_as_sent(
    cloud: LocalCloud, connection: Connection, tmp_path: Path
) -> None:
    sender = person()
    receipt = arrive(cloud, sender, text="Do you plant quinces?")
    conversation = conversation_of(cloud, sender)

    written = [Path(line["path"]) for line in lines(cloud, "export", conversation, "--out", str(tmp_path))]

    assert {path.parent for path in written} == {tmp_path / conversation}
    records = json.loads((tmp_path / conversation / "records.json").read_text())
    token = connection.records.conversation(ConversationId(conversation))
    assert token is not None
    assert token.token not in json.dumps(records), "it would let any reader of the export write into the conversation"
    assert records["contact"]["address"] == sender
    assert [message["receipt"] for message in records["messages"]] == [receipt]
    assert {send["kind"] for send in records["sends"]} == {"forward", "acknowledgement"}
    messages = {path.name: path.read_bytes() for path in written if path.suffix == ".eml"}
    assert len(messages) == 3
    assert messages[f"001-received-inbound-{receipt}.eml"] == connection.archive.get(f"raw/inbound/{receipt}")


def test_without_yes_nothing_is_erased(cloud: LocalCloud, connection: Connection) -> None:
    sender = person()
    arrive(cloud, sender)
    conversation = conversation_of(cloud, sender)

    (summary,) = lines(cloud, "erase", sender, code=1)

    assert summary == {"conversations": [conversation], "messages": 1, "sends": 2, "erased": False, "kept": []}
    assert connection.records.conversation(ConversationId(conversation)) is not None
    assert "with --yes" in run(cloud, "erase", conversation).output


def test_all_versions_of_one_persons_data_are_erased_and_nobody_elses(
    cloud: LocalCloud, connection: Connection
) -> None:
    sender, other = person(), person()
    delivered = arrive(cloud, sender, subject="Quincunx", attachments=[("plan.txt", "text/plain", b"a quincunx")])
    offer, released = held(cloud, sender), held(cloud, sender)
    lines(cloud, "held", "release", released)
    same = {"subject": "Twice", "message_id": "<sent-twice@operated.example>", "text": "quincunx again"}
    arrive(cloud, sender, **same)
    second_copy = arrive(cloud, sender, **same)
    arrive(cloud, other)
    cloud.settle()
    cloud.clients.s3.put_object(  # a second version
        Bucket=connection.bucket, Key=f"raw/inbound/{delivered}", Body=b"replaced"
    )
    before = everything(cloud, connection)

    (summary,) = lines(cloud, "erase", sender, "--yes")

    after = everything(cloud, connection)
    for word in (sender, delivered, offer, released, second_copy, "uincunx"):
        assert word in before
        assert word not in after
    assert (summary["messages"], summary["erased"]) == (5, True)
    assert other in after
    assert conversation_of(cloud, other)
    assert list(connection.records.find("contact", sender)) == []
    assert connection.operator.contact(sender) is None
    ran = run(cloud, "erase", sender, "--yes")
    assert "nothing is stored about" in str(ran.exception)


def test_one_conversation_is_erased_and_the_contact_stays(cloud: LocalCloud, connection: Connection) -> None:
    sender = person()
    receipt = arrive(cloud, sender)
    conversation = ConversationId(conversation_of(cloud, sender))
    (why,) = lines(cloud, "why", receipt)

    ran = run(cloud, "erase", conversation, "--yes")

    assert ran.exit_code == 0
    assert "What this cannot reach" in ran.output
    assert connection.records.conversation(conversation) is None
    assert connection.records.message(ReceiptId(receipt), "inbound") is None
    for send in why["sends"]:
        with pytest.raises(UnknownConversation):
            connection.ledger.context(send["id"])
    contact = connection.operator.contact(sender)
    assert contact is not None
    assert contact.conversations == ()


def test_a_message_id_that_leads_to_another_conversation_stays(cloud: LocalCloud, connection: Connection) -> None:
    first, second = person(), person()
    arrive(cloud, first, message_id="<shared-by-two@operated.example>")
    arrive(cloud, second, message_id="<shared-by-two@operated.example>", subject="Another")
    kept = conversation_of(cloud, first)

    lines(cloud, "erase", second, "--yes")
    followed = arrive(cloud, first, in_reply_to="<shared-by-two@operated.example>", subject="Something new")

    record = connection.records.message(ReceiptId(followed), "inbound")
    assert record is not None
    assert record.conversation == kept


@pytest.mark.parametrize("identifier", ["c-zzzzzzzz", "nobody-at-all@operated.example"])
def test_an_unknown_conversation_or_person_fails(cloud: LocalCloud, tmp_path: Path, identifier: str) -> None:
    for arguments in (("export", identifier, "--out", str(tmp_path)), ("erase", identifier, "--yes")):
        ran = run(cloud, *arguments)

        assert ran.exit_code == 1
        assert identifier in str(ran.exception)
        assert "email-handler" in str(ran.exception)
