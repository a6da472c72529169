"""reply-sender's use case."""

from dataclasses import replace

from email_handler.conversations.jobs import Job
from email_handler.conversations.records import Contact, Conversation, Link, Status
from email_handler.conversations.routes import Routes, load_routes
from email_handler.conversations.threads import with_link
from email_handler.errors import ConfigUnavailable
from email_handler.identifiers import EmailAddress
from email_handler.mail.parsing import parse
from email_handler.outgoing.reply import compose_reply
from email_handler.ports import SendContext
from email_handler.usecases.reply import reply_context
from email_handler.usecases.sending import Dispatch, Outgoing, SendResult, conversation_of, send


def send_reply(job: Job, dispatch: Dispatch) -> SendResult:
    """Send the owner's answer from the public address: at least once; a second copy is marked in the ledger.

    It is composed anew from the archive and passes the leak gate again: what was right when the reply function
    looked may be wrong by now (a hidden term was added, say).
    """
    return send(job, lambda context, raw: _compose(context, raw, dispatch), dispatch)


def _compose(context: SendContext, raw: bytes, dispatch: Dispatch) -> Outgoing:
    conversation = conversation_of(context)
    item = context.item
    message = parse(raw)
    composed = compose_reply(
        message, reply_context(message, conversation, dispatch.owners, _routed(dispatch), item.recipients, item.source)
    )
    at = dispatch.clock()

    def answered(now: Conversation, wire: str) -> Conversation:
        linked = with_link(now, Link(receipt=item.source, contact_id=wire, owner_ids={}))
        return replace(linked, sent=now.sent + 1, status=Status.ANSWERED, updated_at=at)

    def written_to(contact: Contact | None) -> Contact | None:
        return replace(contact, written_to=True, updated_at=at) if contact else None

    return Outgoing(
        raw=composed.raw,
        sender=conversation.public_address,
        held="the leak gate held the answer" if composed.held else "",
        conversation=answered,
        contact=written_to,
        event="Reply Sent",
    )


def _routed(dispatch: Dispatch) -> frozenset[EmailAddress]:
    """Return every mailbox of the routes in force. Raises ConfigUnavailable: an answer waits for the gate to be whole."""
    document = dispatch.config.read(dispatch.routes_parameter)
    routes = load_routes(document.body) if document else Routes()
    if routes.problems and not routes.mailboxes:
        raise ConfigUnavailable(routes.problems[0])
    return routes.mailboxes
