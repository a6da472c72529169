"""The process that reads documents: it imports the libraries once, then forks for each document.

The fork costs milliseconds, a new interpreter a fifth of a second (ADR 16). The kernel ends a fork that takes too
much time or memory, so nothing in it needs to cooperate, and no document meets what an earlier one left. Orders and
results are lines of JSON in pipes: Lambda has no /dev/shm for multiprocessing's queues. An order is
``{"size", "charset", "seconds"}`` and then *size* bytes; results are ``{"detected_type"}`` as soon as that is known and
``{"status", "text"}``, whose ``text`` may be missing.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from typing import Any, BinaryIO

from email_handler.adapters.extraction import documents

MEMORY = 1024 * 1024 * 1024  # bytes of address space for one document: half of the function's memory (template.yaml)
MAX_TEXT = 2_000_000  # characters kept of one document
_INSTALLING = 30.0  # seconds
_EMPTY_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj
trailer<</Root 1 0 R>>"""


def main() -> None:
    """Serve orders until standard input ends."""
    orders, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what a library prints must not come between the results, nor into a log
    os.dup2(silence, 2)
    _install()
    while line := orders.readline():
        order = json.loads(line)
        _serve(orders.read(order["size"]), order["charset"], order["seconds"], results)
        results.flush()


def _install() -> None:
    """Let the library write its PDF reader (8 MB) to the folder for temporary files, as it does before its first PDF.

    Later forks may write nothing, and one that is killed meanwhile would leave half of it.
    """
    child = os.fork()
    if child == 0:
        try:
            signal.setitimer(signal.ITIMER_REAL, _INSTALLING)
            documents.read(documents.recognise(_EMPTY_PDF, ""), 1)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _serve(payload: bytes, charset: str, seconds: float, results: BinaryIO) -> None:
    """Write the results for *payload*, whatever becomes of the process that reads it."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _limit(seconds)
            with os.fdopen(write_end, "wb") as pipe:
                _read(payload, charset, pipe)
        finally:
            os._exit(0)  # never back into the loop
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        lines = [line for line in pipe if line.endswith(b"\n")]
    _, status = os.waitpid(child, 0)
    results.writelines(lines)
    if not (lines and b'"status"' in lines[-1][:10]):
        results.write(_line(status=f"failed: {_cause(status)}"))


def _limit(seconds: float) -> None:
    """Bound the calling process. The kernel's answer to too much memory is a failed allocation, to the rest a signal."""
    for kind, limit in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError):  # a lower limit is in force already
            resource.setrlimit(kind, (limit, limit))
    signal.setitimer(signal.ITIMER_REAL, seconds)  # SIGALRM, whose default is to kill


def _read(payload: bytes, charset: str, pipe: BinaryIO) -> None:
    try:
        document = documents.recognise(payload, charset)
        pipe.write(_line(detected_type=document.media_type))
        pipe.flush()
        status, text = documents.read(document, MAX_TEXT)
        pipe.write(_line(status=status, text=text))
    except BaseException as error:  # noqa: BLE001 - a Rust panic is a BaseException
        pipe.write(_line(status=f"failed: {type(error).__name__}"))


def _line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def _cause(status: int) -> str:
    """Return how a process with this wait *status* ended."""
    if not os.WIFSIGNALED(status):
        return "exit"
    number = os.WTERMSIG(status)
    return "time" if number == signal.SIGALRM else signal.Signals(number).name


if __name__ == "__main__":
    main()
