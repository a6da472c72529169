"""Runs the real handlers, each invocation in a forked process, and lets given AWS calls fail.

The worker is a separate process without threads, so that a fork is safe and a kill ends nothing else. It reads and
writes JSON lines: in ``{"function", "event", "environment", "seconds", "skew", "faults", "mutant"}``, out ``{"ended",
"calls", "struck", "answer"}``. ``seconds`` moves the handlers' clock forward; ``faults`` are ``{"call": label, "kind":
kind}``, each struck once, in their order; ``struck`` are the places of theirs in ``calls``.
"""

import gc
import importlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from email_handler import bootstrap
from email_handler.adapters.extraction import documents, extractor
from email_handler.adapters.extraction.process import MAX_TEXT
from email_handler.mail.addresses import organizational_domain
from email_handler.ports import Extracted
from email_handler.spam.rules import builtin_rules
from email_handler.usecases import side_by_side
from tests.faults.handler_mutants import MUTANTS
from tests.support.in_turn import InTurn

KILLED = 137
KINDS = ("refused", "throttled", "rejected", "timeout before", "timeout after", "killed after", "overtaken")
"""``rejected`` means that SES refuses for good; it applies to SES's sends alone. ``overtaken``: a second delivery of
the same event is processed from beginning to end before the call is made."""

_call: Callable[[Any, str, dict[str, Any]], Any] = BaseClient._make_api_call  # type: ignore[attr-defined]


class Calls:
    """Labels every AWS call of one invocation and lets some of them fail.

    A label is ``sqs.SendMessage AckQueue``; the second such call has ``#2`` after it.
    """

    def __init__(self, faults: list[dict[str, str]]) -> None:
        self.labels: list[str] = []
        self.struck: list[int] = []
        self._faults = faults
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def install(self) -> None:
        """Replace the call of every client, above botocore's own retries: a fault is what remains after them."""

        def make(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            kind = self._fault(client, operation, parameters)
            return self._broken(kind, client, operation, parameters) if kind else _call(client, operation, parameters)

        BaseClient._make_api_call = make  # type: ignore[attr-defined]

    def _fault(self, client: Any, operation: str, parameters: dict[str, Any]) -> str:
        """Label a call, and return how it fails, "" if it doesn't."""
        queue = str(parameters.get("QueueUrl", "")).rpartition("/")[2]
        name = f"{client.meta.service_model.service_name}.{operation}" + (
            f" {queue.partition('-')[0]}" if queue else ""
        )
        with self._lock:  # the jobs of a decision are queued in parallel
            self._seen[name] += 1
            label = name if self._seen[name] == 1 else f"{name} #{self._seen[name]}"
            self.labels.append(label)
            if not self._faults or self._faults[0]["call"] != label:
                return ""
            self.struck.append(len(self.labels) - 1)
            return self._faults.pop(0)["kind"]

    def _broken(self, kind: str, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        url = client.meta.endpoint_url
        match kind:
            case "refused":
                raise EndpointConnectionError(endpoint_url=url)
            case "throttled":
                raise _error("ThrottlingException", operation)
            case "rejected":
                raise _error("MessageRejected", operation)
            case "timeout before":
                raise ReadTimeoutError(endpoint_url=url)
            case "overtaken":
                os.write(_results, b"\n")
                os.read(_go, 1)
        response = _call(client, operation, parameters)
        if kind == "timeout after":
            raise ReadTimeoutError(endpoint_url=url)
        if kind == "killed after":
            self.report("killed")
            os._exit(KILLED)
        return response

    def report(self, ended: str, answer: Any = None) -> None:
        """Report how the invocation *ended*."""
        result = {"ended": ended, "calls": self.labels, "struck": self.struck, "answer": answer}
        os.write(_results, json.dumps(result).encode() + b"\n")


def _error(code: str, operation: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(response, operation)


class InProcess:
    """Reads documents in the invocation itself: a process for each of thousands of invocations takes half of the time,
    and what may fail here are AWS calls."""

    def __init__(self, _: object) -> None:
        pass

    def extract(self, payload: bytes, charset: str, _: float) -> Extracted:
        document = documents.recognise(payload, charset)
        status, text = documents.read(document, MAX_TEXT)
        return Extracted(detected_type=document.media_type, text=text, status=status)


class Context:
    """What the handlers read of a Lambda context."""

    aws_request_id = "faults"

    def get_remaining_time_in_millis(self) -> int:
        """Return one minute."""
        return 60_000


_results = _go = -1  # of a forked process: where it reports, and where it waits after a blank line


def _run(order: dict[str, Any]) -> None:
    """In the forked process: run one handler and report how it ended."""
    os.environ.update(order["environment"])
    if order["mutant"]:
        MUTANTS[order["mutant"]].change()
    # In a fixed order, so that a plan names the same call in every run: what is read beside another call is read first,
    # or last by workers whose clocks differ, whom others overtake.
    side_by_side.pool = lambda: InTurn(late=bool(order["skew"]))  # type: ignore[assignment]
    calls = Calls(order["faults"])
    calls.install()
    moved = timedelta(seconds=order["seconds"])
    bootstrap._now = lambda: datetime.now(UTC) + moved
    handler = importlib.import_module(f"functions.{order['function']}.handler").handler
    try:
        returned = handler(order["event"], Context())
    except Exception as error:  # noqa: BLE001 - Lambda, too, reports any exception
        calls.report("raised", type(error).__name__)
    else:
        calls.report("returned", returned)
    sys.stdout.flush()


def _fork(order: dict[str, Any]) -> str:
    """Run *order* in a forked process and return its report; whenever it asks, run it a second time meanwhile."""
    global _results, _go
    read_end, _results = os.pipe()
    _go, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        os.close(write_end)
        _run(order)
        os._exit(0)
    os.close(_results)
    os.close(_go)
    with os.fdopen(read_end) as results:
        while (report := results.readline()) == "\n":
            _fork(order | {"faults": [], "seconds": order["seconds"] + order["skew"]})
            os.write(write_end, b"\n")
    os.close(write_end)
    os.waitpid(child, 0)
    return report or '{"ended": "died", "calls": [], "struck": [], "answer": null}\n'


def main() -> None:
    """Run orders until stdin ends."""
    for name in ("inbound", "reply", "attachment", "ack_sender", "forward_sender", "reply_sender"):
        importlib.import_module(f"functions.{name}.handler")  # once here, so that no fork imports them again
    extractor.DocumentExtractor = InProcess  # type: ignore[assignment, misc]
    builtin_rules()  # read and kept here for the forks, as a warm function has them
    organizational_domain("customer.example")
    for service in ("s3", "dynamodb", "sqs", "ses", "sesv2", "ssm", "events", "sns"):
        bootstrap._client(service)  # not connected yet, so that forks share no connection
    gc.freeze()  # a collection in a fork would copy every page
    results = os.fdopen(os.dup(1), "w")
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)  # the log lines of handlers and Powertools
    os.dup2(log, 2)
    for line in sys.stdin:
        results.write(_fork(json.loads(line)))
        results.flush()


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2])]
    main()
