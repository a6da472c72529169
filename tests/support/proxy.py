"""A proxy between the functions and AWS: records every call, and breaks those it is asked to break.

Faults look like AWS's own: error bodies that botocore reads, connections that are reset, lost responses, and
a process that dies after its call took effect. The function that called is known by the name that botocore puts into
its User-Agent (``AWS_SDK_UA_APP_ID``); :func:`between` gives the deployed functions that name and this endpoint.
"""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from cloud.cloud import LocalCloud
from cloud.http_server import Exchange, HttpServer, Response
from cloud.ses import SEND_PATH

_FUNCTION = re.compile(r"\bapp/([\w-]+)")
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/")
_THROTTLED = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "s3": (503, "SlowDown"),
    "ses": (429, "TooManyRequestsException"),
}
_ESTABLISHED = "01"


class Fault(StrEnum):
    """What can go wrong with a call."""

    RESET = "reset"  # the connection was reset before the call reached AWS
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"  # AWS's own error, 500 or 503
    LOST = "lost"  # the call took effect, and the connection was closed instead of a response
    KILLED = "killed"  # the call took effect, and the process that made it was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: what botocore calls an attempt."""

    function: str  # logical id, "" if the caller has no name
    service: str
    operation: str
    target: str  # the queue's name, "" for others
    call: str  # the same for all attempts of one call
    began: float = 0.0  # seconds, monotonic
    ended: float = 0.0
    status: int = 0  # AWS's, or the fault's; 0 for none
    fault: Fault | None = None

    def __str__(self) -> str:
        return f"{self.service}.{self.operation}" + (f" {self.target}" if self.target else "")


type Breaker = Callable[[Call], Fault | None]


class Proxy(HttpServer):
    """The proxy, at a free port."""

    def __init__(self, upstream: str, ses_upstream: str, breaker: Breaker = lambda _: None) -> None:
        """Forward SES's sends to *ses_upstream* and all else to *upstream*; *breaker* chooses each call's fault."""
        self.breaker = breaker
        self.calls: list[Call] = []  # in the order in which they ended
        self._upstream, self._ses_upstream = upstream, ses_upstream
        super().__init__()

    def serve(self, exchange: Exchange) -> None:
        """Forward a request, or break it, and record the call."""
        call = replace(_call(exchange), began=time.monotonic())
        fault = self.breaker(call)
        response: Response = (0, [], b"")
        if fault in (Fault.THROTTLED, Fault.UNAVAILABLE):
            response = _refusal(call.service, throttled=fault is Fault.THROTTLED)
        elif fault is not Fault.RESET:
            response = self.forward(call, exchange)
        # Recorded before the response is sent: the function's next call begins after this call's end.
        self.calls.append(replace(call, ended=time.monotonic(), status=response[0], fault=fault))
        if fault is Fault.KILLED:
            _kill_peer(exchange.client_address[1])
        if fault in (Fault.RESET, Fault.LOST, Fault.KILLED):
            exchange.hang_up(reset=fault is Fault.RESET)
        else:
            exchange.respond(*response)

    def forward(self, call: Call, exchange: Exchange) -> Response:
        """Send the request on, and return AWS's response."""
        return exchange.forward(self._ses_upstream if call.operation == "SendEmail" else self._upstream)


@contextmanager
def between(cloud: LocalCloud, breaker: Breaker = lambda _: None) -> Iterator[Proxy]:
    """Yield a proxy through which the deployed functions of *cloud* reach all of AWS, SES included."""
    with Proxy(cloud.endpoint, cloud.address.ses_endpoint, breaker) as proxy:
        lead_through(proxy, cloud)
        yield proxy


def lead_through(proxy: Proxy, cloud: LocalCloud, **further: str) -> None:
    """Let the deployed functions of *cloud* call AWS through *proxy*, with *further* environment variables."""
    for name in (name for name in cloud.resources if name.endswith("Function")):
        known = cloud.clients.lambda_.get_function_configuration(FunctionName=cloud.resources[name])
        variables = known["Environment"]["Variables"] | {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ENDPOINT_URL_SESV2": proxy.url,
            "AWS_SDK_UA_APP_ID": name,
        }
        cloud.clients.lambda_.update_function_configuration(
            FunctionName=cloud.resources[name], Environment={"Variables": variables | further}
        )


def _call(exchange: Exchange) -> Call:
    agent = _FUNCTION.search(exchange.headers.get("User-Agent", ""))
    scope = _SERVICE.search(exchange.headers.get("Authorization", ""))
    service = scope[1] if scope else ""
    body = exchange.body
    queue = json.loads(body).get("QueueUrl", "") if service == "sqs" and body[:1] == b"{" else ""
    return Call(
        function=agent[1] if agent else "",
        service=service,
        operation=exchange.headers.get("X-Amz-Target", "").rpartition(".")[2] or _operation(exchange),
        target=queue.rpartition("/")[2],
        call=exchange.headers.get("amz-sdk-invocation-id") or str(uuid4()),
    )


def _operation(exchange: Exchange) -> str:
    """Return the name of an operation that X-Amz-Target does not name: SES's by its path, S3's by method and query,
    others' by their ``Action``."""
    url = urlsplit(exchange.path)
    if url.path == SEND_PATH:
        return "SendEmail"
    if exchange.body.startswith(b"Action="):
        return parse_qs(exchange.body.decode())["Action"][0]
    if "list-type" in url.query:
        return "ListObjectsV2"
    return exchange.command.capitalize() + ("ObjectTagging" if "tagging" in url.query else "Object")


def _refusal(service: str, *, throttled: bool) -> Response:
    """Return an error response in the form that botocore expects of *service*."""
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
    """Kill the process that connects from *port*, if it descends from this one. Linux only: it reads ``/proc``."""
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
    except OSError:  # another user's, or ended
        return False


def _is_ours(process: int) -> bool:
    """Return whether *process* descends from this one and is not this one."""
    parent = process
    while parent > 1:
        try:
            parent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if parent == os.getpid():
            return True
    return False
