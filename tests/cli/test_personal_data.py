"""``email-handler export`` and ``erase``: all data of one person, and of nobody else."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli import personal_data
from cloud.cloud import LocalCloud
from email_handler.adapters.dynamodb.operator import DynamoOperator
from email_handler.adapters.dynamodb.table import Table
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import sent_key, ses_id_key
from email_handler.conversations.records import Conversation
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ConversationId, ReceiptId
from operations.connection import Connection, connect
from tests.support.operator import OWNER, arrive, held, lines, person, run

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
    receipt = arrive(cloud, sender, references="<never-sent@operated.example>")
    conversation = ConversationId(conversation_of(cloud, sender))
    (why,) = lines(cloud, "why", receipt)
    before = connection.operator.contact(sender)
    assert before is not None
    assert [leads for _, leads, _ in before.awaited] == [conversation]

    ran = run(cloud, "erase", conversation, "--yes")

    assert ran.exit_code == 0
    assert "What this cannot reach" in ran.output
    assert connection.records.conversation(conversation) is None
    assert connection.records.message(ReceiptId(receipt), "inbound") is None
    for send in why["sends"]:
        assert connection.ledger.by_id(send["id"]) is None
    contact = connection.operator.contact(sender)
    assert contact is not None
    assert (contact.conversations, contact.awaited) == ((), ())


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


@pytest.mark.parametrize("by_address", [True, False])
def test_a_message_that_arrives_during_an_erase_starts_a_conversation_and_is_forwarded(
    cloud: LocalCloud, connection: Connection, monkeypatch: pytest.MonkeyPatch, by_address: bool
) -> None:
    sender = person()
    first = arrive(cloud, sender, subject="Quinces", text="before")
    conversation = conversation_of(cloud, sender)
    meanwhile: list[str] = []
    erase_objects = personal_data._erase_objects

    def arriving(*arguments: Any) -> int:
        if not meanwhile:
            meanwhile.append(arrive(cloud, sender, subject="Quinces", text="meanwhile"))
        return erase_objects(*arguments)

    monkeypatch.setattr(personal_data, "_erase_objects", arriving)
    lines(cloud, "erase", sender if by_address else conversation, "--yes")

    (receipt,) = meanwhile
    kept = conversation_of(cloud, sender)
    (why,) = lines(cloud, "why", receipt)
    contact = connection.operator.contact(sender)
    assert kept != conversation
    assert {send["state"] for send in why["sends"] if send["kind"] == "forward"} == {"sent"}
    assert contact is not None
    assert [id_ for id_, *_ in contact.conversations] == [kept]
    assert first not in everything(cloud, connection)

    lines(cloud, "erase", sender, "--yes")
    assert sender not in everything(cloud, connection)


def test_what_happens_before_a_conversation_is_closed_is_erased_too(
    cloud: LocalCloud, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = person()
    arrive(cloud, sender, subject="Quinces")
    meanwhile: list[str] = []
    close = DynamoOperator.close

    def changed(operator: DynamoOperator, conversation: Conversation) -> bool:
        if not meanwhile:
            meanwhile.append(arrive(cloud, sender, subject="Quinces", text="meanwhile"))
        return close(operator, conversation)

    monkeypatch.setattr(DynamoOperator, "close", changed)
    arrive(cloud, sender, subject="Another conversation")
    (summary,) = lines(cloud, "erase", sender, "--yes")

    assert summary["messages"] == 3
    after = everything(cloud, connection)
    assert sender not in after
    assert meanwhile[0] not in after


@pytest.mark.parametrize("by_address", [True, False])
@pytest.mark.parametrize("ends_at", ["_erase_objects", "delete", "transact"])
def test_an_erase_that_ended_half_way_is_finished_by_the_next(
    cloud: LocalCloud, connection: Connection, monkeypatch: pytest.MonkeyPatch, ends_at: str, by_address: bool
) -> None:
    sender = person()
    first = arrive(cloud, sender, subject="Quincunx")
    (forward,) = (one for one in cloud.sent()[-2:] if one.recipients == (OWNER,))
    replied = arrive(cloud, OWNER, to=forward.sender, subject="Re: Quincunx", text="the owner's quincunx")
    second = arrive(cloud, sender, subject="Quincunx", text="once more")
    conversation = conversation_of(cloud, sender)
    identifier = sender if by_address else conversation
    where = personal_data if ends_at == "_erase_objects" else Table
    step, calls = getattr(where, ends_at), count()

    def ends(*arguments: Any) -> Any:
        if next(calls) == (0 if ends_at == "_erase_objects" else 2):  # the third item, the second message
            raise KeyboardInterrupt
        return step(*arguments)

    with monkeypatch.context() as context:
        context.setattr(where, ends_at, ends)
        assert run(cloud, "erase", identifier, "--yes").exit_code != 0
    assert connection.records.conversation(ConversationId(conversation)) is None
    (summary,) = lines(cloud, "erase", identifier, "--yes")
    if not by_address:
        lines(cloud, "erase", sender, "--yes")

    assert summary["conversations"] == [conversation]
    after = everything(cloud, connection)
    for word in (first, replied, second, conversation, sender, "uincunx"):
        assert word not in after


def test_the_copies_of_sends_that_did_not_end_well_are_exported_and_erased(
    cloud: LocalCloud, connection: Connection, tmp_path: Path
) -> None:
    sender = person()
    receipt = arrive(cloud, sender)
    (why,) = lines(cloud, "why", receipt)
    kept = []
    for send, state in zip(why["sends"], ("unknown", "failed"), strict=True):
        cloud.clients.dynamodb.update_item(
            TableName=cloud.outputs["RecordsTable"],
            Key={"pk": {"S": f"SEND#{send['id']}"}, "sk": {"S": "SEND"}},
            UpdateExpression="SET #state = :state REMOVE sent_key, ses_id",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":state": {"S": state}},
        )
        kept += [sent_key(JobKind(send["kind"]), send["id"]), ses_id_key(JobKind(send["kind"]), send["id"])]
        connection.archive.put(kept[-1], b"an id", "text/plain")

    written = {Path(line["path"]).name for line in lines(cloud, "export", sender, "--out", str(tmp_path))}
    lines(cloud, "erase", sender, "--yes")

    assert {f"001-sent-{send['id']}.eml" for send in why["sends"]} < written
    for key in kept:
        with pytest.raises(ArchiveObjectMissing):
            connection.archive.get(key)


@pytest.mark.parametrize("identifier", ["c-zzzzzzzz", "nobody-at-all@operated.example"])
def test_an_unknown_conversation_or_person_fails(cloud: LocalCloud, tmp_path: Path, identifier: str) -> None:
    for arguments in (("export", identifier, "--out", str(tmp_path)), ("erase", identifier, "--yes")):
        ran = run(cloud, *arguments)

        assert ran.exit_code == 1
        assert identifier in str(ran.exception)
        assert "email-handler" in str(ran.exception)
