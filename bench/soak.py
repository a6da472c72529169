"""The soak: many mails through the SMTP door while AWS fails and functions die; then peace, and an audit.

``make soak [MAILS=1000] [SEED=1] [FAULTS=0.05] [SES_DOWN=1] [JSON=1]``. The stack is deployed to a local cloud of the
soak's own, its functions reach AWS through a proxy (``cloud/proxy.py``), and FAULTS of their calls go wrong: half of
those for all of botocore's attempts, the others for the first one. With SES_DOWN the first half of the mails finds SES
out of order. Which calls fail follows from SEED, function, operation and how many such calls there were before.

What is counted comes from outside: mails the door took, mails that left (each names the mail it answers to), the
operator's audit of archive and table. The last line is JSON: ``lost`` and ``doubled`` must be empty of mails, ``stuck``
of sends and receipts; ``marked`` second copies are those the ledger owns up to, ``unknown`` acknowledgements may have
left or not and are not sent again.
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

from cloud import mailclient
from cloud.clients import REGION
from cloud.cloud import LocalCloud
from cloud.emulator import in_flight, wait_until
from cloud.proxy import Call, Fault, Proxy, between
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
from tests.support.table import DynamoTable

PROJECT = Path(__file__).parents[1]
PUBLIC, OWNER = "contact@example.com", "owner@private.example"
CROWD = 12  # invocations that run or wait before the next mail is handed in
SENDER_TIMEOUT = 20  # seconds, instead of the template's 60: its lease is then 50
VISIBILITY = 65  # seconds until a killed sender's job comes back, instead of 360: when the lease is over for sure
PEACE = 3700.0  # seconds until the last job must have come back: an hour is the longest that one is put off
ROUNDS = 5  # of redriving what failed for good; the second should find nothing
_OWN_LINE = re.compile(r"(?m)^This is mail (\d+) of the soak\.\s*$")
_console = Console(stderr=True)


class Kind(StrEnum):
    """What people and machines write."""

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
    Kind.BOUNCE: {Outcome.RECORD, Outcome.DELIVER, Outcome.FLAG},  # forwarded where its send is not recorded yet
    Kind.ANSWER: {Outcome.RELAY},
    Kind.AWAY: {Outcome.DELIVER, Outcome.FLAG, Outcome.RECORD},
    Kind.OWNER_AWAY: {Outcome.RECORD},
}
"""How each may end; of a mail and its duplicates one does, and the others are recorded."""


WEIGHTS = {Fault.RESET: 3, Fault.THROTTLED: 3, Fault.UNAVAILABLE: 3, Fault.LOST: 3, Fault.KILLED: 1}
"""How often each fault strikes. A killed function costs a cold start, of which the emulator unpacks 100 MB."""


class Chaos:
    """Decides which calls fail: the proxy's breaker."""

    def __init__(self, seed: int, share: float) -> None:
        """Break *share* (0 to 1) of all calls."""
        self.share = share
        self.ses_down = False
        self.struck: Counter[str] = Counter()
        self._seed = seed
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._lasting: dict[str, Fault] = {}

    def __call__(self, call: Call) -> Fault | None:
        """Return what goes wrong with this attempt of *call*."""
        with self._lock:
            fault = self._fault(call)
            if fault:
                self.struck[fault] += 1
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
class Mail:
    """One mail as it was handed in."""

    number: int  # of the line in it that says so: a duplicate has the first one's
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
class Owners:
    """Those who write. What has left so far decides what can be answered."""

    cloud: LocalCloud
    chance: random.Random
    numbers: int = 0
    seen: int = 0
    firsts: list[Mail] = field(default_factory=list)
    forwards: list[Sent] = field(default_factory=list)  # not answered yet
    to_contacts: list[Sent] = field(default_factory=list)
    written: list[Mail] = field(default_factory=list)

    def next(self) -> Mail:
        """Return the next mail."""
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

    def _write(self, kind: Kind) -> Mail:
        if kind is Kind.DUPLICATE:
            return replace(self.chance.choice(self.written[-50:]), kind=kind)
        self.numbers += 1
        text = f"This is mail {self.numbers} of the soak.\r\n"
        match kind:
            case Kind.ANSWER:
                written = self._answer(self.forwards.pop(self.chance.randrange(len(self.forwards))), text)
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

    def _answer(self, forward: Sent, text: str) -> Mail:
        raw = mailclient.answer(
            Path(forward.eml).read_bytes(),
            sender=f"The Owner <{OWNER}>",
            message_id=f"soak-{self.numbers}@private.example",
            text=text.strip(),
        )
        return Mail(number=self.numbers, kind=Kind.ANSWER, raw=raw, sender=OWNER, to=forward.sender)

    def _mail(
        self, kind: Kind, sender: str, subject: str, text: str, *, in_reply_to: str = "", verdicts: str = ""
    ) -> Mail:
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
        return Mail(number=self.numbers, kind=kind, raw=raw, sender=sender, to=PUBLIC, attachments=len(files))

    def _machine(self, kind: Kind, sender: str, to: str, about: Sent, text: str) -> Mail:
        raw = mail(
            sender=sender,
            to=to,
            subject=f"Out of office: {about.subject}",
            text=text,
            message_id=f"<soak-{self.numbers}@{sender.partition('@')[2]}>",
            auto_submitted="auto-replied",
            in_reply_to=about.message_id,
        )
        return Mail(number=self.numbers, kind=kind, raw=raw, sender=sender, to=to)

    def _bounce(self, about: Sent, text: str) -> Mail:
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
        return Mail(number=self.numbers, kind=Kind.BOUNCE, raw=raw, sender="", to=PUBLIC)


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the audit saw."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    marked: int = 0
    unknown: int = 0


