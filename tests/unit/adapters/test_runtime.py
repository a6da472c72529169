"""The Lambda edge's metrics: what the net caught is counted."""

from typing import Any

import pytest

from email_handler import runtime
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
