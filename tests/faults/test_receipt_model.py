"""Every order in which two workers can decide about one message: the real ``decide_once`` on the ports in memory, one
call at a time, with one fault at any call.

A search over all states, as in ``test_model.py``. The second worker gets the same event, a copy of the message under
another receipt, or is a pass. In the end Lambda delivers again what no worker finished. No path may decide twice, leave a
decision unfinished, or lose or double what it causes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.identifiers import ReceiptId
from email_handler.ports import Commit, Known, Question
from email_handler.usecases import decision as deciding
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import Early, build_commit, decide_once
from email_handler.usecases.reconcile import HOURLY, Pass
from tests.faults.test_model import documented
from tests.faults.workers import FAULTS, Choice, Stepped, Worker
from tests.support.fakes import FakeRecords
from tests.support.records import CONVERSATION, conversation, forward, message
from tests.support.world import World

STEPS = {"look_up", "unfinished", "commit", "queue", "publish", "finish"}
"""The calls whose order matters: they see or change what two workers share."""
NOTHING = "\u2013"  # in the table of docs/architecture.md
FIRST, COPY = ReceiptId("receipt-1"), ReceiptId("receipt-2")


class Second(StrEnum):
    """What the second worker does."""

    AGAIN = "the same event"
    COPY = "a copy of the message"
    EARLY = "a copy of the message, both looked up by their headers"
    PASS = "a pass"


def _decide(receipt: ReceiptId, context: Context, *, by_headers: bool = False) -> Any:
    """Decide as inbound does: the message is forwarded, once for all of its copies, and counted."""
    record = message(receipt)
    question = Question(receipt=receipt, decider="inbound", conversation=CONVERSATION, fingerprints=("print",))

    def plan(known: Known, _: Configuration) -> Commit:
        if known.duplicate_of:
            return build_commit(replace(record, outcome=Outcome.RECORD))
        before = known.by_id or conversation(received=0)
        planned = build_commit(record, ledger=[forward(receipt)], fingerprint="print")
        return replace(planned, conversation=replace(before, received=before.received + 1))

    if not by_headers:
        return decide_once(question, plan, context)
    asked = replace(question, fingerprints=())
    early = Early(question=asked, known=context.records.look_up(asked))
    return decide_once(question, plan, context, early)


@dataclass(slots=True)
class Play:
    """The world after some choices."""

    second: Second
    world: World = field(default_factory=World)
    moves: set[tuple[str, str]] = field(default_factory=set)  # of receipts, from state to state

    @property
    def receipts(self) -> tuple[ReceiptId, ...]:
        """Return the receipts that there are."""
        return (FIRST, COPY) if self.second in (Second.COPY, Second.EARLY) else (FIRST,)

    def workers(self) -> list[Worker]:
        """Start both."""
        return [Worker(self._first), Worker(self._second)]

    def _first(self, worker: Worker) -> Any:
        return _decide(FIRST, self._context(worker), by_headers=self.second is Second.EARLY)

    def _second(self, worker: Worker) -> Any:
        if self.second is not Second.PASS:
            return _decide(self.receipts[-1], self._context(worker), by_headers=self.second is Second.EARLY)
        late = self.world.now + timedelta(hours=1)
        return Pass("inbound", HOURLY, replace(self._context(worker), clock=lambda: late)).finish_decided()

    def _context(self, worker: Worker) -> Context:
        context = self.world.context
        ports = {
            name: Stepped(getattr(context, name), worker, lambda name, _: name in STEPS)
            for name in ("records", "jobs", "events")
        }
        return replace(context, **ports)  # type: ignore[arg-type]

    def state(self, receipt: ReceiptId) -> str:
        """Return what there is of *receipt*'s decision."""
        decision = self.world.records.decisions.get((receipt, "inbound"))
        return NOTHING if decision is None else "done" if decision.done else "unfinished"

    def go(self, workers: list[Worker], choices: tuple[Choice, ...]) -> None:
        """Let *workers* do what was chosen."""
        for place, how in choices:
            before = {receipt: self.state(receipt) for receipt in self.receipts}
            workers[place].go(how)
            self.moves |= {(was, now) for one, was in before.items() if (now := self.state(one)) != was}

    def finish(self) -> None:
        """Deliver again what is not finished."""
        for receipt in self.receipts:
            if self.state(receipt) != "done":
                _decide(receipt, self.world.context)

    def key(self, workers: list[Worker]) -> str:
        """Return all that later steps depend on."""
        records = self.world.records
        seen = [(worker.done, worker.history) for worker in workers]
        queued = sorted(job.ledger for job in self.world.jobs.queued)
        published = sorted(event.id for event in self.world.events.published)
        return repr((records.decisions, records.conversations, records.ledger, queued, published, seen))

    def problems(self) -> Iterator[str]:
        """Yield what is wrong at the end."""
        records = self.world.records
        decisions = [records.decisions[receipt, "inbound"] for receipt in self.receipts]
        outcomes = sorted(decision.outcome for decision in decisions)
        if outcomes != sorted((Outcome.DELIVER, Outcome.RECORD)[: len(self.receipts)]):
            yield f"decided as {outcomes}"
        if not all(decision.done for decision in decisions):
            yield "unfinished"
        (joined,) = records.conversations.values()
        if (joined.received, len(records.ledger)) != (1, 1):
            yield f"{joined.received} received, {len(records.ledger)} sends"
        if {job.ledger for job in self.world.jobs.queued} != set(records.ledger):
            yield "lost: a send that is not queued"
        published = {event.id: event for event in self.world.events.published}
        if published.keys() != {event.id for decision in decisions for event in decision.events}:
            yield "lost: an event that is not published, or one that nobody decided"
        if any(published[event.id] != event for event in self.world.events.published):
            yield "one event in two versions"


