"""Runs one command that cannot outlive whoever asked for it: ``watchdog.py GRACE SCRATCH COMMAND…``.

The asker holds the other end of this process's standard input. When that closes, however the asker died, or when
SIGTERM arrives, the command gets *GRACE* seconds to end by itself and then its whole process group is killed.
The folder *SCRATCH* (``-`` for none) is removed last. The exit code is the command's.

It is a script of the standard library alone, run as ``python -I -S``, so that it is up in 20 ms.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading


def run(grace: float, scratch: str, command: list[str]) -> int:
    """Run *command* in a process group of its own until it ends or our standard input does; return its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM if grace else signal.SIGKILL)
        threading.Timer(grace, lambda: kill_group(child.pid)).start()

    def end_with_the_asker() -> None:
        while os.read(0, 4096):
            pass
        end()

    signal.signal(signal.SIGTERM, lambda *_: end())
    threading.Thread(target=end_with_the_asker, daemon=True).start()
    try:
        code = child.wait()
    finally:
        kill_group(child.pid)
        if scratch != "-":
            shutil.rmtree(scratch, ignore_errors=True)
    return code


def kill_group(group: int) -> None:
    """Kill what is left of a process group, if anything is."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    # Not sys.exit: a timer may still be waiting for a grace that nobody needs any more.
    os._exit(run(float(sys.argv[1]), sys.argv[2], sys.argv[3:]) & 0xFF)
