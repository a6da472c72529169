"""The soak: many messages by SMTP while AWS fails and functions are killed; then everything recovers, and an audit.

``make soak [MAILS=1000] [SEED=1] [FAULTS=0.05] [SES_DOWN=1] [JSON=1]``. The stack is deployed to its own local cloud,
its functions reach AWS through a proxy (``tests/support/proxy.py``), and FAULTS of their calls fail: half of those in
all of botocore's attempts, the others only in the first. With SES_DOWN, SES is unavailable for the first half of the messages.
Which calls fail depends on SEED, function, operation and the number of such calls before.

The audit counts from outside: messages that the SMTP server accepted, messages that were sent (each has the number of
the message it belongs to), and the operator's audit of archive and table. The last line is JSON. ``lost``, ``doubled``
and ``stuck`` count messages lost, sent too often, and not finished, and must be 0; ``marked`` counts second copies that
the ledger reports as possible duplicates; ``unknown`` counts sends that may or may not have happened.
"""

import argparse
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from cloud import REGION, mailclient
from cloud.cloud import LocalCloud
from cloud.emulator import in_flight, wait_until
from cloud.ses import Sent
from email_handler import bootstrap
from email_handler.adapters.dynamodb.items import decode
from email_handler.adapters.dynamodb.items import read as read_item
from email_handler.adapters.s3 import S3Archive
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.usecases.audit import audit
from email_handler.usecases.reconcile import SETTLED, reconcile
from tests.support.builders import entity, mail, multipart
from tests.support.proxy import Call, Fault, Proxy, between
from tests.support.table import DynamoTable

PROJECT = Path(__file__).parents[1]
PUBLIC, OWNER = "contact@example.com", "owner@private.example"
CROWD = 12  # no new message while so many invocations run or wait
SENDER_TIMEOUT = 20  # seconds, instead of the template's 60: its lease is then 50
VISIBILITY = 65  # seconds until a killed sender's job comes back, instead of 360; by then the lease is over
REST_LIMIT = 3700.0  # seconds until the last job must have ended: a job is put off by an hour at most
ROUNDS = 5  # of redriving failures; the second should find nothing
_OWN_LINE = re.compile(r"(?m)^This is message (\d+) of the soak\.\s*$")
_console = Console(stderr=True)


class Kind(StrEnum):
    """Kinds of messages from people and machines."""

    FIRST = "first contact"
    FOLLOW_UP = "follow-up"
    SPAM = "spam"
    BOUNCE = "bounce"
    ANSWER = "owner's answer"
    AWAY = "out of office"
    OWNER_AWAY = "owner out of office"
    DUPLICATE = "duplicate"


SHARES = {
    Kind.FIRST: 0.32,
    Kind.FOLLOW_UP: 0.20,
    Kind.SPAM: 0.13,
    Kind.BOUNCE: 0.06,
    Kind.ANSWER: 0.15,
    Kind.AWAY: 0.06,
    Kind.OWNER_AWAY: 0.03,
    Kind.DUPLICATE: 0.05,
}
ENDS = {
    Kind.FIRST: {Outcome.DELIVER},
    Kind.FOLLOW_UP: {Outcome.DELIVER},
    Kind.SPAM: {Outcome.HOLD},
    Kind.BOUNCE: {Outcome.RECORD, Outcome.DELIVER, Outcome.FLAG},  # forwarded if its send is not recorded yet
    Kind.ANSWER: {Outcome.RELAY},
    Kind.AWAY: {Outcome.DELIVER, Outcome.FLAG, Outcome.RECORD},
    Kind.OWNER_AWAY: {Outcome.RECORD},
}
"""The possible outcomes of each kind. Of a message and its duplicates one has such an outcome; the others are recorded."""


WEIGHTS = {Fault.RESET: 3, Fault.THROTTLED: 3, Fault.UNAVAILABLE: 3, Fault.LOST: 3, Fault.KILLED: 1}
"""How often each fault is chosen. A killed function costs a cold start, for which the emulator unpacks 100 MB."""


