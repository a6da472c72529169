"""``make demo``: real mail in over SMTP, the right mail out, in seven steps that are each checked from outside.

Nothing here is shown that did not happen: what is printed are the mails that came out, and a step whose mails,
records or archived objects are not as they must be ends the demo with what was expected and what was seen.
"""

import argparse
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from cli.connection import Connection, connect
from cli.conversations import conversations_table, latest, messages_table
from cli.terminal import print_hanging
from cloud import PROJECT, mailclient
from cloud.cloud import LocalCloud
from cloud.errors import LocalCloudError
from cloud.ses import Sent
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import MessageRecord
from email_handler.identifiers import ConversationId, FunctionName, ReceiptId
from email_handler.outgoing.sentinels import BEGIN, END

FOLDER = PROJECT / ".local" / "demo"  # apart from a local cloud that may be running
MAILS = PROJECT / "events" / "mail"
LIMIT = 60.0  # seconds that one step's mails may take; two are usual
PICTURE_WIDTH = 112
INTERRUPTED = 130  # exit code, as shells have it

JANE = "jane@customer.example"
PUBLIC = "contact@example.com"
OWNER = "owner@private.example"


class Missing(Exception):
    """A step did not happen as it must; ``step`` is its number."""

    step = 0


@dataclass(slots=True, kw_only=True)
class Step:
    """What one step showed."""

    number: int
    title: str
    arrived: list[str] = field(default_factory=list)  # each mail that was handed in, on one line
    checks: list[str] = field(default_factory=list)
    mails: list[tuple[str, Sent]] = field(default_factory=list)  # what each is, and the mail
    ids: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def check(self, truth: object, expected: str, seen: object = "") -> None:
        """Note that *expected* holds. Raises Missing, naming *seen*, where it does not."""
        if not truth:
            raise Missing(f"expected: {expected}" + (f"; seen: {seen}" if seen != "" else ""))
        self.checks.append(expected)


