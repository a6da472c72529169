"""Measures the processor time of a message in warm functions.

``make bench B=warm [JSON=1] [ARGS="--rounds 20 --against FOLDER"]``. Each function runs in a process of its own, which
imports the built function and layer once and then handles the events of first contacts, one after another, on the
emulator. The processor time of each invocation, all threads included, is the child's own: emulator and SES are other
processes. ``--against`` is another build (``.aws-sam/local`` of a second checkout): both handle a message in each round,
so that a busy machine slows both. The least and the median of the rounds after three that warm up; the last line is JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.rig import OWNER, Rig, World
from tests.faults.scenarios import FIRST
from tests.faults.truths import Truth
from tests.support.builders import mail

PROJECT = Path(__file__).parents[1]
BUILD = PROJECT / ".aws-sam/local"
INTERPRETER = PROJECT / ".venv-runtime/bin/python"
PATH = ("inbound", "ack_sender", "forward_sender")
"""The functions between a first contact and what it causes to be sent."""
WARM_UP = 3  # rounds

CHILD = """
import json, os, sys, time
results = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
from botocore.client import BaseClient
from handler import handler
calls, make = [], BaseClient._make_api_call
def timed(client, operation, parameters):
    began = time.thread_time()
    try:
        return make(client, operation, parameters)
    finally:
        calls.append(time.thread_time() - began)
BaseClient._make_api_call = timed
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
    def get_remaining_time_in_millis(self):
        return 60_000
for line in sys.stdin:
    event = json.loads(line)
    calls.clear()
    began, at = time.process_time(), time.perf_counter()
    answer = handler(event, Context())
    took = [time.process_time() - began, sum(calls), time.perf_counter() - at]
    print(json.dumps({"answer": answer, "took": took}), file=results, flush=True)
"""


class WarmProcesses(Rig):
    """Runs the invocations of each function in a process that lives as long as the rig."""

    def __init__(self, folder: Path, builds: Sequence[Path]) -> None:
        """Start the emulator; outbox and logs go to *folder*. *builds* take turns."""
        super().__init__(folder)
        self.build = builds[0]
        self.took: dict[tuple[Path, str], list[list[float]]] = defaultdict(list)  # seconds, as in Times
        self._processes: dict[tuple[Path, str], subprocess.Popen[str]] = {}

    def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run one invocation, as the worker would."""
        key = (self.build, order["function"])
        process = self._processes.get(key) or self._processes.setdefault(key, self._start(order))
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(order["event"]) + "\n")
        process.stdin.flush()
        result = json.loads(process.stdout.readline())
        self.took[key].append(result["took"])
        return {"ended": "returned", "calls": [], "struck": [], "answer": result["answer"]}

    def _start(self, order: dict[str, Any]) -> subprocess.Popen[str]:
        code = "".join(part.title() for part in order["function"].split("_")) + "Function"
        path = {"PYTHONPATH": f"{self.build / code}:{self.build / 'EmailHandlerLayer/python'}"}
        environment = self.machine | order["environment"] | path
        return subprocess.Popen(
            [INTERPRETER, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def close(self) -> None:
        """Stop everything."""
        for process in self._processes.values():
            process.communicate()
        super().close()


def first_contact(world: World, number: int) -> None:
    """Let somebody write for the first time, and everything follow."""
    jane = f"jane{number}@{number}.customer.example"
    truth: Truth = replace(FIRST, sender=jane, to=OWNER, message_id=f"first-{number}@customer.example")
    raw = mail(
        sender=f"Jane Doe <{jane}>",
        subject=f"A question {number}",
        message_id=f"<{truth.message_id}>",
        text=truth.text,
        html=f"<html><body><p>{truth.text}</p><p>Yours,<br><b>Jane</b></p></body></html>",
    )
    world.invoke(*world.store(truth, raw))
    world.settle()


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Milliseconds of a function's warm invocations."""

    least: float  # of the processor
    median: float  # of the processor
    calls: float  # of the processor, within botocore: median
    wall: float  # median

    @classmethod
    def of(cls, took: Sequence[Sequence[float]]) -> "Times":
        """Return the times of invocations that *took* so many seconds: of the processor, of that in calls, of the clock."""
        processor, calls, wall = ([1000 * one[side] for one in took[WARM_UP:]] for side in range(3))
        median = statistics.median
        return cls(least=min(processor), median=median(processor), calls=median(calls), wall=median(wall))


def measure(builds: Sequence[Path], rounds: int) -> dict[Path, dict[str, Times]]:
    """Return each function's times in each of *builds*, which must differ."""
    with tempfile.TemporaryDirectory() as folder:
        rig = WarmProcesses(Path(folder), builds)
        try:
            with rig.world() as world:
                for number in range((WARM_UP + rounds) * len(builds)):
                    rig.build = builds[number % len(builds)]
                    first_contact(world, number)
        finally:
            rig.close()
    found: dict[Path, dict[str, Times]] = {build: {} for build in builds}
    for (build, function), took in rig.took.items():
        found[build][function] = Times.of(took)
    return found


def show(found: dict[Path, dict[str, Times]], console: Console) -> dict[str, float]:
    """Print the times on *console*; return the sums over the path of a first contact, and the ratio of two builds."""
    table = Table("Function", "Build", "CPU ms, least", "Median", "In AWS calls", "Wall ms")
    for function in PATH:
        for build, times in found.items():
            one = times[function]
            figures = (f"{figure:.1f}" for figure in (one.least, one.median, one.calls, one.wall))
            table.add_row(function, "this" if build == BUILD else "other", *figures)
    console.print(table)
    least = [round(sum(times[function].least for function in PATH), 1) for times in found.values()]
    median = [round(sum(times[function].median for function in PATH), 1) for times in found.values()]
    result = {"cpu_ms_least": least[0], "cpu_ms_median": median[0]}
    if len(found) > 1:
        result |= {"other_cpu_ms_least": least[1], "other_cpu_ms_median": median[1]}
        result |= {"ratio_least": round(least[0] / least[1], 2), "ratio_median": round(median[0] / median[1], 2)}
    return result


def main(arguments: list[str] | None = None) -> int:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench B=warm", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--against", type=Path, help="another build, to compare with")
    parser.add_argument("--json", action="store_true", help="print the table on standard error")
    given = parser.parse_args(arguments)
    builds = [BUILD, given.against.resolve()] if given.against else [BUILD]
    print(json.dumps(show(measure(builds, given.rounds), Console(stderr=given.json))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
