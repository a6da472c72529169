"""The side of the function: hands documents to the process that reads them, and survives its end."""

import json
import subprocess
import sys
from collections.abc import Mapping
from os import pathsep
from typing import Any, Self

from email_handler.ports import Extracted

INHERITED = ("LD_LIBRARY_PATH", "PATH", "TMPDIR")
"""Variables that Python needs to start on Lambda. No others: credentials are not for a parser of hostile documents."""

_COMMAND = (sys.executable, "-P", "-m", "email_handler.adapters.extraction.process")


class DocumentExtractor:
    """Reads PDF, Office, Outlook, web and text documents.

    The process starts with the first document and serves all later ones (see extraction/process.py).
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """*environment* has what of :data:`INHERITED` is set."""
        self._environment = {
            **environment,
            "PYTHONPATH": pathsep.join(filter(None, sys.path)),  # Lambda adds the layer's folder at run time only
            "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MB of the address space that the process may have
        }
        self._process: subprocess.Popen[bytes] | None = None

    def extract(self, payload: bytes, charset: str, seconds: float) -> Extracted:
        """Return type and text of *payload* within *seconds*. The status says what failed, in constants: an exception's
        or signal's name, ``time`` or ``process``."""
        if not payload:
            return Extracted(detected_type="", text="", status="no text")
        if seconds <= 0:
            return Extracted(detected_type="", text="", status="failed: time")
        try:
            found = self._ask(payload, {"size": len(payload), "charset": charset, "seconds": seconds})
        except (OSError, ValueError):  # the process could not be started or is gone, perhaps in the middle of a line
            self.close()
            return Extracted(detected_type="", text="", status="failed: process")
        return Extracted(
            detected_type=found.get("detected_type", ""), text=found.get("text", ""), status=found["status"]
        )

    def _ask(self, payload: bytes, order: dict[str, Any]) -> dict[str, str]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(  # noqa: S603 - a constant command
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
        assert self._process.stdin  # noqa: S101 - for the type checker: both are pipes
        assert self._process.stdout  # noqa: S101
        self._process.stdin.write(json.dumps(order).encode() + b"\n" + payload)
        self._process.stdin.flush()
        found: dict[str, str] = {}
        while "status" not in found:
            found |= json.loads(self._process.stdout.readline())  # ValueError at the end of the stream
        return found

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
