"""Queue messages: ours are read back, all else is refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.jobs import Job, JobKind
from email_handler.errors import MalformedJob
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId

JOB = Job(
    kind=JobKind.FORWARD,
    ledger=LedgerId("forward-0123"),
    conversation=ConversationId("c-01234567"),
    source=ReceiptId("r1"),
    archive_key="raw/inbound/r1",
)


def test_a_job_survives_the_queue() -> None:
    assert Job.from_json(JOB.to_json()) == JOB


def test_a_job_holds_no_address() -> None:
    assert "@" not in JOB.to_json()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "null",
        "7",
        "[" * 100_000,
        "{}",
        json.dumps({**json.loads(JOB.to_json()), "version": 2}),
        json.dumps({**json.loads(JOB.to_json()), "kind": "telegram"}),
        json.dumps({**json.loads(JOB.to_json()), "ledger": ""}),
        json.dumps({**json.loads(JOB.to_json()), "archive_key": 7}),
        json.dumps({**json.loads(JOB.to_json()), "surprise": "x"}),
    ],
)
def test_what_is_no_job_of_ours_is_refused(body: str) -> None:
    with pytest.raises(MalformedJob):
        Job.from_json(body)


@given(st.text())
def test_any_text_is_read_or_refused_and_never_quoted(body: str) -> None:
    with pytest.raises(MalformedJob) as refused:
        Job.from_json(body)
    assert len(str(refused.value)) < 120
