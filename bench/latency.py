"""Measures how long a message takes in the local cloud, and lists the AWS calls it needs.

``make bench B=latency [ARGS="--rounds 20 --idle --lengths 1 100 10000"]``. Four parts:

* First contacts, follow-ups and the owner's replies by SMTP, one at a time, on warm functions: each function's time
  from its first AWS call to its last, and from SMTP's 250 to the message in the outbox, as p50 and p95; then the calls
  in order. Calls that overlap count once: "one after another" is the longest chain. Inbound also gets first contacts by
  synchronous invocation, which measures the whole run, including about 50 ms of the emulator.
* The processor time of a first contact, its acknowledgement and its forward (``bench/warm.py``).
* ``--idle``: one more message, when rules and routes are due to be read again (after a minute).
* Conversations of ``--lengths`` messages (written directly to the table) that get one more: time and peak memory of
  inbound's and forward-sender's work, run in this process.

The last line is JSON. The exit code is 1 if a function makes more calls one after another than it may (:data:`MOST_CALLS`),
or inbound's p95 is over a second.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import warm
from cloud import REGION, mailclient, receipt
from cloud.cloud import LocalCloud
from cloud.ses import Sent
from email_handler import bootstrap
from email_handler.adapters.dynamodb.items import encode, timestamp, write
from email_handler.adapters.dynamodb.records import DynamoRecords
from email_handler.adapters.ssm import TTL
from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import Conversation, Decision, MessageRecord, Reference
from email_handler.conversations.threads import local_part
from email_handler.identifiers import ArchiveKey, ConversationId, ReceiptId
from email_handler.senders.authentication import SesReceipt
from email_handler.usecases.inbound import receive
from email_handler.usecases.send_forward import send_forward
from tests.support.builders import mail
from tests.support.proxy import Call, Proxy, between

PROJECT = Path(__file__).parents[1]
PUBLIC, OWNER = "contact@example.com", "owner@private.example"
MOST_CALLS = {
    ("first contact", "InboundFunction"): 4,
    ("follow-up", "InboundFunction"): 5,
    ("owner's answer", "ReplyFunction"): 6,
    ("first contact", "AckSenderFunction"): 6,
    ("first contact", "ForwardSenderFunction"): 6,
    ("follow-up", "ForwardSenderFunction"): 6,
    ("owner's answer", "ReplySenderFunction"): 6,
}
"""Calls one after another, by kind of message and function, when the configuration need not be read again."""
MOST_SECONDS = 1.0
REPEATS = 7  # receipts in each long conversation
_QUEUE = re.compile(r"\S*?(\w+(?:Queue|DeadLetters))-\S+")
_console = Console(stderr=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One invocation, known by its calls."""

    seconds: float
    calls: tuple[Call, ...]

    @classmethod
    def of(cls, calls: Sequence[Call]) -> "Run":
        """Return the run that made *calls*."""
        ordered = tuple(sorted(calls, key=lambda call: call.began))
        return cls(seconds=max(call.ended for call in calls) - ordered[0].began, calls=ordered)

    @property
    def configured(self) -> bool:
        """Whether it read the pointers to rules and routes again."""
        return any(call.service == "ssm" for call in self.calls)

    @property
    def steps(self) -> list[list[Call]]:
        """Return the calls as a chain: each step waits for the one before it, and calls that overlap share a step."""
        chain: list[list[Call]] = []
        for call in self.calls:
            if chain and call.began < min(other.ended for other in chain[-1]):
                chain[-1].append(call)
            else:
                chain.append([call])
        return chain


class Latency:
    """The measurements on one local cloud."""

    def __init__(self, cloud: LocalCloud, proxy: Proxy) -> None:
        """Measure *cloud*, whose functions call AWS through *proxy*."""
        self.cloud, self.proxy = cloud, proxy
        self.runs: dict[tuple[str, str], list[Run]] = defaultdict(list)  # by kind of message, and function
        self.through: dict[str, list[float]] = defaultdict(list)  # seconds from 250 to the outbox
        self.invoked: list[float] = []
        self._number = 0

    def measure(self, what: str, raw: bytes, sender: str, to: str, *, warm: bool = True) -> list[Sent]:
        """Send one message, wait until it is processed, and record every function's run unless it is a warm-up."""
        self.proxy.calls.clear()
        before = len(self.cloud.sent())
        self.cloud.send(raw, sender, [to])
        accepted = datetime.now(UTC)
        self.cloud.settle()
        sent = self.cloud.sent()[before:]
        if warm:
            for function in {call.function for call in self.proxy.calls}:
                self.runs[what, function].append(Run.of([c for c in self.proxy.calls if c.function == function]))
            last = max(datetime.fromisoformat(one.at) for one in sent)
            self.through[what].append((last - accepted).total_seconds())
        return sent

    def story(self, *, warm: bool = True) -> None:
        """Send a first contact's message, their next one, and the owner's reply."""
        self._number += 1
        jane, host = f"jane{self._number}@customer.example", f"{self._number}.customer.example"
        first = mail(sender=jane, subject=f"Question {self._number}", message_id=f"<first-{host}@{host}>")
        sent = self.measure("first contact", first, jane, PUBLIC, warm=warm)
        again = mail(
            sender=jane,
            subject="Re: Question",
            message_id=f"<next-{host}@{host}>",
            in_reply_to=f"<first-{host}@{host}>",
        )
        self.measure("follow-up", again, jane, PUBLIC, warm=warm)
        (forwarded,) = [one for one in sent if one.recipients == (OWNER,)]
        reply = mailclient.reply(
            Path(forwarded.eml).read_bytes(),
            sender=f"The Owner <{OWNER}>",
            message_id=f"answer-{host}@{host}",
            text="Yes.",
        )
        self.measure("owner's answer", reply, OWNER, forwarded.sender, warm=warm)

    def invoke(self) -> None:
        """Measure one synchronous invocation of inbound."""
        self._number += 1
        jane = f"jane{self._number}@customer.example"
        raw = mail(sender=jane, subject="Hello", message_id=f"<{self._number}@customer.example>")
        accepted = receipt.accept(raw, jane, [PUBLIC])
        body = receipt.stored(accepted)
        self.cloud.clients.s3.put_object(
            Bucket=self.cloud.resources["Archive"], Key=f"raw/inbound/{accepted.message_id}", Body=body
        )
        event = receipt.event(accepted, body, [PUBLIC], "arn:aws:lambda:us-east-1:000000000000:function:inbound")
        began = time.perf_counter()
        assert not self.cloud.invoke("InboundFunction", event).failed
        self.invoked.append(time.perf_counter() - began)
        self.cloud.settle()

    def idle(self) -> Run:
        """Return inbound's run for a follow-up that arrives when the configuration must be read again."""
        self._number += 1
        jane = f"jane{self._number}@customer.example"
        first = mail(sender=jane, subject="Later", message_id=f"<{self._number}@customer.example>")
        self.measure("", first, jane, PUBLIC, warm=False)
        time.sleep(TTL + 1)  # how long the configuration is cached
        again = mail(
            sender=jane,
            subject="Re: Later",
            message_id=f"<{self._number}b@customer.example>",
            in_reply_to=f"<{self._number}@customer.example>",
        )
        self.measure("", again, jane, PUBLIC, warm=False)
        return Run.of([call for call in self.proxy.calls if call.function == "InboundFunction"])


def p(quantile: float, seconds: Sequence[float]) -> float:
    """Return a percentile (0 to 1) of measured seconds, the nearest one above."""
    return sorted(seconds)[min(int(quantile * len(seconds)), len(seconds) - 1)]


# Long conversations


class Lengths:
    """Conversations of given lengths, and the cost of one more message in each."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Use *cloud*, and disable its senders: their work runs in this process."""
        self.cloud = cloud
        for mapping in cloud.clients.lambda_.list_event_source_mappings()["EventSourceMappings"]:
            cloud.clients.lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        for function in ("ForwardSenderFunction", "InboundFunction"):
            known = cloud.clients.lambda_.get_function_configuration(FunctionName=cloud.resources[function])
            os.environ.update(known["Environment"]["Variables"])
        os.environ.update(
            AWS_ENDPOINT_URL=cloud.endpoint,
            AWS_ENDPOINT_URL_SESV2=cloud.address.ses_endpoint,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
        )
        self.records = DynamoRecords(cloud.clients.dynamodb, cloud.resources["Records"], lambda: datetime.now(UTC))

    def measure(self, length: int) -> dict[str, Any]:
        """Make a conversation of *length* messages; return milliseconds and peak KB of one more message."""
        jane = f"jane@{length}.customer.example"
        receipt_id, key = self._store(jane, 0, length)
        decision = receive(receipt_id, key, bootstrap.context())
        self._fill(decision.conversation, receipt_id.id, length)
        inbound: list[float] = []
        sender: list[float] = []
        for number in range(1, REPEATS + 1):
            stored = self._store(jane, number, length)
            took, decision = timed(partial(receive, *stored, bootstrap.context()))
            inbound.append(took)
            sender.append(timed(partial(send_forward, _forward_of(decision), bootstrap.dispatch()))[0])
        stored = self._store(jane, REPEATS + 1, length)
        memory, decision = weighed(partial(receive, *stored, bootstrap.context()))
        return {
            "messages": length,
            "inbound_ms": round(1000 * statistics.median(inbound)),
            "inbound_kb": memory,
            "forward_ms": round(1000 * statistics.median(sender)),
            "forward_kb": weighed(partial(send_forward, _forward_of(decision), bootstrap.dispatch()))[0],
        }

    def _store(self, jane: str, number: int, length: int) -> tuple[SesReceipt, ArchiveKey]:
        host = f"{length}.customer.example"
        references = {"in_reply_to": f"<m{number - 1}-{host}@{host}>"} if number else {}
        raw = mail(sender=jane, subject="A long talk", message_id=f"<m{number}-{host}@{host}>", **references)  # type: ignore[arg-type]
        accepted = receipt.accept(raw, jane, [PUBLIC])
        key = ArchiveKey(f"raw/inbound/{accepted.message_id}")
        self.cloud.clients.s3.put_object(Bucket=self.cloud.resources["Archive"], Key=key, Body=receipt.stored(accepted))
        passed = dict.fromkeys(("spam", "virus", "spf", "dkim", "dmarc"), "PASS")
        taken = SesReceipt(
            id=ReceiptId(accepted.message_id),
            envelope_sender=jane,
            recipients=(PUBLIC,),  # type: ignore[arg-type]  # an EmailAddress
            dmarc_policy="",
            **passed,  # type: ignore[arg-type]  # of texts
        )
        return taken, key

    def _fill(self, conversation: str, first: ReceiptId, length: int) -> None:
        """Write the records of *length* received messages to the table, apart from those of the first."""
        known = self.records.conversation(ConversationId(conversation))
        message = self.records.message(first, "inbound")
        assert known
        assert message
        puts = [{"PutRequest": {"Item": item}} for item in _items(known, message, length)]
        table = self.cloud.resources["Records"]
        for batch in batched(puts, 25):
            response = self.cloud.clients.dynamodb.batch_write_item(RequestItems={table: list(batch)})
            assert not response.get("UnprocessedItems")
        self.cloud.clients.dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": f"CONV#{known.id}"}, "sk": {"S": "CONV"}},
            UpdateExpression="SET received = :length",
            ExpressionAttributeValues={":length": {"N": str(length)}},
        )


def _forward_of(decision: Decision) -> Job:
    (job,) = [job for job in decision.jobs if job.kind is JobKind.FORWARD]
    return job


def _items(conversation: Conversation, message: MessageRecord, length: int) -> Iterator[dict[str, Any]]:
    for number in range(1, length):
        filler = f"{conversation.id}-{number}"
        at = message.at - timedelta(minutes=length - number)
        record = replace(message, receipt=ReceiptId(filler), at=at, message_id=f"{filler}@customer.example")
        yield encode({"pk": f"RECEIPT#{filler}", "sk": "MESSAGE#inbound", "type": "message", **write(record)})
        pointer = {"receipt": filler, "function": "inbound"}
        yield encode({"pk": f"CONV#{conversation.id}", "sk": f"MESSAGE#{timestamp(at)}#{filler}#inbound", **pointer})
        reference = Reference(
            local_part=local_part(record.message_id), conversation=conversation.id, receipt=record.receipt
        )
        yield encode({"pk": f"REF#{reference.local_part}", "sk": "REF", **write(reference)})


