"""The acknowledgement: a polite word that the mail arrived, once for each contact (RFC 3834)."""

import html
from importlib.resources import files
from string import Template

from email_handler.mail import writer as mime
from email_handler.mail.message import Message
from email_handler.outgoing.composed import AcknowledgementContext, Composed
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.needles import Needles


def builtin_templates() -> tuple[str, str]:
    """Return the packaged templates, text and HTML."""
    folder = files("email_handler") / "builtin" / "acknowledgement"
    return (folder / "text.txt").read_text("utf-8"), (folder / "html.html").read_text("utf-8")


def compose_acknowledgement(message: Message, context: AcknowledgementContext) -> Composed:
    """Return the acknowledgement of *message*. Never raises; held where the templates or the values give the owner
    away.

    Nothing of the contact's text is quoted: a forged sender must not be able to make us deliver a text of theirs.
    Their subject appears as the subject alone. Placeholders that a template misspells stay as they are written.
    """
    identity = gate.for_recipients(context.identity, (context.recipient,))
    values = {
        **context.values,
        "name": mime.one_line(context.name, 60),
        "subject": mime.one_line(context.threading.subject, 120),
        "public_address": identity.public_address,
        "display_name": identity.display_name or identity.public_address,
    }
    text = Template(context.text_template).safe_substitute(values)
    page = Template(context.html_template).safe_substitute({name: html.escape(v) for name, v in values.items()})
    answered = mime.message_ids((context.threading.in_reply_to or message.message_id,))
    references = mime.message_ids(context.threading.references)
    fields = (
        ("From", mime.mailbox(identity.display_name, identity.public_address)),
        ("To", mime.mailbox("", context.recipient)),
        ("Subject", mime.unstructured(context.threading.subject)),
        *((("In-Reply-To", answered),) if answered else ()),
        *((("References", references),) if references else ()),
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply"),
        ("Precedence", "bulk"),
    )
    body = mime.multipart("alternative", (mime.text(text), mime.text(page, "html")))
    return gate.composed(mime.write(fields, body, f"{context.recipient} {answered}".encode()), Needles(identity))
