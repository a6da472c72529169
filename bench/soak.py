"""The soak: many messages by SMTP while AWS fails and functions are killed; then everything recovers and is judged.

``make soak [MAILS=1000] [SEED=1] [FAULTS=0.05] [SES_DOWN=1] [JSON=1]``. The stack is deployed to its own local cloud,
its functions reach AWS through a proxy (``tests/support/proxy.py``), and FAULTS of their calls fail: half of those in
all of botocore's attempts, the others only in the first. With SES_DOWN, SES is unavailable for the first half of the messages.
Which calls fail depends on SEED, function, operation and the number of such calls before.

The oracle of the fault matrix judges from outside (``tests/faults/oracle.py``): how each message must end is fixed when
it is written, and everything that was sent, published, recorded and stored is compared with that. The last line is JSON.
``lost`` counts what is missing or other than it must be, ``doubled`` what there is too much of, ``stuck`` what the
operator's audit or a queue shows as unfinished; they must be 0. ``marked`` counts second copies that the ledger reports
as possible duplicates; ``unknown`` counts sends that may or may not have happened.
"""

import argparse
import json
import os
import random
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
from cloud.ses import Sent, read_outbox
from email_handler import bootstrap
from email_handler.adapters.s3 import S3Archive
from email_handler.adapters.sqs import DeadLetterQueues
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.identifiers import ReceiptId
from email_handler.usecases.audit import audit
from email_handler.usecases.reconcile import OVERDUE, reconcile
from email_handler.usecases.redrive import discard
from tests.faults.oracle import AT_MOST, Judgement, judge
from tests.faults.seen import digest, letter, look
from tests.faults.truths import Allowed, Arrival, Truth
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
"""The possible outcomes of each kind."""

SENDERS = {"AckSenderFunction", "ForwardSenderFunction", "ReplySenderFunction"}
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
    """One message as it was sent to the service, and how it must end: a duplicate as the original does."""

    kind: Kind
    raw: bytes
    sender: str
    to: str
    truth: Truth