class Demo:
    """The story: a contact, the owner, a spammer, LinkedIn, machines and a forger write to a deployed stack."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Tell it on *cloud*, which must be empty."""
        self.cloud = cloud
        self.connection: Connection = connect(endpoint=cloud.endpoint)
        # What later steps go on with.
        self.conversation: ConversationId
        self.acknowledgement: Sent
        self.forward: Sent
        self.answer: Sent

    @property
    def steps(self) -> Sequence[tuple[str, Callable[[Step], None]]]:
        """Return the steps in order, each with its title."""
        return (
            ("A first mail, with a PDF and an HTML part", self.first_contact),
            ("The owner answers from their own mail program", self.owner_answers),
            ("The contact answers that", self.contact_answers),
            ("An obvious spam", self.spam),
            ("A message by way of LinkedIn", self.linkedin),
            ("Machines: two out-of-office notices and a bounce", self.machines),
            ("A stranger who forges the owner", self.forged_owner),
        )

    def run(self) -> Iterator[Step]:
        """Take the steps, yielding each when it is done. Raises Missing."""
        for number, (title, take) in enumerate(self.steps, 1):
            step = Step(number=number, title=title)
            began = time.monotonic()
            try:
                take(step)
            except Missing as error:
                error.step = number
                raise
            step.seconds = time.monotonic() - began
            yield step

    # The steps

    def first_contact(self, step: Step) -> None:
        """Show an acknowledgement, a forward with banner and file, and the PDF's text in the archive."""
        raw = (MAILS / "first_contact.eml").read_bytes()
        receipt, (acknowledgement, forward) = self._happens(
            step, raw, JANE, PUBLIC, acknowledgement=JANE, forward=OWNER
        )
        self.acknowledgement, self.forward = acknowledgement, forward
        record = self._record(step, receipt, Outcome.DELIVER)
        self.conversation = ConversationId(record.conversation)

        sent = _raw(acknowledgement)
        step.check(mailclient.read(sent)["Auto-Submitted"] == "auto-replied", "an acknowledgement that says it is one")
        step.check(acknowledgement.sender == PUBLIC, "it comes from the public address", acknowledgement.sender)

        came = mailclient.read(_raw(forward))
        step.check(banner(_raw(forward)), "the forward begins with a banner for the owner")
        files = {part.get_filename(): part.get_content() for part in came.iter_attachments()}
        pdf = next(part.get_content() for part in mailclient.read(raw).iter_attachments())
        step.check(files.get("garden-plan.pdf") == pdf, "the PDF came along, byte for byte", sorted(map(str, files)))
        stored = f"text/{record.conversation}/{receipt}/01.txt"
        text = self._eventually(lambda: self._object(stored), f"the PDF's text at {stored}")
        step.check("wheelchairs" in text, "the PDF's text is in the archive", text[:60])
        step.ids["archive"] = stored

    def owner_answers(self, step: Step) -> None:
        """Show that the answer leaves from the public address, threaded, with nothing private in it."""
        text = "Dear Jane,\n\nTuesday at ten would suit me. Shall I bring soil samples?"
        came = _raw(self.forward)
        raw = mailclient.answer(came, sender=f"Owner <{OWNER}>", message_id="answer-1@private.example", text=text)
        receipt, (reply,) = self._happens(step, raw, OWNER, self.forward.sender, reply=JANE)
        self.answer = reply
        self._record(step, receipt, Outcome.RELAY)

        sent = mailclient.read(_raw(reply))
        step.check(reply.sender == PUBLIC and PUBLIC in sent["From"], "it comes from the public address", sent["From"])
        known = "<garden-plan-1@customer.example>"
        step.check(known in sent["References"], "it is threaded below her first mail", sent["References"])
        step.check("soil samples" in mailclient.body(_raw(reply)), "it says what the owner wrote")
        told = mailclient.readable(_raw(reply)).lower()
        step.check(OWNER not in told, "the owner's mailbox is nowhere in it")
        step.check("@thread." not in told, "no thread address is in it")
        lines = [line for line in (BEGIN, *banner(came), END) if line.lower() in told]
        step.check(not lines, "no line of the banner is in it", lines)

    def contact_answers(self, step: Step) -> None:
        """Show that it is the same conversation: forwarded, not acknowledged again."""
        text = "Tuesday at ten is perfect. Please ring at the side door."
        raw = mailclient.answer(
            _raw(self.answer), sender=f"Jane Doe <{JANE}>", message_id="garden-plan-2@customer.example", text=text
        )
        receipt, _ = self._happens(step, raw, JANE, PUBLIC, forward=OWNER)
        record = self._record(step, receipt, Outcome.DELIVER)
        same = record.conversation == self.conversation
        step.check(same, "it is in the same conversation", record.conversation)
        step.checks.append("no second acknowledgement left")

    def spam(self, step: Step) -> None:
        """Show it held with its reasons, and nobody mailed."""
        raw = (MAILS / "spam.eml").read_bytes()
        receipt, _ = self._happens(step, raw, "growth@ranking-boost.example", PUBLIC)
        record = self._record(step, receipt, Outcome.HOLD)
        rules = [reason.rule for reason in record.reasons]
        named, others = rules[:4], rules[4:]
        more = f" and {len(others)} more" if others else ""
        step.check(rules, f"held, score {record.score:g}: {', '.join(named)}{more}")
        step.checks.append("nobody was mailed")

    def linkedin(self, step: Step) -> None:
        """Show a conversation by the person's name: forwarded, not acknowledged."""
        raw = (MAILS / "linkedin_message.eml").read_bytes()
        receipt, _ = self._happens(step, raw, "s-2ab8dfbbd4bed@bounce.linkedin.com", PUBLIC, forward=OWNER)
        record = self._record(step, receipt, Outcome.DELIVER)
        named = record.conversation == "linkedin-jane-doe"
        step.check(named, "the conversation is linkedin-jane-doe", record.conversation)
        step.checks.append("forwarded, not acknowledged")

    def machines(self, step: Step) -> None:
        """Show hers forwarded, the owner's relayed to nobody, SES's bounce recorded, and none answered."""
        away = (MAILS / "contact_out_of_office.eml").read_bytes()
        raw = mailclient.with_fields(away, In_Reply_To=self.answer.message_id)
        receipt, _ = self._happens(step, raw, "", PUBLIC, forward=OWNER)
        record = self._record(step, receipt, Outcome.DELIVER)
        here = record.conversation == self.conversation
        step.check(here and record.automatic, "her out-of-office: forwarded, not acknowledged", record.conversation)

        away = (MAILS / "owner_out_of_office.eml").read_bytes()
        raw = mailclient.with_fields(away, To=self.forward.sender, In_Reply_To=self.forward.message_id)
        receipt, _ = self._happens(step, raw, "", self.forward.sender)
        record = self._record(step, receipt, Outcome.RECORD)
        step.check(record.automatic, "the owner's out-of-office: recorded, relayed to nobody")

        acknowledgement = self.acknowledgement
        self.cloud.ses_event("Bounce", acknowledgement.ses_id)
        bounces = self._eventually(self._bounces, f"a bounce on {self.conversation}")
        said = [bounce.feedback.get("status") for bounce in bounces]
        step.check(said == ["5.1.1"], "SES's bounce of our acknowledgement: recorded on its conversation", said)
        step.ids["receipts"] += [bounce.receipt for bounce in bounces]

    def forged_owner(self, step: Step) -> None:
        """Show it refused: the contact gets nothing, the owner is told."""
        forged = (MAILS / "forged_owner.eml").read_bytes()
        verdicts = "spf=FAIL dkim=GRAY dmarc=FAIL policy=none"
        raw = mailclient.with_fields(forged, To=self.forward.sender, X_Local_Verdicts=verdicts)
        receipt, _ = self._happens(step, raw, "x@laptop.invalid", self.forward.sender, notice=OWNER)
        record = self._record(step, receipt, Outcome.HOLD)
        step.check(record.reasons, f"refused: {', '.join(map(str, record.reasons))}")
        step.checks.append("nothing was sent to the contact; the owner was told")

    # What the steps are made of

    def _happens(
        self, step: Step, raw: bytes, sender: str, recipient: str, **expected: str
    ) -> tuple[ReceiptId, list[Sent]]:
        """Hand a mail in and wait until all is quiet. Return its receipt and what came out: exactly *expected*, a
        recipient for each kind of mail, in that order. Raises Missing."""
        before = len(self.cloud.sent())
        mail = mailclient.read(raw)
        step.arrived.append(f"{mail['From']} → {recipient}: {mail['Subject']}")
        receipt = ReceiptId(self.cloud.send(raw, sender, [recipient]))
        wanted = ", ".join(f"{kind} to {address}" for kind, address in expected.items()) or "no mail"
        self._eventually(lambda: len(self.cloud.sent()) >= before + len(expected), wanted)
        function: FunctionName = "inbound" if recipient == PUBLIC else "reply"
        self._eventually(lambda: self.connection.records.decision(receipt, function), "a decision")
        try:
            self.cloud.settle(LIMIT)
        except TimeoutError as error:
            raise Missing(str(error)) from error
        came = self.cloud.sent()[before:]
        addresses = sorted(address for sent in came for address in sent.recipients)
        if addresses != sorted(expected.values()):
            raise Missing(f"expected: {wanted}; seen: mail to {', '.join(addresses) or 'nobody'}")
        mails = [(kind, next(sent for sent in came if sent.recipients == (to,))) for kind, to in expected.items()]
        step.mails += mails
        step.ids.setdefault("receipts", []).append(receipt)
        step.ids.setdefault("sent", []).extend(sent.ses_id for _, sent in mails)
        return receipt, [sent for _, sent in mails]

    def _record(self, step: Step, receipt: ReceiptId, outcome: Outcome) -> MessageRecord:
        records = self.connection.records
        record = records.message(receipt, "inbound") or records.message(receipt, "reply")
        if record is None or record.outcome is not outcome:
            raise Missing(f"expected: a record with outcome {outcome}; seen: {record and record.outcome}")
        step.ids["conversation"] = record.conversation or None
        return record

    def _bounces(self) -> list[MessageRecord]:
        return [message for message in self.connection.records.messages(self.conversation) if message.feedback]

    def _object(self, key: str) -> str:
        found = [stored for stored, _ in self.connection.archive.keys(key)]
        return self.connection.archive.get(key).decode() if found else ""

    def _eventually[T](self, condition: Callable[[], T], what: str) -> T:
        try:
            return self.cloud.wait_until(condition, LIMIT, what)
        except TimeoutError as error:
            seen = ", ".join(f"{sent.subject!r} to {sent.recipients[0]}" for sent in self.cloud.sent()) or "nothing"
            raise Missing(f"expected: {what}; seen so far: {seen}; log: {self.cloud.address.log}") from error