def search(second: Second, budget: int) -> tuple[set[tuple[str, str]], list[str]]:
    """Take every path with at most *budget* faults. Return the moves between states of a receipt, and the problems, each
    with its path."""
    visited: set[str] = set()
    moves: set[tuple[str, str]] = set()
    found: list[str] = []
    paths: list[tuple[Choice, ...]] = [()]
    while paths:
        path = paths.pop()
        faults = sum(how != "go" for _, how in path)
        play = Play(second)
        workers = play.workers()
        play.go(workers, path)
        key = f"{budget - faults} {play.key(workers)}"
        alive = [place for place, worker in enumerate(workers) if not worker.done]
        if key not in visited and alive:
            hows = ("go", *FAULTS) if faults < budget else ("go",)
            paths += [(*path, (place, how)) for place in alive for how in hows]
        elif key not in visited:
            play.finish()
            found += [f"{problem}: {path}" for problem in play.problems()]
        visited.add(key)
        moves |= play.moves
        for place in alive:
            workers[place].go("killed before")
    return moves, found


@pytest.mark.parametrize("second", Second)
def test_no_order_of_two_workers_and_no_fault_in_it_decides_twice_or_loses_what_was_decided(second: Second) -> None:
    moves, found = search(second, 1)

    assert found == []
    assert moves == {move for move in documented() if move[1] in ("unfinished", "done")}


def test_a_decision_that_overwrites_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRecords, "_unchanged", lambda *_: True)
    monkeypatch.setattr(FakeRecords, "_duplicate_of", lambda *_: None)

    assert search(Second.COPY, 0)[1]


def test_a_copy_that_no_condition_finds_after_an_early_look_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = FakeRecords.commit
    monkeypatch.setattr(
        FakeRecords,
        "commit",
        lambda self, one: commit(self, replace(one, no_copy_of=(), fingerprint="")),
    )

    assert search(Second.EARLY, 0)[1]


def test_jobs_that_are_queued_after_the_decision_is_marked_as_done_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = deciding.finish

    def marked_first(decision: Any, context: Context) -> None:
        context.records.finish(decision.receipt, decision.decider)
        finish(decision, context)

    monkeypatch.setattr(deciding, "finish", marked_first)

    assert search(Second.AGAIN, 1)[1]