class Chaos:
    """The proxy's breaker: chooses the calls that fail."""

    def __init__(self, seed: int, share: float) -> None:
        """Break *share* (0 to 1) of all calls."""
        self.share = share
        self.ses_down = False
        self.applied: Counter[str] = Counter()
        self._seed = seed
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._lasting: dict[str, Fault] = {}

    def __call__(self, call: Call) -> Fault | None:
        """Return the fault of this attempt of *call*, None for none."""
        with self._lock:
            fault = self._fault(call)
            if fault:
                self.applied[fault] += 1
            return fault

    def _fault(self, call: Call) -> Fault | None:
        if call.call in self._lasting:
            return self._lasting[call.call] if self.share else None
        if self.ses_down and call.operation == "SendEmail":
            return Fault.UNAVAILABLE
        name = f"{call.function} {call}"
        self._seen[name] += 1
        chance = random.Random(f"{self._seed} {name} {self._seen[name]}")
        if chance.random() >= self.share:
            return None
        (fault,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        if fault is not Fault.KILLED and chance.random() < 0.5:
            self._lasting[call.call] = fault
        return fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it was sent to the service."""

    number: int  # as in its text: a duplicate has the number of the original
    kind: Kind
    raw: bytes
    sender: str
    to: str
    attachments: int = 0

    @property
    def function(self) -> FunctionName:
        """Which function receives it."""
        return "inbound" if self.to == PUBLIC else "reply"


@dataclass(slots=True)
class Writers:
    """The people and machines that write. They reply to the messages that were sent so far."""

    cloud: LocalCloud
    chance: random.Random
    numbers: int = 0
    seen: int = 0
    firsts: list[Message] = field(default_factory=list)
    forwards: list[Sent] = field(default_factory=list)  # without a reply yet
    to_contacts: list[Sent] = field(default_factory=list)
    written: list[Message] = field(default_factory=list)

    def next(self) -> Message:
        """Return the next message."""
        self._look()
        possible = {
            Kind.FOLLOW_UP: self.firsts,
            Kind.BOUNCE: self.to_contacts,
            Kind.ANSWER: self.forwards,
            Kind.AWAY: self.to_contacts,
            Kind.OWNER_AWAY: self.forwards,
            Kind.DUPLICATE: self.written,
        }
        kind = self.chance.choices(list(SHARES), list(SHARES.values()))[0]
        if not possible.get(kind, True):
            kind = Kind.FIRST
        written = self._write(kind)
        if kind is not Kind.DUPLICATE:
            self.written.append(written)
        return written

    def _look(self) -> None:
        while (envelope := self.cloud.outbox / f"{self.seen + 1:04}.json").exists():
            self.seen += 1
            fields = json.loads(envelope.read_text())
            sent = Sent(**fields | {"recipients": tuple(fields["recipients"])})
            if sent.recipients != (OWNER,):
                self.to_contacts.append(sent)
            elif not sent.sender.startswith("notices@"):
                self.forwards.append(sent)

    def _write(self, kind: Kind) -> Message:
        if kind is Kind.DUPLICATE:
            return replace(self.chance.choice(self.written[-50:]), kind=kind)
        self.numbers += 1
        text = f"This is message {self.numbers} of the soak.\r\n"
        match kind:
            case Kind.ANSWER:
                written = self._reply(self.forwards.pop(self.chance.randrange(len(self.forwards))), text)
            case Kind.OWNER_AWAY:
                forward = self.chance.choice(self.forwards)
                written = self._machine(kind, OWNER, forward.sender, forward, text)
            case Kind.AWAY:
                sent = self.chance.choice(self.to_contacts)
                written = self._machine(kind, sent.recipients[0], PUBLIC, sent, text)
            case Kind.BOUNCE:
                written = self._bounce(self.chance.choice(self.to_contacts), text)
            case Kind.FOLLOW_UP:
                first = self.chance.choice(self.firsts)
                reference = f"<soak-{first.number}@customer.example>"
                written = self._mail(kind, first.sender, f"Re: Question {first.number}", text, in_reply_to=reference)
            case Kind.SPAM:
                written = self._mail(kind, f"s{self.numbers}@spam.example", "An offer", text, verdicts="spam=FAIL")
            case _:
                written = self._mail(kind, f"c{self.numbers}@customer.example", f"Question {self.numbers}", text)
                self.firsts.append(written)
        return written

    def _reply(self, forward: Sent, text: str) -> Message:
        raw = mailclient.reply(
            Path(forward.eml).read_bytes(),
            sender=f"The Owner <{OWNER}>",
            message_id=f"soak-{self.numbers}@private.example",
            text=text.strip(),
        )
        return Message(number=self.numbers, kind=Kind.ANSWER, raw=raw, sender=OWNER, to=forward.sender)

    def _mail(
        self, kind: Kind, sender: str, subject: str, text: str, *, in_reply_to: str = "", verdicts: str = ""
    ) -> Message:
        files = [("list.csv", "text/csv", b"a,b\r\n1,2\r\n")] if self.numbers % 4 == 0 else []
        message_id = f"<soak-{self.numbers}@{sender.partition('@')[2]}>"
        raw = mail(
            sender=sender,
            subject=subject,
            text=text,
            message_id=message_id,
            attachments=files,
            in_reply_to=[in_reply_to] if in_reply_to else [],
            x_local_verdicts=[verdicts] if verdicts else [],
        )
        return Message(number=self.numbers, kind=kind, raw=raw, sender=sender, to=PUBLIC, attachments=len(files))

    def _machine(self, kind: Kind, sender: str, to: str, about: Sent, text: str) -> Message:
        raw = mail(
            sender=sender,
            to=to,
            subject=f"Out of office: {about.subject}",
            text=text,
            message_id=f"<soak-{self.numbers}@{sender.partition('@')[2]}>",
            auto_submitted="auto-replied",
            in_reply_to=about.message_id,
        )
        return Message(number=self.numbers, kind=kind, raw=raw, sender=sender, to=to)

    def _bounce(self, about: Sent, text: str) -> Message:
        failed = about.recipients[0]
        status = f"Final-Recipient: rfc822; {failed}\r\nAction: failed\r\nStatus: 5.1.1\r\n".encode()
        returned = f"From: {PUBLIC}\r\nTo: {failed}\r\nMessage-ID: {about.message_id}\r\n".encode()
        raw = multipart(
            'report; report-type="delivery-status"',
            entity([("Content-Type", "text/plain")], text.encode()),
            entity(
                [("Content-Type", "message/delivery-status")], b"Reporting-MTA: dns; mx.example.org\r\n\r\n" + status
            ),
            entity([("Content-Type", "text/rfc822-headers")], returned),
            headers=[
                ("From", "MAILER-DAEMON@mx.example.org"),
                ("To", PUBLIC),
                ("Subject", "Undelivered Mail Returned to Sender"),
                ("Message-ID", f"<soak-{self.numbers}@mx.example.org>"),
                ("Auto-Submitted", "auto-replied"),
                ("MIME-Version", "1.0"),
            ],
        )
        return Message(number=self.numbers, kind=Kind.BOUNCE, raw=raw, sender="", to=PUBLIC)


@dataclass(slots=True, kw_only=True)
class Findings:
    """The result of the audit."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    marked: int = 0
    unknown: int = 0


class Soak:
    """One run on one local cloud."""

    def __init__(self, cloud: LocalCloud, proxy: Proxy, chaos: Chaos) -> None:
        """Use *cloud*, whose functions reach AWS through *proxy*, with the faults that *chaos* chooses."""
        self.cloud, self.proxy, self.chaos = cloud, proxy, chaos
        self.accepted: dict[ReceiptId, Message] = {}
        self.redriven = self.taken_up = 0
        self.records = DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], lambda: datetime.now(UTC))
        self._shorten_timeouts()

    def _shorten_timeouts(self) -> None:
        """Give the senders shorter time-outs, so that the same code runs in less time."""
        for name in ("Ack", "Forward", "Reply"):
            self.cloud.clients.sqs.set_queue_attributes(
                QueueUrl=self.cloud.resources[f"{name}Queue"], Attributes={"VisibilityTimeout": str(VISIBILITY)}
            )
            function = self.cloud.resources[f"{name}SenderFunction"]
            known = self.cloud.clients.lambda_.get_function_configuration(FunctionName=function)
            variables = known["Environment"]["Variables"] | {"TIMEOUT_SECONDS": str(SENDER_TIMEOUT)}
            self.cloud.clients.lambda_.update_function_configuration(
                FunctionName=function, Timeout=SENDER_TIMEOUT, Environment={"Variables": variables}
            )

    def send_all(self, writers: Writers, count: int, *, ses_down: bool, progress: Progress) -> None:
        """Send *count* messages as fast as the functions process them."""
        task = progress.add_task("messages sent", total=count)
        for number in range(count):
            self.chaos.ses_down = ses_down and number < count // 2
            written = writers.next()
            self.accepted[ReceiptId(self.cloud.send(written.raw, written.sender, [written.to]))] = written
            self.cloud.wait_until(lambda: in_flight(self.cloud.endpoint) < CROWD, 300, "room for the next message")
            progress.advance(task)

    def come_to_rest(self) -> None:
        """End the faults, wait for all jobs, and handle lasting failures as an operator does."""
        self.chaos.share, self.chaos.ses_down = 0.0, False
        for _ in range(ROUNDS):
            self._wait_for_rest()
            redriven = self._redrive_failures()
            self.redriven += redriven
            if not redriven and not self._reconcile():
                break
        self._wait_for_rest()

    def _wait_for_rest(self) -> None:
        try:
            wait_until(self.cloud.quiescent, REST_LIMIT, "the end of all jobs", 1.0)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.cloud.unfinished()}") from error

    def _redrive_failures(self) -> int:
        """Invoke again what is in ProcessingFailures, as ``email-handler redrive processing-failures`` does."""
        queue, sqs = self.cloud.resources["ProcessingFailures"], self.cloud.clients.sqs
        count = 0
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                failed = json.loads(message["Body"])
                self.cloud.clients.lambda_.invoke(
                    FunctionName=failed["requestContext"]["functionArn"],
                    InvocationType="Event",
                    Payload=json.dumps(failed["requestPayload"]).encode(),
                )
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                count += 1
        return count

    def _reconcile(self) -> int:
        """Run the daily pass of both functions with their settings, and a clock late enough to take up everything."""
        done = 0
        for function, resource in (("inbound", "InboundFunction"), ("reply", "ReplyFunction")):
            known = self.cloud.clients.lambda_.get_function_configuration(FunctionName=self.cloud.resources[resource])
            os.environ.update(known["Environment"]["Variables"])
            context = replace(bootstrap.context(), clock=lambda: datetime.now(UTC) + SETTLED + timedelta(minutes=5))
            passed = reconcile(function, context)  # type: ignore[arg-type]  # two of FunctionName's words
            done += len(passed.taken_up) + passed.finished + passed.queued + len(passed.failed)
        self.taken_up += done
        return done

    def audit(self) -> Findings:
        """Compare the messages accepted, the messages sent, and the table."""
        found = Findings()
        archive = S3Archive(self.cloud.clients.s3, self.cloud.resources["Archive"])
        looked = audit(
            archive=archive,
            records=self.records,
            ledger=self.records,
            clock=lambda: datetime.now(UTC),
            settled=timedelta(0),
        )
        found.stuck += [f"{one.id}: {one.trouble} {one.reason}" for one in looked if one.trouble and one.trouble.stuck]
        found.stuck += self._left_in_queues()
        self._audit_decisions(found)
        self._audit_sends(found)
        return found

    def _left_in_queues(self) -> Iterator[str]:
        for name, url in self.cloud.resources.items():
            if name.endswith(("Queue", "DeadLetters", "ProcessingFailures")):
                asked = self.cloud.clients.sqs.get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )
                if count := int(asked["Attributes"]["ApproximateNumberOfMessages"]):
                    yield f"{count} in {name}"

    def _audit_decisions(self, found: Findings) -> None:
        """Check that of each message and its duplicates exactly one has an outcome of its kind."""
        ends: dict[int, list[Outcome]] = {}
        kinds = {one.number: one.kind for one in self.accepted.values() if one.kind is not Kind.DUPLICATE}
        for receipt, one in self.accepted.items():
            decision = self.records.decision(receipt, one.function)
            if decision is None:
                found.lost.append(f"message {one.number} ({one.kind}): no decision")
                continue
            ends.setdefault(one.number, []).append(decision.outcome)
            if one.attachments and decision.outcome is Outcome.DELIVER:
                message = self.records.message(receipt, one.function)
                if message is None or len(message.attachments) != one.attachments:
                    found.stuck.append(f"message {one.number}: its attachment is not in the record")
        for number, outcomes in ends.items():
            proper = [outcome for outcome in outcomes if outcome in ENDS[kinds[number]]]
            others = [outcome for outcome in outcomes if outcome not in {*ENDS[kinds[number]], Outcome.RECORD}]
            if not proper or others:
                found.lost.append(f"message {number} ({kinds[number]}): ended as {', '.join(outcomes)}")

    def _audit_sends(self, found: Findings) -> None:
        """Check that the outbox has every send in the ledger, and no other copies than possible duplicates."""
        left = Counter(map(_appearance, self.cloud.sent()))
        sends: dict[tuple[str, str], list[LedgerItem]] = {}
        for item in self._ledger():
            number = str(self.accepted[item.source].number)
            of = {JobKind.ACKNOWLEDGEMENT: item.recipients[0], JobKind.NOTICE: ""}.get(item.kind, number)
            sends.setdefault((item.kind, of), []).append(item)
        for appearance in left.keys() - sends.keys():
            found.doubled.append(f"{appearance}: it is not in the ledger")
        for appearance, items in sends.items():
            found.unknown += sum(item.state is SendState.UNKNOWN for item in items)
            ended = sum(item.state in (SendState.SENT, SendState.BOUNCED) for item in items)
            spare = left[appearance] - ended
            if spare < 0:
                found.lost.append(
                    f"{appearance}: {ended} sent according to the ledger, {left[appearance]} in the outbox"
                )
            excess = spare - sum(item.state is SendState.UNKNOWN for item in items)
            if (
                excess > 0
                and any(item.possible_duplicate for item in items)
                and appearance[0] != JobKind.ACKNOWLEDGEMENT
            ):
                found.marked += excess
            elif excess > 0:
                found.doubled.append(f"{appearance}: {excess} copies too many")
            if appearance[0] in (JobKind.FORWARD, JobKind.REPLY) and len(items) > 1:
                found.doubled.append(f"{appearance}: {len(items)} sends for one message")

    def _ledger(self) -> Iterator[LedgerItem]:
        pages = self.cloud.clients.dynamodb.get_paginator("scan").paginate(TableName=self.cloud.resources["Records"])
        for page in pages:
            for item in page["Items"]:
                if item["sk"]["S"] == "SEND":
                    yield read_item(LedgerItem, decode(item))


