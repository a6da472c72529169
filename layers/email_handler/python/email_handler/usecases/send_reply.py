"""reply-sender's use case."""

from dataclasses import replace

from email_handler.conversations.evolve import add_sent_reply
from email_handler.conversations.jobs import Job
from email_handler.conversations.owners import Owners
from email_handler.conversations.routes import Routes, load_routes
from email_handler.errors import ConfigUnavailable
from email_handler.mail.parsing import parse
from email_handler.outgoing.context import reply_context
from email_handler.outgoing.reply import compose_reply
from email_handler.ports import SendContext
from email_handler.usecases.sending import Dispatch, Draft, SendResult, conversation_of, send


def send_reply(job: Job, dispatch: Dispatch) -> SendResult:
    """Send the owner's reply from the public address: at least once; a second copy is a possible duplicate in the ledger.

    It is composed again from the archive and passes the leak gate again: what was right when the reply function
    looked may be wrong by now (a hidden term was added, say).
    """
    return send(job, lambda context, raw: _compose(context, raw, dispatch), dispatch)


def _compose(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    conversation, item = conversation_of(context), context.item
    message = parse(raw)
    composed = compose_reply(
        message,
        reply_context(message, conversation, owners=_owners(dispatch), recipients=item.recipients, receipt=item.source),
    )
    at = dispatch.clock()
    return Draft(
        raw=composed.raw,
        sender=conversation.public_address,
        held="the leak gate held the reply" if composed.held else "",
        conversation=lambda now, wire: add_sent_reply(now, item.source, wire, at),
        contact=lambda contact: replace(contact, written_to=True, updated_at=at),
    )


def _owners(dispatch: Dispatch) -> Owners:
    """Return the owners with every mailbox of the routes in force.

    Raises ConfigUnavailable if those cannot be read: a reply waits until the leak gate knows all mailboxes.
    """
    document = dispatch.config.read(dispatch.routes_parameter)
    routes = load_routes(document.body) if document else Routes()
    if routes.problems and not routes.mailboxes:
        raise ConfigUnavailable(routes.problems[0])
    return replace(dispatch.owners, routed=routes.mailboxes)