def _raw(sent: Sent) -> bytes:
    return Path(sent.eml).read_bytes()


def banner(raw: bytes) -> list[str]:
    """Return the lines between the banner's two sentinels in a forward's text."""
    lines = mailclient.body(raw).splitlines()
    return lines[lines.index(BEGIN) + 1 : lines.index(END)] if BEGIN in lines and END in lines else []


# How it is shown


def show_step(console: Console, step: Step) -> None:
    """Print a step: the lines that matter of each mail that came out, and what was checked."""
    console.print()
    console.print(Text.assemble((f" {step.number} ", "bold reverse"), (f" {step.title}", "bold"),
                                (f"  {step.seconds:.1f} s", "dim")))  # fmt: skip
    for line in step.arrived:
        print_hanging(console, Text.assemble("    ", ("in ", "bold blue")), line)
    for kind, sent in step.mails:
        console.print(Padding(_mail(kind, sent), (0, 0, 0, 4)))
    for check in step.checks:
        print_hanging(console, Text.assemble("    ", ("✓ ", "green")), check)


def _mail(kind: str, sent: Sent) -> Panel:
    message = mailclient.read(_raw(sent))
    lines = [Text.assemble((f"{name}: ", "dim"), str(message[name])) for name in ("From", "To", "Subject")]
    told = banner(_raw(sent))
    lines += [Text(line, "yellow") for line in told]
    text = mailclient.body(_raw(sent))
    own = text.partition(END)[2] if told else text
    written = [line for line in own.strip().splitlines() if line.strip() and not line.startswith((">", "On Mon"))]
    lines += [Text(line) for line in written[:3]]
    to = ", ".join(sent.recipients)
    title = Text.assemble((kind, "bold"), f" → {to}", (f"  {Path(sent.eml).name}", "dim"))
    return Panel(Group(*lines), title=title, title_align="left", border_style="dim", padding=(0, 1))


