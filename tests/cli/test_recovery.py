"""``email-handler replay``, ``reconcile`` and ``redrive``: everything is brought to its end, once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer

from cli.connection import connect
from cli.recovery import Replayed, moment, read_failure, redrive_failures
from cloud.cloud import LocalCloud
from cloud.ses import Fault
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Decision, SendState
from email_handler.identifiers import ReceiptId
from email_handler.ports import DeadLetter
from tests.support.builders import mail
from tests.support.operator import OWNER, PUBLIC, arrive, lines, person, run, sent_since

UNFINISHED = Decision(
    receipt=ReceiptId("receipt"), decider="inbound", outcome=Outcome.DELIVER, conversation="", jobs=(), events=()
)
INBOUND = "arn:aws:lambda:us-east-1:000000000000:function:InboundFunction-1"


class Letters:
    """Dead letters in memory."""

    def __init__(self, *bodies: str) -> None:
        self.kept = [
            DeadLetter(queue="failures", handle=str(number), body=body, reason="", attempts=1)
            for number, body in enumerate(bodies)
        ]

    def letters(self) -> Iterator[DeadLetter]:
        yield from list(self.kept)

    def discard(self, letter: DeadLetter) -> None:
        self.kept.remove(letter)


def on_failure(payload: Any, function: str = f"{INBOUND}:$LATEST") -> str:
    """Return what Lambda's on-failure destination keeps."""
    return json.dumps({
        "version": "1.0",
        "timestamp": "2026-03-02T09:00:00.000Z",
        "requestContext": {"functionArn": function, "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": payload,
        "responsePayload": {"errorType": "ArchiveUnavailable", "errorMessage": "jane@customer.example"},
    })  # fmt: skip


def known(arn: str) -> str:
    return "InboundFunction" if arn.startswith(INBOUND) else ""


def test_a_failed_invocation_is_started_again_and_then_forgotten() -> None:
    event = {"Records": [{"ses": {"mail": {"messageId": "receipt-1"}}}]}
    letters = Letters(on_failure(event))
    started: list[tuple[str, Any, int]] = []

    lines = list(
        redrive_failures(
            letters, lambda arn, payload: started.append((arn, payload, len(letters.kept))), known, dry_run=False
        )
    )

    assert started == [(f"{INBOUND}:$LATEST", event, 1)], "started first, then deleted"
    assert letters.kept == []
    assert [(failure.about, failure.error, failure.attempts, name) for failure, name in lines] == [
        ("receipt-1", "ArchiveUnavailable", 3, "InboundFunction")
    ]


def test_a_dry_run_starts_and_deletes_nothing() -> None:
    letters = Letters(on_failure({}))
    started: list[str] = []

    list(redrive_failures(letters, lambda arn, _: started.append(arn), known, dry_run=True))

    assert (started, len(letters.kept)) == ([], 1)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "{}", '{"requestContext": 1}', on_failure({}, "arn:other")])
def test_what_is_no_record_of_ours_is_left(body: str) -> None:
    letters = Letters(body)
    started: list[str] = []

    ((_, name),) = redrive_failures(letters, lambda arn, _: started.append(arn), known, dry_run=False)

    assert (name, started, len(letters.kept)) == ("", [], 1)


@pytest.mark.parametrize(
    ("payload", "about"),
    [
        ({"detail": {"receipt": "receipt-2"}, "detail-type": "Message Received"}, "receipt-2"),
        ({"detail": {"mail": {}}, "detail-type": "Email Bounced"}, "Email Bounced"),
        ({"reconcile": True}, "-"),
        ({"Records": []}, "-"),
        ([], "-"),
    ],
)
def test_a_failure_tells_what_it_was_about(payload: Any, about: str) -> None:
    (letter,) = Letters(on_failure(payload)).kept

    assert read_failure(letter).about == about


