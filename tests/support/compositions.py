"""Contexts for composing, all of one deployment and one conversation; keywords change single values."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from email_handler.conversations.owners import Identity
from email_handler.conversations.threads import Threading
from email_handler.identifiers import EmailAddress
from email_handler.mail.message import Message
from email_handler.mail.new_text import new_text
from email_handler.outgoing.acknowledgement import builtin_templates
from email_handler.outgoing.context import AcknowledgementContext, ForwardContext, ReplyContext
from email_handler.outgoing.leak_gate.needles import Needles
from tests.support.records import conversation, message

PRIVATE = EmailAddress("me@private.example")
PUBLIC = EmailAddress("contact@example.com")
CONTACT = EmailAddress("jane@customer.example")
THREAD = EmailAddress("c-7k2m9qxd.abcdefghjk@thread.example.com")
EVERYONE = EmailAddress("c-7k2m9qxd.abcdefghjk+all@thread.example.com")

IDENTITY = Identity(
    public_address=PUBLIC,
    display_name="Example Desk",
    domain="example.com",
    thread_domain="thread.example.com",
    private_addresses=(PRIVATE, EmailAddress("alias+desk@home.example")),
    hidden_terms=("Rumpelstiltskin", "blue door lane"),
)
NEEDLES = Needles(IDENTITY)
THREADING = Threading(
    subject="Re: Hello",
    in_reply_to="first@customer.example",
    references=("c-7k2m9qxd.c@example.com", "first@customer.example"),
)


def forward_context(received: Message, **changes: Any) -> ForwardContext:
    """Return the context of a contact's first message, its sender verified."""
    sender = received.from_[0] if received.from_ else None
    address = sender.address if sender else ""
    new = " ".join(new_text(received.text, received.html).split())
    record = message(reasons=(), score=0.5, sender=address, sender_name=sender.name if sender else "", snippet=new)
    begun = conversation(
        id="c-7k2m9qxd", token="abcdefghjk", public_address=PUBLIC, started_at=datetime(2026, 3, 2, 9, tzinfo=UTC)
    )
    context = ForwardContext(
        identity=IDENTITY,
        record=record,
        conversation=begun,
        thread_address=THREAD,
        threading=replace(THREADING, subject=received.subject),
        number=1,
        reply_address=address,
    )
    return changed(context, **changes)


def changed(context: ForwardContext, **changes: Any) -> ForwardContext:
    """Return *context* with *changes*, each in the first of context, record and conversation with such a field."""

    def within(value: Any) -> dict[str, Any]:
        return {field.name: changes.pop(field.name) for field in fields(value) if field.name in changes}

    own, of_record, of_conversation = within(context), within(context.record), within(context.conversation)
    assert not changes
    record, begun = replace(context.record, **of_record), replace(context.conversation, **of_conversation)
    return replace(context, record=record, conversation=begun, **own)


def reply_context(**changes: Any) -> ReplyContext:
    """Return the context of the owner's reply to the contact alone."""
    context = ReplyContext(
        identity=IDENTITY, threading=THREADING, contact=CONTACT, recipients=(CONTACT,), contact_name="Jane Doe"
    )
    return replace(context, **changes)


def acknowledgement_context(**changes: Any) -> AcknowledgementContext:
    """Return the context of an acknowledgement to the contact with the packaged templates."""
    text, html = builtin_templates()
    context = AcknowledgementContext(
        identity=IDENTITY,
        recipient=CONTACT,
        threading=THREADING,
        text_template=text,
        html_template=html,
        name="Jane Doe",
    )
    return replace(context, **changes)
