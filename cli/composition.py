"""``email-handler compose``: what would be sent for a message, as files. Pure: no AWS, and nothing leaves."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.inspection import believed, find_files, read_file
from cli.options import AsJson
from cli.terminal import ExitCode, err, print_json, tracked, write_file
from cloud.receipt import VERDICTS_FIELD, Accepted, accept, stored
from email_handler.conversations.disposition import Disposition, Outcome, mistaken
from email_handler.conversations.evolve import add_message, start
from email_handler.conversations.keys import raw_key
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, judged, message_record, parse_received, unread_record
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.routes import Routes
from email_handler.conversations.signatures import Signatures, load_signatures
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.addresses import address_domain
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt
from email_handler.outgoing.acknowledgement import builtin_templates, compose_acknowledgement
from email_handler.outgoing.composed import Composed, Place
from email_handler.outgoing.context import acknowledgement_context, forward_context, reply_context
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.reply import compose_reply
from email_handler.outgoing.whole import compose_whole
from email_handler.senders.authentication import (
    SenderVerification,
    bare_receipt,
    receipt_from_message,
    verify_sender,
)
from email_handler.senders.linkedin import linkedin_person
from email_handler.senders.machines import automatic
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content
from email_handler.usecases.unread import bare_conversation

RECEIPT = ReceiptId("composed")
LONGEST_NAME = 240  # bytes of a file name; file systems take 255, and a number may follow
STRANGER = "somebody@contact.example"  # stands in for a contact whom the message does not name


class Kind(StrEnum):
    """What to compose."""

    FORWARD = "forward"  # PATH is a contact's message, and the owner gets it
    ACKNOWLEDGEMENT = "acknowledgement"  # PATH is a contact's message, and the contact gets the acknowledgement
    REPLY = "reply"  # PATH is the owner's reply, and the contact gets it


def compose(
    kind: Annotated[Kind, typer.Argument(help="What would be sent.")],
    paths: Annotated[list[Path], typer.Argument(help="Files of raw mail, and folders of them.", metavar="PATH…")],
    private: Annotated[list[str], typer.Option(help="The owner's mailbox; may be repeated.", metavar="ME")],
    public: Annotated[str, typer.Option(help="The public address.", metavar="CONTACT")],
    folder: Annotated[Path, typer.Option("--out", help="Where the composed mails go.", metavar="DIR")],
    contact: Annotated[str, typer.Option(help="The contact, where the mail is the owner's.")] = STRANGER,
    display_name: Annotated[str, typer.Option(help="Name shown with the public address.")] = "",
    verdicts: Annotated[
        str,
        typer.Option(help="SES's verdicts on the contact's mail, such as dmarc=FAIL,dkim=GRAY; others are PASS."),
    ] = "",
    term: Annotated[list[str] | None, typer.Option(help="A further word that must not leave; may be repeated.")] = None,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", help="The signatures document (TOML) for replies.", exists=True, dir_okay=False),
    ] = None,
    as_json: AsJson = True,
) -> None:
    """Compose what would be sent for raw mail, into files of the same names in DIR: those of an earlier run are
    written over, so give each kind a DIR of its own. Two mails of one name in a run become NAME.eml and NAME-2.eml.

    A mail counts as verified unless it was stored by SES, or has results with dmarc=fail; --verdicts says otherwise.

    One JSON line for each: path, out (null where nothing would leave), held, places (where a private address, hidden
    term, thread address or banner line stood, and what was done), unchecked (each part that was not read in full: where,
    name, reason), error (null; why a file could not be read; or an error of ours, for which a forward goes as it came
    and the rest is held). Exit code 3 if any was held, 1 if any file could not be read.
    """
    del as_json  # there is no other form
    for address in (*private, public, contact):
        if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
            raise typer.BadParameter(f"{address} is not an address", param_hint="--private, --public, --contact")
    verdicts = " ".join(verdicts.replace(",", " ").split())
    try:
        stated(b"", verdicts, "")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--verdicts") from error
    owners = Owners(
        public_addresses=(EmailAddress(public.lower()),),
        thread_domain=f"thread.{address_domain(public)}",
        forward_to=tuple(EmailAddress(address.lower()) for address in private),
        hidden_terms=tuple(term or ()),
        display_name=display_name,
    )
    signatures = load_signatures(signature.read_bytes()) if signature else Signatures()
    for problem in signatures.problems:
        err.print(problem, style="yellow")
    targets = list(_targets(paths, folder))
    read = {path.resolve() for path, _ in targets}
    if over := next((target for _, target in targets if target.resolve() in read), None):
        raise typer.BadParameter(f"{over} is one of the mails to be read: choose another folder", param_hint="--out")
    held = failed = 0
    for path, target in tracked(targets, "mails", len(targets)):
        line: dict[str, Any] = {"path": str(path), "out": None, "held": False, "places": [], "unchecked": []}
        try:
            raw = read_file(path)
        except OSError as error:
            failed += 1
            print_json(line | {"error": error.strerror or str(error)})
            continue
        given = Given(
            raw=raw,
            owners=owners,
            contact=EmailAddress(contact.lower()),
            verdicts=verdicts,
            signature=signatures.of(owners.public_addresses[0]),
        )
        composed, mistake = compose_one(kind, given)
        if not composed.held:
            write_file(target, composed.raw)
            line["out"] = str(target)
        held += composed.held
        places = [asdict(place) for place in composed.places]
        unchecked = [asdict(part) for part in composed.unchecked]
        why = str(mistake) if mistake else None
        print_json(line | {"held": composed.held, "places": places, "unchecked": unchecked, "error": why})
    err.print(f"{len(targets) - held - failed} composed, {held} held, {failed} not read", style="dim")
    if held or failed:
        raise typer.Exit(ExitCode.HELD if held else ExitCode.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What one message is composed from."""

    raw: bytes
    owners: Owners
    contact: EmailAddress  # where *raw* is the owner's
    verdicts: str = ""  # SES's on the contact's message, "" for what a file says
    signature: str = ""  # below a reply


