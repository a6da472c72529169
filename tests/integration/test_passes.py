"""The passes on the deployed stack: the digest, a reply that is overdue, and the event of a send that nobody published."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cloud.cloud import LocalCloud
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import ArchiveKey, LedgerId, ReceiptId, SesId
from email_handler.ports import SentCommit
from tests.support.operator import OWNER, lines, sent_since
from tests.support.records import commit, forward, message, reference
from tests.support.table import DynamoTable

pytestmark = pytest.mark.cloud


@pytest.fixture
def earlier(cloud: LocalCloud) -> DynamoTable:
    """Return the table as it is written two hours ago."""
    return DynamoTable(
        cloud.clients.dynamodb, cloud.resources["Records"], lambda: datetime.now(UTC) - timedelta(hours=2)
    )


def store(table: DynamoTable, receipt: str, item: LedgerItem | None = None, **fields: object) -> None:
    """Store a decided message, and *item* as its only send."""
    record = message(receipt, "reply", conversation="", sender=OWNER, **fields)
    decided = commit(receipt, "reply", record=record, ledger=(item,) if item else ())
    table.commit(replace(decided, decision=replace(decided.decision, done=True)))


def test_the_daily_pass_reports_what_was_held_and_finishes_what_was_left(
    cloud: LocalCloud, earlier: DynamoTable
) -> None:
    before, then = len(cloud.sent()), datetime.now(UTC) - timedelta(hours=2)
    earlier.set_checkpoint("digest", "")  # another test's pass may have been today's
    store(earlier, "held-yesterday", at=datetime.now(UTC) - timedelta(days=1), outcome=Outcome.HOLD)
    gone = {"archive_key": ArchiveKey("raw/reply/gone"), "source_function": "reply", "conversation": ""}
    reply = forward("overdue", id=LedgerId("overdue"), kind=JobKind.REPLY, queued_at=then, due=then, **gone)
    store(earlier, "overdue", reply)
    told = forward("unpublished", id=LedgerId("unpublished"), **gone)
    store(earlier, "unpublished", told)
    claimed = earlier.claim(told.id, then, then)
    assert claimed is not None
    sent = replace(claimed, ses_id=SesId("unpublished"), unpublished_since=then)
    named = reference("unpublished", receipt=ReceiptId("unpublished"), ledger=told.id)
    earlier.sent(SentCommit(item=sent, reference=named))

    inbound, _ = lines(cloud, "reconcile")
    cloud.settle()

    assert inbound["queued"] == 1
    found = earlier.by_id(reply.id)
    assert isinstance(found, LedgerItem)
    assert found.state is SendState.FAILED, "its message is not in the archive"
    assert list(earlier.unpublished(datetime.now(UTC))) == []
    assert [one.recipients for one in sent_since(cloud, before) if "held" in one.subject] == [(OWNER,)]
    for letters in ("ReplyDeadLetters", "ForwardDeadLetters"):  # the reply, and the notice that would quote it
        cloud.clients.sqs.purge_queue(QueueUrl=cloud.resources[letters])


def test_the_hourly_pass_finishes_a_decision_whose_jobs_are_not_queued(cloud: LocalCloud, earlier: DynamoTable) -> None:
    gone = ArchiveKey("raw/inbound/left")
    left = forward("left", id=LedgerId("left"), conversation="", archive_key=gone)
    earlier.commit(commit("left", record=message("left", conversation="", archive_key=gone), ledger=(left,)))

    reports = [cloud.invoke(name, {"reconcile": "hourly"}).payload for name in ("InboundFunction", "ReplyFunction")]
    cloud.settle()

    assert [report["finished"] for report in reports] == [1, 0]
    assert all(report["complete"] for report in reports)  # what others left as dead letters is reported
    decided = earlier.decision(ReceiptId("left"), "inbound")
    assert decided is not None
    assert decided.done
    cloud.clients.sqs.purge_queue(QueueUrl=cloud.resources["ForwardDeadLetters"])


@pytest.fixture
def receiving(cloud: LocalCloud) -> Iterator[LocalCloud]:
    """Return the cloud with a receipt rule set: the emulator creates none, so inbound is given a name."""
    client, function = cloud.clients.lambda_, cloud.resources["InboundFunction"]
    before = client.get_function_configuration(FunctionName=function)["Environment"]
    client.update_function_configuration(
        FunctionName=function, Environment={"Variables": before["Variables"] | {"RULE_SET": "daily-ours"}}
    )
    yield cloud
    client.update_function_configuration(FunctionName=function, Environment=before)


def test_the_daily_pass_reports_that_another_rule_set_is_active(receiving: LocalCloud) -> None:
    ses = receiving.clients.client("ses")
    for name in ("daily-desk", "daily-ours"):
        ses.create_receipt_rule_set(RuleSetName=name)
    found = []
    for name in ("daily-desk", "daily-ours"):
        ses.set_active_receipt_rule_set(RuleSetName=name)
        ended = receiving.invoke("InboundFunction", {"reconcile": True})
        found.append([one for one in ended.payload["conditions"] if "rule set" in one])
    ses.set_active_receipt_rule_set()

    assert found == [["The rule set daily-desk is active, not daily-ours: email-handler activate."], []]
