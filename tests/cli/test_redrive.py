"""``email-handler redrive``: dead-lettered sends and failed invocations run again, once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cloud.cloud import LocalCloud
from cloud.ses import Fault
from email_handler.conversations.records import SendState
from email_handler.identifiers import ReceiptId
from email_handler.ports import DeadLetter
from operations.connection import connect
from operations.redrive import discard_failures, read_failure, redrive_failures
from tests.cli.stored import store, unfinished
from tests.support.operator import OWNER, PUBLIC, arrive, lines, person, sent_since

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
    """Return a record as Lambda's on-failure destination stores it."""
    return json.dumps({
        "version": "1.0",
        "timestamp": "2026-03-02T09:00:00.000Z",
        "requestContext": {"functionArn": function, "condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": payload,
        "responsePayload": {"errorType": "ArchiveUnavailable", "errorMessage": "jane@customer.example"},
    })  # fmt: skip


def logical_id(arn: str) -> str:
    return "InboundFunction" if arn.startswith(INBOUND) else ""


def test_a_failed_invocation_is_started_again_before_its_dead_letter_is_deleted() -> None:
    event = {"Records": [{"ses": {"mail": {"messageId": "receipt-1"}}}]}
    letters = Letters(on_failure(event))
    started: list[tuple[str, Any, int]] = []

    lines = list(
        redrive_failures(
            letters, lambda arn, payload: started.append((arn, payload, len(letters.kept))), logical_id, dry_run=False
        )
    )

    assert started == [(f"{INBOUND}:$LATEST", event, 1)], "started first, then deleted"
    assert letters.kept == []
    assert [(failure.about, failure.error, failure.attempts, name) for failure, name in lines] == [
        ("receipt-1", "ArchiveUnavailable", 3, "InboundFunction")
    ]


@pytest.mark.parametrize(
    ("target", "known"),
    [(INBOUND, "InboundFunction"), ("arn:aws:sns:us-east-1:000000000000:AlarmTopic-1", "")],
    ids=["function", "topic"],
)
def test_an_event_that_eventbridge_could_not_deliver_is_given_to_its_function(target: str, known: str) -> None:
    event = {"detail-type": "Email Bounced", "time": "2026-03-02T09:00:00Z", "detail": {}}
    letters = Letters(json.dumps(event))
    letters.kept = [replace(letters.kept[0], target=target, reason="NO_PERMISSIONS", attempts=185)]
    started: list[tuple[str, Any]] = []

    ((failure, name),) = redrive_failures(
        letters, lambda arn, payload: started.append((arn, payload)), logical_id, dry_run=False
    )

    assert (failure.about, failure.error, failure.at) == ("Email Bounced", "NO_PERMISSIONS", event["time"])
    assert (name, started, len(letters.kept)) == (known, [(target, event)] if known else [], 0 if known else 1)


def test_a_dry_run_starts_and_deletes_nothing() -> None:
    letters = Letters(on_failure({}))
    started: list[str] = []

    list(redrive_failures(letters, lambda arn, _: started.append(arn), logical_id, dry_run=True))

    assert (started, len(letters.kept)) == ([], 1)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "{}", '{"requestContext": 1}', on_failure({}, "arn:other")])
def test_a_letter_that_is_not_a_record_of_our_functions_is_left(body: str) -> None:
    letters = Letters(body)
    started: list[str] = []

    ((_, name),) = redrive_failures(letters, lambda arn, _: started.append(arn), logical_id, dry_run=False)

    assert (name, started, len(letters.kept)) == ("", [], 1)


def test_only_failures_that_no_function_can_run_again_are_discarded() -> None:
    usable, foreign = on_failure({}), on_failure({}, "arn:other")
    letters = Letters("{", usable, foreign)

    assert len(list(discard_failures(letters, logical_id, dry_run=True))) == 2
    assert len(letters.kept) == 3
    assert [failure.letter.body for failure, _ in discard_failures(letters, logical_id, dry_run=False)] == [
        "{",
        foreign,
    ]
    assert [letter.body for letter in letters.kept] == [usable]


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
def test_a_failure_names_what_it_was_about(payload: Any, about: str) -> None:
    (letter,) = Letters(on_failure(payload)).kept

    assert read_failure(letter).about == about


@pytest.mark.cloud
def test_a_dead_lettered_send_is_listed_and_redriven_once(cloud: LocalCloud) -> None:
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
    assert unfinished(cloud)[dead_lettered["id"]] == "failed"
    for _ in range(2):
        (shown,) = [line for line in lines(cloud, "redrive", "--dry-run") if line["ledger"] == dead_lettered["id"]]
        assert (shown["what"], shown["attempts"]) == ("queued", 1)
        assert "MessageRejected" in shown["reason"]
    assert dead_lettered["id"] not in [line["ledger"] for line in lines(cloud, "redrive", "forward", "--dry-run")]

    assert lines(cloud, "redrive", "ack", "--discard") == []
    assert dead_lettered["id"] in [line["ledger"] for line in lines(cloud, "redrive", "ack")]
    assert [sent.recipients for sent in sent_since(cloud, before) if sent.recipients == (sender,)] == [(sender,)]
    assert dead_lettered["id"] not in [line["ledger"] for line in lines(cloud, "redrive")]
    assert dead_lettered["id"] not in unfinished(cloud)
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
