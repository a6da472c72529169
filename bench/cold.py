"""Compares the first invocation of each function in a fresh process with bare boto3 that makes the same clients.

``make bench B=cold [JSON=1] [ARGS="--rounds 10"]``. In each round, one after another: for each function, a new process
of the runtime's interpreter imports the built function and layer as Lambda does, and handles one event on the emulator
(a first contact, its acknowledgement and forward, the owner's reply, its send, and attachments); then a new process
imports boto3 and makes clients for the services that the function called. Processor time and wall time of the whole
processes, as medians. ``less boto3`` is what remains of the function's time without bare boto3's; the ratio is of
processor times. The last line with ``--json`` is the ratio of each function.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cloud import REGION
from tests.faults.rig import Rig
from tests.faults.scenarios import first_contact, owner_reply

PROJECT = Path(__file__).parents[1]
BUILD = PROJECT / ".aws-sam/local"
INTERPRETER = PROJECT / ".venv-runtime/bin/python"

INVOCATION = """
import json, sys
from botocore.client import BaseClient
called, call = set(), BaseClient._make_api_call
def noted(client, operation, parameters):
    called.add(client.meta.service_model.service_name)
    return call(client, operation, parameters)
BaseClient._make_api_call = noted
from handler import handler
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
    def get_remaining_time_in_millis(self):
        return 60_000
answer = handler(json.load(sys.stdin), Context())
print(json.dumps({"answer": answer, "services": sorted(called)}))
"""

BOTO3 = """
import json, sys
import boto3
for service in json.load(sys.stdin):
    boto3.client(service)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds of processor and of the clock that a process took."""

    processor: float
    wall: float


def run(code: str, given: Any, environment: dict[str, str]) -> tuple[Took, str]:
    """Run *code* in a new process of the runtime's interpreter, with *given* as JSON on its standard input.

    Return how long it took, and the last line that it printed. Raise CalledProcessError if it failed.
    """
    with tempfile.TemporaryFile() as standard_input, tempfile.TemporaryFile() as output:
        standard_input.write(json.dumps(given).encode())
        standard_input.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen([INTERPRETER, "-c", code], stdin=standard_input, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().decode().splitlines()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, "\n".join(printed))
    return Took(processor=usage.ru_utime + usage.ru_stime, wall=wall), printed[-1] if printed else ""


class FreshProcesses(Rig):
    """Runs each invocation in a fresh process, and bare boto3 after it."""

    def __init__(self, folder: Path) -> None:
        """Start the emulator; outbox and logs go to *folder*."""
        super().__init__(folder)
        self.took: dict[str, list[tuple[Took, Took]]] = defaultdict(list)
        self.services: dict[str, list[str]] = {}

    def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run one invocation, as the worker would."""
        function = order["function"]
        code = "".join(part.title() for part in function.split("_")) + "Function"
        environment = {
            **order["environment"],
            "PATH": os.defpath,
            "PYTHONPATH": f"{BUILD / code}:{BUILD / 'EmailHandlerLayer/python'}",
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_ENDPOINT_URL_SESV2": self.ses.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }
        ours, printed = run(INVOCATION, order["event"], environment)
        result = json.loads(printed)
        self.services[function] = result["services"]
        bare, _ = run(BOTO3, result["services"], environment)
        self.took[function].append((ours, bare))
        return {"ended": "returned", "calls": [], "struck": [], "answer": result["answer"]}


def main(arguments: list[str] | None = None) -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="make bench B=cold", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rig = FreshProcesses(Path(folder))
        try:
            for _ in range(options.rounds):
                with rig.world() as world:
                    first_contact(world)
                    owner_reply(world)
        finally:
            rig.close()
    table = Table("Function", "CPU s", "boto3", "Ratio", "Less boto3", "Wall s", "boto3 ", "Clients")
    ratios = {}
    for function, pairs in rig.took.items():
        ours, bare = (
            Took(
                processor=statistics.median(pair[side].processor for pair in pairs),
                wall=statistics.median(pair[side].wall for pair in pairs),
            )
            for side in (0, 1)
        )
        ratio = ours.processor / bare.processor
        figures = (ours.processor, bare.processor, ratio, ours.processor - bare.processor, ours.wall, bare.wall)
        table.add_row(function, *(f"{figure:.2f}" for figure in figures), ", ".join(rig.services[function]))
        ratios[function] = round(ratio, 2)
    Console(stderr=options.json).print(table)
    if options.json:
        print(json.dumps(ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
