"""The rehearsal: the owner's reply as the contact would get it, shown to the owner instead."""

from collections.abc import Sequence
from dataclasses import replace

from email_handler.conversations.commands import read_command
from email_handler.conversations.records import Conversation
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.outgoing.banner import size
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.original import FORWARD_LIMIT
from email_handler.outgoing.pieces import Facts, Heading, Paragraph, Piece
from email_handler.outgoing.unlinked import quoted

SHOWN = 5000  # characters of the text; the attached message has all of it
LISTED = 10  # entries of one kind
ROOM = FORWARD_LIMIT - 256 * 1024  # bytes of an attached message


def without_request(message: Message, conversation: Conversation) -> Message:
    """Return *message* as the reply that it is to be: a subject that asks for the check is not the reply's."""
    asked = read_command("", message.subject)
    return replace(message, subject=f"Re: {conversation.owner_subject}") if asked else message


def rehearsed(composed: Composed) -> tuple[Sequence[Piece], Sequence[writer.Entity]]:
    """Return what the owner is shown of their reply *composed*, and the whole of it to attach if a mailbox takes it."""
    reply = parse(composed.raw)
    lines = reply.text[:SHOWN].splitlines()
    rows = [
        ("From", *(f"{box.name} <{displayed(box.address, 200)}>".strip() for box in reply.from_)),
        ("To", *(f"{box.name} <{displayed(box.address, 200)}>".strip() for box in reply.to)),
        ("Subject", reply.subject),
        ("File", *(f"{file.name} ({size(len(file.payload))})" for file in reply.attachments)),
        ("Changed", *map(str, composed.changes)),
        ("Cannot be replaced", *(f"{one.what} in {one.where}" for one in composed.places if one.action == "held")),
        ("Cannot be checked", *map(str, composed.unchecked)),
    ]
    facts = tuple((name, quoted(value, 300)) for name, *values in rows for value in values[:LISTED] if value)
    text = "\n".join(quoted(line, 1000) for line in lines)
    shown = (Facts(facts), Heading("Its text"), Paragraph(text or "There is none."))
    fits = len(composed.raw) <= ROOM
    return shown, (writer.binary("message/rfc822", composed.raw, name="your-reply.eml"),) if fits else ()
