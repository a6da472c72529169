"""reply-sender's use case."""

from dataclasses import replace
from datetime import datetime

from email_handler.conversations.evolve import add_sent_reply, mailbox_of
from email_handler.conversations.jobs import Job, JobKind, SendResult
from email_handler.conversations.keys import copy_id, sent_key
from email_handler.conversations.records import COPY, STARTED, Conversation, LedgerItem
from email_handler.identifiers import EmailAddress
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.outgoing.context import reply_context
from email_handler.outgoing.reply import compose_reply
from email_handler.ports import SendContext
from email_handler.usecases.decision import new_send
from email_handler.usecases.sending import (
    Dispatch,
    Draft,
    conversation_of,
    owners_in_force,
    send,
    signature_in_force,
)


def send_reply(job: Job, dispatch: Dispatch) -> SendResult:
    """Send the owner's reply from the public address: at least once; a second copy is a possible duplicate in the ledger.

    It is composed again from the archive and passes the leak gate again: what was right when the reply function
    looked may be wrong by now (a hidden term was added, say).
    """
    return send(
        job,
        lambda context, raw: _compose(context, raw, dispatch),
        dispatch,
        documents=[dispatch.routes_parameter, dispatch.signature_parameter],
    )


def _compose(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    conversation, item = conversation_of(context), context.item
    message = parse(raw)
    composed = compose_reply(
        message,
        reply_context(
            message,
            conversation,
            owners=owners_in_force(dispatch),
            recipients=item.recipients,
            receipt=item.source,
            signature=signature_in_force(dispatch, conversation),
        ),
    )
    at = dispatch.clock()
    return Draft(
        raw=composed.raw,
        sender=conversation.public_address,
        held="the leak gate held the reply" if composed.held else "",
        conversation=lambda now, wire: add_sent_reply(now, item.source, wire, at),
        contact=lambda contact: replace(contact, written_to=True, updated_at=at),
        copies=_copies(message, context, conversation, at),
    )


def _copies(message: Message, context: SendContext, conversation: Conversation, at: datetime) -> tuple[LedgerItem, ...]:
    """Return what the mailboxes get once the reply has left: all but the writer's a copy, the writer's one line if it
    starts the conversation. Decided only now, so that nobody is told of a reply that never left."""
    record, item = context.message, context.item
    own = mailbox_of(message, EmailAddress(record.sender.lower()), conversation)
    others = [mailbox for mailbox in conversation.mailboxes if mailbox != own]
    noted = [(own, STARTED)] if conversation.started_with == record.receipt else []
    noted += [(mailbox, COPY) for mailbox in others]
    made = (
        new_send(JobKind.NOTICE, copy_id(item.id, mailbox), record, [mailbox], note=note) for mailbox, note in noted
    )
    kept = sent_key(item.kind, item.id)
    return tuple(replace(copy, archive_key=kept, queued_at=at, due=at) for copy in made)
