"""Loads that SES does not take at once: the real senders' loop on the ports in memory, with a clock of its own."""

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import SendState
from email_handler.errors import EmailHandlerError, RetryLater, SendingBlocked, SendingThrottled
from email_handler.identifiers import LedgerId
from email_handler.usecases.sending import Draft, send
from tests.support.builders import mail
from tests.support.world import PUBLIC, World

DAY = timedelta(days=1)
RETENTION = timedelta(days=13)  # of a send queue, by the template
MAX_RECEIVES = 1000  # maxReceiveCount, by the template


class Limits:
    """SES's two limits: so many sends a second, and so many in any 24 hours."""

    def __init__(self, per_second: float, per_day: float = float("inf")) -> None:
        self._apart = timedelta(seconds=1 / per_second)
        self._per_day = per_day
        self._sent: deque[datetime] = deque()

    def __call__(self, now: datetime) -> EmailHandlerError | None:
        """Return SES's refusal of a send at *now*; None, and count the send, if it is taken."""
        while self._sent and self._sent[0] <= now - DAY:
            self._sent.popleft()
        if len(self._sent) >= self._per_day:
            return SendingBlocked("Daily message quota exceeded")
        if self._sent and now - self._sent[-1] < self._apart:
            return SendingThrottled("Maximum sending rate exceeded")
        self._sent.append(now)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a load ended."""

    sent: int
    dead_lettered: int
    lost_by_queue: int  # older than the queue keeps a job, or received too often
    attempts: int
    most_attempts: int  # of one send
    copies_kept: int  # writes below ``sent/``
    took: timedelta


def drain(
    count: int, refuses: Callable[[datetime], EmailHandlerError | None], *, down: timedelta = timedelta(), seed: int = 1
) -> Outcome:
    """Queue *count* forwards at once, start the senders after *down*, and run them until no job is left."""
    world, jobs = _queued(count)
    began = world.now
    chance = random.Random(seed)
    dispatch = replace(world.dispatch, chance=chance.random)
    received: Counter[Job] = Counter()
    lost = kept = 0
    visible = [(began + down, number) for number in range(count)]
    heapify(visible)
    while visible:
        world.now, number = heappop(visible)
        job = jobs[number]
        received[job] += 1
        if world.now - began > RETENTION or received[job] > MAX_RECEIVES:
            lost += 1
            continue
        if refusal := refuses(world.now):
            world.mailer.fail("send", refusal)
        before = len(world.archive.written)
        try:
            send(job, lambda *_: Draft(raw=b"", sender=PUBLIC), dispatch)
        except RetryLater as later:
            heappush(visible, (world.now + timedelta(seconds=later.delay), number))
        kept += len(world.archive.written) - before
    return Outcome(
        sent=len(world.mailer.sent),
        dead_lettered=len(world.jobs.dead_lettered),
        lost_by_queue=lost,
        attempts=sum(received.values()),
        most_attempts=max(received.values()),
        copies_kept=kept,
        took=world.now - began,
    )


def _queued(count: int) -> tuple[World, list[Job]]:
    world = World()
    world.arrive(mail())
    (first,) = (item for item in world.records.ledger.values() if item.kind is JobKind.FORWARD)
    items = [replace(first, id=LedgerId(f"forward-{number}"), state=SendState.QUEUED) for number in range(count)]
    world.records.ledger = {item.id: item for item in items}
    return world, [item.job for item in items]
