"""The fault matrix: each AWS call of each function fails in each way; every run is finished and judged by the oracle.

``make faults`` prints it: every single fault under every kind of delivery (``rig.Delivery``), then PAIRS pairs of
faults, sampled by SEED; ``PAIRS=all`` for all of them. JOBS rigs work side by side. With JSON=1 it ends with one line
``{"runs", "calls", "pairs", "lost", "doubled", "marked", "not_struck"}``. A call may come in another order or not at all
if the machine is busy; then its run is repeated, and what was not struck is listed.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.util import Finalize
from pathlib import Path
from threading import Thread

from rich.console import Console
from rich.progress import track
from rich.table import Table

from email_handler.conversations.jobs import JobKind
from tests.faults.oracle import AT_MOST, Judgement, judge
from tests.faults.rig import Delivery, Fault, Rig
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.truths import Allowed
from tests.faults.worker import KINDS

NOT_STRUCK = "not struck"
ATTEMPTS = 3  # to strike what is planned
PASSES = 3  # of the reconciler, if something is left
PAIRED = ("refused", "timeout after", "killed after")
"""The kinds in pairs: not made; made and unknown; made and never reported. Others look like one of them from inside."""

type Calls = dict[str, list[str]]
"""Labels of AWS calls by function."""


class NotStruck(Exception):
    """A function made other calls than planned, so a fault did not occur."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One scenario with faults in its act."""

    scenario: str
    delivery: Delivery = Delivery.PROMPT
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        faults = ", then ".join(f"{one.function} {one.call} {one.kind}" for one in self.faults)
        return f"{self.scenario}, {self.delivery}, {faults or 'no fault'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of a plan."""

    plan: Plan
    judgement: Judgement | None = None  # None if a fault did not occur
    after: Calls = field(default_factory=dict)  # what was called after the last fault

    @property
    def outcome(self) -> str:
        """Return the outcome as one word or two."""
        return self.judgement.outcome if self.judgement else NOT_STRUCK


def allowed(struck: Iterable[Fault], delivery: Delivery = Delivery.PROMPT) -> Allowed:
    """Return what faults excuse.

    A second copy needs a lost response of SES, or two faults in one sender: SES's id was written neither to the table
    nor to the archive. A reply whose responses are lost each time ends as unknown. A worker whose clock is 10 minutes ahead takes a lease for expired.
    """
    in_senders = [one for one in struck if one.function.endswith("_sender")]
    losing = [one.function for one in in_senders if one.call == "sesv2.SendEmail" and one.kind.endswith("after")]
    overtaken = delivery is Delivery.SKEWED and any(one.kind == "overtaken" for one in in_senders)
    again = max(Counter(one.function for one in in_senders).values(), default=0) > 1
    return Allowed(
        copies=max(len(losing), again) + overtaken,
        unknown=sum(one.function == "ack_sender" for one in in_senders)
        + (losing.count("reply_sender") >= AT_MOST[JobKind.REPLY]),
        failed=sum(one.kind == "rejected" for one in in_senders),
    )


def play(
    rig: Rig, scenario: Scenario, *faults: Fault, delivery: Delivery = Delivery.PROMPT, mutant: str = ""
) -> tuple[Calls, Judgement]:
    """Play *scenario* in a new world with *faults* in its act; return the calls after the last one, and the judgement.

    Raise NotStruck if a fault did not occur.
    """
    with rig.world(mutant) as world:
        for step in scenario.before:
            step(world)
        world.calls.clear()
        world.faults, world.delivery = list(faults), delivery
        scenario.act(world)
        seen = world.seen()
        for _ in range(PASSES):
            if not seen.waiting:
                break
            world.reconcile(2)
            seen = world.seen()
        if world.faults:
            raise NotStruck(str(world.faults[0]))
        excused = allowed(faults, delivery)
        found = judge(world.arrivals, seen, bounced=world.bounced, allowed=excused, gave_up=world.gave_up)
        return world.calls, found


def strike(rig: Rig, plan: Plan) -> Run:
    """Play *plan*, again in a new world if a fault did not occur, up to :data:`ATTEMPTS` times."""
    for _ in range(ATTEMPTS):
        try:
            after, found = play(rig, SCENARIOS[plan.scenario], *plan.faults, delivery=plan.delivery)
        except NotStruck:
            continue
        return Run(plan=plan, judgement=found, after=after)
    return Run(plan=plan)


def faults(calls: Calls, kinds: tuple[str, ...] = KINDS) -> Iterator[Fault]:
    """Yield every fault of every one of *calls*; only SES refuses for good."""
    for function, labels in calls.items():
        for label in labels:
            for kind in kinds:
                if kind != "rejected" or label.startswith("sesv2."):
                    yield Fault(function=function, call=label, kind=kind)


