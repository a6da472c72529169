"""Commands under the watchdog: their output, and that they end."""

import os
import sys
from pathlib import Path

import pytest

from cloud import guarded
from cloud.clients import Clients
from cloud.deploy import deploy
from cloud.emulator import wait_until
from cloud.errors import LocalCloudError

PYTHON = sys.executable


def run(script: str, folder: Path, limit: float = 30) -> tuple[int, str]:
    return guarded.run([PYTHON, "-c", script], environment={"PATH": "", "A": "b"}, folder=folder, limit=limit)


def test_exit_code_and_both_outputs_are_returned(tmp_path: Path) -> None:
    script = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"

    assert run(script, tmp_path) == (3, "out\nerr\n")


def test_a_command_has_the_given_environment_and_a_folder_for_temporary_files(tmp_path: Path) -> None:
    code, output = run("import os; print(sorted(os.environ)); print(os.environ['TMPDIR'])", tmp_path)

    names, scratch = output.splitlines()
    assert code == 0
    assert set(names) >= set("['A', 'PATH', 'TMPDIR']")
    assert "HOME" not in names
    assert not Path(scratch).exists()


def test_others_may_read_what_a_command_makes_though_our_own_files_are_private(tmp_path: Path) -> None:
    """Lambda runs what SAM builds as another user."""
    own = os.umask(0o077)
    try:
        run("open('built', 'w')", tmp_path)
    finally:
        os.umask(own)

    assert (tmp_path / "built").stat().st_mode & 0o777 == 0o644


def test_a_command_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    child = (
        f"import subprocess; subprocess.run([{PYTHON!r}, '-c', 'open(\"alive\", \"w\"); import time; time.sleep(600)'])"
    )

    for limit in (1, 4, 16, 64):  # seconds; on a busy machine the child may not have started before the first of them
        with pytest.raises(TimeoutError, match=f"did not end within {limit} s"):
            run(child, tmp_path, limit=limit)
        if (tmp_path / "alive").exists():
            break

    assert (tmp_path / "alive").exists()
    # On a busy machine a killed process takes a moment to go.
    wait_until(lambda: not any(_works_in(process, tmp_path) for process in Path("/proc").glob("[0-9]*")), 10, "its end")


def test_the_error_about_a_failed_build_has_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(
        "Transform: AWS::Serverless-2016-10-31\nParameters: {}\nResources:\n  F:\n    Type: AWS::Serverless::Function\n"
        "    Properties: {Runtime: python3.12, Handler: a.b, CodeUri: code}\n"
    )
    (tmp_path / "code").mkdir()
    (tmp_path / "code/requirements.txt").write_text("this is no requirement\n")

    with pytest.raises(LocalCloudError, match=r"(?s)^sam build failed:\n  .*no requirement"):
        deploy(tmp_path, Clients("http://127.0.0.1:9"), given={}, function_endpoint="")


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        return False
