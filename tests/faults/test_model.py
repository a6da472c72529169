"""Every order in which two workers can process one job: the real sender on the ports in memory, one call at a time.

A search over all states: at each step one worker makes its next call, or that call fails, or its process ends. When both
have ended, the queue delivers the job again until it is done. No path may lose the message, or send more copies than
lost responses and clocks that are 10 minutes apart explain.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from email_handler import errors
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import LedgerId
from email_handler.usecases import side_by_side
from email_handler.usecases.sending import Draft, send
from email_handler.usecases.waiting import cancel
from tests.faults.oracle import AT_MOST
from tests.faults.workers import FAULTS, Choice, Stepped, Worker
from tests.support.builders import mail
from tests.support.fakes import FakeRecords
from tests.support.in_turn import InTurn
from tests.support.world import PUBLIC, World

ARCHITECTURE = Path(__file__).parents[2] / "docs/architecture.md"
STEPS = {"by_id", "claim", "sent", "give_back", "send", "dead_letter"}
"""The calls whose order matters, and the archive's of SES's id; all others see or change nothing that two workers share."""

SKEW = timedelta(minutes=10)
DELIVERIES = 20  # of one job, until it must be done


def _is_step(name: str, first: Any) -> bool:
    return name in STEPS or (name in ("get", "put") and first.endswith(".ses-id"))


def _worker(kind: JobKind, world: World, skew: timedelta) -> Worker:
    """Return one delivery of the job, to a worker whose clock is ahead by *skew*. Its outcome is "" if the queue delivers
    it again."""

    def work(worker: Worker) -> Any:
        dispatch = replace(world.dispatch, clock=lambda: world.now + skew)
        ports = {
            name: Stepped(getattr(dispatch, name), worker, _is_step) for name in ("archive", "ledger", "jobs", "mailer")
        }
        return send(job, lambda *_: Draft(raw=b"", sender=PUBLIC), replace(dispatch, **ports))  # type: ignore[arg-type]

    job = _job(kind, world)
    return Worker(work)


def _canceller(kind: JobKind, world: World, _: timedelta) -> Worker:
    """Return the owner or the operator, who cancels the send if it has not left."""

    def work(worker: Worker) -> Any:
        ledger: Any = Stepped(world.dispatch.ledger, worker, _is_step)
        item = ledger.by_id(_job(kind, world).ledger)
        if item is not None:
            cancel(item, "cancelled", ledger)
        return "done"

    return Worker(work)


@cache
def _first_message() -> World:
    world = World()
    world.arrive(mail())
    return world


def _arrived() -> World:
    """Return a world in which a first message has arrived."""
    world, known = World(), _first_message()
    world.archive.objects = dict(known.archive.objects)
    for name in ("ledger", "conversations", "contacts", "message_records"):
        setattr(world.records, name, dict(getattr(known.records, name)))
    return world


@dataclass(slots=True)
class Play:
    """The world after some choices."""

    kind: JobKind
    skew: timedelta
    lost: int  # responses of SES: so many at the start, each with a copy
    world: World = field(init=False)
    moves: set[tuple[str, str]] = field(default_factory=set)  # of the ledger item, from state to state

    def __post_init__(self) -> None:
        self.world = _arrived() if self.kind in (JobKind.ACKNOWLEDGEMENT, JobKind.FORWARD) else _with_send(self.kind)
        item = self.item()
        self.world.records.ledger[item.id] = replace(item, lost=self.lost)
        for _ in range(self.lost):
            self.world.mailer.send(b"", PUBLIC, item.recipients, item.id)

    def item(self) -> LedgerItem:
        """Return the send."""
        return self.world.records.ledger[_job(self.kind, self.world).ledger]

    def go(self, workers: list[Worker], choices: tuple[Choice, ...]) -> None:
        """Let *workers* do what was chosen."""
        told = [False for _ in workers]  # whose message has left, without a record of that
        for place, how in choices:
            before, copies = self.item().state, len(self.world.mailer.sent)
            workers[place].go(how)
            after = self.item().state
            told[place] |= len(self.world.mailer.sent) > copies
            self.lost += told[place] and how != "go" and after is not SendState.SENT
            if before is not after:
                self.moves.add((before, after))

    def finish(self) -> None:
        """Deliver the job until it is done."""
        for _ in range(DELIVERIES):
            self.world.now += SKEW * 2  # longer than a lease, whoever's clock took it
            worker = _worker(self.kind, self.world, timedelta())
            while not worker.done:
                self.go([worker], ((0, "go"),))
            if worker.outcome:
                return
        raise AssertionError("the job is never done")

    def key(self, workers: list[Worker]) -> str:
        """Return all that later steps depend on."""
        seen = [(worker.done, worker.history) for worker in workers]
        kept = sorted(key for key in self.world.archive.objects if key.endswith(".ses-id"))
        letters = len(self.world.jobs.dead_lettered)
        return repr((self.item(), len(self.world.mailer.sent), kept, letters, self.lost, seen))

    def problems(self, faults: int) -> Iterator[str]:
        """Yield what is wrong at the end of a path with so many *faults*."""
        item, copies = self.item(), len(self.world.mailer.sent)
        if item.state not in (SendState.SENT, SendState.UNKNOWN, SendState.FAILED, SendState.CANCELLED):
            yield f"ended as {item.state}"
        if item.state is SendState.CANCELLED and copies:
            yield "cancelled, though it left"
        if item.state is SendState.SENT and not copies:
            yield "lost: sent by the ledger, and by nobody else"
        given_up = item.state is SendState.FAILED or (
            item.state is SendState.UNKNOWN and self.kind is not JobKind.ACKNOWLEDGEMENT
        )
        if given_up and not self.world.jobs.dead_lettered:
            yield f"lost: {item.state}, and not dead-lettered"
        if copies > AT_MOST[self.kind]:
            yield f"{copies} copies"
        if copies > 1 and not item.possible_duplicate:
            yield "a second copy that nothing says"
        # Two faults in a row can lose SES's id: the table and the archive refuse it.
        if copies - 1 > max(self.lost, faults - 1) + bool(self.skew):
            yield f"{copies} copies, though {self.lost} responses were lost"


def _job(kind: JobKind, world: World) -> Any:
    return next(item.job for item in world.records.ledger.values() if item.kind is kind)


def search(
    kind: JobKind,
    skew: timedelta,
    budget: int,
    lost: int = 0,
    second: Callable[[JobKind, World, timedelta], Worker] = _worker,
) -> tuple[set[tuple[str, str]], list[str]]:
    """Take every path with at most *budget* faults after *lost* responses were lost. Return the moves between states of the ledger item, and the
    problems, each with its path."""
    visited: set[str] = set()
    moves: set[tuple[str, str]] = set()
    found: list[str] = []
    paths: list[tuple[Choice, ...]] = [()]
    while paths:
        path = paths.pop()
        faults = sum(how != "go" for _, how in path)
        play = Play(kind, skew, lost)
        workers = [_worker(kind, play.world, timedelta()), second(kind, play.world, skew)]
        play.go(workers, path)
        key = f"{budget - faults} {play.key(workers)}"
        alive = [place for place, worker in enumerate(workers) if not worker.done]
        if key not in visited and alive:
            paths += [(*path, (place, how)) for place in alive for how in _hows(workers[place], faults < budget)]
        elif key not in visited:
            play.finish()
            found += [f"{problem}: {path}" for problem in play.problems(faults)]
        visited.add(key)
        moves |= play.moves
        for place in alive:
            workers[place].go("killed before")
    return moves, found


def _hows(worker: Worker, may_fail: bool) -> tuple[str, ...]:
    if not may_fail:
        return ("go",)
    return ("go", *FAULTS, "rejected") if worker.at == "send" else ("go", *FAULTS)


def documented() -> dict[tuple[str, str], str]:
    """Return who moves a send from state to state, by the table in docs/architecture.md."""
    rows = re.findall(r"(?m)^\| `?([^|` ]+)`? \| `([a-z]+)` \|[^|]*\| ([^|]+) \|$", ARCHITECTURE.read_text())
    return {(before, after): who for before, after, who in rows}


@pytest.mark.parametrize("skew", [timedelta(), SKEW], ids=["same clock", "skewed"])
@pytest.mark.parametrize("kind", [JobKind.ACKNOWLEDGEMENT, JobKind.REPLY, JobKind.FORWARD])
def test_no_order_of_two_workers_and_no_fault_in_it_loses_or_doubles_a_message(kind: JobKind, skew: timedelta) -> None:
    searches = [search(kind, skew, 1, lost) for lost in {0, AT_MOST[kind] - 1}]

    assert [problem for _, problems in searches for problem in problems] == []
    assert set().union(*(moves for moves, _ in searches)) == {
        move for move, who in documented().items() if who == "a sender"
    }


@pytest.mark.parametrize("late", [False, True], ids=["read before the claim", "read after it"])
def test_a_send_may_be_read_before_its_claim_or_after_it(monkeypatch: pytest.MonkeyPatch, *, late: bool) -> None:
    """Side by side means either."""
    monkeypatch.setattr(side_by_side, "pool", lambda: InTurn(late=late))
    monkeypatch.setattr(sys.modules[__name__], "STEPS", STEPS | {"context"})

    assert search(JobKind.ACKNOWLEDGEMENT, SKEW, 1)[1] == []


def test_what_is_cancelled_never_leaves_and_what_may_have_left_is_never_cancelled() -> None:
    searches = [search(JobKind.REPLY, skew, 1, lost, _canceller) for skew in (timedelta(), SKEW) for lost in (0, 1)]

    assert [problem for _, problems in searches for problem in problems] == []
    assert {move: documented()[move] for moves, _ in searches for move in moves if "cancelled" in move} == {
        ("queued", "cancelled"): "the owner or the operator"
    }


def test_a_cancelling_write_without_its_condition_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_back(self: FakeRecords, item: LedgerItem, state: SendState, reason: str, due: datetime) -> None:
        self.ledger[item.id] = replace(item, state=state, reason=reason, due=due, lease_until=None)

    monkeypatch.setattr(FakeRecords, "give_back", give_back)

    assert any("cancelled, though it left" in one for one in search(JobKind.REPLY, timedelta(), 0, 0, _canceller)[1])


def test_a_claim_that_respects_no_lease_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = FakeRecords.claim
    monkeypatch.setattr(FakeRecords, "claim", lambda self, send, now, until: claim(self, send, now + SKEW, until))

    assert search(JobKind.FORWARD, timedelta(), 0)[1]


@pytest.mark.parametrize("kind", [JobKind.FORWARD, JobKind.REPLY, JobKind.NOTICE])
def test_responses_of_ses_that_are_always_lost_cost_no_more_copies_than_allowed(kind: JobKind) -> None:
    world = _with_send(kind)
    for _ in range(DELIVERIES):
        world.mailer.fail("send", errors.SendOutcomeUnknown("lost"), after=True)
    world.run()

    copies = Counter(sent.ledger for sent in world.mailer.sent)
    assert copies[LedgerId(f"{kind}-1")] == AT_MOST[kind]
    assert all(count <= AT_MOST[world.records.ledger[ledger].kind] for ledger, count in copies.items())


def test_a_job_that_comes_30_hours_late_and_is_throttled_once_leaves() -> None:
    world = _with_send(JobKind.FORWARD)
    world.now += timedelta(hours=30)
    world.mailer.fail("send", errors.SendingThrottled("throttled"))
    world.run()

    assert len(world.mailer.sent) == 1


def _with_send(kind: JobKind) -> World:
    """Return a world whose one queued job is of *kind*."""
    world = _arrived()
    (item,) = (item for item in world.records.ledger.values() if item.kind is JobKind.FORWARD)
    note = NoticeKind.CHANGED if kind is JobKind.NOTICE else ""
    item = replace(item, id=LedgerId(f"{kind}-1"), kind=kind, note=note)
    world.records.ledger = {item.id: item}
    world.jobs.queued = [item.job]
    return world
