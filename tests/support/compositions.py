"""Contexts for composing, all of one deployment and one conversation; keywords change single values."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from email_handler.conversations.owners import Identity
from email_handler.conversations.threads import Threading
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mail.message import Message
from email_handler.outgoing.acknowledgement import builtin_templates
from email_handler.outgoing.context import AcknowledgementContext, ForwardContext, ReplyContext
from email_handler.outgoing.leak_gate.needles import Needles

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


def forward_context(message: Message, **changes: Any) -> ForwardContext:
    """Return the context of a contact's first message, its sender verified."""
    sender = message.from_[0] if message.from_ else None
    context = ForwardContext(
        identity=IDENTITY,
        thread_address=THREAD,
        everyone_address=EVERYONE,
        conversation=ConversationId("c-7k2m9qxd"),
        threading=replace(THREADING, subject=message.subject),
        number=1,
        started_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
        earlier=(),
        sender_name=sender.name if sender else "",
        sender=sender.address if sender else "",
        verified=True,
        verification="dmarc pass",
        flagged=False,
        score=0.5,
        reasons=(),
        source="",
        reply_address=sender.address if sender else "",
        reply_differs=False,
        archive_key="raw/inbound/receipt-1",
    )
    return replace(context, **changes)


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