def test_times_are_spans_or_dates() -> None:
    assert abs(moment("2h") - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(minutes=1)
    assert moment("2026-11-20T09:00+01:00") == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert moment("2026-11-20").tzinfo is not None
    for text in ("yesterday", "", "2x", "9999999d"):
        with pytest.raises(typer.BadParameter):
            moment(text)


@pytest.mark.parametrize(
    ("decision", "what"),
    [
        (None, Replayed.DECIDED),
        (UNFINISHED, Replayed.FINISHED),
        (replace(UNFINISHED, done=True), Replayed.KEPT),
    ],
)
def test_a_replay_decides_finishes_or_keeps(decision: Decision | None, what: Replayed) -> None:
    assert Replayed.of(decision) is what


# On the deployed stack


def store(cloud: LocalCloud, sender: str, receipt: str) -> None:
    """Put a mail into the archive as SES would, without the event that tells of it."""
    verdicts = "amazonses.com; spf=pass; dkim=pass header.i=@operated.example; dmarc=pass header.from=operated.example;"
    raw = mail(sender=sender, message_id=f"<{receipt}@operated.example>", Authentication_Results=verdicts)
    raw = b"Return-Path: <" + sender.encode() + b">\r\nReceived: from a by b for " + PUBLIC.encode() + b";\r\n" + raw
    cloud.clients.s3.put_object(Bucket=cloud.resources["Archive"], Key=f"raw/inbound/{receipt}", Body=raw)


def troubled(cloud: LocalCloud, *options: str) -> dict[str, str]:
    ran = run(cloud, "reconcile", "--dry-run", "--settled", "0", "--json", *options)
    *found, counts = map(json.loads, ran.stdout.splitlines())
    stuck = sum(counts[name] for name in ("stateless", "unfinished", "overdue", "unpublished", "failed"))

    assert ran.exit_code == (5 if stuck else 0)
    return {one["id"]: one["trouble"] for one in found}


@pytest.mark.cloud
def test_a_mail_without_a_state_is_named_and_replayed_once_without_an_acknowledgement(cloud: LocalCloud) -> None:
    sender, receipt = person(), "stored-and-forgotten"
    store(cloud, sender, receipt)
    before = len(cloud.sent())

    assert troubled(cloud)[receipt] == "stateless"
    (only_told,) = lines(cloud, "replay", receipt, "--dry-run")
    (first,) = lines(cloud, "replay", receipt)
    (second,) = lines(cloud, "replay", receipt)

    assert only_told == {"receipt": receipt, "function": "inbound", "what": "decided"}
    assert (first["outcome"], first["what"], second["what"]) == ("deliver", "decided", "kept")
    assert [sent.recipients for sent in sent_since(cloud, before)] == [(OWNER,)]
    assert receipt not in troubled(cloud)


@pytest.mark.cloud
def test_replaying_all_mail_of_the_last_hours_sends_nothing_anew(cloud: LocalCloud) -> None:
    receipts = {arrive(cloud, person()) for _ in range(3)}
    before = len(cloud.sent())

    replayed = lines(cloud, "replay", "--since", "1h")

    assert receipts <= {line["receipt"] for line in replayed if line["what"] == "kept"}
    assert sent_since(cloud, before) == []
    assert "finished before" in run(cloud, "replay", "--since", "1h").output


@pytest.mark.cloud
def test_a_replay_of_what_was_sent_says_that_it_was_sent_and_not_that_it_is_queued(cloud: LocalCloud) -> None:
    told = run(cloud, "replay", arrive(cloud, person())).output

    assert "decided before, nothing left to do" in told
    assert "forward sent" in told
    assert "queued" not in told


@pytest.mark.cloud
@pytest.mark.parametrize("arguments", [(), ("receipt", "--since", "1h"), ("--since", "soon")])
def test_a_replay_of_nothing_in_particular_is_a_mistake(cloud: LocalCloud, arguments: tuple[str, ...]) -> None:
    assert run(cloud, "replay", *arguments).exit_code == 2


@pytest.mark.cloud
def test_a_replay_of_what_the_archive_does_not_hold_is_told(cloud: LocalCloud) -> None:
    ran = run(cloud, "replay", "nonsense")

    assert ran.exit_code == 1
    assert "the archive holds no mail nonsense" in str(ran.exception)


@pytest.mark.cloud
def test_reconcile_tells_what_both_functions_did(cloud: LocalCloud) -> None:
    inbound, reply = lines(cloud, "reconcile")

    assert (inbound["function"], reply["function"]) == ("inbound", "reply")
    assert inbound["failed"] == reply["failed"] == {}
    assert all(isinstance(inbound[name], int) for name in ("seen", "finished", "queued"))
    told = run(cloud, "reconcile").output
    assert "inbound: " in told
    assert "cannot be checked here: SES's identity" in told
    assert "Could not ask" not in told


@pytest.mark.cloud
def test_a_parked_send_is_named_shown_and_redriven_once(cloud: LocalCloud) -> None:
    assert cloud.ses
    sender = person()
    cloud.ses.fail_next(
        Fault(code="MessageRejected", only=lambda request: request["Destination"]["ToAddresses"] == [sender])
    )
    receipt = arrive(cloud, sender)
    before = len(cloud.sent())
    (why,) = lines(cloud, "why", receipt)
    (dead_lettered,) = [send for send in why["sends"] if send["kind"] == "acknowledgement"]

    assert dead_lettered["state"] == SendState.FAILED
    assert troubled(cloud)[dead_lettered["id"]] == "failed"
    for _ in range(2):
        (shown,) = [line for line in lines(cloud, "redrive", "--dry-run") if line["ledger"] == dead_lettered["id"]]
        assert (shown["what"], shown["attempts"]) == ("queued", 1)
        assert "MessageRejected" in shown["reason"]
    assert dead_lettered["id"] not in [line["ledger"] for line in lines(cloud, "redrive", "forward", "--dry-run")]

    assert dead_lettered["id"] in [line["ledger"] for line in lines(cloud, "redrive", "ack")]
    assert [sent.recipients for sent in sent_since(cloud, before) if sent.recipients == (sender,)] == [(sender,)]
    assert dead_lettered["id"] not in [line["ledger"] for line in lines(cloud, "redrive")]
    assert dead_lettered["id"] not in troubled(cloud)
    cloud.settle()
    assert [sent.recipients for sent in sent_since(cloud, before) if sent.recipients == (sender,)] == [(sender,)]


@pytest.mark.cloud
def test_an_invocation_that_failed_for_good_is_run_again(cloud: LocalCloud) -> None:
    sender, receipt = person(), "event-before-its-object"
    event = {
        "Records": [{
            "eventSource": "aws:ses",
            "ses": {
                "mail": {"messageId": receipt, "source": sender},
                "receipt": {"recipients": [PUBLIC], "dmarcVerdict": {"status": "PASS"}},
            },
        }]
    }  # fmt: skip
    cloud.clients.lambda_.invoke(
        FunctionName=cloud.resources["InboundFunction"], InvocationType="Event", Payload=json.dumps(event).encode()
    )
    cloud.settle()
    store(cloud, sender, receipt)
    before = len(cloud.sent())

    for _ in range(2):
        (shown,) = [
            line for line in lines(cloud, "redrive", "processing-failures", "--dry-run") if line["about"] == receipt
        ]
        assert (shown["function"], shown["what"]) == ("InboundFunction", "would run again")
    (started,) = [line for line in lines(cloud, "redrive", "processing-failures") if line["about"] == receipt]

    assert started["what"] == "started again"
    assert sorted(sent.recipients for sent in sent_since(cloud, before)) == [(OWNER,), (sender,)]
    assert connect(endpoint=cloud.endpoint).records.decision(ReceiptId(receipt), "inbound") is not None
    assert receipt not in [line["about"] for line in lines(cloud, "redrive", "processing-failures", "--dry-run")]