@dataclass(slots=True)
class Writers:
    """The people and machines that write. They reply to the messages that were sent so far."""

    cloud: LocalCloud
    chance: random.Random
    numbers: int = 0
    seen: int = 0
    firsts: list[Message] = field(default_factory=list)
    forwards: list[tuple[Sent, Message]] = field(default_factory=list)  # without a reply yet, with what is forwarded
    to_contacts: list[Sent] = field(default_factory=list)
    written: list[Message] = field(default_factory=list)
    by_text: dict[str, Message] = field(default_factory=dict)

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
        for sent in read_outbox(self.cloud.outbox, after=self.seen):
            self.seen += 1
            if sent.recipients != (OWNER,):
                self.to_contacts.append(sent)
            for line in letter(sent).lines:
                if line in self.by_text and "@thread." in sent.sender and self.by_text[line].kind is not Kind.BOUNCE:
                    self.forwards.append((sent, self.by_text[line]))

    def _write(self, kind: Kind) -> Message:
        if kind is Kind.DUPLICATE:
            return replace(self.chance.choice(self.written[-50:]), kind=kind)
        self.numbers += 1
        text = f"This is message {self.numbers} of the soak."
        match kind:
            case Kind.ANSWER:
                written = self._reply(*self.forwards.pop(self.chance.randrange(len(self.forwards))), text)
            case Kind.OWNER_AWAY:
                forward, _ = self.chance.choice(self.forwards)
                written = self._machine(kind, OWNER, forward.sender, forward, text)
            case Kind.AWAY:
                sent = self.chance.choice(self.to_contacts)
                written = self._machine(kind, sent.recipients[0], PUBLIC, sent, text)
            case Kind.BOUNCE:
                written = self._bounce(self.chance.choice(self.to_contacts), text)
            case Kind.FOLLOW_UP:
                first = self.chance.choice(self.firsts)
                subject = f"Re: Question {first.truth.name}"
                written = self._mail(kind, first.sender, subject, text, in_reply_to=f"<{first.truth.message_id}>")
            case Kind.SPAM:
                written = self._mail(kind, f"s{self.numbers}@spam.example", "An offer", text, verdicts="spam=FAIL")
            case _:
                written = self._mail(kind, f"c{self.numbers}@customer.example", f"Question {self.numbers}", text)
                self.firsts.append(written)
        self.by_text[text] = written
        return written

    def _truth(self, kind: Kind, sender: str, to: str, text: str, **more: Any) -> Truth:
        """Return how the message *text* must end; *to* is who gets it."""
        return Truth(
            name=str(self.numbers),
            function="reply" if kind in (Kind.ANSWER, Kind.OWNER_AWAY) else "inbound",
            sender=sender,
            to=to,
            message_id=f"soak-{self.numbers}@{sender.partition('@')[2]}",
            text=text,
            ends=frozenset(ENDS[kind]),
            **more,
        )

    def _reply(self, forward: Sent, about: Message, text: str) -> Message:
        truth = self._truth(Kind.ANSWER, OWNER, about.sender, text, thread=about.truth.thread)
        raw = mailclient.reply(
            Path(forward.eml).read_bytes(),
            sender=f"The Owner <{OWNER}>",
            message_id=truth.message_id,
            text=text,
        )
        return Message(kind=Kind.ANSWER, raw=raw, sender=OWNER, to=forward.sender, truth=truth)

    def _mail(
        self, kind: Kind, sender: str, subject: str, text: str, *, in_reply_to: str = "", verdicts: str = ""
    ) -> Message:
        files = [("list.csv", "text/csv", b"a,b\r\n1,2\r\n")] if self.numbers % 4 == 0 else []
        person = kind in (Kind.FIRST, Kind.FOLLOW_UP)
        truth = self._truth(
            kind,
            sender,
            OWNER,
            text,
            files=tuple((name, digest(payload)) for name, _, payload in files),
            thread=sender if person else "",
            acknowledged=person,
        )
        raw = mail(
            sender=sender,
            subject=subject,
            text=f"{text}\r\n",
            message_id=f"<{truth.message_id}>",
            attachments=files,
            in_reply_to=[in_reply_to] if in_reply_to else [],
            x_local_verdicts=[verdicts] if verdicts else [],
        )
        return Message(kind=kind, raw=raw, sender=sender, to=PUBLIC, truth=truth)

    def _machine(self, kind: Kind, sender: str, to: str, about: Sent, text: str) -> Message:
        truth = self._truth(kind, sender, OWNER, text)
        raw = mail(
            sender=sender,
            to=to,
            subject=f"Out of office: {about.subject}",
            text=f"{text}\r\n",
            message_id=f"<{truth.message_id}>",
            auto_submitted="auto-replied",
            in_reply_to=about.message_id,
        )
        return Message(kind=kind, raw=raw, sender=sender, to=to, truth=truth)

    def _bounce(self, about: Sent, text: str) -> Message:
        truth = self._truth(Kind.BOUNCE, "MAILER-DAEMON@mx.example.org", OWNER, text, files=None, bounces=about.ses_id)
        failed = about.recipients[0]
        status = f"Final-Recipient: rfc822; {failed}\r\nAction: failed\r\nStatus: 5.1.1\r\n".encode()
        returned = f"From: {PUBLIC}\r\nTo: {failed}\r\nMessage-ID: {about.message_id}\r\n".encode()
        raw = multipart(
            'report; report-type="delivery-status"',
            entity([("Content-Type", "text/plain")], f"{text}\r\n".encode()),
            entity(
                [("Content-Type", "message/delivery-status")], b"Reporting-MTA: dns; mx.example.org\r\n\r\n" + status
            ),
            entity([("Content-Type", "text/rfc822-headers")], returned),
            headers=[
                ("From", truth.sender),
                ("To", PUBLIC),
                ("Subject", "Undelivered Mail Returned to Sender"),
                ("Message-ID", f"<{truth.message_id}>"),
                ("Auto-Submitted", "auto-replied"),
                ("MIME-Version", "1.0"),
            ],
        )
        return Message(kind=Kind.BOUNCE, raw=raw, sender="", to=PUBLIC, truth=truth)


