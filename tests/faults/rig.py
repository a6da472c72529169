"""A small AWS for fault runs: real handlers and adapters, the emulator's services, and the local cloud's SES.

The rig takes the part of Lambda: it retries asynchronous invocations and makes failed jobs visible again.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal

from cloud import REGION, receipt
from cloud.clients import Clients
from cloud.emulator import Emulator
from cloud.ses import Sent, SesEndpoint, read_outbox
from email_handler.conversations.jobs import Job
from email_handler.identifiers import ReceiptId
from tests.faults.seen import Seen, look
from tests.faults.truths import Arrival, Truth
from tests.permissions import recording
from tests.support.table import create_table

PROJECT = Path(__file__).parents[2]
PUBLIC, THREAD = "contact@example.com", "thread.example.com"
OWNER, COLLEAGUE = "owner@private.example", "colleague@private.example"
ASYNC_TRIES = 3  # an asynchronous invocation and its two retries
ROUNDS = 30  # receives of one job before the rig gives up
STEP = 300  # seconds by which the clock moves when something failed: longer than a lease
LATE = 30 * 3600  # seconds
SKEW = 600  # seconds
DOCUMENTS = ("rules", "routes", "acknowledgement", "signature", "learned")
SENDERS = {"Ack": "ack_sender", "Forward": "forward_sender", "Reply": "reply_sender"}


class Delivery(StrEnum):
    """How AWS delivers events and jobs."""

    PROMPT = "prompt"
    TWICE = "twice"  # each event and each job comes a second time, after the first was processed
    LATE = "late"  # each comes after 30 hours
    SKEWED = "skewed"  # promptly, to workers whose clocks are 10 minutes apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The function, the call that fails, and how it fails (``worker.KINDS``)."""

    function: str
    call: str
    kind: str


