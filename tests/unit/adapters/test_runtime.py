"""The Lambda edge: what the net caught is counted, and one record that fails holds up no other."""

import json
import signal
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NoReturn, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from email_handler import mistakes, runtime
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import Job, JobKind, SendResult
from email_handler.conversations.records import Decision
from email_handler.errors import ArchiveUnavailable, JobFailed, LeaseHeld, MalformedEvent, RetryLater
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.inbound import receive
from email_handler.usecases.sending import Dispatch
from tests.support.world import World


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """Return the metrics that were written, in CloudWatch's embedded format, with their values."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    assert all(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]] for line in lines)
    return {
        metric["Name"]: sum(line[metric["Name"]])
        for line in lines
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }


def _context() -> LambdaContext:
    context = LambdaContext()
    context._aws_request_id = "test"
    return context


def _record(ledger: str) -> dict[str, Any]:
    job = Job(
        kind=JobKind.FORWARD,
        conversation=ConversationId("c"),
        source=ReceiptId("r"),
        ledger=LedgerId(ledger),
        archive_key="raw/inbound/r",
    )
    return {"messageId": ledger, "receiptHandle": ledger, "body": job.to_json(), "attributes": {}}


def _refuse(*_: object) -> NoReturn:
    raise AssertionError("nothing is dead-lettered or shown again")


@pytest.mark.parametrize(("mistake", "expected"), [("ValueError: at mail", {"Mistakes": 1}), ("", {})])
def test_a_decision_that_a_mistake_forced_is_a_metric_and_others_are_a_log_line_only(
    mistake: str, expected: dict[str, float], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A metric costs by the hours in which it has a value: nothing as long as nothing is wrong."""
    decision = Decision(
        receipt=ReceiptId("r"),
        decider="inbound",
        outcome=Outcome.FLAG,
        conversation="",
        jobs=(),
        mistake=mistake,
    )
    runtime.log_decision(decision)

    assert counted(capsys) == expected
    assert [record.outcome for record in caplog.records] == ["Flag"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (SendResult.SENT, {}),
        (SendResult.SKIPPED, {}),
        (SendResult.CANCELLED, {}),
        (SendResult.UNKNOWN, {"Unknown": 1}),
        (SendResult.DEAD_LETTERED, {"DeadLettered": 1}),
        (SendResult.SENT_DESPITE_MISTAKE, {"SentDespiteMistake": 1, "Mistakes": 1}),
    ],
)
def test_a_send_that_somebody_should_look_at_is_a_metric(
    result: SendResult, expected: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.log_outcome("send ended", result)

    assert counted(capsys) == expected


def test_what_is_wrong_with_the_documents_is_one_metric_with_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    runtime.log_problems(("a rule", "a route"))

    assert counted(capsys) == {"ConfigurationProblems": 2}


@pytest.mark.parametrize("event_type", ["Delivery", "Open"])
def test_reading_the_configuration_ends_with_the_invocation_even_if_nothing_needs_it(event_type: str) -> None:
    """Lambda would freeze the read, and the next invocation would go on with it."""
    world, waited = World(), list[Configuration]()

    def configuration() -> Configuration:
        waited.append(world.configuration)
        return world.configuration

    handler = runtime.receiving_handler(
        "inbound",
        lambda: replace(world.context, configuration=configuration),
        receive=receive,
        hourly=_refuse,
        daily=_refuse,
    )
    detail = {"eventType": event_type, "mail": {"messageId": "0100-x", "tags": {"ledger": ["forward-x"]}}}
    with nullcontext() if event_type == "Delivery" else pytest.raises(MalformedEvent):
        handler({"source": "aws.ses", "detail": detail}, _context())

    assert waited


def test_what_no_sender_expects_fails_the_function_without_its_texts_and_the_other_records_are_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failed function sets off its alarm; a failed record is silent until the queue gives it up."""
    sent: list[str] = []

    def send(job: Job, _: object) -> SendResult:
        if job.ledger == "second":
            raise KeyError("me@private.example")
        sent.append(job.ledger)
        return SendResult.SENT

    handler = runtime.sqs_handler(send, lambda: cast("Dispatch", None), dead_letter=_refuse, show_again=_refuse)
    with pytest.raises(JobFailed, match="KeyError") as raised:
        handler({"Records": [_record(ledger) for ledger in ("first", "second", "third")]}, _context())

    assert sent == ["first", "third"]
    assert (raised.value.__cause__, raised.value.__context__) == (None, None), "Lambda logs them with their texts"
    assert "private" not in str(raised.value)
    (line,) = [record for record in caplog.records if getattr(record, "outcome", "") == "RecordFailed"]
    assert (line.record, line.error.partition(" ")[0]) == ("second", "KeyError")  # type: ignore[attr-defined]
    assert "private" not in str(vars(line))


def test_the_text_of_an_error_of_ours_is_logged_since_it_has_no_content(caplog: pytest.LogCaptureFixture) -> None:
    def send(*_: object) -> SendResult:
        raise ArchiveUnavailable("S3 failed: AccessDenied")

    handler = runtime.sqs_handler(send, lambda: cast("Dispatch", None), dead_letter=_refuse, show_again=_refuse)
    with pytest.raises(JobFailed, match="AccessDenied"):
        handler({"Records": [_record("first")]}, _context())

    (line,) = [record for record in caplog.records if getattr(record, "outcome", "") == "RecordFailed"]
    assert line.error == "ArchiveUnavailable: S3 failed: AccessDenied"  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [RetryLater("SES: throttled", 30), LeaseHeld("another worker is sending this")])
def test_a_send_that_is_put_off_or_under_way_is_a_failed_record_and_no_failed_function(error: Exception) -> None:
    shown: list[tuple[str, int]] = []

    def send(*_: object) -> SendResult:
        raise error

    handler = runtime.sqs_handler(
        send, lambda: cast("Dispatch", None), dead_letter=_refuse, show_again=lambda *again: shown.append(again)
    )

    assert handler({"Records": [_record("first")]}, _context()) == {"batchItemFailures": [{"itemIdentifier": "first"}]}
    assert shown == ([("first", 30)] if isinstance(error, RetryLater) else [])


def test_a_function_ends_each_step_before_lambda_ends_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", lambda _: 9000)
    handler = runtime.event_handler(lambda _: mistakes.attempt(signal.getitimer, signal.ITIMER_REAL))

    (seconds, _) = handler({}, _context())

    assert 2.5 < seconds <= 3
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def ses_event(mail: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{"ses": {"mail": {"messageId": "r1", **mail}, "receipt": {}}}]}


def test_the_headers_in_an_event_are_one_header_section() -> None:
    named = [{"name": "From", "value": "J\u00fcrgen <j@customer.example>"}, {"name": "Subject", "value": "Hello"}]
    (receipt,) = runtime.ses_receipts(ses_event({"headersTruncated": False, "headers": named}))

    assert receipt.headers == "From: J\u00fcrgen <j@customer.example>\r\nSubject: Hello\r\n".encode()


@pytest.mark.parametrize(
    "mail",
    [
        {},
        {"headersTruncated": True, "headers": [{"name": "Subject", "value": "Hello"}]},
        {"headers": [{"name": "Subject", "value": "Hello"}]},
        {"headersTruncated": False, "headers": None},
        {"headersTruncated": False, "headers": ["Subject: Hello"]},
        {"headersTruncated": False, "headers": [{"name": "Subject"}]},
        {"headersTruncated": False, "headers": [{"name": "Subject", "value": 1}]},
    ],
)
def test_an_event_without_all_headers_is_one_without_any(mail: dict[str, Any]) -> None:
    (receipt,) = runtime.ses_receipts(ses_event(mail))

    assert receipt.headers == b""