class Soak:
    """One run on one local cloud."""

    def __init__(self, cloud: LocalCloud, proxy: Proxy, chaos: Chaos) -> None:
        """Use *cloud*, whose functions reach AWS through *proxy*, with the faults that *chaos* chooses."""
        self.cloud, self.proxy, self.chaos = cloud, proxy, chaos
        self.accepted: dict[Arrival, Message] = {}
        self.redriven = self.taken_up = self.discarded = 0
        self._events = self._listen()
        self._shorten_timeouts()

    def _listen(self) -> str:
        """Let a queue of our own get every event that is published; return its URL."""
        sqs, events = self.cloud.clients.sqs, self.cloud.clients.events
        queue: str = sqs.create_queue(QueueName="soak-events")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="soak-events", EventPattern=json.dumps({"source": ["email-handler"]}))
        events.put_targets(Rule="soak-events", Targets=[{"Id": "1", "Arn": arn}])
        return queue

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
            receipt = ReceiptId(self.cloud.send(written.raw, written.sender, [written.to]))
            self.accepted[receipt, written.truth.function] = written
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
        self._discard_undecided()

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

    def _discard_undecided(self) -> None:
        """Leave unsent what may have left as often as it may, as ``email-handler redrive --discard`` does."""
        sqs, records = self.cloud.clients.sqs, self._records()
        urls = [self.cloud.resources[f"{name}DeadLetters"] for name in ("Ack", "Forward", "Reply")]
        self.discarded = len(
            list(discard(letters=DeadLetterQueues(sqs, urls), records=records, ledger=records, dry_run=False))
        )

    def _records(self) -> DynamoTable:
        return DynamoTable(self.cloud.clients.dynamodb, self.cloud.resources["Records"], lambda: datetime.now(UTC))

    def _reconcile(self) -> int:
        """Run the daily pass of both functions with their settings, and a clock late enough to take up everything."""
        done = 0
        for function, resource in (("inbound", "InboundFunction"), ("reply", "ReplyFunction")):
            known = self.cloud.clients.lambda_.get_function_configuration(FunctionName=self.cloud.resources[resource])
            os.environ.update(known["Environment"]["Variables"])
            context = replace(bootstrap.context(), clock=lambda: datetime.now(UTC) + OVERDUE + timedelta(minutes=5))
            passed = reconcile(function, context)  # type: ignore[arg-type]  # two of FunctionName's words
            done += len(passed.taken_up) + passed.finished + passed.queued + len(passed.failed)
        self.taken_up += done
        return done

    def judge(self) -> Judgement:
        """Judge everything that is there now by the truth of each message accepted."""
        seen = look(
            self.cloud.clients,
            table=self.cloud.resources["Records"],
            bucket=self.cloud.resources["Archive"],
            sent=self.cloud.sent(),
            events=self._heard(),
        )
        struck = [call for call in self.proxy.calls if call.fault and call.function in SENDERS]
        losing = [
            call.function
            for call in struck
            if call.fault is Fault.KILLED or (call.operation == "SendEmail" and call.fault is Fault.LOST)
        ]
        allowed = Allowed(
            copies=len(losing),
            unknown=sum(call.function == "AckSenderFunction" for call in struck)
            + losing.count("ReplySenderFunction") // AT_MOST[JobKind.REPLY]
            + losing.count("ForwardSenderFunction") // AT_MOST[JobKind.FORWARD],
            unacknowledged=self.taken_up,
        )
        return judge({arrival: one.truth for arrival, one in self.accepted.items()}, seen, allowed=allowed)

    def _heard(self) -> Iterator[Any]:
        sqs = self.cloud.clients.sqs
        while messages := sqs.receive_message(QueueUrl=self._events, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                yield json.loads(message["Body"])
                sqs.delete_message(QueueUrl=self._events, ReceiptHandle=message["ReceiptHandle"])

    def stuck(self) -> Iterator[str]:
        """Yield what the operator's audit shows as unfinished, and what is left in a queue."""
        records = self._records()
        archive = S3Archive(self.cloud.clients.s3, self.cloud.resources["Archive"])
        looked = audit(
            archive=archive,
            records=records,
            ledger=records,
            clock=lambda: datetime.now(UTC),
            settled=timedelta(0),
        )
        yield from (f"{one.id}: {one.trouble} {one.reason}" for one in looked if one.trouble and one.trouble.stuck)
        for name, url in self.cloud.resources.items():
            if name.endswith(("Queue", "DeadLetters", "ProcessingFailures")):
                asked = self.cloud.clients.sqs.get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )
                if count := int(asked["Attributes"]["ApproximateNumberOfMessages"]):
                    yield f"{count} in {name}"


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
        stuck, found = list(soak.stuck()), soak.judge()
        sent = cloud.sent()
    for name, lines in (("lost", found.lost), ("doubled", found.doubled), ("stuck", stuck)):
        for line in lines:
            _console.print(f"{name}: {line}", markup=False, highlight=False)
    return {
        "mails": len(soak.accepted),
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "stuck": len(stuck),
        "seconds": round(time.monotonic() - began),
        "seconds_in": round(all_in - started),
        "seconds_to_rest": round(at_rest - all_in),
        "sent": len(sent),
        "marked": found.marked,
        "unknown": found.unknown,
        "redriven": soak.redriven,
        "taken_up": soak.taken_up,
        "discarded": soak.discarded,
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