def singles(rig: Rig, name: str, delivery: Delivery) -> list[Plan]:
    """Play a scenario once without a fault to list its calls; return a plan for each fault of each of them."""
    calls, found = play(rig, SCENARIOS[name], delivery=delivery)
    assert found.outcome == "ok", f"{name}, {delivery}: {found}"
    kinds = KINDS if delivery is Delivery.PROMPT else (*PAIRED, "overtaken")
    return [Plan(scenario=name, delivery=delivery, faults=(fault,)) for fault in faults(calls, kinds)]


def pairs(runs: Iterable[Run]) -> list[Plan]:
    """Return every pair: a fault of *runs*, then a fault in what was called after it."""
    return [
        replace(run.plan, faults=(*run.plan.faults, second))
        for run in runs
        if run.plan.delivery is Delivery.PROMPT and run.plan.faults[0].kind in PAIRED
        for second in faults(run.after, PAIRED)
    ]


def table(runs: Iterable[Run]) -> Table:
    """Return the matrix of single faults: a row for each call, a column for each kind."""
    shown = Table("Function", "Call", *KINDS, title="function x call x fault -> outcome")
    rows: dict[tuple[str, str], dict[str, set[str]]] = {}
    for run in runs:
        (fault,) = run.plan.faults
        rows.setdefault((fault.function, fault.call), {}).setdefault(fault.kind, set()).add(run.outcome)
    for (function, call), cells in sorted(rows.items()):
        shown.add_row(function, call, *(", ".join(sorted(cells.get(kind, ()))) for kind in KINDS))
    return shown


class Rigs:
    """Rigs side by side, each in a process of its own."""

    def __init__(self, jobs: int, *, quiet: bool) -> None:
        """Start *jobs* of them when there is work; show progress unless *quiet*."""
        self._pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start)
        self._console, self._quiet = Console(stderr=True), quiet

    def singles(self) -> list[Plan]:
        """Return every single fault under every kind of delivery."""
        names = [(name, delivery) for delivery in Delivery for name in SCENARIOS]
        return [plan for plans in self._each(_singles, names, "calls") for plan in plans]

    def strike(self, plans: Sequence[Plan], what: str) -> list[Run]:
        """Play every one of *plans*."""
        return list(self._each(_strike, plans, what))

    def _each[Given, Found](self, work: Callable[[Given], Found], given: Sequence[Given], what: str) -> Iterator[Found]:
        found = self._pool.map(work, given)
        return iter(track(found, what, total=len(given), console=self._console, disable=self._quiet))

    def close(self) -> None:
        """Stop them."""
        self._pool.shutdown(cancel_futures=True)


_rig: Rig  # of a process of the pool


def _start() -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    global _rig  # noqa: PLW0603 - an initializer can return nothing
    folder = tempfile.TemporaryDirectory()
    _rig = Rig(Path(folder.name))
    Finalize(None, folder.cleanup, exitpriority=1)
    Finalize(None, _rig.close, exitpriority=2)


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however that was: so do emulator and worker then."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _singles(given: tuple[str, Delivery]) -> list[Plan]:
    return singles(_rig, *given)


def _strike(plan: Plan) -> Run:
    return strike(_rig, plan)


def main() -> None:
    """Run everything, print the matrix, and exit with 1 if anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", default="100", help="how many pairs of faults are sampled, or all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="rigs side by side")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    given = parser.parse_args()
    rigs = Rigs(given.jobs, quiet=given.json)
    try:
        of_one = rigs.strike(rigs.singles(), "single faults")
        planned = pairs(of_one)
        if given.pairs != "all":
            planned = random.Random(given.seed).sample(planned, min(int(given.pairs), len(planned)))
        of_two = rigs.strike(planned, "pairs")
    finally:
        rigs.close()
    runs = of_one + of_two
    outcomes = Counter(run.outcome for run in runs)
    bad = [run for run in runs if run.outcome in ("lost", "doubled")]
    if not given.json:
        console = Console(width=180)
        console.print(table(of_one))
        console.print(
            f"{len(runs)} runs: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        )
    for run in runs:
        if run in bad or run.judgement is None:
            found = run.judgement and (*run.judgement.lost, *run.judgement.doubled)
            print(f"{run.plan}: {found or NOT_STRUCK}", file=sys.stderr)  # noqa: T201 - the command's output
    result = {
        "runs": len(runs),
        "calls": len({(run.plan.scenario, run.plan.faults[0].function, run.plan.faults[0].call) for run in of_one}),
        "pairs": len(of_two),
        "lost": outcomes["lost"],
        "doubled": outcomes["doubled"],
        "marked": sum(run.judgement.marked for run in runs if run.judgement),
        "not_struck": outcomes[NOT_STRUCK],
    }
    print(json.dumps(result))  # noqa: T201 - scripts read this line
    sys.exit(1 if bad or outcomes[NOT_STRUCK] else 0)


if __name__ == "__main__":
    main()