def _appearance(sent: Sent) -> tuple[str, str]:
    """Return the kind of a sent message, and the number of the message it passes on or, for an acknowledgement, the
    contact."""
    if sent.sender.startswith("notices@"):
        return JobKind.NOTICE, ""
    own = _OWN_LINE.search(mailclient.body(Path(sent.eml).read_bytes()))
    if sent.recipients == (OWNER,):
        return JobKind.FORWARD, own[1] if own else "?"
    return (JobKind.REPLY, own[1]) if own else (JobKind.ACKNOWLEDGEMENT, sent.recipients[0])


def run(mails: int, seed: int, share: float, *, ses_down: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Run the soak and return the JSON line's fields."""
    began = time.monotonic()
    chaos = Chaos(seed, share)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCloud.start(
            PROJECT, folder=Path(folder), smtp_port=0, parameters={"AckDailyCap": str(10 * mails)}
        ) as cloud,
        between(cloud, chaos) as proxy,
        Progress(console=_console, disable=quiet) as progress,
    ):
        soak, writers = Soak(cloud, proxy, chaos), Writers(cloud, random.Random(seed))
        started = time.monotonic()
        soak.send_all(writers, mails, ses_down=ses_down, progress=progress)
        all_in = time.monotonic()
        soak.come_to_rest()
        at_rest = time.monotonic()
        found = soak.audit()
        sent = cloud.sent()
    for name in ("lost", "doubled", "stuck"):
        for line in getattr(found, name):
            _console.print(f"{name}: {line}", markup=False, highlight=False)
    return {
        "mails": len(soak.accepted),
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "stuck": len(found.stuck),
        "seconds": round(time.monotonic() - began),
        "seconds_in": round(all_in - started),
        "seconds_to_rest": round(at_rest - all_in),
        "sent": len(sent),
        "marked": found.marked,
        "unknown": found.unknown,
        "redriven": soak.redriven,
        "taken_up": soak.taken_up,
        "calls": len({call.call for call in proxy.calls}),
        "faults": dict(chaos.applied),
        "kinds": dict(Counter(one.kind for one in soak.accepted.values())),
        "seed": seed,
    }


def main() -> None:
    """Read the options, run the soak and print; exit with 1 if anything is lost, doubled or stuck."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=0.05, help="share of AWS calls that fail")
    parser.add_argument("--ses-down-first-half", action="store_true")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    given = parser.parse_args()
    os.environ.update(
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION
    )
    result = run(given.mails, given.seed, given.faults, ses_down=given.ses_down_first_half, quiet=given.json)
    print(json.dumps(result))
    sys.exit(1 if result["lost"] or result["doubled"] or result["stuck"] else 0)


if __name__ == "__main__":
    main()
