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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.faults.matrix import JANE
from tests.faults.rig import OWNER, SENDERS, THREAD, Rig, World
from tests.support.builders import mail

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
returned = handler(json.load(sys.stdin), Context())
assert not (returned and returned.get("batchItemFailures")), returned
print(json.dumps(sorted(called)))
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


def first_events(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each function with an event for it. What comes next is made when the one before was handled."""
    yield world.store(mail(sender=JANE, subject="A question", attachments=[("list.csv", "text/csv", b"a,b\r\n")]))
    yield "attachment", json.loads(_waiting(world, "Events")["Body"])
    for kind in ("Ack", "Forward"):
        yield SENDERS[kind], _job(world, kind)
    conversation = world.conversation()
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    yield world.store(mail(sender=f"The Owner <{OWNER}>", to=thread, subject="Re: A question"), to=thread)
    yield SENDERS["Reply"], _job(world, "Reply")


def _waiting(world: World, queue: str) -> dict[str, Any]:
    (message,) = world._receive(queue)  # noqa: SLF001
    return message


def _job(world: World, kind: str) -> dict[str, Any]:
    message = _waiting(world, kind)
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{kind}Queue",
        "awsRegion": "us-east-1",
    }
    return {"Records": [record]}


def main(arguments: list[str] | None = None) -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="make bench B=cold", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    took: dict[str, list[tuple[Took, Took]]] = defaultdict(list)
    services: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        try:
            for _ in range(options.rounds):
                with rig.world() as world:
                    for function, event in first_events(world):
                        code = "".join(part.title() for part in function.split("_")) + "Function"
                        environment = {
                            **world._environment(function),  # noqa: SLF001
                            "PATH": os.defpath,
                            "PYTHONPATH": f"{BUILD / code}:{BUILD / 'EmailHandlerLayer/python'}",
                            "AWS_ENDPOINT_URL": rig.emulator.endpoint,
                            "AWS_ENDPOINT_URL_SESV2": rig.ses.url,
                            "AWS_ACCESS_KEY_ID": "test",
                            "AWS_SECRET_ACCESS_KEY": "test",
                            "AWS_DEFAULT_REGION": "us-east-1",
                            "AWS_REGION": "us-east-1",
                        }
                        ours, called = run(INVOCATION, event, environment)
                        services[function] = json.loads(called)
                        bare, _ = run(BOTO3, services[function], environment)
                        took[function].append((ours, bare))
        finally:
            rig.close()
    table = Table("Function", "CPU s", "boto3", "Ratio", "Less boto3", "Wall s", "boto3 ", "Clients")
    ratios = {}
    for function, pairs in took.items():
        ours, bare = (
            Took(
                processor=statistics.median(pair[side].processor for pair in pairs),
                wall=statistics.median(pair[side].wall for pair in pairs),
            )
            for side in (0, 1)
        )
        ratios[function] = round(ours.processor / bare.processor, 2)
        figures = (
            ours.processor,
            bare.processor,
            ratios[function],
            ours.processor - bare.processor,
            ours.wall,
            bare.wall,
        )
        table.add_row(function, *(f"{figure:.2f}" for figure in figures), ", ".join(services[function]))
    Console(stderr=options.json).print(table)
    if options.json:
        print(json.dumps(ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
