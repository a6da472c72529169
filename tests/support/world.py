"""The whole path in memory: messages arrive, decisions are made, senders run, and sent messages can be read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count

from cloud.ses import header_section
from email_handler.conversations.jobs import Job, JobKind, SendResult
from email_handler.conversations.keys import raw_key
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Decision
from email_handler.conversations.routes import Routes, load_routes
from email_handler.conversations.signatures import Signatures, load_signatures
from email_handler.errors import RetryLater
from email_handler.identifiers import EmailAddress, FunctionName, ReceiptId
from email_handler.senders.authentication import SesReceipt
from email_handler.spam.learned import LearnedModel
from email_handler.spam.rules import builtin_rules
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.inbound import receive
from email_handler.usecases.learning import Learning
from email_handler.usecases.reply import relay_reply
from email_handler.usecases.send_acknowledgement import send_acknowledgement
from email_handler.usecases.send_forward import send_forward
from email_handler.usecases.send_reply import send_reply
from email_handler.usecases.sending import Dispatch
from tests.support.fakes import (
    NOW,
    FakeArchive,
    FakeConfig,
    FakeEvents,
    FakeJobs,
    FakeJudgements,
    FakeMailer,
    FakePointer,
    FakeRecords,
    Sent,
)
from tests.support.records import passed_receipt

PUBLIC = EmailAddress("contact@example.com")
OWNER = EmailAddress("owner@private.example")
THREAD = "thread.example.com"
SENDERS: dict[JobKind, Callable[[Job, Dispatch], SendResult]] = {
    JobKind.ACKNOWLEDGEMENT: send_acknowledgement,
    JobKind.FORWARD: send_forward,
    JobKind.NOTICE: send_forward,
    JobKind.REPLY: send_reply,
}


class World:
    """Fakes behind the real use cases. Time stands still unless a test moves `now`."""

    def __init__(self) -> None:
        self.now = NOW
        self.archive = FakeArchive()
        self.records = FakeRecords(self.clock)
        self.jobs = FakeJobs()
        self.mailer = FakeMailer()
        self.events = FakeEvents()
        self.config = FakeConfig({"acknowledgement": None, "routes": None, "signature": None})
        self.owners = Owners(
            public_addresses=(PUBLIC,),
            thread_domain=THREAD,
            forward_to=(OWNER,),
            display_name="Example Ltd",
        )
        self.routes = Routes()
        self.judgements = FakeJudgements(self.records)
        self.pointer = FakePointer()
        self.learned: LearnedModel | None = None
        self.hold_unchecked = False
        self.ack_daily_cap = 200
        self.ack_daily_cap_per_domain = 200
        self.reply_delay = timedelta()
        self.new_conversations_daily_cap = 50
        self._numbers = count(1)

    def clock(self) -> datetime:
        return self.now

    def new_token(self, length: int) -> str:
        """Return a new token that is easy to recognise in a failed test."""
        return f"{next(self._numbers):0{length}d}"

    @property
    def configuration(self) -> Configuration:
        owners = replace(self.owners, routed=self.routes.mailboxes)
        document = self.config.documents["signature"]
        signatures = load_signatures(document) if document else Signatures()
        return Configuration(
            rules=builtin_rules(),
            routes=self.routes,
            signatures=signatures,
            owners=owners,
            problems=(),
            learned=self.learned,
        )

    @property
    def context(self) -> Context:
        return Context(
            archive=self.archive,
            records=self.records,
            ledger=self.records,
            jobs=self.jobs,
            events=self.events,
            owners=self.owners,
            configuration=lambda: self.configuration,
            hold_unchecked=self.hold_unchecked,
            ack_daily_cap=self.ack_daily_cap,
            ack_daily_cap_per_domain=self.ack_daily_cap_per_domain,
            reply_delay=self.reply_delay,
            new_conversations_daily_cap=self.new_conversations_daily_cap,
            clock=self.clock,
            pause=lambda _: None,
            chance=lambda: 0.0,
            new_token=self.new_token,
        )

    @property
    def learning(self) -> Learning:
        return Learning(judgements=self.judgements, pointer=self.pointer)

    @property
    def dispatch(self) -> Dispatch:
        return Dispatch(
            archive=self.archive,
            ledger=self.records,
            jobs=self.jobs,
            mailer=self.mailer,
            events=self.events,
            config=self.config,
            acknowledgement_parameter="acknowledgement",
            routes_parameter="routes",
            signature_parameter="signature",
            owners=self.owners,
            region="us-east-1",
            lease=timedelta(seconds=60),
            clock=self.clock,
            pause=lambda _: None,
            chance=lambda: 0.0,
        )

    def route(self, document: bytes) -> None:
        """Put the routes in *document* in force."""
        self.routes = load_routes(document)
        self.config.documents["routes"] = document

    def store(
        self, raw: bytes, *, receipt: str = "", to: str = PUBLIC, function: FunctionName = "inbound"
    ) -> SesReceipt:
        """Store *raw* as SES would and return its receipt: every check passed, the sender verified by DMARC."""
        name = receipt or f"receipt{next(self._numbers)}"
        self.archive.put(raw_key(function, ReceiptId(name)), raw, "message/rfc822")
        return passed_receipt(id=ReceiptId(name), recipients=(EmailAddress(to),), headers=header_section(raw))

    def arrive(self, raw: bytes, *, receipt: str = "", to: str = PUBLIC, **changes: str) -> Decision:
        """Let *raw* arrive at *to*: in inbound, or in reply if *to* is a thread address."""
        function: FunctionName = "reply" if to.endswith("@" + THREAD) else "inbound"
        known = replace(self.store(raw, receipt=receipt, to=to, function=function), **changes)  # type: ignore[arg-type]
        key = raw_key(function, known.id)
        if function == "reply":
            return relay_reply(known, key, self.context)
        return receive(known, key, self.context)

    def run(self) -> list[Sent]:
        """Run the senders until the queue is empty and return the messages sent."""
        before = len(self.mailer.sent)
        while self.jobs.queued:
            job = self.jobs.queued.pop(0)
            try:
                SENDERS[job.kind](job, self.dispatch)
            except RetryLater as later:
                self.now += timedelta(seconds=later.delay)
                self.jobs.queued.append(job)
        return self.mailer.sent[before:]


def read(sent: Sent) -> EmailMessage:
    """Return a sent message as an EmailMessage."""
    message = message_from_bytes(sent.raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message
