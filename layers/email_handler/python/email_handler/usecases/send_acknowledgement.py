"""ack-sender's use case."""

from email_handler.conversations.jobs import Job, SendResult
from email_handler.errors import ConfigUnavailable
from email_handler.outgoing.acknowledgement import builtin_templates, compose_acknowledgement
from email_handler.outgoing.context import acknowledgement_context
from email_handler.ports import ConfigSource, SendContext
from email_handler.usecases.sending import Dispatch, Draft, conversation_of, send


def send_acknowledgement(job: Job, dispatch: Dispatch) -> SendResult:
    """Acknowledge a contact's first message: at most once, ever. A send whose response was lost is not repeated."""
    return send(
        job,
        lambda context, _: _compose(context, dispatch),
        dispatch,
        documents=[dispatch.acknowledgement_parameter],
    )


def _compose(context: SendContext, dispatch: Dispatch) -> Draft:
    conversation = conversation_of(context)
    composed = compose_acknowledgement(
        acknowledgement_context(
            context.message,
            conversation,
            owners=dispatch.owners,
            recipient=context.item.recipients[0],
            templates=_templates(dispatch.config, dispatch.acknowledgement_parameter),
        ),
    )
    return Draft(
        raw=composed.raw,
        sender=conversation.public_address,
        held="the leak gate held the acknowledgement" if composed.held else "",
    )


def _templates(config: ConfigSource, parameter: str) -> tuple[str, str]:
    """Return the operator's text and HTML templates; the built-in ones if there are none or they cannot be read.

    One document holds both: the text, a line of ``=====`` alone, the HTML.
    """
    try:
        document = config.read(parameter)
    except ConfigUnavailable:
        document = None
    if document is None:
        return builtin_templates()
    text, found, html = document.body.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n=====\n")
    return (text, html) if found else builtin_templates()
