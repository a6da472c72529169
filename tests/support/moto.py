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

_PYTHON = PROJECT / ".venv-moto/bin/python"
_HOST = "127.0.0.1"
_START = 30.0  # seconds; 2 are usual

_ONE_BY_ONE = f"""
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("{_HOST}", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""
"""moto's own command serves requests on threads, between which neither its transactions nor its conditional writes are
atomic. AWS's are: requests that arrive together take effect one after the other."""

LACKING = ["test_dynamodb.py::test_requests_that_arrive_twice_take_effect_once"]
"""Contract tests of what moto does not do: it ignores a transaction's client request token."""


def main() -> int:
    """Start moto, run the contract tests but for what it is :data:`LACKING`, and stop it. Return pytest's exit code."""
    port = free_port()
    environment = {"PATH": os.defpath, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    command: list[str | Path] = [_PYTHON, "-c", _ONE_BY_ONE, str(port)]
    with Guarded(command, environment=environment, output=subprocess.DEVNULL) as server:
        wait_until(lambda: server.process.poll() is not None or _listens(port), _START, "moto's start")
        tests = [sys.executable, "-m", "pytest", "tests/contract", *sys.argv[1:]]
        tests += [f"--deselect=tests/contract/{each}" for each in LACKING]
        endpoint = {"EMAIL_HANDLER_ENDPOINT": f"http://{_HOST}:{port}"}
        return subprocess.run(tests, env=os.environ | endpoint, cwd=PROJECT, check=False).returncode


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


if __name__ == "__main__":
    sys.exit(main())
