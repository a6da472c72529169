"""Compares the first invocation of each function in a fresh process with bare boto3 that makes the same clients.

``make bench B=cold [JSON=1] [ARGS="--rounds 10 --tls --no-peer"]``. In each round, one after another: for each function, a new
process of the runtime's interpreter imports the built function and layer as Lambda does, and handles one event on the
emulator (a first contact, its acknowledgement and forward, the owner's reply, its send, and attachments), from the
interpreter's start to the end of the invocation; then a new process of the same interpreter, without the layer, imports
boto3 and makes clients for the services that the function called, and calls nothing. Each process ends there and then,
without taking itself apart, which no invocation waits for. After inbound comes the peer, if npm and node are there:
aws-lambda-ses-forwarder, which forwards the same message in a new process of node.

``--tls`` lets the functions reach the emulator through TLS, as they reach AWS, with botocore's authorities. Bare boto3,
which calls nothing, does as before.

``--wait 0.02`` adds what memory sizes would do, calculated: Lambda gives a core per 1,769 MB in proportion, so less memory
takes longer and costs the same, except for the seconds (here 0.02 a call) in which a function waits for AWS.

Processor time and wall time of whole processes, as medians; ratios are of processor times, to bare boto3's. The first
ratio is that of the whole, and ``less boto3`` the difference. *Ready* is the part of it that bare boto3 does, too: the
interpreter, imports, and making the same clients, without the calls and what is done between them. With ``--json`` there
is a line of the ready ratios, and the last line is the ratio of each function.
"""

import argparse
import json
import os
import shutil
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

from tests.faults.rig import Rig
from tests.faults.scenarios import first_contact, owner_reply
from tests.support.tls import issue

PROJECT = Path(__file__).parents[1]
BUILD = PROJECT / ".aws-sam/local"
INTERPRETER = PROJECT / ".venv-runtime/bin/python"

CORE = 1769  # MB of memory for which Lambda gives one core
GB_SECOND = 0.0000133334  # dollars, arm64, us-east-1, 2026-11
SIZES = (512, 768, 1024, 1536, CORE)
FIRST_CONTACT = ("inbound", "ack_sender", "forward_sender", "attachment")

INVOCATION = """
import json, os, sys, time
from handler import handler
import botocore.session
from botocore.client import BaseClient
ready = [time.process_time()]
def timed(make):
    def timed_make(*given, **named):
        began = time.thread_time()
        made = make(*given, **named)
        ready.append(time.thread_time() - began)
        return made
    return timed_make
botocore.session.get_session = timed(botocore.session.get_session)
botocore.session.Session.create_client = timed(botocore.session.Session.create_client)
called, call = [], BaseClient._make_api_call
def noted(client, operation, parameters):
    called.append(client.meta.service_model.service_name)
    return call(client, operation, parameters)
BaseClient._make_api_call = noted
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
    def get_remaining_time_in_millis(self):
        return 60_000
answer = handler(json.load(sys.stdin), Context())
print(json.dumps({"answer": answer, "services": sorted(set(called)), "calls": len(called), "ready": sum(ready)}), flush=True)
os._exit(0)
"""

PEER = "aws-lambda-ses-forwarder@6.0.0"
PEER_MAILBOX = "peer@private.example"
PEER_FOLDER = PROJECT / ".aws-sam/peer"

PEER_INVOCATION = """
const [bucket, mailbox] = process.argv.slice(1);
const event = JSON.parse(require("fs").readFileSync(0));
require("aws-lambda-ses-forwarder").handler(event, {}, (error) => process.exit(error ? 1 : 0), {
  log: () => {},
  config: {
    fromEmail: "contact@example.com", emailBucket: bucket, emailKeyPrefix: "raw/inbound/", allowPlusSign: true,
    forwardMapping: { "contact@example.com": [mailbox] },
  },
});
"""

BOTO3 = """
import json, os, sys
import boto3
for service in json.load(sys.stdin):
    boto3.client(service)
os._exit(0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds of processor and of the clock that a process took."""

    processor: float
    wall: float


def run(command: list[str | Path], given: Any, environment: dict[str, str]) -> tuple[Took, str]:
    """Run *command* in a new process, with *given* as JSON on its standard input.

    Return how long it took, and the last line that it printed. Raise CalledProcessError if it failed.
    """
    with tempfile.TemporaryFile() as standard_input, tempfile.TemporaryFile() as output:
        standard_input.write(json.dumps(given).encode())
        standard_input.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=standard_input, stdout=output, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().decode().splitlines()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args, "\n".join(printed))
    return Took(processor=usage.ru_utime + usage.ru_stime, wall=wall), printed[-1] if printed else ""


def has_peer() -> bool:
    """Install the peer, and return whether it is there."""
    if not (shutil.which("npm") and shutil.which("node")):
        return False
    if not (PEER_FOLDER / "node_modules").exists():
        PEER_FOLDER.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(PEER_FOLDER), PEER]
        return not subprocess.run(npm, check=False, stdout=subprocess.DEVNULL).returncode
    return True


