"""``email-handler compose``: what would be sent for a message, as files. Pure: no AWS, and nothing leaves."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.inspection import believed, find_files
from cli.options import AsJson
from cli.terminal import ExitCode, err, print_json, tracked, write_file
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.evolve import add_message, start
from email_handler.conversations.keys import raw_key
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, judged, message_record, parse_received
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.routes import Routes
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.addresses import address_domain
from email_handler.mail.parsing import parse
from email_handler.outgoing.acknowledgement import builtin_templates, compose_acknowledgement
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.context import acknowledgement_context, forward_context, reply_context
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.reply import compose_reply
from email_handler.senders.authentication import SenderVerification, receipt_from_message
from email_handler.senders.linkedin import linkedin_person
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content

RECEIPT = ReceiptId("composed")
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
    term: Annotated[list[str] | None, typer.Option(help="A further word that must not leave; may be repeated.")] = None,
    as_json: AsJson = True,
) -> None:
    """Compose what would be sent for raw mail, into files of the same names in DIR: those of an earlier run are
    written over, so give each kind a DIR of its own. Two mails of one name in a run become NAME.eml and NAME-2.eml.

    One JSON line for each: path, out (null where nothing would leave), held, places (where a private address, hidden
    term, thread address or banner line stood, and what was done), unchecked (parts nobody could look into), error.
    Exit code 3 if any was held, 1 if any could not be read.
    """
    del as_json  # there is no other form
    for address in (*private, public, contact):
        if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
            raise typer.BadParameter(f"{address} is not an address", param_hint="--private, --public, --contact")
    owners = Owners(
        public_addresses=(EmailAddress(public.lower()),),
        thread_domain=f"thread.{address_domain(public)}",
        forward_to=tuple(EmailAddress(address.lower()) for address in private),
        hidden_terms=tuple(term or ()),
        display_name=display_name,
    )
    targets = list(_targets(paths, folder))
    read = {path.resolve() for path, _ in targets}
    if over := next((target for _, target in targets if target.resolve() in read), None):
        raise typer.BadParameter(f"{over} is one of the mails to be read: choose another folder", param_hint="--out")
    held = failed = 0
    for path, target in tracked(targets, "mails", len(targets)):
        line: dict[str, Any] = {"path": str(path), "out": None, "held": False, "places": [], "unchecked": []}
        try:
            composed = COMPOSERS[kind](path.read_bytes(), owners, EmailAddress(contact.lower()))
        except Exception as error:  # noqa: BLE001  (a fault of ours in one mail must not hide the others)
            failed += 1
            ours = f"{type(error).__name__}: please report this message"
            print_json(line | {"error": error.strerror if isinstance(error, OSError) else ours})
            continue
        if not composed.held:
            write_file(target, composed.raw)
            line["out"] = str(target)
        held += composed.held
        places = [asdict(place) for place in composed.places]
        print_json(
            line | {"held": composed.held, "places": places, "unchecked": list(composed.unchecked), "error": None}
        )
    err.print(f"{len(targets) - held - failed} composed, {held} held, {failed} not read", style="dim")
    if held or failed:
        raise typer.Exit(ExitCode.HELD if held else ExitCode.FAILED)


def _targets(paths: Sequence[Path], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file with where its mail goes: its name below its own PATH, ending in ``.eml``, never one twice."""
    taken: set[Path] = set()
    for root in paths:
        for path in find_files([root]):
            name = path.relative_to(root) if path != root else Path(path.name)
            target = folder / (name if name.suffix == ".eml" else name.with_name(f"{name.name}.eml"))
            number = 2
            while target in taken:
                target = target.with_stem(f"{name.stem}-{number}")
                number += 1
            taken.add(target)
            yield path, target


def _received(raw: bytes, owners: Owners) -> tuple[ParsedMessage, MessageRecord, Conversation]:
    """Return *raw* as inbound would have received it: parsed, judged, and as the first message of a conversation, whose
    ids say that it does not exist."""
    message = parse(raw)
    receipt = replace(receipt_from_message(message, RECEIPT), recipients=owners.public_addresses)
    parsed = parse_received(raw, receipt, "inbound", raw_key("inbound", RECEIPT), datetime(2000, 1, 1, tzinfo=UTC))
    verified = believed(message) and bool(message.from_)
    address = EmailAddress(parsed.sender.lower()) if verified else None
    parsed = replace(
        parsed,
        verification=SenderVerification(address=address, reason="read from a file"),
        person=linkedin_person(message, verified),
    )
    spam = assess_content(message, builtin_rules(), public_addresses=owners.public_addresses)
    outcome = Outcome.DELIVER if spam.outcome is Outcome.DELIVER else Outcome.FLAG
    spam = replace(spam, outcome=outcome)
    record = judged(message_record(parsed, owners, outcome), spam, owners.reply_address(message))
    begun = start(
        parsed, "", record.reply_address, owners=owners, routes=Routes(), new_token=lambda length: "0" * length
    )
    return parsed, record, add_message(begun, parsed, record.reply_address, owners)


def _forward(raw: bytes, owners: Owners, contact: EmailAddress) -> Composed:
    del contact  # the message says who wrote
    parsed, record, conversation = _received(raw, owners)
    context = forward_context(parsed.message, record, conversation, owners=owners, mailbox=owners.forward_to[0])
    return compose_forward(parsed.message, context)


def _acknowledgement(raw: bytes, owners: Owners, contact: EmailAddress) -> Composed:
    parsed, record, conversation = _received(raw, owners)
    recipient = parsed.sender if "@" in parsed.sender else contact
    context = acknowledgement_context(
        parsed.message, record, conversation, owners=owners, recipient=recipient, templates=builtin_templates()
    )
    return compose_acknowledgement(parsed.message, context)


def _reply(raw: bytes, owners: Owners, contact: EmailAddress) -> Composed:
    parsed, _, started = _received(raw, owners)
    conversation = replace(started, contact=contact, contact_name="", reply_address=contact, links=())
    context = reply_context(parsed.message, conversation, owners=owners, recipients=(contact,), receipt=RECEIPT)
    return compose_reply(parsed.message, context)


COMPOSERS = {Kind.FORWARD: _forward, Kind.ACKNOWLEDGEMENT: _acknowledgement, Kind.REPLY: _reply}
