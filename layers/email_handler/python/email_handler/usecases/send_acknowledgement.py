"""ack-sender's use case."""

from dataclasses import replace

from email_handler.conversations.jobs import Job
from email_handler.conversations.threads import reply_subject, threading_for_contact
from email_handler.errors import ConfigUnavailable
from email_handler.mail.parsing import parse
from email_handler.outgoing.acknowledgement import builtin_templates, compose_acknowledgement
from email_handler.outgoing.composed import AcknowledgementContext
from email_handler.ports import ConfigSource, SendContext
from email_handler.usecases.sending import Dispatch, Outgoing, SendResult, conversation_of, send


def acknowledge(job: Job, dispatch: Dispatch) -> SendResult:
    """Acknowledge a contact's first message: at most once, ever. A send whose answer was lost is not repeated."""
    return send(job, lambda context, raw: _compose(context, raw, dispatch), dispatch)


def _compose(context: SendContext, raw: bytes, dispatch: Dispatch) -> Outgoing:
    conversation = conversation_of(context)
    identity = dispatch.owners.identity(conversation)
    message = parse(raw)
    text, html = _templates(dispatch.config, dispatch.acknowledgement_parameter)
    composed = compose_acknowledgement(
        message,
        AcknowledgementContext(
            identity=identity,
            recipient=context.item.recipients[0],
            threading=replace(
                threading_for_contact(
                    conversation, identity.domain, reply_subject(message.subject), answers=context.item.source
                ),
                in_reply_to=message.message_id,
            ),
            text_template=text,
            html_template=html,
            name=context.message.sender_name,
        ),
    )
    return Outgoing(
        raw=composed.raw,
        sender=identity.public_address,
        held="the leak gate held the acknowledgement" if composed.held else "",
        event="Acknowledgement Sent",
    )


def _templates(config: ConfigSource, parameter: str) -> tuple[str, str]:
    """Return the operator's text and HTML templates; the built-in ones where there are none or they do not read.

    One document holds both: the text, a line of ``=====`` alone, the HTML.
    """
    try:
        document = config.read(parameter)
    except ConfigUnavailable:
        return builtin_templates()
    if document is None:
        return builtin_templates()
    text, found, html = document.body.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n=====\n")
    return (text, html) if found else builtin_templates()
