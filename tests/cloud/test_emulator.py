"""The emulator and its watchdog."""

import io
import os
import socket
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from cloud.clients import Clients
from cloud.emulator import Emulator, free_port, in_flight, require_free, wait_until
from cloud.errors import LocalCloudError
from tests.conftest import PROJECT

pytestmark = pytest.mark.cloud


def test_a_bucket_that_one_client_creates_is_visible_to_another(emulator: Emulator) -> None:
    Clients(emulator.endpoint).s3.create_bucket(Bucket="seen-by-another")

    assert "seen-by-another" in {b["Name"] for b in Clients(emulator.endpoint).s3.list_buckets()["Buckets"]}


def test_nothing_is_in_flight_if_nothing_was_invoked(emulator: Emulator) -> None:
    assert in_flight(emulator.endpoint) == 0


def test_a_burst_of_invocations_shares_a_few_processes(emulator: Emulator) -> None:
    lambda_ = Clients(emulator.endpoint).lambda_
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("handler.py", "import time\ndef handler(event, context):\n    time.sleep(0.1)\n")
    lambda_.create_function(
        FunctionName="burst",
        Runtime="python3.12",
        Handler="handler.handler",
        Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": code.getvalue()},
    )

    for _ in range(12):
        lambda_.invoke(FunctionName="burst", InvocationType="Event", Payload=b"{}")

    assert in_flight(emulator.endpoint) > 0
    wait_until(lambda: in_flight(emulator.endpoint) == 0, 30, "the burst's end")

    def spawned() -> int:
        return emulator.log.read_text().count("Lambda worker spawned for burst ")

    wait_until(lambda: spawned() > 0, 30, "the log of its processes")
    assert spawned() <= max(2, os.cpu_count() or 2)


def test_a_parent_that_is_killed_leaves_no_process_no_port_and_no_folder(tmp_path: Path) -> None:
    """SIGKILL runs no handler of the parent, so only the closed pipe can alert the watchdog."""
    port = free_port()
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import time
                from pathlib import Path
                from cloud.emulator import Emulator
                running = Emulator(Path({str(PROJECT)!r}), log=Path({str(tmp_path)!r}) / "log", port={port})
                print("ready", flush=True)
                time.sleep(600)
            """),
        ],
        stdout=subprocess.PIPE,
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout
    with parent.stdout:
        assert parent.stdout.readline() == b"ready\n"
    scratch = next(tmp_path.glob("local-cloud-*"))

    parent.kill()
    parent.wait()

    wait_until(lambda: not scratch.exists(), 10, "the scratch folder is removed")
    assert not _mentioned_by_a_process(str(scratch))
    require_free(port, "--any")


def test_the_error_about_a_port_in_use_names_the_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(LocalCloudError, match=rf"^port {port} is in use: .*--endpoint-port$"):
            Emulator(PROJECT, log=tmp_path / "log", port=port)


def test_the_error_about_a_missing_environment_names_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(LocalCloudError, match=r"\.venv-cloud is missing: run `make setup`"):
        Emulator(tmp_path, log=tmp_path / "log")


def test_state_is_kept_after_a_clean_stop(tmp_path: Path) -> None:
    with Emulator(PROJECT, log=tmp_path / "log", state=tmp_path / "state") as first:
        Clients(first.endpoint).ssm.put_parameter(Name="kept", Value="yes", Type="String")

    with Emulator(PROJECT, log=tmp_path / "log", state=tmp_path / "state") as second:
        assert Clients(second.endpoint).ssm.get_parameter(Name="kept")["Parameter"]["Value"] == "yes"


def _mentioned_by_a_process(text: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if text.encode() in entry.read_bytes():
                return True
        except OSError:
            continue
    return False
