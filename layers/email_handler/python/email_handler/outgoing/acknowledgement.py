"""The acknowledgement: confirms once to each contact that their message arrived (RFC 3834)."""

import html
from importlib.resources import files
from string import Template

from email_handler.mail import writer
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.context import AcknowledgementContext
from email_handler.outgoing.headers import threading_fields
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.needles import Needles


def builtin_templates() -> tuple[str, str]:
    """Return the packaged templates, text and HTML."""
    folder = files("email_handler") / "builtin" / "acknowledgement"
    return (folder / "text.txt").read_text("utf-8"), (folder / "html.html").read_text("utf-8")


def compose_acknowledgement(context: AcknowledgementContext) -> Composed:
    """Return the acknowledgement of a message, held if a template or a value reveals what is private. Never raises.

    It quotes nothing of the contact's text, so that nobody can make us deliver a text to an address they forged; their
    subject becomes the subject only. A placeholder that a template misspells stays as it is written.
    """
    identity = gate.for_recipients(context.identity, (context.recipient,))
    values = {
        "name": writer.one_line(context.name, 60),
        "subject": writer.one_line(context.threading.subject, 120),
        "public_address": identity.public_address,
        "display_name": identity.display_name or identity.public_address,
    }
    text = Template(context.text_template).safe_substitute(values)
    page = Template(context.html_template).safe_substitute({name: html.escape(v) for name, v in values.items()})
    fields = (
        ("From", writer.mailbox(identity.display_name, identity.public_address)),
        ("To", writer.mailbox("", context.recipient)),
        *threading_fields(context.threading),
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply"),
        ("Precedence", "bulk"),
    )
    body = writer.multipart("alternative", (writer.text(text), writer.text(page, "html")))
    return gate.composed(
        writer.write(
            fields, body, f"{context.recipient} {writer.message_ids((context.threading.in_reply_to,))}".encode()
        ),
        Needles(identity),
    )
