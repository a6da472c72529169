"""The pauses between attempts."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from email_handler.usecases.backoff import LONGEST, delay


def test_the_pause_doubles_from_half_a_minute_to_an_hour() -> None:
    pauses = [delay(attempt, chance=1.0) for attempt in range(1, 11)]

    assert pauses == [timedelta(seconds=s) for s in (30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600)]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_half_of_the_pause_is_fixed_and_no_pause_is_over_an_hour(attempt: int, chance: float) -> None:
    whole = delay(attempt, chance=1.0)

    assert whole / 2 <= delay(attempt, chance) <= whole <= LONGEST
