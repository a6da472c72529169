"""``email-handler local`` from up to down, as a user types it: each test runs a local cloud of its own."""

import json
import os
import signal
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest

from cloud.emulator import require_free, wait_until
from tests.conftest import PROJECT

pytestmark = pytest.mark.cloud


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.local", *arguments, f"--folder={folder}"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)


def test_up_send_outbox_down(tmp_path: Path) -> None:
    up = run("up", "--detach", "--smtp-port=0", "--json", folder=tmp_path)
    address = json.loads(up.stdout)
    try:
        again = run("up", folder=tmp_path)
        sent = run("send", "--from=zoe@customer.example", "--wait", "--json", folder=tmp_path)
        typo = run("send", "--verdicts=spm=FAIL", folder=tmp_path)
        listed = run("outbox", "--json", folder=tmp_path)
        shown = run("outbox", "1", folder=tmp_path)
    finally:
        down = run("down", "--json", folder=tmp_path)

    assert again.returncode == 1
    assert "already running" in again.stderr
    assert len(json.loads(sent.stdout)["ses_message_id"]) == 40
    assert "554" in typo.stderr
    assert {tuple(json.loads(line)["recipients"]) for line in listed.stdout.splitlines()} == {
        ("zoe@customer.example",),
        ("owner@private.example",),
    }
    assert message_from_bytes(shown.stdout.encode())["Message-ID"].endswith("@email.amazonses.com>")
    assert json.loads(down.stdout) == {"stopped": address["pid"]}
    require_free(address["smtp_port"], "")
    assert not (tmp_path / "cloud.json").exists()
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_cloud_that_is_stopped_while_it_starts_leaves_nothing_behind(tmp_path: Path, ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "cli.local", "up", "--smtp-port=0", f"--folder={tmp_path}"]
    up = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL)
    # Not the folder: it exists shortly before the watchdog, which is to remove it.
    wait_until(lambda: _processes_of(f"{tmp_path}/local-cloud-"), 30, "the emulator's start")

    up.send_signal(ending)
    up.wait()

    wait_until(lambda: not list(tmp_path.glob("local-cloud-*")), 30, "the emulator's end")
    wait_until(lambda: not _processes_of(str(tmp_path)), 30, "the end of all its processes")


def _processes_of(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    return found