class FreshProcesses(Rig):
    """Runs each invocation in a fresh process, and bare boto3 after it."""

    def __init__(self, folder: Path, *, peer: bool, tls: bool) -> None:
        """Start the emulator; outbox and logs go to *folder*. With *peer*, it forwards what inbound has received. With
        *tls*, functions connect through TLS."""
        super().__init__(folder)
        self._endpoints: dict[str, str] = {}  # instead of the machine's own
        self._tls = self._through_tls(folder) if tls else None
        self.peer: list[Took] = []
        self._with_peer = peer
        self.took: dict[str, list[tuple[Took, Took]]] = defaultdict(list)
        self.services: dict[str, list[str]] = {}
        self.calls: dict[str, int] = {}
        self.ready: dict[str, list[float]] = defaultdict(list)

    def _through_tls(self, folder: Path) -> subprocess.Popen[str]:
        certificate, _ = issue(folder)
        authorities = folder / "authorities.pem"
        brought = (BUILD / "EmailHandlerLayer/python/botocore/cacert.pem").read_bytes()
        authorities.write_bytes(brought + certificate.read_bytes())
        plain = {name: value for name, value in self.machine.items() if name.startswith("AWS_ENDPOINT_URL")}
        command = [sys.executable, "-m", "tests.support.tls", str(folder), *plain.values()]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
        assert process.stdout
        urls = dict(zip(plain, process.stdout.readline().split(), strict=True))
        self._endpoints = {**urls, "AWS_CA_BUNDLE": str(authorities)}
        return process

    def close(self) -> None:
        """Stop everything."""
        if self._tls:
            self._tls.communicate()
        super().close()

    def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Run one invocation, as the worker would."""
        function = order["function"]
        code = "".join(part.title() for part in function.split("_")) + "Function"
        path = {"PYTHONPATH": f"{BUILD / code}:{BUILD / 'EmailHandlerLayer/python'}"}
        where = self.machine | self._endpoints | order["environment"] | path
        ours, printed = run([INTERPRETER, "-c", INVOCATION], order["event"], where)
        result = json.loads(printed)
        self.services[function], self.calls[function] = result["services"], result["calls"]
        self.ready[function].append(result["ready"])
        bare, _ = run([INTERPRETER, "-c", BOTO3], result["services"], self.machine)
        self.took[function].append((ours, bare))
        if function == "inbound" and self._with_peer:
            node = {
                "NODE_NO_WARNINGS": "1",
                "NODE_PATH": str(PEER_FOLDER / "node_modules"),
                "PATH": os.environ["PATH"],
            }
            command = ["node", "-e", PEER_INVOCATION, order["environment"]["ARCHIVE_BUCKET"], PEER_MAILBOX]
            self.peer.append(run(command, order["event"], self.machine | node)[0])
        return {"ended": "returned", "calls": [], "struck": [], "answer": result["answer"]}


def median(took: list[Took]) -> Took:
    """Return the medians of *took*."""
    return Took(
        processor=statistics.median(one.processor for one in took), wall=statistics.median(one.wall for one in took)
    )


def memory_sizes(processor: dict[str, float], calls: dict[str, int], wait: float) -> Table:
    """Return the table of a first contact at each memory size, everything cold: seconds until it is forwarded, and
    dollars for a thousand of it. *processor* has the seconds of each function, *wait* those of a call."""
    table = Table("MB", "Forwarded after s", "$ per 1,000")
    for size in SIZES:
        seconds = {name: processor[name] * CORE / size + calls[name] * wait for name in FIRST_CONTACT}
        dollars = sum(seconds.values()) * size / 1024 * GB_SECOND * 1000
        table.add_row(str(size), f"{seconds['inbound'] + seconds['forward_sender']:.2f}", f"{dollars:.3f}")
    return table


def main(arguments: list[str] | None = None) -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="make bench B=cold", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--wait", type=float, help="seconds a call, for the table of memory sizes")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rig = FreshProcesses(Path(folder), peer=not options.no_peer and has_peer(), tls=options.tls)
        try:
            for _ in range(options.rounds):
                with rig.world() as world:
                    first_contact(world)
                    owner_reply(world)
        finally:
            rig.close()
    table = Table("Function", "CPU s", "boto3", "Ratio", "Less boto3", "Ready s", "Ratio ", "Wall s", "boto3 ")
    ratios, ready_ratios = {}, {}
    for function, pairs in rig.took.items():
        ours, bare = median([pair[0] for pair in pairs]), median([pair[1] for pair in pairs])
        ratio = ours.processor / bare.processor
        ready = statistics.median(rig.ready[function])
        less = ours.processor - bare.processor
        figures = [ours.processor, bare.processor, ratio, less, ready, ready / bare.processor, ours.wall, bare.wall]
        table.add_row(function, *(f"{figure:.2f}" for figure in figures))
        ready_ratios[function] = round(ready / bare.processor, 2)
        ratios[function] = round(ratio, 2)
    if rig.peer:
        peer = median(rig.peer)
        table.add_row("the peer", f"{peer.processor:.2f}", "", "", "", "", "", f"{peer.wall:.2f}")
    console = Console(stderr=options.json)
    console.print(table)
    if options.wait is not None:
        used = {function: median([pair[0] for pair in pairs]).processor for function, pairs in rig.took.items()}
        console.print(memory_sizes(used, rig.calls, options.wait))
    if options.json:
        print(json.dumps({"ready": ready_ratios}))
        print(json.dumps(ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
