"""``make demo``: sends real email through the deployed service, in twelve steps that are each checked from outside.

It prints the emails that were sent. A step whose emails, records or archived objects are not as expected ends the demo
with what was expected and what was seen.
"""

import argparse
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from cli.conversations import conversations_table, messages_table
from cli.terminal import new_console, print_hanging, print_json
from cloud import PROJECT, mailclient
from cloud.cloud import LocalCloud
from cloud.errors import LocalCloudError
from cloud.ses import Sent
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import text_key
from email_handler.conversations.records import LedgerItem, MessageRecord
from email_handler.identifiers import ConversationId, FunctionName, ReceiptId
from email_handler.outgoing.actions import held_actions
from email_handler.outgoing.sentinels import BEGIN
from operations.connection import connect
from operations.conversations import latest

FOLDER = PROJECT / ".local" / "demo"  # apart from a local cloud that may be running
SAMPLES = PROJECT / "events" / "mail"
LIMIT = 60.0  # seconds that one step's emails may take; two are usual
PICTURE_WIDTH = 112
INTERRUPTED = 130  # exit code, as in shells

JANE = "jane@customer.example"
PUBLIC = "contact@example.com"
OWNER = "owner@private.example"
THREAD = "thread.example.com"
BOOKKEEPING = "bookkeeping@private.example"  # shares invoices with the owner, by config/routes.toml


class StepFailed(Exception):
    """A step did not give what was expected; ``step`` is its number."""

    step = 0


@dataclass(slots=True, kw_only=True)
class Step:
    """The result of one step."""

    number: int
    title: str
    received: list[str] = field(default_factory=list)  # each email that came in, on one line
    checks: list[str] = field(default_factory=list)
    sent: list[tuple[str, Sent]] = field(default_factory=list)  # each email that was sent, with its kind
    ids: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def check(self, truth: object, expected: str, seen: object = "") -> None:
        """Record that *expected* holds. Raise StepFailed, naming *seen*, if *truth* is false."""
        if not truth:
            raise StepFailed(f"expected: {expected}" + (f"; seen: {seen}" if seen != "" else ""))
        self.checks.append(expected)


