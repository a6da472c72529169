"""Measures the processor time of a message in warm functions.

``make bench B=warm [JSON=1] [ARGS="--rounds 20 --against FOLDER"]``. Each function runs in a process of its own, which
imports the built function and layer once and then handles the events of first contacts, one after another, on the
emulator. The processor time of each invocation, all threads included, is the child's own: emulator and SES are other
processes. ``--against`` is another build (``.aws-sam/local`` of a second checkout): both handle a message in each round,
so that a busy machine slows both. The least and the median of the rounds after three that warm up.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cloud import REGION
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
from handler import handler
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
    def get_remaining_time_in_millis(self):
        return 60_000
for line in sys.stdin:
    event = json.loads(line)
    began, at = time.process_time(), time.perf_counter()
    answer = handler(event, Context())
    took = [time.process_time() - began, time.perf_counter() - at]
    print(json.dumps({"answer": answer, "took": took}), file=results, flush=True)
"""


class WarmProcesses(Rig):
    """Runs the invocations of each function in a process that lives as long as the rig."""

    def __init__(self, folder: Path, builds: tuple[Path, ...]) -> None:
        """Start the emulator; outbox and logs go to *folder*. *builds* take turns."""
        super().__init__(folder)
        self.build = builds[0]
        self.took: dict[tuple[Path, str], list[list[float]]] = defaultdict(list)  # seconds: processor, wall
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
        environment = {
            **order["environment"],
            "PATH": os.defpath,
            "PYTHONPATH": f"{self.build / code}:{self.build / 'EmailHandlerLayer/python'}",
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_ENDPOINT_URL_SESV2": self.ses.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
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


def measure(builds: tuple[Path, ...], rounds: int) -> dict[Path, dict[str, tuple[float, float, float]]]:
    """Return for each build and function the processor time, least and median, and the median wall time of a warm
    invocation, in ms."""
    with tempfile.TemporaryDirectory() as folder:
        rig = WarmProcesses(Path(folder), builds)
        try:
            with rig.world() as world:
                for number in range((WARM_UP + rounds) * len(builds)):
                    rig.build = builds[number % len(builds)]
                    first_contact(world, number)
        finally:
            rig.close()
    found: dict[Path, dict[str, tuple[float, float, float]]] = {build: {} for build in builds}
    for (build, function), all_took in rig.took.items():
        took = all_took[WARM_UP:]
        processor, wall = ([one[side] for one in took] for side in (0, 1))
        times = (min(processor), statistics.median(processor), statistics.median(wall))
        found[build][function] = tuple(1000 * time for time in times)  # type: ignore[assignment]  # of three
    return found


def main(arguments: list[str] | None = None) -> int:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench B=warm", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--against", type=Path, help="another build, to compare with")
    parser.add_argument("--json", action="store_true", help="print the figures as one line as well")
    given = parser.parse_args(arguments)
    builds = (BUILD, given.against.resolve()) if given.against else (BUILD,)
    found = measure(builds, given.rounds)
    table = Table("Function", "Build", "CPU ms, least", "Median", "Wall ms, median")
    totals = dict.fromkeys(builds, 0.0)
    for function in (*PATH, "attachment"):
        for build in builds:
            figures = found[build][function]
            table.add_row(function, "this" if build == BUILD else "other", *(f"{figure:.1f}" for figure in figures))
            totals[build] += figures[1] if function in PATH else 0
    Console(stderr=given.json).print(table)
    result = {"cpu_ms": round(totals[BUILD], 1)}
    if given.against:
        result |= {"against_ms": round(totals[builds[1]], 1), "ratio": round(totals[BUILD] / totals[builds[1]], 2)}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
