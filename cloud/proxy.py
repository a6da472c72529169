"""Stands between the functions and AWS: keeps a record of every call, and breaks those it is told to break.

Faults come as AWS's own do: error bodies that botocore reads, connections that are reset, answers that never come, and
a process that dies with its call done. Which function called is told by the name that botocore puts into its
User-Agent (``AWS_SDK_UA_APP_ID``); :func:`between` gives the deployed functions that name and this endpoint.
"""

import http.client
import json
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from cloud.cloud import LocalCloud
from cloud.ses import SEND_PATH

_FUNCTION = re.compile(r"\bapp/([\w-]+)")
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/")
_NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "expect", "date", "server"}
_THROTTLED = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "s3": (503, "SlowDown"),
    "ses": (429, "TooManyRequestsException"),
}
_ESTABLISHED = "01"


class Fault(StrEnum):
    """What can go wrong with a call."""

    RESET = "reset"  # before it reached AWS
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"  # AWS's own error, 500 or 503
    LOST = "lost"  # it took effect, and the connection was closed instead of an answer
    KILLED = "killed"  # it took effect, and the process that made it was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: what botocore calls an attempt."""

    function: str  # logical id, "" where the caller has no name
    service: str
    operation: str
    target: str  # the queue's name, "" for others
    call: str  # the same for all attempts of one call
    began: float = 0.0  # seconds, of a clock that only runs forward
    ended: float = 0.0
    status: int = 0  # AWS's, or the fault's; 0 where there is none
    fault: Fault | None = None

    def __str__(self) -> str:
        return f"{self.service}.{self.operation}" + (f" {self.target}" if self.target else "")


type Breaker = Callable[[Call], Fault | None]
type Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, header fields, body."""


class Proxy:
    """An HTTP server on a port of its own, in threads of this process."""

    def __init__(self, upstream: str, ses_upstream: str, breaker: Breaker = lambda _: None) -> None:
        """Pass SES's sends on to *ses_upstream*, all else to *upstream*; ask *breaker* about each."""
        self.breaker = breaker
        self.calls: list[Call] = []  # in the order of their ends
        self._upstream, self._ses_upstream = urlsplit(upstream).netloc, urlsplit(ses_upstream).netloc
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="proxy", daemon=True).start()

    def upstream(self, call: Call) -> str:
        """Return host and port that *call* goes to."""
        return self._ses_upstream if call.operation == "SendEmail" else self._upstream

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def between(cloud: LocalCloud, breaker: Breaker = lambda _: None) -> Iterator[Proxy]:
    """Yield a proxy that the deployed functions of *cloud* reach all of AWS through, SES included."""
    with Proxy(cloud.endpoint, cloud.address.ses_endpoint, breaker) as proxy:
        for name in (name for name in cloud.resources if name.endswith("Function")):
            known = cloud.clients.lambda_.get_function_configuration(FunctionName=cloud.resources[name])
            variables = known["Environment"]["Variables"] | {
                "AWS_ENDPOINT_URL": proxy.url,
                "AWS_ENDPOINT_URL_SESV2": proxy.url,
                "AWS_SDK_UA_APP_ID": name,
            }
            cloud.clients.lambda_.update_function_configuration(
                FunctionName=cloud.resources[name], Environment={"Variables": variables}
            )
        yield proxy


class _Handler(BaseHTTPRequestHandler):
    owner: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Answer one request; a client that went away is no news."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Answer every method alike (the base class asks for ``do_GET`` and its like)."""
        if name.startswith("do_"):
            return self._route
        raise AttributeError(name)

    def _route(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = replace(self._call(body), began=time.monotonic())
        fault = self.owner.breaker(call)
        answer: Answer = (0, [], b"")
        if fault in (Fault.THROTTLED, Fault.UNAVAILABLE):
            answer = _refusal(call.service, throttled=fault is Fault.THROTTLED)
        elif fault is not Fault.RESET:
            answer = self._pass_on(call, body)
        # Noted before the answer goes out: what the function calls next begins after this call's end.
        self.owner.calls.append(replace(call, ended=time.monotonic(), status=answer[0], fault=fault))
        match fault:
            case Fault.RESET:
                self._hang_up(reset=True)
            case Fault.LOST:
                self._hang_up(reset=False)
            case Fault.KILLED:
                _kill_peer(self.client_address[1])
                self._hang_up(reset=False)
            case _:
                self._answer(*answer)

    def _call(self, body: bytes) -> Call:
        agent = _FUNCTION.search(self.headers.get("User-Agent", ""))
        scope = _SERVICE.search(self.headers.get("Authorization", ""))
        service = scope[1] if scope else ""
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or self._operation(body)
        target = (
            json.loads(body).get("QueueUrl", "").rpartition("/")[2] if service == "sqs" and body[:1] == b"{" else ""
        )
        return Call(
            function=agent[1] if agent else "",
            service=service,
            operation=operation,
            target=target,
            call=self.headers.get("amz-sdk-invocation-id") or str(uuid4()),
        )

    def _operation(self, body: bytes) -> str:
        """Name an operation whose protocol does not: SES's by its path, S3's by method and query, else the query's."""
        url = urlsplit(self.path)
        if url.path == SEND_PATH:
            return "SendEmail"
        if body.startswith(b"Action="):
            return parse_qs(body.decode())["Action"][0]
        what = "ObjectTagging" if "tagging" in url.query else "ObjectsV2" if "list-type" in url.query else "Object"
        return ("List" if what == "ObjectsV2" else self.command.capitalize()) + what

    def _pass_on(self, call: Call, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self.owner.upstream(call), timeout=120)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:  # linger 0: the client reads a reset, not an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing: the calls are in the record."""


def _refusal(service: str, *, throttled: bool) -> Answer:
    """Return a no as the service says it: botocore finds the code where it looks for it."""
    if throttled:
        status, code = _THROTTLED.get(service, (400, "ThrottlingException"))
    else:
        status, code = (500, "InternalServerError") if service == "dynamodb" else (503, "ServiceUnavailable")
    if service == "s3":
        kind, body = "application/xml", f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
    else:
        kind, body = "application/x-amz-json-1.0", json.dumps({"__type": code, "message": "injected"}).encode()
    return status, [("Content-Type", kind), ("x-amzn-ErrorType", code)], body


def _kill_peer(port: int) -> None:
    """Kill the process whose connection comes from *port*, if it is one that we started. Linux only: by ``/proc``."""
    for process in Path("/proc").glob("[0-9]*"):
        if _holds(process, _inode(port)) and _is_ours(int(process.name)):
            os.kill(int(process.name), signal.SIGKILL)
            return


def _inode(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _ESTABLISHED:
            return fields[9]
    return ""


def _holds(process: Path, inode: str) -> bool:
    try:
        return any(str(link.readlink()) == f"socket:[{inode}]" for link in (process / "fd").iterdir())
    except OSError:  # somebody else's, or gone by now
        return False


def _is_ours(process: int) -> bool:
    """Tell whether *process* descends from this one without being it."""
    parent = process
    while parent > 1:
        try:
            parent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if parent == os.getpid():
            return True
    return False