class Demo:
    """The story: a contact, the owner, a spammer, LinkedIn, machines and a forger write to the service."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Use *cloud*, which must be empty."""
        self.cloud = cloud
        self.connection = connect(endpoint=cloud.endpoint)
        # Results that later steps need.
        self.conversation: ConversationId
        self.acknowledgement: Sent
        self.forward: Sent
        self.reply: Sent
        self.held: ReceiptId

    def run(self) -> Iterator[Step]:
        """Run the steps and yield each when it is done. Raise StepFailed if one fails."""
        steps: tuple[tuple[str, Callable[[Step], None]], ...] = (
            ("Jane, a new contact, writes and attaches a PDF", self.first_contact),
            ("The owner replies from their own mail program", self.owner_replies),
            ("Jane replies", self.contact_replies),
            ("Obvious spam arrives", self.spam),
            ("A LinkedIn message arrives", self.linkedin),
            ("Automatic messages arrive: two out-of-office replies and a bounce", self.machines),
            ("A stranger pretends to be the owner", self.forged_owner),
            ("A shop keeps writing: the owner blocks it with a link in its email", self.block),
            ("The spam was none: the owner releases it with the link in the daily list", self.release),
            ("The owner writes to somebody first", self.begin),
            ("An invoice goes to two mailboxes, and one of them replies", self.copy),
            ("The owner thinks again: a reply that waits is cancelled", self.cancel),
        )
        for number, (title, run_step) in enumerate(steps, 1):
            step = Step(number=number, title=title)
            began = time.monotonic()
            try:
                run_step(step)
            except StepFailed as error:
                error.step = number
                raise
            step.seconds = time.monotonic() - began
            yield step

    # The steps

    def first_contact(self, step: Step) -> None:
        """Check the acknowledgement, the forward with banner and file, and the PDF's text in the archive."""
        raw = (SAMPLES / "first_contact.eml").read_bytes()
        record, (self.acknowledgement, self.forward) = self._deliver(
            step, raw, JANE, PUBLIC, Outcome.DELIVER, acknowledgement=JANE, forward=OWNER
        )
        self.conversation = ConversationId(record.conversation)

        automatic = mailclient.read(_raw(self.acknowledgement))["Auto-Submitted"] == "auto-replied"
        step.check(automatic, "Jane gets an acknowledgement, marked as automatic")
        sender = self.acknowledgement.sender
        step.check(sender == PUBLIC, "The acknowledgement comes from the public address", sender)

        step.check(banner(_raw(self.forward)), "The owner gets Jane's email, with a line that says who wrote")
        forwarded = mailclient.read(_raw(self.forward))
        files = {part.get_filename(): part.get_content() for part in forwarded.iter_attachments()}
        pdf = next(part.get_content() for part in mailclient.read(raw).iter_attachments())
        step.check(files.get("garden-plan.pdf") == pdf, "The PDF is attached, byte for byte", sorted(map(str, files)))
        key = text_key(record.conversation, record.receipt, "01")
        archive = self.connection.archive
        (found,) = self._eventually(lambda: [key for key, _ in archive.keys(key)], f"the PDF's text at {key}")
        text = archive.get(found).decode()
        step.check("wheelchairs" in text, "The text of the PDF is in the archive", text[:60])
        step.ids["archive"] = key

    def owner_replies(self, step: Step) -> None:
        """Check that the reply comes from the public address, in the thread, with nothing private in it."""
        text = "Dear Jane,\n\nTuesday at ten would suit me. Shall I bring soil samples?"
        forward = _raw(self.forward)
        raw = mailclient.reply(forward, sender=f"Owner <{OWNER}>", message_id="answer-1@private.example", text=text)
        _, (self.reply,) = self._deliver(step, raw, OWNER, self.forward.sender, Outcome.RELAY, reply=JANE)

        sent = mailclient.read(_raw(self.reply))
        public = self.reply.sender == PUBLIC and PUBLIC in sent["From"]
        step.check(public, "Jane gets the reply from the public address", sent["From"])
        first = "<garden-plan-1@customer.example>"
        step.check(first in sent["References"], "It continues the thread of her first email", sent["References"])
        step.check("soil samples" in mailclient.body(_raw(self.reply)), "It has the owner's text")
        content = mailclient.readable(_raw(self.reply)).lower()
        step.check(OWNER not in content, "The owner's address is nowhere in it")
        step.check("@thread." not in content, "No address at thread.example.com is in it")
        lines = [line for line in (BEGIN, *banner(forward)) if line.lower() in content]
        step.check(not lines, "No line of the banner is in it", lines)

    def contact_replies(self, step: Step) -> None:
        """Check that the reply joins the conversation: forwarded, not acknowledged again."""
        text = "Tuesday at ten is perfect. Please ring at the side door."
        raw = mailclient.reply(
            _raw(self.reply), sender=f"Jane Doe <{JANE}>", message_id="garden-plan-2@customer.example", text=text
        )
        record, _ = self._deliver(step, raw, JANE, PUBLIC, Outcome.DELIVER, forward=OWNER)
        same = record.conversation == self.conversation
        step.check(same, "It joins the same conversation", record.conversation)
        step.checks.append("The owner gets it, and Jane gets no second acknowledgement")

    def spam(self, step: Step) -> None:
        """Check that it is held with reasons, and that no email is sent."""
        raw = (SAMPLES / "spam.eml").read_bytes()
        record, _ = self._deliver(step, raw, "growth@ranking-boost.example", PUBLIC, Outcome.HOLD)
        self.held = record.receipt
        rules = [reason.rule for reason in record.reasons]
        more = f" and {len(rules) - 4} more" if len(rules) > 4 else ""  # noqa: PLR2004  (as many as fit a line)
        step.check(rules, f"It is held with a spam score of {record.score:g}: {', '.join(rules[:4])}{more}")
        step.checks.append("No email is sent")

    def linkedin(self, step: Step) -> None:
        """Check that the conversation has the person's name: forwarded, not acknowledged."""
        raw = (SAMPLES / "linkedin_message.eml").read_bytes()
        sender = "s-2ab8dfbbd4bed@bounce.linkedin.com"
        record, _ = self._deliver(step, raw, sender, PUBLIC, Outcome.DELIVER, forward=OWNER)
        named = record.conversation == "linkedin-jane-doe"
        step.check(named, "The conversation is named after the person: linkedin-jane-doe", record.conversation)
        step.checks.append("The owner gets it, and no acknowledgement is sent")

    def machines(self, step: Step) -> None:
        """Check that the contact's is forwarded, the owner's is not, SES's bounce is recorded, and none is replied to."""
        away = (SAMPLES / "contact_out_of_office.eml").read_bytes()
        raw = mailclient.with_fields(away, In_Reply_To=self.reply.message_id)
        record, _ = self._deliver(step, raw, "", PUBLIC, Outcome.DELIVER, forward=OWNER)
        here = record.conversation == self.conversation
        expected = "The owner gets Jane's out-of-office reply, and no acknowledgement is sent"
        step.check(here and record.automatic, expected, record.conversation)

        away = (SAMPLES / "owner_out_of_office.eml").read_bytes()
        raw = mailclient.with_fields(away, To=self.forward.sender, In_Reply_To=self.forward.message_id)
        record, _ = self._deliver(step, raw, "", self.forward.sender, Outcome.RECORD)
        step.check(record.automatic, "The owner's out-of-office reply is recorded and sent to nobody")

        self.cloud.ses_event("Bounce", self.acknowledgement.ses_id)
        messages = self.connection.records.messages
        bounces = self._eventually(
            lambda: [message for message in messages(self.conversation) if message.feedback],
            f"a bounce in {self.conversation}",
        )
        status = [bounce.feedback.get("status") for bounce in bounces]
        step.check(status == ["5.1.1"], "The acknowledgement's bounce is recorded in the conversation", status)
        step.ids["receipts"] += [bounce.receipt for bounce in bounces]

    def forged_owner(self, step: Step) -> None:
        """Check that it is held: the contact gets nothing, the owner gets a notice."""
        forged = (SAMPLES / "forged_owner.eml").read_bytes()
        verdicts = "spf=FAIL dkim=GRAY dmarc=FAIL policy=none"
        raw = mailclient.with_fields(forged, To=self.forward.sender, X_Local_Verdicts=verdicts)
        record, _ = self._deliver(step, raw, "x@laptop.invalid", self.forward.sender, Outcome.HOLD, notice=OWNER)
        step.check(record.reasons, f"It is held: {', '.join(map(str, record.reasons))}")
        step.checks.append("Jane gets nothing, and the owner gets a notice")

    def block(self, step: Step) -> None:
        """Check that the link of the forward blocks the sender, and that their next email is held."""
        shop = "offers@shop.example"
        for number in (1, 2):
            raw = mailclient.with_fields(
                (SAMPLES / "first_contact.eml").read_bytes(),
                From=f"Garden Shop <{shop}>",
                Subject=f"Our offers of week {number}",
                Message_ID=f"<offers-{number}@shop.example>",
            )
            if number == 1:
                _, (_, forward) = self._deliver(
                    step, raw, shop, PUBLIC, Outcome.DELIVER, acknowledgement=shop, forward=OWNER
                )
                link = mailclient.opened_link(
                    _raw(forward), "Block sender", sender=f"Owner <{OWNER}>", message_id="block-1@private.example"
                )
                to = str(mailclient.read(link)["To"])
                _, (notice,) = self._deliver(step, link, OWNER, to, Outcome.RECORD, notice=OWNER)
                step.check("is blocked" in mailclient.body(_raw(notice)), "The owner is told that the shop is blocked")
            else:
                record, _ = self._deliver(step, raw, shop, PUBLIC, Outcome.HOLD)
                step.check(record.reasons, f"Its next email is held: {', '.join(map(str, record.reasons))}")

    def release(self, step: Step) -> None:
        """Check that the link that the digest has for a held message delivers it."""
        spam = self.connection.records.message(self.held, "inbound")
        if spam is None:
            raise StepFailed("expected: the record of the held message")
        action, *_ = held_actions(spam.receipt, spam.token, THREAD)
        raw = mailclient.from_link(action.url, sender=f"Owner <{OWNER}>", message_id="release-1@private.example")
        to = str(mailclient.read(raw)["To"])
        _, (notice, *_) = self._deliver(
            step, raw, OWNER, to, Outcome.RECORD, notice=OWNER, forward=OWNER, acknowledgement=spam.sender
        )
        step.check("It is released" in mailclient.body(_raw(notice)), "The owner is told that it is released")
        step.checks.append("The owner gets it, and its sender an acknowledgement")

    def begin(self, step: Step) -> None:
        """Check that the owner's first message leaves from the public address, and that the owner has the thread."""
        to = "to.ada=engines.example@" + THREAD
        text = "Dear Ada,\n\nmay I see your engine on Friday?"
        raw = mailclient.written(
            sender=f"Owner <{OWNER}>", to=to, subject="Your engine", message_id="first-1@private.example", text=text
        )
        _, (first, line) = self._deliver(
            step, raw, OWNER, to, Outcome.RELAY, reply="ada@engines.example", forward=OWNER
        )
        step.check(first.sender == PUBLIC, "Ada gets it from the public address", first.sender)
        content = mailclient.readable(_raw(first)).lower()
        step.check(OWNER not in content and "@thread." not in content, "Nothing private is in it")
        step.check("start of a conversation" in mailclient.body(_raw(line)), "The owner gets a line to reply to later")

    def copy(self, step: Step) -> None:
        """Check that a reply of one mailbox is copied to the other that shares the conversation."""
        raw = mailclient.written(
            sender="Bob Lee <bob@builder.example>",
            to=PUBLIC,
            subject="Invoice 7",
            message_id="invoice-7@builder.example",
            text="Hello,\n\nattached is what you owe us: nothing.",
        )
        _, (_, forward, _) = self._deliver(
            step, raw, "bob@builder.example", PUBLIC, Outcome.DELIVER,
            acknowledgement="bob@builder.example", forward=OWNER, second=BOOKKEEPING,
        )  # fmt: skip
        raw = mailclient.reply(
            _raw(forward), sender=f"Owner <{OWNER}>", message_id="invoice-7-1@private.example", text="Thank you, Bob."
        )
        _, (_, copy) = self._deliver(
            step, raw, OWNER, forward.sender, Outcome.RELAY, reply="bob@builder.example", copy=BOOKKEEPING
        )
        text = mailclient.body(_raw(copy))
        step.check("Thank you, Bob." in text, "The bookkeeping gets a copy of the owner's reply")
        step.check(OWNER in text, "It says who replied")

    def cancel(self, step: Step) -> None:
        """Check that a reply that waits does not leave once the owner has cancelled it."""
        self._let_replies_wait("900")
        before = len(self.cloud.sent())
        raw = mailclient.reply(
            _raw(self.forward), sender=f"Owner <{OWNER}>", message_id="hasty-1@private.example", text="Never mind!"
        )
        step.received.append(f"Owner <{OWNER}> → {self.forward.sender}: Never mind!")
        self.cloud.send(raw, OWNER, [self.forward.sender])
        known = self._eventually(
            lambda: [
                item for item in self.connection.records.find("send_state", "queued") if isinstance(item, LedgerItem)
            ],
            "a reply that waits",
        )
        minutes = (known[0].due - known[0].queued_at).total_seconds() / 60
        step.check(minutes > 1, f"With ReplyDelaySeconds, the reply waits for {minutes:.0f} minutes")
        to = self.forward.sender.replace("@", "+cancel@")
        raw = mailclient.written(
            sender=f"Owner <{OWNER}>", to=to, subject="No", message_id="hasty-2@private.example", text="Stop it."
        )
        step.received.append(f"Owner <{OWNER}> → {to}: No")
        self.cloud.send(raw, OWNER, [to])
        (notice,) = self._eventually(lambda: self.cloud.sent()[before:], "a notice")
        step.sent.append(("notice", notice))
        item = self.connection.ledger.by_id(known[0].id)
        step.check(item and item.state == "cancelled", "It is cancelled, and Jane never gets it", item and item.state)
        step.ids |= {"receipts": [known[0].source], "sent": [notice.ses_id], "conversation": self.conversation}

    def _let_replies_wait(self, seconds: str) -> None:
        """Set ``ReplyDelaySeconds`` as a deployment would, in a moment."""
        functions, name = self.cloud.clients.lambda_, self.cloud.resources["ReplyFunction"]
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        changed = variables | {"REPLY_DELAY_SECONDS": seconds}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})

    # What the steps have in common

    def _deliver(
        self, step: Step, raw: bytes, sender: str, recipient: str, outcome: Outcome, **expected: str
    ) -> tuple[MessageRecord, list[Sent]]:
        """Send an email to the service and wait until it is processed. Return its record, which has *outcome*, and the
        emails that the service sent: *expected* has their recipients by kind. Raise StepFailed otherwise."""
        before = len(self.cloud.sent())
        message = mailclient.read(raw)
        step.received.append(f"{message['From']} → {recipient}: {message['Subject']}")
        receipt = ReceiptId(self.cloud.send(raw, sender, [recipient]))
        wanted = ", ".join(f"{kind} to {address}" for kind, address in expected.items()) or "no email"
        self._eventually(lambda: len(self.cloud.sent()) >= before + len(expected), wanted)
        function: FunctionName = "inbound" if recipient == PUBLIC else "reply"
        self._eventually(lambda: self.connection.records.decision(receipt, function), "a decision")
        try:
            self.cloud.settle(LIMIT)
        except TimeoutError as error:
            raise StepFailed(str(error)) from error
        new = self.cloud.sent()[before:]
        addresses = sorted(address for sent in new for address in sent.recipients)
        if addresses != sorted(expected.values()):
            raise StepFailed(f"expected: {wanted}; seen: email to {', '.join(addresses) or 'nobody'}")
        emails = [
            (kind, next(sent for sent in new if sent.recipients == (to,) and _is(kind, sent)))
            for kind, to in expected.items()
        ]
        step.sent += emails
        step.ids.setdefault("receipts", []).append(receipt)
        step.ids.setdefault("sent", []).extend(sent.ses_id for _, sent in emails)
        record = self.connection.records.message(receipt, function)
        if record is None or record.outcome is not outcome:
            raise StepFailed(f"expected: a record with outcome {outcome}; seen: {record and record.outcome}")
        step.ids["conversation"] = record.conversation or None
        return record, [sent for _, sent in emails]

    def _eventually[T](self, condition: Callable[[], T], what: str) -> T:
        try:
            return self.cloud.wait_until(condition, LIMIT, what)
        except TimeoutError as error:
            seen = ", ".join(f"{sent.subject!r} to {sent.recipients[0]}" for sent in self.cloud.sent()) or "nothing"
            raise StepFailed(f"expected: {what}; seen so far: {seen}; log: {self.cloud.address.log}") from error


