"""Records in words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from console.words import age, describe_reason, describe_send, plain, short, size
from email_handler.conversations.disposition import Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import COPY, SendState
from tests.support.fakes import NOW
from tests.support.records import forward


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "now"), (59, "now"), (60, "1 minute"), (7200, "2 hours"), (86399, "23 hours"), (86400, "1 day"), (-5, "now")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, said: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == said


def test_a_time_is_told_in_utc_and_by_its_year_if_that_is_long_ago() -> None:
    assert short(NOW, NOW).endswith(f"{NOW:%H:%M} UTC")
    assert short(NOW - timedelta(days=200), NOW).endswith(f"{NOW - timedelta(days=200):%Y}")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (930, "930 B"), (2400, "2.4 kB"), (25_000_000, "25 MB"), (3e9, "3.0 GB")]
)
def test_a_size_is_told_as_people_do(count: float, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("kind", "state", "reason", "note", "said"),
    [
        (JobKind.ACKNOWLEDGEMENT, SendState.SENT, "", "", "Acknowledged"),
        (JobKind.FORWARD, SendState.SENT, "", "", "Forwarded to you"),
        (JobKind.FORWARD, SendState.QUEUED, "", "", "Forward to you: queued"),
        (JobKind.REPLY, SendState.BOUNCED, "feedback:bounce", "", "Reply: bounced"),
        (JobKind.REPLY, SendState.FAILED, "MessageRejected", "", "Reply: failed (MessageRejected)"),
        (JobKind.REPLY, SendState.CANCELLED, "cancelled by the owner", "", "Reply: cancelled (cancelled by the owner)"),
        (JobKind.NOTICE, SendState.SENT, "", COPY, "Copy for your colleague sent"),
    ],
)
def test_a_send_is_told_in_words(kind: JobKind, state: SendState, reason: str, note: str, said: str) -> None:
    send = replace(forward(), kind=kind, state=state, reason=reason, note=note)

    assert describe_send(send).text == said


def test_a_second_copy_is_told() -> None:
    send = replace(forward(), kind=JobKind.REPLY, state=SendState.SENT, lost=1)

    assert describe_send(send).text == "Sent; a second copy may have left"


def test_a_reason_is_a_sentence() -> None:
    assert (
        describe_reason(Reason(stage="patterns", rule="seo-offer", detail="sells or wants links"))
        == "Sells or wants links"
    )
    assert describe_reason(Reason(stage="recipient", rule="unknown-recipient")) == "Recipient: unknown recipient"


def test_a_name_shows_what_is_there_and_in_its_order() -> None:
    assert plain("Jane\u202e eno\u200b\u00ad\x07\ud800 line\u2028") == "Jane eno line"
