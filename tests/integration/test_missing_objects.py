"""A message that is no longer in the archive: what was to be done with it is dead-lettered, and redrive tries it again."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cloud.cloud import LocalCloud
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import ArchiveKey, LedgerId
from tests.support.builders import mail
from tests.support.operator import OWNER, lines
from tests.support.records import commit, forward, message
from tests.support.table import DynamoTable

pytestmark = pytest.mark.cloud

JOBS = [
    (JobKind.ACKNOWLEDGEMENT, "Ack", "ack"),
    (JobKind.FORWARD, "Forward", "forward"),
    (JobKind.REPLY, "Reply", "reply"),
]


@pytest.fixture
def records(cloud: LocalCloud) -> DynamoTable:
    return DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], lambda: datetime.now(UTC))


@pytest.mark.parametrize(("kind", "queue", "named"), JOBS, ids=[named for *_, named in JOBS])
def test_a_job_is_dead_lettered_and_redriven(
    cloud: LocalCloud, records: DynamoTable, kind: JobKind, queue: str, named: str
) -> None:
    receipt = f"gone-{named}"
    key = ArchiveKey(f"raw/reply/{receipt}")
    record = message(receipt, "reply", archive_key=key, conversation="", sender=OWNER)
    item = forward(receipt, id=LedgerId(receipt), kind=kind, archive_key=key, source_function="reply", conversation="")
    lost = commit(receipt, "reply", record=record, ledger=(item,))
    records.commit(replace(lost, decision=replace(lost.decision, done=True)))
    job = {"QueueUrl": cloud.resources[f"{queue}Queue"], "MessageBody": item.job.to_json()}
    cloud.clients.sqs.send_message(**job)
    cloud.settle()

    def ended() -> tuple[SendState, str]:
        found = records.by_id(item.id)
        assert isinstance(found, LedgerItem)
        return found.state, found.reason

    assert ended()[0] is SendState.FAILED
    redriven = [line for line in lines(cloud, "redrive", named) if line["ledger"] == item.id]
    assert redriven[0]["what"] == "queued"  # and once more if it has failed again while redrive went on
    cloud.settle()
    assert ended()[0] is SendState.FAILED
    for letters in (queue, "Forward"):  # the notice about a reply quotes the same message
        cloud.clients.sqs.purge_queue(QueueUrl=cloud.resources[f"{letters}DeadLetters"])


def test_attachments_are_read_once_the_message_is_there_again(cloud: LocalCloud, records: DynamoTable) -> None:
    receipt = "gone-attachment"
    record = message(receipt, conversation="")
    lost = commit(receipt, record=record)
    records.commit(replace(lost, decision=replace(lost.decision, done=True)))
    detail = json.dumps({"version": 1, "receipt": receipt, "function": "inbound"})
    event = {"Source": "email-handler", "DetailType": "Message Received", "Detail": detail}
    cloud.clients.events.put_events(Entries=[event])
    cloud.settle()

    cloud.clients.s3.put_object(Bucket=cloud.resources["Archive"], Key=record.archive_key, Body=mail(text="Quinces"))
    (redriven,) = [line for line in lines(cloud, "redrive", "processing-failures") if line["about"] == receipt]
    cloud.settle()

    assert (redriven["function"], redriven["what"]) == ("AttachmentFunction", "started again")
    described = records.message(record.receipt, "inbound")
    assert described is not None
    assert described.text_chars > 0
