"""When a send is tried again, and when it is given up."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Refusals
from email_handler.errors import (
    ConfigUnavailable,
    EmailHandlerError,
    SendingBlocked,
    SendingThrottled,
    SendOutcomeUnknown,
)
from email_handler.usecases.retries import AFTER_LOST, COPIES, LONGEST, TRIES, delay, is_over, refused_again
from tests.faults.oracle import AT_MOST
from tests.support.fakes import NOW
from tests.support.loads import Limits, Outcome, drain

HOUR = timedelta(hours=1)
THROTTLED, BLOCKED = SendingThrottled("not now"), SendingBlocked("quota")
ERRORS = (THROTTLED, BLOCKED, ConfigUnavailable("down"))


def refused(*errors: tuple[EmailHandlerError, datetime]) -> Refusals:
    refusals = None
    for error, at in errors:
        refusals = refused_again(refusals, error, at)
    assert refusals is not None
    return refusals


def in_a_row(times: int, error: EmailHandlerError = THROTTLED) -> Refusals:
    return refused(*((error, NOW) for _ in range(times)))


def test_the_pause_doubles_from_half_a_minute_to_an_hour() -> None:
    pauses = [delay(in_a_row(times), chance=1.0) for times in range(1, 11)]

    assert pauses == [timedelta(seconds=s) for s in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600)]


def test_the_pause_begins_anew_when_the_kind_of_refusal_changes() -> None:
    refusals = refused_again(in_a_row(20, BLOCKED), THROTTLED, NOW)

    assert delay(refusals, chance=1.0) == timedelta(seconds=30)


def test_after_a_lost_response_ses_has_time_to_report_on_the_copy_that_may_have_left() -> None:
    assert delay(in_a_row(1, SendOutcomeUnknown("time-out")), chance=0.0) == AFTER_LOST + timedelta(seconds=15)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_half_of_the_pause_is_fixed_and_no_pause_is_over_an_hour(times: int, chance: float) -> None:
    refusals = Refusals(kind="SendingThrottled", times=times, since=NOW, in_all=times, first_at=NOW)
    whole = delay(refusals, chance=1.0)

    assert whole / 2 <= delay(refusals, chance) <= whole <= LONGEST


@given(st.lists(st.tuples(st.sampled_from(ERRORS), st.integers(0, 14 * 24)), min_size=1, max_size=60))
def test_no_send_is_given_up_before_it_was_refused_eight_times_over_an_hour(
    refusals: list[tuple[EmailHandlerError, int]],
) -> None:
    found, at = None, NOW
    for count, (error, hours) in enumerate(refusals, 1):
        at += hours * HOUR if count > 1 else timedelta()
        found = refused_again(found, error, at)
        if is_over(found, at):
            assert count >= TRIES
            assert at - NOW >= HOUR
            return


@given(st.lists(st.sampled_from(ERRORS), min_size=13 * 24, max_size=13 * 24))
def test_a_send_that_is_refused_every_hour_is_given_up_within_13_days_whatever_the_kinds(
    errors: list[EmailHandlerError],
) -> None:
    found = None
    for hours, error in enumerate(errors):
        found = refused_again(found, error, NOW + hours * HOUR)

    assert found is not None
    assert is_over(found, NOW + len(errors) * HOUR)


def test_one_throttle_after_thirteen_blocked_hours_is_one_throttle() -> None:
    blocked = [(BLOCKED, NOW + hours * HOUR) for hours in range(14)]
    refusals = refused(*blocked, (THROTTLED, NOW + 14 * HOUR))

    assert (refusals.times, refusals.since) == (1, NOW + 14 * HOUR)
    assert not is_over(refusals, NOW + 14 * HOUR)


def test_as_many_copies_can_leave_as_the_oracle_of_the_fault_runs_expects() -> None:
    assert COPIES == AT_MOST
    assert set(COPIES) == set(JobKind)


@pytest.mark.parametrize(
    ("count", "limits", "down"),
    [
        (2000, Limits(14), 13 * HOUR),  # the senders were down; then SES takes its ordinary rate
        (100, Limits(1, per_day=20), timedelta()),  # five days of a sandbox's quota, at a tenth of its size
        (1000, Limits(1 / 50), timedelta()),  # 14 hours of a sandbox's rate, at a fiftieth of its size
    ],
    ids=["13 hours down", "a quota for five days", "a rate for 14 hours"],
)
def test_a_load_that_ses_does_not_take_at_once_leaves_in_the_end_and_is_kept_once(
    count: int, limits: Limits, down: timedelta
) -> None:
    ended = drain(count, limits, down=down)

    assert ended == Outcome(
        sent=count,
        dead_lettered=0,
        lost_by_queue=0,
        attempts=ended.attempts,
        most_attempts=ended.most_attempts,
        copies_kept=count,
        took=ended.took,
    )