def _is(kind: str, sent: Sent) -> bool:
    return (kind == "notice") is sent.sender.startswith("notices@")


def _raw(sent: Sent) -> bytes:
    return Path(sent.eml).read_bytes()


_BANNER = re.compile(re.escape(BEGIN) + r"\s*(.*?)\]", re.DOTALL)


def banner(raw: bytes) -> list[str]:
    """Return the lines of the banner in a forward's text, none if it has no banner."""
    found = _BANNER.search(mailclient.body(raw))
    return found[1].splitlines() if found else []


# What is printed


def print_step(console: Console, step: Step) -> None:
    """Print a step: what came in, the main lines of each email that was sent, and what was checked."""
    console.print()
    console.print(Text.assemble((f" {step.number} ", "bold reverse"), (f" {step.title}", "bold"),
                                (f"  {step.seconds:.1f} s", "dim")))  # fmt: skip
    for line in step.received:
        print_hanging(console, Text.assemble("    ", ("Received: ", "bold blue")), line)
    for kind, sent in step.sent:
        console.print(Padding(_panel(kind, sent), (0, 0, 0, 4)))
    for check in step.checks:
        print_hanging(console, Text.assemble("    ", ("✓ ", "green")), check)


def _panel(kind: str, sent: Sent) -> Panel:
    message = mailclient.read(_raw(sent))
    lines = [Text.assemble((f"{name}: ", "dim"), str(message[name])) for name in ("From", "To", "Subject")]
    lines += [Text(line, "yellow") for line in banner(_raw(sent))]
    text = _BANNER.sub("", mailclient.body(_raw(sent)))
    written = [line for line in text.strip().splitlines() if line.strip() and not line.startswith((">", "On Mon"))]
    lines += [Text(line) for line in written[:3]]
    to = ", ".join(sent.recipients)
    title = Text.assemble(("Sent: ", "bold blue"), (kind, "bold"), f" → {to}", (f"  {Path(sent.eml).name}", "dim"))
    return Panel(Group(*lines), title=title, title_align="left", border_style="dim", padding=(0, 1))


