"""Runs the contract tests against moto's server: ``python -m tests.support.moto [PYTEST ARGUMENTS]`` (``make test-moto``).

What the fakes promise then holds on an implementation of AWS that has nothing in common with MiniStack.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from cloud import PROJECT
from cloud.emulator import free_port, wait_until
from cloud.guarded import Guarded

_SERVER = PROJECT / ".venv-moto/bin/moto_server"
_HOST = "127.0.0.1"
_START = 30.0  # seconds; 2 are usual

RACES = [
    "test_dynamodb.py::test_requests_that_arrive_twice_take_effect_once",
    "test_ledger.py::test_two_simultaneous_sends_of_a_conversation_lose_no_update[aws]",
    "test_records.py::test_only_one_of_ten_simultaneous_runs_decides[aws]",
]
"""Contract tests that moto fails at times: its server runs requests on threads, and neither its transactions nor its
conditional writes nor its client request tokens are atomic between them."""


def main() -> int:
    """Start moto, run the contract tests without its :data:`RACES`, and stop it. Return pytest's exit code."""
    port = free_port()
    environment = {"PATH": os.defpath, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    command: list[str | Path] = [_SERVER, "--host", _HOST, "--port", str(port)]
    with Guarded(command, environment=environment, output=subprocess.DEVNULL) as server:
        wait_until(lambda: server.process.poll() is not None or _listens(port), _START, "moto's start")
        tests = [sys.executable, "-m", "pytest", "tests/contract", *sys.argv[1:]]
        tests += [f"--deselect=tests/contract/{each}" for each in RACES]
        endpoint = {"EMAIL_HANDLER_ENDPOINT": f"http://{_HOST}:{port}"}
        return subprocess.run(tests, env=os.environ | endpoint, cwd=PROJECT, check=False).returncode


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


if __name__ == "__main__":
    sys.exit(main())