class Soak:
    """One run on one local cloud."""

    def __init__(self, cloud: LocalCloud, proxy: Proxy, chaos: Chaos) -> None:
        """Work on *cloud*, whose functions go through *proxy*, broken by *chaos*."""
        self.cloud, self.proxy, self.chaos = cloud, proxy, chaos
        self.accepted: dict[ReceiptId, Mail] = {}
        self.redriven = self.taken_up = 0
        self.records = DynamoTable(cloud.clients.dynamodb, cloud.resources["Records"], lambda: datetime.now(UTC))
        self._hurry()

    def _hurry(self) -> None:
        """Deploy the senders with shorter time-outs: what the code does is the same, in less time."""
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

    def hand_in(self, owners: Owners, count: int, *, ses_down: bool, progress: Progress) -> None:
        """Hand in *count* mails as fast as the functions take them."""
        task = progress.add_task("mail in", total=count)
        for number in range(count):
            self.chaos.ses_down = ses_down and number < count // 2
            written = owners.next()
            self.accepted[ReceiptId(self.cloud.send(written.raw, written.sender, [written.to]))] = written
            self.cloud.wait_until(lambda: in_flight(self.cloud.endpoint) < CROWD, 300, "room for the next mail")
            progress.advance(task)

    def come_to_rest(self) -> None:
        """End the faults, let every job come back, and do what an operator would do about what failed for good."""
        self.chaos.share, self.chaos.ses_down = 0.0, False
        for _ in range(ROUNDS):
            self._wait_for_peace()
            redriven = self._redrive_failures()
            self.redriven += redriven
            if not redriven and not self._reconcile():
                break
        self._wait_for_peace()

    def _wait_for_peace(self) -> None:
        try:
            wait_until(self.cloud.quiescent, PEACE, "every job to come back and end", 1.0)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.cloud.unfinished()}") from error

    def _redrive_failures(self) -> int:
        """Invoke again what lies in ProcessingFailures, as ``email-handler redrive processing-failures`` does."""
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
        """Make the daily pass of both functions with their settings, and a clock that is past its patience."""
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
        """Hold what was handed in, what left, and what the table says against each other."""
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
        """Of each mail and its duplicates, exactly one must have the end that its kind has."""
        ends: dict[int, list[Outcome]] = {}
        kinds = {came.number: came.kind for came in self.accepted.values() if came.kind is not Kind.DUPLICATE}
        for receipt, came in self.accepted.items():
            decision = self.records.decision(receipt, came.function)
            if decision is None:
                found.lost.append(f"mail {came.number} ({came.kind}): no decision")
                continue
            ends.setdefault(came.number, []).append(decision.outcome)
            if came.attachments and decision.outcome is Outcome.DELIVER:
                message = self.records.message(receipt, came.function)
                if message is None or len(message.attachments) != came.attachments:
                    found.stuck.append(f"mail {came.number}: its attachment is not in the record")
        for number, outcomes in ends.items():
            proper = [outcome for outcome in outcomes if outcome in ENDS[kinds[number]]]
            others = [outcome for outcome in outcomes if outcome not in {*ENDS[kinds[number]], Outcome.RECORD}]
            if not proper or others:
                found.lost.append(f"mail {number} ({kinds[number]}): ended as {', '.join(outcomes)}")

    def _audit_sends(self, found: Findings) -> None:
        """Every send that the ledger says left is in the outbox, and no second one that it does not own up to."""
        left = Counter(map(_appearance, self.cloud.sent()))
        sends: dict[tuple[str, str], list[LedgerItem]] = {}
        for item in self._ledger():
            number = str(self.accepted[item.source].number)
            of = {JobKind.ACKNOWLEDGEMENT: item.recipients[0], JobKind.NOTICE: ""}.get(item.kind, number)
            sends.setdefault((item.kind, of), []).append(item)
        for appearance in left.keys() - sends.keys():
            found.doubled.append(f"{appearance}: nothing in the ledger asks for it")
        for appearance, items in sends.items():
            found.unknown += sum(item.state is SendState.UNKNOWN for item in items)
            ended = sum(item.state in (SendState.SENT, SendState.BOUNCED) for item in items)
            spare = left[appearance] - ended
            if spare < 0:
                found.lost.append(f"{appearance}: {ended} sent by the ledger, {left[appearance]} left")
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
                found.doubled.append(f"{appearance}: {len(items)} sends for one mail")

    def _ledger(self) -> Iterator[LedgerItem]:
        pages = self.cloud.clients.dynamodb.get_paginator("scan").paginate(TableName=self.cloud.resources["Records"])
        for page in pages:
            for item in page["Items"]:
                if item["sk"]["S"] == "SEND":
                    yield read_item(LedgerItem, decode(item))


