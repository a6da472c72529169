"""The demo as a person starts it: what it prints, and that it leaves nothing running."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import demo
from cloud.emulator import wait_until
from tests.conftest import PROJECT

pytestmark = pytest.mark.cloud


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the demo with --json in a new process; its folder belongs to the test."""
    command = [sys.executable, "-m", "cli.demo", "--json", "--folder", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_the_demo_prints_twelve_steps_as_json_lines_and_nothing_else(
    started: subprocess.Popen[str], tmp_path: Path
) -> None:
    output, errors = started.communicate(timeout=240)
    lines = [json.loads(line) for line in output.splitlines()]

    assert [(line["step"], line["ok"]) for line in lines] == [(number, True) for number in range(1, 13)], errors
    assert all(line["receipts"] for line in lines)
    assert {line["conversation"] for line in lines} >= {"linkedin-jane-doe", lines[0]["conversation"]}
    assert started.returncode == 0
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == sum(len(line["sent"]) for line in lines)
    assert not listening(ports(tmp_path))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_ended_leaves_no_port_in_use(
    started: subprocess.Popen[str], tmp_path: Path, ending: signal.Signals
) -> None:
    wait_until(lambda: listening(ports(tmp_path)), 60, "the emulator")

    started.send_signal(ending)

    started.wait(timeout=30)
    wait_until(lambda: not listening(ports(tmp_path)), 30, "the emulator's end")
    assert started.returncode == (demo.INTERRUPTED if ending is not signal.SIGKILL else -signal.SIGKILL)


def ports(folder: Path) -> set[int]:
    """Return the ports that the emulator of *folder* has logged."""
    log = folder / "ministack.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    return {int(port) for port in re.findall(r"Running on http://127\.0\.0\.1:(\d+)", text)}


def listening(numbers: set[int]) -> set[int]:
    """Return those of *numbers* that a process listens on."""
    found = set()
    for number in numbers:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                found.add(number)
    return found


def test_a_failed_step_shows_what_was_expected_and_seen() -> None:
    step = demo.Step(number=1, title="A message")

    with pytest.raises(demo.StepFailed, match="expected: one forward; seen: 2"):
        step.check(False, "one forward", 2)