def print_end(console: Console, demo: Demo, seconds: float) -> None:
    """Print the conversations as the operator's command lists them, where the emails are, and what to try next."""
    held = [one for one in demo.connection.records.find("verdict", "held") if isinstance(one, MessageRecord)]
    console.print(Text("\n email-handler list", "bold"), conversations_table(latest(demo.connection, 50)), sep="\n")
    console.print(Text("\n email-handler list --verdict held", "bold"), messages_table(held), sep="\n")
    outbox = demo.cloud.outbox
    outbox = outbox.relative_to(PROJECT) if outbox.is_relative_to(PROJECT) else outbox
    console.print(f"\nAll twelve steps worked, in {seconds:.0f} s.")
    console.print(
        Text.assemble(f"The {len(demo.cloud.sent())} emails that were sent are in ", (str(outbox), "bold"), ".")
    )
    console.print("Try next:")
    for command, what in (
        ("email-handler console --demo", "see all of this in your browser"),
        ("email-handler local up", "start an empty local cloud and keep it running"),
        ("email-handler local send events/mail/first_contact.eml", "send it an email, from another terminal"),
        ("email-handler list", "list its conversations; see also show, why, search"),
        ("email-handler inspect events/mail", "show how the service reads any email file"),
    ):
        console.print(Text.assemble("  ", (f".venv/bin/{command}", "cyan"), (f"  {what}", "dim")), soft_wrap=True)


