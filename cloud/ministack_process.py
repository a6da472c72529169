"""The emulator's process: ``.venv-cloud``'s Python runs this file; the first argument is the functions' interpreter.

Functions run under ``sys.executable``. An environment that has only boto3, as Lambda's does, shows a requirement
missing from the layer, which MiniStack's own environment would hide.
"""

import hashlib
import json
import os
import sys
import tempfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

IN_FLIGHT_PATH = "/_local/in-flight"


def in_flight() -> int:
    """Return how many invocations are running, or are asynchronous and wait for a retry."""
    from ministack.services import lambda_svc  # noqa: PLC0415  (the first call to Lambda loads it)

    # MiniStack keeps no list of its asynchronous invocations, but each has a thread that holds its arguments.
    asynchronous = sum(
        "invoke_async_with_retry" in getattr(argument, "__qualname__", "")
        for thread in threading.enumerate()
        for argument in getattr(thread, "_args", ())
    )
    running: int = lambda_svc.executions_in_flight()[0]
    return asynchronous + running


def bounded(run: Callable[..., Any], width: int) -> Callable[..., Any]:
    """Return MiniStack's *run* of one invocation, limited to *width* at a time for each function; others wait.

    Every concurrent run is a process with its own unpacked layer and code: 100 messages at once would be 100 times
    100 MB of text extraction. Lambda's queue of asynchronous invocations waits in the same way when it scales slowly.
    """
    turns: defaultdict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(width))

    def run_in_turn(function: dict[str, Any], configuration: dict[str, Any], *rest: Any) -> Any:
        with turns[configuration.get("FunctionArn", "")]:
            return run(function, configuration, *rest)

    return run_in_turn


class UnpackedOnce(zipfile.ZipFile):
    """A ZIP file that this process checks and extracts once; the next extraction of the same bytes is links to that.

    Every cold start extracts the layer's two thousand files, which takes half of its processor time. Functions only
    read them.
    """

    _kept: ClassVar[dict[bytes, Path]] = {}
    _lock = threading.Lock()

    def __init__(self, path: str) -> None:
        """Open the file at *path*."""
        super().__init__(path)
        with Path(path).open("rb") as file:
            self._digest = hashlib.file_digest(file, "sha256").digest()

    def namelist(self) -> list[str]:
        """Return the names that are to be checked: none if the file was extracted before."""
        return [] if self._digest in self._kept else super().namelist()

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        """Link what is at the top of the file into the folder *path*."""
        with self._lock:
            if self._digest not in self._kept:
                folder = Path(tempfile.mkdtemp(prefix="extracted-"))
                super().extractall(folder, members, pwd)
                self._kept[self._digest] = folder
        for entry in self._kept[self._digest].iterdir():
            (Path(path) / entry.name).symlink_to(entry)


def deliver(arn: str, event: str) -> None:
    """Invoke the function *arn* on an EventBridge event as AWS does: asynchronously, with two retries and then the
    function's on-failure destination. MiniStack itself makes one attempt and forgets a failed one.
    """
    from ministack.services import lambda_svc  # noqa: PLC0415  (the first call to Lambda loads it)

    function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001
    if function and configuration:
        record = lambda_svc._execution_record_for_config(function, configuration)  # noqa: SLF001
        lambda_svc.invoke_async_with_retry(record, json.loads(event))


def main() -> None:
    """Run MiniStack as its environment variables configure it, with bounded runs, IN_FLIGHT_PATH and no web pages."""
    sys.executable = sys.argv.pop(1)
    # The checkout instead of this file's folder, whose cloud.py would hide the package; functions do not inherit it.
    sys.path = [*sys.path[1:], str(Path(__file__).parents[1])]
    from ministack import app as ministack  # noqa: PLC0415  (it reads sys.executable)
    from ministack.core import lambda_runtime  # noqa: PLC0415
    from ministack.services import eventbridge, lambda_svc  # noqa: PLC0415

    from cloud.loopback import is_loopback  # noqa: PLC0415

    width = max(2, os.cpu_count() or 2)
    lambda_svc._execute_function_dispatch = bounded(lambda_svc._execute_function_dispatch, width)  # noqa: SLF001
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": UnpackedOnce})
    eventbridge._dispatch_to_lambda = deliver  # noqa: SLF001

    emulator = ministack.app
    containers = not is_loopback(os.environ["BIND_HOST"])

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if reason := refused(scope, containers=containers):
            await respond(scope, send, 403, {"message": f"The local cloud does not serve this request: {reason}"})
        elif scope.get("path") == IN_FLIGHT_PATH:
            await respond(scope, send, 200, {"in_flight": in_flight()})
        else:
            await emulator(scope, receive, send)

    ministack.app = app
    ministack.main()


def refused(scope: dict[str, Any], *, containers: bool) -> str:
    """Return why the ASGI request *scope* is not served, "" if it is or if it is no request at all."""
    if scope["type"] not in {"http", "websocket"}:
        return ""
    from cloud.loopback import refusal  # noqa: PLC0415  (main sets the path)

    return refusal(((n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]), containers=containers)


async def respond(scope: dict[str, Any], send: Any, status: int, body: dict[str, Any]) -> None:
    """Send a JSON response, or close a WebSocket that is not open yet."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # RFC 6455 §7.4.1: policy violation
        return
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


if __name__ == "__main__":
    main()
