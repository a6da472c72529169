"""When a failed send is tried again, and when it is given up."""

from datetime import timedelta

FIRST = timedelta(seconds=30)
LONGEST = timedelta(hours=1)
DEAD_LETTER_AFTER = timedelta(hours=12)  # an ordinary outage is over by then, or somebody must look
DEAD_LETTER_BLOCKED_AFTER = timedelta(days=4)  # a daily quota, or DNS for MAIL FROM (72 hours after a first deployment)
_DOUBLINGS = 8  # 30 s doubled eight times is over an hour: larger powers would only overflow


def delay(attempt: int, chance: float) -> timedelta:
    """Return the pause before the try after *attempt* (1 for the first): 30 s doubled each time up to one hour,
    half of it fixed and half times *chance* (0 to 1), so that jobs which failed together do not return together."""
    whole = min(FIRST * (1 << min(attempt - 1, _DOUBLINGS)), LONGEST)
    return whole / 2 + whole / 2 * chance