def run_demo(console: Console, folder: Path, *, as_json: bool) -> None:
    """Start an empty local cloud in *folder*, run the demo on it, and stop it; its state is kept. Raise StepFailed or
    LocalCloudError."""
    began = time.monotonic()
    for left in ("state", "outbox"):
        shutil.rmtree(folder / left, ignore_errors=True)
    with (
        console.status("Starting the local cloud") as status,
        LocalCloud.start(
            PROJECT,
            folder=folder,
            keep=True,  # for the console
            smtp_port=0,
            progress=lambda what: status.update(f"Starting the local cloud: {what}"),
        ) as cloud,
    ):
        started = time.monotonic() - began
        if not as_json:
            deployed = f"The service is deployed to a local cloud ({started:.0f} s). Real email comes in over SMTP."
            people = f"{PUBLIC} is the public address. The owner's mailbox, {OWNER}, must stay private."
            console.print(Text(f"{deployed}\n{people}", "dim"))
        status.update("Processing email")
        demo = Demo(cloud)
        for step in demo.run():
            if as_json:
                line = {"step": step.number, "ok": True, "title": step.title, "seconds": round(step.seconds, 2)}
                print_json(line | {"checks": step.checks} | step.ids)
            else:
                print_step(console, step)
        if not as_json:
            print_end(console, demo, time.monotonic() - began)
        status.update("Stopping the local cloud")


def save_picture(console: Console, path: Path) -> None:
    """Write what *console* recorded as SVG. Rich's links to web fonts are removed, so that viewing it loads nothing."""
    svg = console.export_svg(title="make demo")
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code: 0, 1 if a step failed, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m cli.demo", description="Send real email through the service.")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each step, nothing else")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of outbox and log (.local/demo)")
    parser.add_argument("--svg", type=Path, help="also save what is printed as a picture")
    options = parser.parse_args(arguments)
    as_json = options.json
    console = new_console(
        stderr=as_json, highlight=False, record=bool(options.svg), width=PICTURE_WIDTH if options.svg else None
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops everything in order, as Ctrl-C does
    try:
        run_demo(console, options.folder, as_json=as_json)
        if options.svg:
            save_picture(console, options.svg)
    except StepFailed as error:
        if as_json:
            print_json({"step": error.step, "ok": False, "error": str(error)})
        console.print(f"Step {error.step} failed: {error}", style="red", soft_wrap=True)
        return 1
    except LocalCloudError as error:
        console.print(f"The demo could not start: {error}", style="red", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted. The local cloud has stopped.")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
