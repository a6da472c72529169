"""The Lambda edge's metrics: what the net caught is counted."""

import signal
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from email_handler import mistakes, runtime
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Decision
from email_handler.identifiers import ReceiptId
from email_handler.usecases.sending import SendResult


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def add_metric(*, name: str, **_: Any) -> None:
        names.append(name)

    monkeypatch.setattr(runtime.metrics, "add_metric", add_metric)
    return names


@pytest.mark.parametrize(("mistake", "expected"), [("ValueError: at mail", ["Flag", "Mistakes"]), ("", ["Flag"])])
def test_a_decision_that_a_mistake_forced_is_counted(mistake: str, expected: list[str], counted: list[str]) -> None:
    decision = Decision(
        receipt=ReceiptId("r"),
        decider="inbound",
        outcome=Outcome.FLAG,
        conversation="",
        jobs=(),
        events=(),
        mistake=mistake,
    )
    runtime.log_decision(decision)

    assert counted == expected


@pytest.mark.parametrize("result", SendResult)
def test_a_send_despite_a_mistake_is_counted(result: SendResult, counted: list[str]) -> None:
    runtime.log_outcome("send ended", result)

    assert ("Mistakes" in counted) is (result is SendResult.SENT_DESPITE_MISTAKE)


def test_a_function_ends_each_step_before_lambda_ends_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    context = LambdaContext()
    context._function_name = context._memory_limit_in_mb = context._invoked_function_arn = "test"  # type: ignore[assignment]
    context._aws_request_id = "test"
    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", lambda _: 9000)
    handler = runtime.event_handler(lambda _: mistakes.attempt(signal.getitimer, signal.ITIMER_REAL))

    (seconds, _) = handler({}, context)

    assert 2.5 < seconds <= 3
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
