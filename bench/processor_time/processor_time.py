"""Lets a function's process say with each AWS call how much processor time it has taken: a plugin of botocore.

botocore loads it into every client that is created while BOTOCORE_EXPERIMENTAL__PLUGINS names this module. It imports
nothing of the project, since the functions of the local cloud load it. Linux only: it reads ``/proc``.
"""

import os
import time
from pathlib import Path
from typing import Any

HEADER = "X-Processor-Time"
"""Process id and seconds since the process began, those of its children included."""

FOLDER = str(Path(__file__).parent)
"""What a function's PYTHONPATH must have."""

_TICKS = os.sysconf("SC_CLK_TCK")


def initialize_client_plugin(client: Any) -> None:
    """Let *client* say it with each request. botocore calls this for each new client."""
    client.meta.events.register("before-send", _stamp)


def _stamp(request: Any, **_: Any) -> None:
    request.headers[HEADER] = f"{os.getpid()} {time.process_time() + sum(map(_of_process, _children())):.4f}"


def _children() -> list[str]:
    return [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]


def _of_process(pid: str) -> float:
    """Return the seconds of a process and of those of its children that have ended (proc_pid_stat(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS
