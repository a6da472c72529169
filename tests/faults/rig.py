"""A small AWS for fault runs: real handlers and adapters, the emulator's services, and the local cloud's SES.

The rig takes the part of Lambda: it retries asynchronous invocations and makes failed jobs visible again.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cloud import REGION, receipt
from cloud.clients import Clients
from cloud.emulator import Emulator
from cloud.ses import Sent, SesEndpoint
from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import Conversation, Decision, LedgerItem, SendState
from tests.permissions import recording
from tests.support.table import DynamoTable, create_table

PROJECT = Path(__file__).parents[2]
PUBLIC, OWNER, THREAD = "contact@example.com", "owner@private.example", "thread.example.com"
ASYNC_TRIES = 3  # an asynchronous invocation and its two retries
ROUNDS = 30  # receives of one job before the rig gives up
STEP = 300  # seconds by which the clock moves when something failed: longer than a lease
DOCUMENTS = ("rules", "routes", "acknowledgement")
SENDERS = {"Ack": "ack_sender", "Forward": "forward_sender", "Reply": "reply_sender"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The function, the call that fails, and how it fails (``worker.KINDS``)."""

    function: str
    call: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result of a run, as seen from outside when all queues are empty."""

    lost: tuple[str, ...]  # messages without a finished decision, unfinished sends
    doubled: tuple[str, ...]  # more copies than the ledger's possible duplicates
    marked: int  # second copies that the ledger records as possible duplicates
    dead_lettered: int
    unknown: int  # acknowledgements that may or may not have been sent
    sent: int


@dataclass(slots=True)
class World:
    """One run's own table, bucket and queues."""

    rig: "Rig"
    name: str
    fault: Fault | None = None
    moved: int = 0
    calls: dict[str, list[str]] = field(default_factory=dict)
    dead_lettered: list[Job] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    stored: list[tuple[str, str]] = field(default_factory=list)
    before: int = 0

    # What a scenario does

    def store(self, raw: bytes, *, to: str = PUBLIC, verdicts: str = "") -> tuple[str, dict[str, Any]]:
        """Store *raw* as SES would, and return the function it is for and SES's event."""
        sender = raw.partition(b"From: ")[2].partition(b"\r\n")[0].decode().rpartition("<")[2].rstrip(">")
        raw, found = receipt.take_verdicts(
            (f"X-Local-Verdicts: {verdicts}\r\n".encode() if verdicts else b"") + raw, sender
        )
        function = "reply" if to.endswith(THREAD) else "inbound"
        mail = receipt.Accepted(
            message_id=receipt.new_message_id(),
            at=datetime.now(UTC),
            helo="mx.example.org",
            sender=sender,
            recipients=(to,),
            raw=raw,
            verdicts=found,
        )
        body = receipt.stored(mail)
        self.rig.clients.s3.put_object(Bucket=self.name, Key=f"raw/{function}/{mail.message_id}", Body=body)
        self.stored.append((mail.message_id, function))
        return function, receipt.event(mail, body, [to], "arn:aws:lambda:us-east-1:000000000000:function:x")

    def invoke(self, function: str, event: dict[str, Any]) -> bool:
        """Invoke *function* asynchronously: up to three attempts. Return False if all failed."""
        for _ in range(ASYNC_TRIES):
            if self._run(function, event)["ended"] == "returned":
                return True
            self.moved += STEP
        self.failures.append({"function": function, "event": event})
        return False

    def settle(self) -> None:
        """Run senders and the attachment function until no message is left in any queue."""
        for _ in range(ROUNDS):
            if not any([self._drain(kind) for kind in SENDERS] + [self._drain_events()]):
                return
        raise AssertionError("the queues do not come to rest")

    def conversation(self) -> Conversation:
        """Return the world's one conversation."""
        (found,) = [c for c in self.records.find("public_address", PUBLIC) if isinstance(c, Conversation)]
        return found

    # How functions are invoked

    def _run(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        fault = self.fault if self.fault and self.fault.function == function else None
        result = self.rig.order(
            {
                "function": function,
                "event": event,
                "environment": self._environment(function),
                "seconds": self.moved,
                "fault": {"call": fault.call, "kind": fault.kind} if fault else None,
            }
        )
        if fault and fault.call in result["calls"]:
            self.fault = None  # it occurs once
        self.calls.setdefault(function, []).extend(c for c in result["calls"] if c not in self.calls.get(function, []))
        return result

    def _queue(self, name: str) -> str:
        return f"{self.rig.emulator.endpoint}/000000000000/{name}-{self.name}"

    def _environment(self, function: str) -> dict[str, str]:
        own = next((kind for kind, sender in SENDERS.items() if sender == function), "")
        return {
            "RECORDED_CALLER": f"{function.title().replace('_', '')}Function",
            "TABLE_NAME": self.name,
            "ARCHIVE_BUCKET": self.name,
            "ACK_QUEUE_URL": self._queue("Ack"),
            "FORWARD_QUEUE_URL": self._queue("Forward"),
            "REPLY_QUEUE_URL": self._queue("Reply"),
            "QUEUE_URL": self._queue(own),
            "NOTICE_QUEUE_URL": self._queue("Forward"),
            "DEAD_LETTER_QUEUE_URL": self._queue(f"{own}Dead"),
            "PUBLIC_ADDRESSES": PUBLIC,
            "THREAD_DOMAIN": THREAD,
            "FORWARD_TO": OWNER,
            "DISPLAY_NAME": "Example Ltd",
            "RULES_PARAMETER": "/faults/rules",
            "ROUTES_PARAMETER": "/faults/routes",
            "ACKNOWLEDGEMENT_PARAMETER": "/faults/acknowledgement",
            "UNCHECKED_PARTS": "tell",
            "ACK_DAILY_CAP": "200",
            "ACK_DAILY_CAP_PER_DOMAIN": "200",
            "CONFIGURATION_SET": "owner" if own == "Forward" else "contact",
            "TIMEOUT_SECONDS": "60",
            "DOMAIN": "example.com",
            "RULE_SET": "ours",
            "ALARM_TOPIC_ARN": self.rig.topic,
            "DEAD_LETTER_QUEUE_URLS": ",".join(self._queue(f"{kind}Dead") for kind in SENDERS),
        }

    def _receive(self, name: str) -> list[dict[str, Any]]:
        response = self.rig.clients.sqs.receive_message(
            QueueUrl=self._queue(name), MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=3600
        )
        found: list[dict[str, Any]] = response.get("Messages", [])
        return found

    def _drain(self, kind: str) -> bool:
        messages = self._receive(kind)
        for message in messages:
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": message["Attributes"]["ApproximateReceiveCount"]},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{kind}Queue",
                "awsRegion": "us-east-1",
            }
            result = self._run(SENDERS[kind], {"Records": [record]})
            done = result["ended"] == "returned" and not result["answer"]["batchItemFailures"]
            queue = {"QueueUrl": self._queue(kind), "ReceiptHandle": message["ReceiptHandle"]}
            if done:
                self.rig.clients.sqs.delete_message(**queue)
            else:
                self.moved += STEP
                self.rig.clients.sqs.change_message_visibility(**queue, VisibilityTimeout=0)
        for message in self._receive(f"{kind}Dead"):
            self.dead_lettered.append(Job.from_json(message["Body"]))
        return bool(messages)

    def _drain_events(self) -> bool:
        messages = self._receive("Events")
        for message in messages:
            self.invoke("attachment", json.loads(message["Body"]))
            self.rig.clients.sqs.delete_message(QueueUrl=self._queue("Events"), ReceiptHandle=message["ReceiptHandle"])
        return bool(messages)

    # What is seen from outside

    @property
    def records(self) -> DynamoTable:
        """The table, as the operator reads it."""
        return DynamoTable(self.rig.clients.dynamodb, self.name, lambda: datetime.now(UTC))

    def sent(self) -> list[Sent]:
        """Return the messages sent in this world."""
        return self.rig.ses.sent()[self.before :]

    def audit(self) -> Audit:
        """Compare archive, table and outbox."""
        items = list(self._ledger())
        decisions = {name: self.records.decision(name[0], name[1]) for name in self.stored}  # type: ignore[arg-type]
        lost = [
            f"{receipt}: {_unfinished(decision)}"
            for (receipt, _), decision in decisions.items()
            if _unfinished(decision)
        ]
        lost += [f"{i.id}: {i.state}" for i in items if i.state in (SendState.QUEUED, SendState.SENDING)]
        dead_lettered = {job.ledger for job in self.dead_lettered}
        lost += [
            f"{i.id}: failed, not dead-lettered"
            for i in items
            if i.state is SendState.FAILED and i.id not in dead_lettered
        ]
        left = Counter(
            (tuple(one.recipients), one.sender.startswith("notices@"), one.sender == PUBLIC) for one in self.sent()
        )
        doubled, marked = [], 0
        for appearance, alike in _grouped(items).items():
            # Sends that look alike in the outbox are counted together: as many copies as SENT or BOUNCED sends.
            extra = left[appearance] - sum(item.state in (SendState.SENT, SendState.BOUNCED) for item in alike)
            possible = sum(item.possible_duplicate and item.kind is not JobKind.ACKNOWLEDGEMENT for item in alike)
            if extra < 0:
                lost.append(f"{alike[0].kind}: {-extra} sent by the ledger, not in the outbox")
            elif extra > possible + sum(item.state is SendState.UNKNOWN for item in alike):
                doubled.append(f"{alike[0].kind}: {extra} copies too many")
            elif possible:
                marked += min(extra, possible)
        unknown = sum(item.state is SendState.UNKNOWN for item in items)
        return Audit(
            lost=tuple(lost),
            doubled=tuple(doubled),
            marked=marked,
            dead_lettered=len(dead_lettered),
            unknown=unknown,
            sent=len(self.sent()),
        )

    def _ledger(self) -> Iterator[LedgerItem]:
        pages = self.rig.clients.dynamodb.get_paginator("scan").paginate(TableName=self.name)
        names = {i["pk"]["S"].partition("#")[2] for p in pages for i in p["Items"] if i["sk"]["S"] == "SEND"}
        for name in sorted(names):
            yield self.records.context(name).item


def _unfinished(decision: Decision | None) -> str:
    return "no decision" if decision is None else "" if decision.done else "decision not finished"


def _grouped(items: list[LedgerItem]) -> dict[tuple[tuple[str, ...], bool, bool], list[LedgerItem]]:
    """Group sends by how they look in the outbox: the recipients, and whether a notice or from the public address."""
    groups: dict[tuple[tuple[str, ...], bool, bool], list[LedgerItem]] = {}
    for item in items:
        ours = item.kind in (JobKind.ACKNOWLEDGEMENT, JobKind.REPLY)
        groups.setdefault((tuple(item.recipients), item.kind is JobKind.NOTICE, ours), []).append(item)
    return groups


def _names(world: str) -> dict[str, str]:
    """Return which resource of the template each of the world's resources stands for (see tests/permissions)."""
    names = {f"table/{world}": "Records", f"bucket/{world}": "Archive", "topic/alarms": "AlarmTopic"}
    names |= {f"queue/{kind}-{world}": f"{kind}Queue" for kind in SENDERS}
    names |= {f"queue/{kind}Dead-{world}": f"{kind}DeadLetters" for kind in SENDERS}
    names |= {f"parameter//faults/{document}": f"{document.capitalize()}Pointer" for document in DOCUMENTS}
    return names | {
        "configuration set/owner": "OwnerConfigurationSet",
        "configuration set/contact": "ContactConfigurationSet",
    }


class Rig:
    """Emulator, SES and worker, shared by any number of worlds."""

    def __init__(self, folder: Path) -> None:
        """Start everything; outbox and logs go to *folder*."""
        self.emulator = Emulator(PROJECT, log=folder / "ministack.log")
        self.ses = SesEndpoint(folder / "outbox", domain="example.com")
        self.ses.upstream = self.emulator.endpoint
        self.clients = Clients(self.emulator.endpoint, ses_endpoint=self.ses.url)
        for document in DOCUMENTS:  # of one parameter, the second read may need no call
            self.clients.ssm.put_parameter(Name=f"/faults/{document}", Value="builtin", Type="String")
        self.topic = self.clients.client("sns").create_topic(Name="alarms")["TopicArn"]
        self._numbers = count(1)
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.pathsep.join(map(str, (PROJECT, PROJECT / "layers/email_handler/python"))),
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_ENDPOINT_URL_SESV2": self.ses.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "POWERTOOLS_SERVICE_NAME": "email-handler",
            **recording.variables(),
        }
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", str(folder / "handlers.log")],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Let the worker run one handler."""
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(json.dumps(order) + "\n")
        self._worker.stdin.flush()
        result: dict[str, Any] = json.loads(self._worker.stdout.readline())
        return result

    @contextmanager
    def world(self) -> Iterator[World]:
        """Create a new world; delete it afterwards."""
        name = f"faults-{next(self._numbers)}"
        create_table(self.clients.dynamodb, name)
        self.clients.s3.create_bucket(Bucket=name)
        queues = [f"{kind}{dead}" for kind in SENDERS for dead in ("", "Dead")] + ["Events"]
        urls = [self.clients.sqs.create_queue(QueueName=f"{queue}-{name}")["QueueUrl"] for queue in queues]
        self.clients.events.put_rule(
            Name=name,
            EventPattern=json.dumps({"source": ["email-handler"], "detail-type": ["Message Received"]}),
        )
        arn = self.clients.sqs.get_queue_attributes(QueueUrl=urls[-1], AttributeNames=["QueueArn"])
        self.clients.events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn["Attributes"]["QueueArn"]}])
        recording.keep_names(name, _names(name))
        try:
            yield World(rig=self, name=name, before=len(self.ses.sent()))
        finally:
            self.clients.events.remove_targets(Rule=name, Ids=["1"])
            self.clients.events.delete_rule(Name=name)
            for url in urls:
                self.clients.sqs.delete_queue(QueueUrl=url)
            self.clients.dynamodb.delete_table(TableName=name)

    def close(self) -> None:
        """Stop everything."""
        if self._worker.stdin:
            self._worker.stdin.close()
        self._worker.wait(10)
        if self._worker.stdout:
            self._worker.stdout.close()
        self.ses.close()
        self.emulator.close()
