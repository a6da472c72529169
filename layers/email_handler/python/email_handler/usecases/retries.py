"""When a send that failed is tried again, and when it is given up."""

from dataclasses import replace
from datetime import datetime, timedelta

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Refusals
from email_handler.errors import EmailHandlerError, SendingBlocked, SendOutcomeUnknown

COPIES = {JobKind.ACKNOWLEDGEMENT: 1, JobKind.REPLY: 2, JobKind.FORWARD: 3, JobKind.NOTICE: 3}
"""How many copies of one send can leave: another only if SES's response to the one before was lost. Then a person decides."""

FIRST = timedelta(seconds=30)
LONGEST = timedelta(hours=1)
AFTER_LOST = timedelta(
    minutes=5
)  # SES's event about the copy that may have left arrives meanwhile, and no other leaves
TRIES = 8  # at least so many, and the last one so long after the first:
PATIENCE = timedelta(days=3)  # a rate of 1 a second takes 14 hours for 50,000 messages; an outage is over by then
PATIENCE_BLOCKED = timedelta(days=8)  # a quota of 200 a day takes five days for 1,000 messages; DNS for MAIL FROM three
PATIENCE_IN_ALL = timedelta(days=12)  # if the kinds of refusal alternate; the queues keep a job for 13 days
_DOUBLINGS = 8  # 30 s doubled eight times is over an hour: larger powers would only overflow


def refused_again(refusals: Refusals | None, error: EmailHandlerError, now: datetime) -> Refusals:
    """Return *refusals* with *error* at *now*: another one of the same kind, or the first of a new one."""
    kind = type(error).__name__
    if refusals is None:
        return Refusals(kind=kind, times=1, since=now, in_all=1, first_at=now)
    if refusals.kind != kind:
        return replace(refusals, kind=kind, times=1, since=now, in_all=refusals.in_all + 1)
    return replace(refusals, times=refusals.times + 1, in_all=refusals.in_all + 1)


def is_over(refusals: Refusals, now: datetime) -> bool:
    """Return whether the send is given up at *now*. Only refusals count: a job that waited for its first try has been
    refused by nobody."""
    patience = PATIENCE_BLOCKED if refusals.kind == SendingBlocked.__name__ else PATIENCE
    of_one_kind = refusals.times >= TRIES and now - refusals.since > patience
    return of_one_kind or (refusals.in_all >= TRIES and now - refusals.first_at > PATIENCE_IN_ALL)


def delay(refusals: Refusals, chance: float) -> timedelta:
    """Return the pause before the next try: 30 s, doubled with each refusal of the same kind up to one hour, half of it
    fixed and half times *chance* (0 to 1), so that jobs which failed together do not return together. Five minutes more
    after a lost response."""
    whole = min(FIRST * (1 << min(refusals.times - 1, _DOUBLINGS)), LONGEST)
    lost = AFTER_LOST if refusals.kind == SendOutcomeUnknown.__name__ else timedelta()
    return lost + whole / 2 + whole / 2 * chance