def show_end(console: Console, demo: Demo, seconds: float) -> None:
    """Print the conversations as the operator's command lists them, where the mails lie, and what to try next."""
    held = [one for one in demo.connection.records.find("verdict", "held") if isinstance(one, MessageRecord)]
    console.print()
    console.print(Text(" email-handler list", "bold"))
    console.print(conversations_table(latest(demo.connection, 50)))
    console.print()
    console.print(Text(" email-handler list --verdict held", "bold"))
    console.print(messages_table(held))
    outbox = demo.cloud.outbox
    outbox = outbox.relative_to(PROJECT) if outbox.is_relative_to(PROJECT) else outbox
    console.print()
    console.print(
        f"Seven steps in {seconds:.0f} s. All {len(demo.cloud.sent())} mails that left lie in [bold]{outbox}[/]."
    )
    console.print("Try next:")
    for command, what in (
        ("email-handler local up", "the same cloud, and it stays; SMTP on port 2525"),
        ("email-handler local send events/mail/first_contact.eml", "a mail into it, from another terminal"),
        ("email-handler list", "what it made of it; then show, why, search"),
        ("email-handler inspect events/mail", "what the functions would see in any raw mail"),
    ):
        console.print(Text.assemble("  ", (f".venv/bin/{command}", "cyan"), (f"  {what}", "dim")), soft_wrap=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, so that everything is closed in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tell(console: Console, folder: Path, *, as_json: bool) -> None:
    """Start a local cloud in *folder*, run the demo on it, and end both. Raises Missing, LocalCloudError."""
    began = time.monotonic()
    with console.status("starting the local cloud") as status:

        def progress(what: str) -> None:
            status.update(f"starting the local cloud: {what}")

        with LocalCloud.start(PROJECT, folder=folder, smtp_port=0, progress=progress) as cloud:
            started = time.monotonic() - began
            ready = f"template.yaml deployed in {started:.0f} s; SMTP on localhost:{cloud.smtp_port}"
            if not as_json:
                console.print(Text(ready, "dim"))
            status.update("mail is on its way")
            demo = Demo(cloud)
            for step in demo.run():
                if as_json:
                    _print_json(step)
                else:
                    show_step(console, step)
            if not as_json:
                show_end(console, demo, time.monotonic() - began)
            status.update("closing the local cloud")


def _print_json(step: Step) -> None:
    line = {"step": step.number, "ok": True, "title": step.title, "seconds": round(step.seconds, 2)}
    print(json.dumps(line | {"checks": step.checks} | step.ids), flush=True)  # noqa: T201


def save_picture(console: Console, path: Path) -> None:
    """Write what *console* recorded as SVG, without the web fonts that Rich would have every reader fetch."""
    svg = console.export_svg(title="make demo")
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code: 0, 1 where a step did not happen, 130 where it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m cli.demo", description="Real mail through the deployed template.")
    parser.add_argument("--json", action="store_true", help="one JSON object a step on stdout, nothing else")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where outbox and log lie (.local/demo)")
    parser.add_argument("--svg", type=Path, help="keep what is printed as a picture as well")
    options = parser.parse_args(arguments)
    as_json = options.json
    console = Console(
        stderr=as_json, highlight=False, record=bool(options.svg), width=PICTURE_WIDTH if options.svg else None
    )
    try:
        with interruptible():
            tell(console, options.folder, as_json=as_json)
        if options.svg:
            save_picture(console, options.svg)
    except Missing as error:
        if as_json:
            print(json.dumps({"step": error.step, "ok": False, "error": str(error)}), flush=True)  # noqa: T201
        console.print(f"Step {error.step} did not happen. {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except LocalCloudError as error:
        console.print(f"The demo could not start: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything is closed.")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
