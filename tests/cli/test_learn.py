"""``email-handler learn`` on the deployed stack: decisions, the daily pass, points, and how to stop, undo and forget it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from cloud.cloud import LocalCloud
from email_handler.adapters.dynamodb.judgements import DynamoJudgements
from email_handler.adapters.dynamodb.operator import DynamoOperator
from email_handler.conversations.records import Link, Status
from email_handler.identifiers import ConversationId, EmailAddress, ReceiptId
from email_handler.ports import LEARNING_DUE
from email_handler.spam.learned import Act, learn
from email_handler.usecases.learning import STREAMS, checkpoint_of
from operations.documents import Version
from operations.learning import Tried, better, model_before
from tests.cli.test_documents import restart_functions
from tests.support.builders import mail
from tests.support.learned import PITCH, TRADE, examples, text
from tests.support.operator import arrive, lines, person, run
from tests.support.records import commit, conversation, message
from tests.support.table import DynamoTable

ENOUGH, ONE_LESS = 150, 49
ACTED = timedelta(hours=2)
"""How long ago the owner acted: a pass looks at what is settled."""


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def known(cloud: LocalCloud) -> Iterator[DynamoJudgements]:
    """Return the examples of a stack that learned almost enough, and looks from two hours ago on; afterwards all is
    forgotten."""
    began, table = datetime.now(UTC) - ACTED, DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], _now)
    for stream in STREAMS:
        table.set_checkpoint(checkpoint_of(stream), began.isoformat())
    stored = DynamoJudgements(cloud.clients.dynamodb, cloud.resources["Records"])
    for number, one in enumerate(examples(ENOUGH, ONE_LESS)):
        stored.learn(ReceiptId(f"example-{number}"), one)
    yield stored
    lines(cloud, "learn", "reset", "--yes")
    lines(cloud, "learn", "on")
    restart_functions(cloud, "InboundFunction")


def earlier(cloud: LocalCloud, name: str, status: Status, body: str, sent: int = 0) -> ConversationId:
    """Let a contact have written and the owner have acted two hours ago."""
    table = DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], lambda: _now() - ACTED)
    id_, contact, then = ConversationId(f"c-{name}"), EmailAddress(person()), datetime.now(UTC) - timedelta(hours=3)
    record = message(name, conversation=id_, sender=contact, at=then)
    started = conversation(
        id=id_,
        contact=contact,
        status=status,
        sent=sent,
        updated_at=then,
        started_at=then,
        links=(Link(receipt=record.receipt, contact_id=f"{name}@operated.example", owner_ids={}),),
    )
    table.commit(commit(name, record=record, conversation=started, contact=None))
    table.finish(record.receipt, "inbound")
    raw = mail(sender=contact, text=f"{body}\r\n")
    cloud.clients.s3.put_object(Bucket=cloud.resources["Archive"], Key=record.archive_key, Body=raw)
    return id_


def learned_reason(cloud: LocalCloud, number: int) -> dict[str, Any] | None:
    """Let a message like those that were marked as spam arrive, and return what the personal model said of it."""
    restart_functions(cloud, "InboundFunction")
    receipt = arrive(cloud, person(), subject="Hello", text=text(number, PITCH))
    (why,) = lines(cloud, "why", receipt)
    return next((one for one in why["message"]["reasons"] if one["stage"] == "learned"), None)


@pytest.mark.cloud
def test_decisions_become_points_that_can_be_switched_off_rolled_back_and_forgotten(
    cloud: LocalCloud, known: DynamoJudgements, tmp_path: Path
) -> None:
    (before,) = lines(cloud, "learn", "status")
    assert (before["state"], before["in_force"], before["spam"], before["ham"]) == ("learning", "builtin", 150, 49)
    assert "too little" in str(run(cloud, "learn", "backtest").exception)
    assert "no personal model" in str(run(cloud, "learn", "save", str(tmp_path / "none")).exception)

    earlier(cloud, "answered", Status.ANSWERED, text(1, TRADE), sent=1)
    inbound, _ = lines(cloud, "reconcile")
    (after,) = lines(cloud, "learn", "status")
    reason = learned_reason(cloud, 7001)

    assert inbound["learned"] == 1
    assert known.acts([ReceiptId("answered")]) == {"answered": Act.REPLIED}
    assert (after["state"], after["ham"], after["waiting"]) == ("learning", 50, False)
    assert after["in_force"].startswith("config/learned/")
    assert after["model"]["spam"] == ENOUGH
    assert reason
    assert reason["weight"] > 0
    assert "learned from your decisions" in reason["detail"]
    again, _ = lines(cloud, "reconcile")
    assert again["learned"] == 0

    run(cloud, "learn", "save", str(tmp_path / "own.model"))
    inspected = tmp_path / "1.eml"
    inspected.write_bytes(mail(text=text(7002, PITCH)))
    seen = CliRunner().invoke(app, ["inspect", str(inspected), "--learned", str(tmp_path / "own.model")])
    assert "Learned" in seen.output
    *_, counts = lines(cloud, "learn", "backtest", "--days", "1")
    assert counts["messages"] > 0
    assert "answered" in run(cloud, "learn", "backtest", "--days", "1").output

    (off,) = lines(cloud, "learn", "off")
    assert off == {"in_force": "off", "before": after["in_force"]}
    assert learned_reason(cloud, 7003) is None
    assert lines(cloud, "reconcile")[0]["learned"] == 0
    assert "off" in run(cloud, "learn", "status").output
    assert lines(cloud, "learn", "on") == [{"in_force": after["in_force"], "before": "off"}]

    (back,) = lines(cloud, "learn", "rollback", "--to", after["in_force"])
    assert back["in_force"] == after["in_force"]
    assert lines(cloud, "learn", "rollback", "--to", "config/learned/none", code=1) == []
    assert "Would forget 200" in run(cloud, "learn", "reset").output

    (forgotten,) = lines(cloud, "learn", "reset", "--yes")
    (empty,) = lines(cloud, "learn", "status")
    assert forgotten == {"forgotten": 200}
    assert (empty["in_force"], empty["acts"], empty["model"]) == ("builtin", {}, {})
    assert lines(cloud, "reconcile")[0]["learned"] == 0, "what was decided before does not count again"


@pytest.mark.cloud
@pytest.mark.usefixtures("known")
def test_a_model_that_was_rolled_back_stays_until_learning_is_on_again(cloud: LocalCloud) -> None:
    earlier(cloud, "once", Status.ANSWERED, text(1, TRADE), sent=1)
    lines(cloud, "reconcile")
    (first,) = lines(cloud, "learn", "status")
    earlier(cloud, "twice", Status.SPAM, text(2, PITCH))
    lines(cloud, "reconcile")
    (second,) = lines(cloud, "learn", "status")
    (back,) = lines(cloud, "learn", "rollback")
    earlier(cloud, "thrice", Status.SPAM, text(3, PITCH))
    lines(cloud, "reconcile")
    (chosen,) = lines(cloud, "learn", "status")

    assert second["in_force"] != first["in_force"]
    assert back["in_force"] == chosen["in_force"] == first["in_force"]
    assert (chosen["state"], chosen["waiting"]) == ("chosen", True)

    lines(cloud, "learn", "on")
    lines(cloud, "reconcile")
    (third,) = lines(cloud, "learn", "status")
    assert (third["state"], third["waiting"]) == ("learning", False)
    assert third["in_force"] not in (first["in_force"], second["in_force"])


@pytest.mark.cloud
def test_what_the_owner_takes_back_is_forgotten(cloud: LocalCloud, known: DynamoJudgements) -> None:
    id_, receipt = earlier(cloud, "taken-back", Status.SPAM, text(4, PITCH)), ReceiptId("taken-back")
    lines(cloud, "reconcile")
    learned = known.acts([receipt])
    an_hour_ago = DynamoOperator(cloud.clients.dynamodb, cloud.resources["Records"], lambda: _now() - ACTED / 2)
    assert an_hour_ago.put_status(id_, Status.OPEN)
    inbound, _ = lines(cloud, "reconcile")

    assert learned == {receipt: Act.SPAM}
    assert inbound["learned"] == 1
    assert known.acts([receipt]) == {}


@pytest.mark.cloud
def test_what_is_erased_is_forgotten_and_the_model_made_without_it(cloud: LocalCloud, known: DynamoJudgements) -> None:
    table = DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], _now)
    id_ = earlier(cloud, "erased", Status.ANSWERED, text(1, TRADE), sent=1)
    lines(cloud, "reconcile")
    (before,) = lines(cloud, "learn", "status")
    lines(cloud, "erase", id_, "--yes")

    assert known.acts([ReceiptId("erased")]) == {}
    assert table.checkpoint(LEARNING_DUE)
    lines(cloud, "reconcile")
    (after,) = lines(cloud, "learn", "status")
    assert before["in_force"].startswith("config/learned/")
    assert after["in_force"] == "builtin", "there is one too few again"


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (["builtin"], "off"),
        (["builtin", "first"], "off"),
        (["builtin", "first", "second"], "first"),
        (["builtin", "first", "second", "off", "second"], "first"),
        (["builtin", "first", "off"], "first"),
    ],
)
def test_behind_the_first_model_there_is_none(history: list[str], expected: str) -> None:
    versions = [Version(version=number, key=key, at=None) for number, key in enumerate(history)]

    assert model_before(versions) == expected


@pytest.mark.parametrize(
    ("act", "without", "with_", "expected"),
    [
        ("replied", "flag", "deliver", True),
        ("released", "flag", "hold", False),
        ("spam", "deliver", "flag", True),
        ("confirmed", "hold", "flag", False),
        ("spam", "flag", "flag", None),
        ("", "deliver", "flag", None),
    ],
)
def test_a_change_is_better_if_it_is_what_the_owner_did(
    act: str, without: str, with_: str, expected: bool | None
) -> None:
    one = Tried(id="1", act=act, without=without, with_=with_, points=0, sender="", subject="")

    assert better(one) is expected


def test_rules_test_counts_what_a_personal_model_does(tmp_path: Path) -> None:
    document = learn(examples(ENOUGH, ENOUGH))
    assert document
    (tmp_path / "own.model").write_bytes(document)
    (tmp_path / "spam").mkdir()
    (tmp_path / "spam" / "1.eml").write_bytes(mail(text=text(7001, PITCH)))
    ran = CliRunner().invoke(
        app, ["rules", "test", str(tmp_path / "spam"), "--learned", str(tmp_path / "own.model"), "--json"]
    )

    assert '"rule": "learned", "weight": 6.0, "spam": 1' in ran.output


@pytest.mark.parametrize("name", ["missing", "broken"])
def test_a_model_that_cannot_be_read_is_reported(name: str, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"{}")
    ran = CliRunner().invoke(app, ["inspect", str(tmp_path), "--learned", str(tmp_path / name)])

    assert ran.exit_code == 1
    assert ran.exception
