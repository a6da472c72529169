"""``email-handler replay``: stored messages are decided or finished, once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import typer

from cli.options import parse_since
from cli.replay import replay_effect
from cloud.cloud import LocalCloud
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Decision
from email_handler.identifiers import ReceiptId
from tests.cli.stored import store, unfinished
from tests.support.operator import OWNER, arrive, lines, person, run, sent_since

UNFINISHED = Decision(
    receipt=ReceiptId("receipt"), decider="inbound", outcome=Outcome.DELIVER, conversation="", jobs=()
)


def test_times_are_spans_or_dates() -> None:
    assert abs(parse_since("2h") - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(minutes=1)
    assert parse_since("2026-11-20T09:00+01:00") == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert parse_since("2026-11-20").tzinfo is not None
    for text in ("yesterday", "", "2x", "9999999d"):
        with pytest.raises(typer.BadParameter):
            parse_since(text)


@pytest.mark.parametrize(
    ("decision", "what"),
    [
        (None, "decided"),
        (UNFINISHED, "finished"),
        (replace(UNFINISHED, done=True), "kept"),
    ],
)
def test_a_replay_decides_finishes_or_keeps(decision: Decision | None, what: str) -> None:
    assert replay_effect(decision) == what


@pytest.mark.cloud
def test_a_message_without_a_decision_is_replayed_once_without_an_acknowledgement(cloud: LocalCloud) -> None:
    sender, receipt = person(), "stored-and-forgotten"
    store(cloud, sender, receipt)
    before = len(cloud.sent())

    assert unfinished(cloud)[receipt] == "stateless"
    (dry,) = lines(cloud, "replay", receipt, "--dry-run")
    (first,) = lines(cloud, "replay", receipt)
    (second,) = lines(cloud, "replay", receipt)

    assert dry == {"receipt": receipt, "function": "inbound", "what": "decided"}
    assert (first["outcome"], first["what"], second["what"]) == ("deliver", "decided", "kept")
    assert [sent.recipients for sent in sent_since(cloud, before)] == [(OWNER,)]
    assert receipt not in unfinished(cloud)


@pytest.mark.cloud
def test_replaying_all_messages_of_the_last_hour_sends_nothing_again(cloud: LocalCloud) -> None:
    receipts = {arrive(cloud, person()) for _ in range(3)}
    before = len(cloud.sent())

    replayed = lines(cloud, "replay", "--since", "1h")

    assert receipts <= {line["receipt"] for line in replayed if line["what"] == "kept"}
    assert sent_since(cloud, before) == []
    assert "finished before" in run(cloud, "replay", "--since", "1h").output


@pytest.mark.cloud
def test_a_replay_of_a_sent_message_shows_it_as_sent(cloud: LocalCloud) -> None:
    output = run(cloud, "replay", arrive(cloud, person())).output

    assert "decided before, nothing left to do" in output
    assert "forward sent" in output
    assert "queued" not in output


@pytest.mark.cloud
@pytest.mark.parametrize("arguments", [(), ("receipt", "--since", "1h"), ("--since", "soon")])
def test_a_replay_needs_either_receipts_or_a_time(cloud: LocalCloud, arguments: tuple[str, ...]) -> None:
    assert run(cloud, "replay", *arguments).exit_code == 2


@pytest.mark.cloud
def test_a_replay_of_an_unknown_receipt_fails(cloud: LocalCloud) -> None:
    ran = run(cloud, "replay", "nonsense")

    assert ran.exit_code == 1
    assert "the archive holds no message nonsense" in str(ran.exception)
