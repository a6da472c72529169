"""Runs one command that cannot outlive its parent: ``watchdog.py GRACE SCRATCH COMMAND…``.

The parent holds the other end of this process's standard input. When that closes, however the parent ended, or on
SIGTERM, the command gets *GRACE* seconds to exit; then its whole process group is killed.
The folder *SCRATCH* (``-`` for none) is removed last. The exit code is the command's.

The script uses only the standard library and runs as ``python -I -S``, so that it starts in 20 ms.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading


def run(grace: float, scratch: str, command: list[str]) -> int:
    """Run *command* in its own process group until it exits or our standard input closes; return its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def end() -> None:
        signal_group(child.pid, signal.SIGTERM if grace else signal.SIGKILL)
        threading.Timer(grace, signal_group, (child.pid, signal.SIGKILL)).start()

    def end_with_the_parent() -> None:
        while os.read(0, 4096):
            pass
        end()

    signal.signal(signal.SIGTERM, lambda *_: end())
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    try:
        return child.wait()
    finally:
        signal_group(child.pid, signal.SIGKILL)
        if scratch != "-":
            shutil.rmtree(scratch, ignore_errors=True)


def signal_group(group: int, number: int) -> None:
    """Send signal *number* to a process group, if it still has processes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


if __name__ == "__main__":
    # Not sys.exit: a timer may still be waiting for a grace period that has no purpose any more.
    os._exit(run(float(sys.argv[1]), sys.argv[2], sys.argv[3:]) & 0xFF)