def timed[T](work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that *work* takes, and its result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def weighed[T](work: Callable[[], T]) -> tuple[int, T]:
    """Return the peak memory of *work* beyond that at its start, in KB, and its result."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = work()
        return (tracemalloc.get_traced_memory()[1] - before) // 1024, result
    finally:
        tracemalloc.stop()


# What is printed


def show(latency: Latency) -> dict[str, Any]:
    """Print the measurements; return the JSON line's fields."""
    table = Table("Message", "From, to", "Runs", "p50 ms", "p95 ms", "Calls one after another")
    chains = {key: _chains(runs) for key, runs in sorted(latency.runs.items())}
    for (what, function), runs in sorted(latency.runs.items()):
        counted = " or ".join(sorted({str(len(run.steps)) for run in chains[what, function]}))
        _row(table, what, function.removesuffix("Function"), [run.seconds for run in runs], counted)
    for what, seconds in latency.through.items():
        _row(table, what, "SMTP's 250, outbox", seconds)
    _row(table, "first contact", "Inbound, invoked", latency.invoked)
    _console.print(table)
    for (what, function), runs in chains.items():
        for run in runs:
            line = f"{what}, {function.removesuffix('Function')}: {len(run.steps)}: {in_order(run)}"
            _console.print(line, markup=False, highlight=False, soft_wrap=True)
    calls = {key: max(len(run.steps) for run in runs if not run.configured) for key, runs in chains.items()}
    return {
        "calls": {f"{what}, {function.removesuffix('Function')}": most for (what, function), most in calls.items()},
        "too_many": [what for (what, function), most in calls.items() if most > MOST_CALLS.get((what, function), most)],
        "inbound_p95_ms": round(1000 * p(0.95, latency.invoked)),
        "through_p95_ms": {what: round(1000 * p(0.95, seconds)) for what, seconds in latency.through.items()},
    }


def _chains(runs: Sequence[Run]) -> list[Run]:
    """Return the shortest chain of each set of calls. Calls that overlap in one run do not depend on one another, even
    if the scheduler runs them one after another elsewhere."""
    alike: dict[tuple[str, ...], Run] = {}
    for run in runs:
        made = tuple(sorted(str(call) for call in run.calls))
        if made not in alike or len(run.steps) < len(alike[made].steps):
            alike[made] = run
    return list(alike.values())


def _row(table: Table, what: str, way: str, seconds: Sequence[float], calls: str = "") -> None:
    shown = [f"{1000 * p(quantile, seconds):.0f}" for quantile in (0.5, 0.95)]
    table.add_row(what, way, str(len(seconds)), *shown, calls)


def in_order(run: Run) -> str:
    """Return a run's calls as one line, with overlapping calls in brackets and queues by their logical ids."""
    named = [sorted(_QUEUE.sub(r"\1", str(call)) for call in step) for step in run.steps]
    return ", ".join(step[0] if len(step) == 1 else f"({' | '.join(step)})" for step in named)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--idle", action="store_true", help="and one message after a minute of silence")
    parser.add_argument("--lengths", type=int, nargs="*", default=[1, 100, 10_000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalCloud.start(PROJECT, folder=Path(folder), smtp_port=0) as cloud:
        with between(cloud) as proxy:
            latency = Latency(cloud, proxy)
            latency.story(warm=False)
            for _ in range(given.rounds):
                latency.story()
                latency.invoke()
            result = show(latency)
            if given.idle:
                run = latency.idle()
                _console.print(f"after a minute: {len(run.steps)} one after another: {in_order(run)}", markup=False)
                result["inbound_calls_idle"] = len(run.steps)
        result |= warm.show(warm.measure([warm.BUILD], given.rounds), _console)
        if given.lengths:
            lengths = Lengths(cloud)
            result["lengths"] = [lengths.measure(length) for length in given.lengths]
            _console.print(*result["lengths"], sep="\n")
    print(json.dumps(result))
    sys.exit(1 if result["too_many"] or result["inbound_p95_ms"] > 1000 * MOST_SECONDS else 0)


if __name__ == "__main__":
    main()
