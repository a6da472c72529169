"""``email-handler compose``: what would be sent for a mail, as files. Pure: no AWS, and nothing leaves."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.inspection import believed, find_files
from cli.options import AsJson
from cli.terminal import CommandError, ExitCode, err, print_json, tracked
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, Status
from email_handler.conversations.threads import (
    base_subject,
    reply_subject,
    thread_address,
    threading_for_contact,
    threading_for_owner,
)
from email_handler.identifiers import ConversationId, EmailAddress, ReceiptId
from email_handler.mail.message import Message, parse
from email_handler.outgoing.acknowledgement import builtin_templates, compose_acknowledgement
from email_handler.outgoing.composed import AcknowledgementContext, Composed, ForwardContext
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.reply import compose_reply
from email_handler.senders.linkedin import linkedin_person
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import assess_content
from email_handler.usecases.reply import reply_context

RECEIPT = ReceiptId("composed")
STRANGER = "somebody@contact.example"  # stands in for a contact whom the mail does not name


class Kind(StrEnum):
    """What to compose."""

    FORWARD = "forward"  # PATH is a contact's mail, and the owner gets it
    ACKNOWLEDGEMENT = "acknowledgement"  # PATH is a contact's mail, and the contact gets an answer by machine
    REPLY = "reply"  # PATH is the owner's mail, and the contact gets it


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
        thread_domain=f"thread.{public.lower().rpartition('@')[2]}",
        forward_to=tuple(EmailAddress(address.lower()) for address in private),
        hidden_terms=tuple(term or ()),
        display_name=display_name,
    )
    targets = list(_targets(paths, folder))
    ours = {path.resolve() for path, _ in targets}
    if over := next((target for _, target in targets if target.resolve() in ours), None):
        raise typer.BadParameter(f"{over} is one of the mails to be read: choose another folder", param_hint="--out")
    held = failed = 0
    for path, target in tracked(targets, "mails", len(targets)):
        line: dict[str, Any] = {"path": str(path), "out": None, "held": False, "places": [], "unchecked": []}
        try:
            composed = COMPOSERS[kind](parse(path.read_bytes()), owners, EmailAddress(contact.lower()))
        except OSError as error:
            failed += 1
            print_json(line | {"error": error.strerror})
            continue
        except Exception as error:  # noqa: BLE001  (a fault of ours in one mail must not hide the others)
            failed += 1
            print_json(line | {"error": f"{type(error).__name__}: please report this message"})
            continue
        if not composed.held:
            _write(target, composed.raw)
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


def _write(target: Path, raw: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}. Choose another folder with --out.") from error


def _conversation(message: Message, owners: Owners, contact: EmailAddress) -> Conversation:
    """Return the conversation that *message* would start, with ids that tell it is nobody's."""
    began = datetime(2000, 1, 1, tzinfo=UTC)
    return Conversation(
        id=ConversationId("c-00000000"),
        token="0000000000",  # noqa: S106  (a token that opens nothing)
        contact=contact,
        contact_name="",
        public_address=owners.public_addresses[0],
        source="",
        subject=base_subject(message.subject),
        owner_subject=base_subject(message.subject),
        mailboxes=owners.forward_to,
        status=Status.OPEN,
        verified=True,
        reply_address=contact,
        reply_differs=False,
        started_at=began,
        updated_at=began,
        received=1,
    )


def _from(message: Message, otherwise: EmailAddress) -> EmailAddress:
    sender = message.from_[0].address if message.from_ else ""
    return EmailAddress(sender if "@" in sender else otherwise)


def _forward(message: Message, owners: Owners, contact: EmailAddress) -> Composed:
    sender = _from(message, contact)
    answers = message.reply_to[0].address if message.reply_to else sender
    conversation = _conversation(message, owners, sender)
    verified = believed(message)
    person = linkedin_person(message, verified)
    spam = assess_content(message, builtin_rules(), public_addresses=owners.public_addresses)
    named = message.from_[0].name if message.from_ else ""
    context = ForwardContext(
        identity=owners.identity(conversation),
        thread_address=thread_address(conversation, owners.thread_domain),
        everyone_address=thread_address(conversation, owners.thread_domain, everyone=True),
        conversation=conversation.id,
        threading=threading_for_owner(
            conversation,
            owners.public_addresses[0].rpartition("@")[2],
            message.subject,
            mailbox=owners.forward_to[0],
            answers="",
        ),
        number=1,
        started_at=conversation.started_at,
        earlier=(),
        sender_name=person.name if person else named,
        sender=message.from_[0].address if message.from_ else "",
        verified=verified,
        verification="read from a file",
        flagged=spam.outcome is not Outcome.DELIVER,
        score=spam.score,
        reasons=spam.reasons,
        source="",
        reply_address=answers,
        reply_differs=answers.rpartition("@")[2] != sender.rpartition("@")[2],
        archive_key=f"raw/inbound/{RECEIPT}",
        linkedin_thread=person.thread_url if person else "",
    )
    return compose_forward(message, context)


def _acknowledgement(message: Message, owners: Owners, contact: EmailAddress) -> Composed:
    recipient = _from(message, contact)
    conversation = _conversation(message, owners, recipient)
    identity = owners.identity(conversation)
    text, html = builtin_templates()
    threading = threading_for_contact(conversation, identity.domain, reply_subject(message.subject), answers=RECEIPT)
    return compose_acknowledgement(
        message,
        AcknowledgementContext(
            identity=identity,
            recipient=recipient,
            threading=threading,
            text_template=text,
            html_template=html,
            name=message.from_[0].name if message.from_ else "",
        ),
    )


def _reply(message: Message, owners: Owners, contact: EmailAddress) -> Composed:
    conversation = _conversation(message, owners, contact)
    return compose_reply(message, reply_context(message, conversation, owners, (), (contact,), RECEIPT))


COMPOSERS: dict[Kind, Callable[[Message, Owners, EmailAddress], Composed]] = {
    Kind.FORWARD: _forward,
    Kind.ACKNOWLEDGEMENT: _acknowledgement,
    Kind.REPLY: _reply,
}