def _appearance(sent: Sent) -> tuple[str, str]:
    """Return kind and subject matter of what left: the number of the mail it passes on, the contact of an
    acknowledgement."""
    if sent.sender.startswith("notices@"):
        return JobKind.NOTICE, ""
    own = _OWN_LINE.search(mailclient.body(Path(sent.eml).read_bytes()))
    if sent.recipients == (OWNER,):
        return JobKind.FORWARD, own[1] if own else "?"
    return (JobKind.REPLY, own[1]) if own else (JobKind.ACKNOWLEDGEMENT, sent.recipients[0])


def run(mails: int, seed: int, share: float, *, ses_down: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Soak a local cloud and return the JSON line's fields."""
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
        soak, owners = Soak(cloud, proxy, chaos), Owners(cloud, random.Random(seed))
        started = time.monotonic()
        soak.hand_in(owners, mails, ses_down=ses_down, progress=progress)
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
        "faults": dict(chaos.struck),
        "kinds": dict(Counter(came.kind for came in soak.accepted.values())),
        "seed": seed,
    }


def main() -> None:
    """Read the options, soak, print, and fail where anything is lost, doubled or stuck."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=float, default=0.05, help="share of AWS calls that go wrong")
    parser.add_argument("--ses-down-first-half", action="store_true")
    parser.add_argument("--json", action="store_true", help="nothing but the last line")
    given = parser.parse_args()
    os.environ.update(
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION
    )
    result = run(given.mails, given.seed, given.faults, ses_down=given.ses_down_first_half, quiet=given.json)
    print(json.dumps(result))
    sys.exit(1 if result["lost"] or result["doubled"] or result["stuck"] else 0)


if __name__ == "__main__":
    main()