@dataclass(slots=True)
class World:
    """One run's own table, bucket and queues."""

    rig: "Rig"
    name: str
    delivery: Delivery = Delivery.PROMPT
    mailboxes: tuple[str, ...] = (OWNER,)
    mutant: str = ""  # a change of the handlers (``handler_mutants.py``)
    faults: list[Fault] = field(default_factory=list)  # each once, in this order
    moved: int = 0
    runs: int = 0
    calls: dict[str, list[str]] = field(default_factory=dict)
    dead_lettered: list[Job] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)  # functions whose attempts all failed
    arrivals: dict[Arrival, Truth] = field(default_factory=dict)
    bounced: list[str] = field(default_factory=list)  # SES ids
    events: list[dict[str, Any]] = field(default_factory=list)

    # What a scenario does

    def store(self, truth: Truth, raw: bytes, *, to: str = PUBLIC, verdicts: str = "") -> tuple[str, dict[str, Any]]:
        """Store *raw*, which must end as *truth* says, as SES would; return its function and SES's event."""
        field = f"X-Local-Verdicts: {verdicts}\r\n".encode() if verdicts else b""
        mail = receipt.accept(field + raw, truth.sender, [to], helo="mx.example.org")
        body = receipt.stored(mail)
        self.rig.clients.s3.put_object(Bucket=self.name, Key=f"raw/{truth.function}/{mail.message_id}", Body=body)
        self.arrivals[ReceiptId(mail.message_id), truth.function] = truth
        return truth.function, receipt.event(mail, body, [to], "arn:aws:lambda:us-east-1:000000000000:function:x")

    def invoke(self, function: str, event: dict[str, Any]) -> bool:
        """Invoke *function* asynchronously, when the event is delivered. Return False if all attempts failed."""
        self._delay()
        return self._attempt(function, event)

    def _attempt(self, function: str, event: dict[str, Any]) -> bool:
        for _ in range(ASYNC_TRIES):
            if self._run(function, event)["ended"] == "returned":
                if self.delivery is Delivery.TWICE:
                    self._run(function, event)
                return True
            self.moved += STEP
        self.gave_up.append(function)
        return False

    def _delay(self) -> None:
        if self.delivery is Delivery.LATE:
            self.moved += LATE

    def settle(self) -> None:
        """Run senders and the attachment function until no message is left in any queue."""
        for _ in range(ROUNDS):
            if not any([self._drain(kind) for kind in SENDERS] + [self._drain_events()]):
                return
        raise AssertionError("the queues do not come to rest")

    def reconcile(self, hours: int, which: Literal[True, "hourly"] = True) -> None:
        """Let a pass, the daily one or *which*, look after *hours* hours, and finish what it takes up."""
        self.moved += hours * 3600
        self._attempt("inbound", {"reconcile": which})
        self.settle()

    def thread_address(self) -> str:
        """Return the address that the owner's reply to the only forward goes to."""
        (forward,) = [one for one in self.sent() if one.recipients == (OWNER,)]
        return forward.sender

    # How functions are invoked

    def _run(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        skew = SKEW if self.delivery is Delivery.SKEWED else 0
        self.runs += 1
        result = self.rig.order(
            {
                "function": function,
                "event": event,
                "environment": self._environment(function),
                "seconds": self.moved + skew * (self.runs % 2),
                "skew": skew,
                "faults": [asdict(one) for one in takewhile(lambda one: one.function == function, self.faults)],
                "mutant": self.mutant,
            }
        )
        called = result["calls"]
        if result["struck"]:
            del self.faults[: len(result["struck"])]
            self.calls.clear()  # what may fail next is what is called from now on
            called = called[result["struck"][-1] + 1 :]
        known = self.calls.setdefault(function, [])
        known.extend(call for call in called if call not in known)
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
            "FORWARD_TO": ",".join(self.mailboxes),
            "DISPLAY_NAME": "Example Ltd",
            "RULES_PARAMETER": "/faults/rules",
            "ROUTES_PARAMETER": "/faults/routes",
            "ACKNOWLEDGEMENT_PARAMETER": "/faults/acknowledgement",
            "SIGNATURE_PARAMETER": "/faults/signature",
            "LEARNED_PARAMETER": "/faults/learned",
            "UNCHECKED_PARTS": "tell",
            "ACK_DAILY_CAP": "200",
            "ACK_DAILY_CAP_PER_DOMAIN": "200",
            "REPLY_DELAY_SECONDS": "0",
            "NEW_CONVERSATIONS_DAILY_CAP": "50",
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
            self._delay()
            result = self._run(SENDERS[kind], {"Records": [record]})
            done = result["ended"] == "returned" and not result["answer"]["batchItemFailures"]
            if done and self.delivery is Delivery.TWICE:
                self._run(SENDERS[kind], {"Records": [record]})
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
            event = json.loads(message["Body"])
            self.events.append(event)
            if event["detail-type"] == "Message Received" and event["detail"].get("attachments") != 0:
                self.invoke("attachment", event)
            self.rig.clients.sqs.delete_message(QueueUrl=self._queue("Events"), ReceiptHandle=message["ReceiptHandle"])
        return bool(messages)

    # What is seen from outside

    def sent(self) -> list[Sent]:
        """Return the messages sent in this world."""
        return read_outbox(self.rig.ses.outbox)

    def seen(self) -> Seen:
        """Look at everything that the run left."""
        return look(
            self.rig.clients,
            table=self.name,
            bucket=self.name,
            sent=self.sent(),
            events=self.events,
            dead_lettered=(job.ledger for job in self.dead_lettered),
        )


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
        self._outbox = folder / "outbox"
        self.ses = SesEndpoint(self._outbox, domain="example.com")
        self.ses.upstream = self.emulator.endpoint
        self.clients = Clients(self.emulator.endpoint, ses_endpoint=self.ses.url)
        for document in DOCUMENTS:  # of one parameter, the second read may need no call
            self.clients.ssm.put_parameter(Name=f"/faults/{document}", Value="builtin", Type="String")
        self.topic = self.clients.client("sns").create_topic(Name="alarms")["TopicArn"]
        self._numbers = count(1)
        self.machine = {  # the environment variables that Lambda gives every function, for this small AWS
            "PATH": os.defpath,
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_ENDPOINT_URL_SESV2": self.ses.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }
        path = os.pathsep.join(map(str, (PROJECT, PROJECT / "layers/email_handler/python")))
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", str(folder / "handlers.log")],
            cwd=PROJECT,
            env=self.machine | {"PYTHONPATH": path} | recording.variables(),
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
    def world(self, mutant: str = "") -> Iterator[World]:
        """Create a new world, with an outbox of its own; delete all but that afterwards."""
        name = f"faults-{next(self._numbers)}"
        create_table(self.clients.dynamodb, name)
        self.clients.s3.create_bucket(Bucket=name)
        queues = [f"{kind}{dead}" for kind in SENDERS for dead in ("", "Dead")] + ["Events"]
        urls = [self.clients.sqs.create_queue(QueueName=f"{queue}-{name}")["QueueUrl"] for queue in queues]
        self.clients.events.put_rule(
            Name=name,
            EventPattern=json.dumps({"source": ["email-handler"]}),
        )
        arn = self.clients.sqs.get_queue_attributes(QueueUrl=urls[-1], AttributeNames=["QueueArn"])
        self.clients.events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn["Attributes"]["QueueArn"]}])
        recording.keep_names(name, _names(name))
        self.ses.outbox = self._outbox / name
        (self.ses.outbox / "handed-in").mkdir(parents=True)
        try:
            yield World(rig=self, name=name, mutant=mutant)
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
