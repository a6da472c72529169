"""Queue messages: our jobs are read back, anything else is refused with a reason."""

import json
from dataclasses import replace

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
    without_conversation = replace(JOB, conversation="")

    assert Job.from_json(JOB.to_json()) == JOB
    assert Job.from_json(without_conversation.to_json()) == without_conversation


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
def test_a_body_that_is_not_one_of_our_jobs_is_refused(body: str) -> None:
    with pytest.raises(MalformedJob):
        Job.from_json(body)


@given(st.text())
def test_any_text_is_refused_with_a_short_error(body: str) -> None:
    with pytest.raises(MalformedJob) as refused:
        Job.from_json(body)
    assert len(str(refused.value)) < 120