def compose_one(kind: Kind, given: Given) -> tuple[Composed, Mistake | None]:
    """Return what would be sent for *given*, as the senders compose it, and the mistake of ours that they would meet: then
    a forward goes as it came, and a reply or an acknowledgement is held. Never raises."""
    composed = attempt(COMPOSERS[kind], given)
    if not isinstance(composed, Mistake):
        return composed, None
    if kind is Kind.FORWARD:
        return _whole(given.raw, given.owners, composed), composed
    place = Place(where=composed.place, action="held", what=f"an error of ours ({composed.kind})")
    return Composed(raw=b"", places=(place,), held=True), composed


def _targets(paths: Sequence[Path], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file with where its mail goes: its name below its own PATH, ending in ``.eml``, never one twice."""
    taken: set[Path] = set()
    for root in paths:
        for path in find_files([root]):
            name = path.relative_to(root) if path != root else Path(path.name)
            name = name if name.suffix == ".eml" else name.with_name(f"{name.name}.eml")
            if len(os.fsencode(name.name)) > LONGEST_NAME:
                name = name.with_name(f"{os.fsdecode(os.fsencode(name.stem)[: LONGEST_NAME - 20])}.eml")
            target = folder / name
            number = 2
            while target in taken:
                target = target.with_stem(f"{name.stem}-{number}")
                number += 1
            taken.add(target)
            yield path, target


def _received(raw: bytes, owners: Owners, verdicts: str = "") -> tuple[ParsedMessage, MessageRecord, Conversation]:
    """Return *raw* as inbound would have received it: parsed, judged, and as the first message of a conversation, whose
    ids say that it does not exist. *verdicts* are SES's if they are given."""
    message = parse(raw)
    receipt = replace(receipt_from_message(message, RECEIPT), recipients=owners.public_addresses)
    parsed = parse_received(raw, receipt, "inbound", raw_key("inbound", RECEIPT), datetime(2000, 1, 1, tzinfo=UTC))
    verification = _verification(message, owners, verdicts)
    parsed = replace(
        parsed,
        verification=verification,
        person=linkedin_person(message, verification.verified),
        automatic=automatic(message, None),  # a file says nothing of its envelope
    )
    spam = assess_content(message, builtin_rules(), public_addresses=owners.public_addresses)
    outcome = Outcome.DELIVER if spam.outcome is Outcome.DELIVER else Outcome.FLAG
    spam = replace(spam, outcome=outcome)
    record = judged(message_record(parsed, owners, outcome), spam, owners.reply_address(message))
    begun = start(
        parsed, "", record.reply_address, owners=owners, routes=Routes(), new_token=lambda length: "0" * length
    )
    return parsed, record, add_message(begun, parsed, record.reply_address, owners)


def _whole(raw: bytes, owners: Owners, mistake: Mistake) -> Composed:
    receipt = bare_receipt(RECEIPT, owners.public_addresses)
    parsed = parse_received(raw, receipt, "inbound", raw_key("inbound", RECEIPT), datetime(2000, 1, 1, tzinfo=UTC))
    reason = mistaken(mistake)
    record = unread_record(parsed, owners, Disposition(outcome=Outcome.FLAG, reasons=(reason,)))
    conversation = bare_conversation(parsed, "", owners, lambda length: "0" * length)
    return compose_whole(raw, reason, record, conversation, owners=owners, mailbox=owners.forward_to[0])


def _verification(message: Message, owners: Owners, verdicts: str) -> SenderVerification:
    sender = message.from_[0].address if message.from_ else ""
    if verdicts:
        arrived = parse(stored(stated(message.raw, verdicts, sender, owners.public_addresses)))
        return verify_sender(arrived, receipt_from_message(arrived, RECEIPT))
    verified = believed(message) and bool(sender)
    return SenderVerification(address=EmailAddress(sender.lower()) if verified else None, reason="read from a file")


def stated(raw: bytes, verdicts: str, sender: str, recipients: Sequence[str] = ()) -> Accepted:
    """Return *raw* as SES accepts it from *sender* with these *verdicts*. Raise ValueError if they are no such words."""
    return accept(f"{VERDICTS_FIELD}: {verdicts}\r\n".encode() + raw, sender, recipients)


def _forward(given: Given) -> Composed | Mistake:
    parsed, record, conversation = _received(given.raw, given.owners, given.verdicts)
    if parsed.mistake is not None:
        return parsed.mistake
    mailbox = given.owners.forward_to[0]
    context = forward_context(parsed.message, record, conversation, owners=given.owners, mailbox=mailbox)
    return compose_forward(parsed.message, context)


def _acknowledgement(given: Given) -> Composed:
    parsed, record, conversation = _received(given.raw, given.owners, given.verdicts)
    recipient = parsed.sender if "@" in parsed.sender else given.contact
    context = acknowledgement_context(
        record, conversation, owners=given.owners, recipient=recipient, templates=builtin_templates()
    )
    return compose_acknowledgement(context)


def _reply(given: Given) -> Composed | Mistake:
    parsed, _, started = _received(given.raw, given.owners)
    if parsed.mistake is not None:
        return parsed.mistake
    contact = given.contact
    conversation = replace(started, contact=contact, contact_name="", reply_address=contact, links=())
    context = reply_context(
        parsed.message,
        conversation,
        owners=given.owners,
        recipients=(contact,),
        receipt=RECEIPT,
        signature=given.signature,
    )
    return compose_reply(parsed.message, context)


COMPOSERS: dict[Kind, Callable[[Given], Composed | Mistake]] = {
    Kind.FORWARD: _forward,
    Kind.ACKNOWLEDGEMENT: _acknowledgement,
    Kind.REPLY: _reply,
}
