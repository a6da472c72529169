"""Starts commands under the watchdog, so that no way of ending this process leaves one running."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from cloud import watchdog

_SLACK = 60  # seconds beyond the grace period: removing the scratch folder takes a while on a busy machine
_MEMORY = "/dev/shm"
_PLENTY = 4 * 1024**3  # bytes; each process of the attachment function takes 100 MB


class Guarded:
    """A command that runs until it exits, :meth:`close` is called, or this process ends, whichever comes first."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | int,
        grace: float = 0,
        scratch: Path | None = None,
        folder: Path | None = None,
        umask: int = -1,
    ) -> None:
        """Start *command* with exactly *environment* and *umask* (-1: ours); *scratch* is removed after it has ended
        (see watchdog)."""
        self.grace = grace
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, str(grace), str(scratch or "-"), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            umask=umask,
            start_new_session=True,  # Ctrl-C in a terminal is for this process, which closes the watchdog's pipe
        )

    def close(self) -> None:
        """End the command and all its children, and wait until they are gone."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait(timeout=self.grace + _SLACK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def new_scratch() -> Path:
    """Return a new folder for a command's temporary files, which the watchdog removes.

    It is in memory if there is plenty and TMPDIR is not set: every cold start of a function unpacks the layer's
    thousand files, which takes a second of processor time on a disk and a tenth of that in memory.
    """
    place = None
    if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK):
        memory = os.statvfs(_MEMORY)
        if memory.f_bavail * memory.f_frsize > _PLENTY and not memory.f_flag & os.ST_NOEXEC:
            place = _MEMORY
    return Path(tempfile.mkdtemp(prefix="local-cloud-", dir=place))


def run(
    command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path, limit: float
) -> tuple[int, str]:
    """Run *command* to its end; return exit code and output (stdout and stderr together).

    Others may read the files that it makes: Lambda's user must be able to read what SAM builds.
    Raise TimeoutError after *limit* seconds. No process and no temporary file of the command remains in any case.
    """
    scratch = new_scratch()
    environment = {**environment, "TMPDIR": str(scratch)}
    with (
        tempfile.TemporaryFile() as output,
        Guarded(
            command, environment=environment, output=output, scratch=scratch, folder=folder, umask=0o022
        ) as guarded,
    ):
        try:
            code = guarded.process.wait(timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{Path(command[0]).name} did not end within {limit:.0f} s") from error
        output.seek(0)
        return code, output.read().decode(errors="replace")
