"""forward-sender's use case: forwards and notices, both to the owner."""

import json

from email_handler.conversations.evolve import add_forward
from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import TEXT_ONLY
from email_handler.mail.parsing import parse
from email_handler.outgoing.context import forward_context
from email_handler.outgoing.digest import DIGEST, HeldEntry, compose_digest
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.notice import NoticeKind, compose_notice
from email_handler.ports import SendContext
from email_handler.usecases.sending import Dispatch, Draft, SendResult, conversation_of, send


def send_forward(job: Job, dispatch: Dispatch) -> SendResult:
    """Forward a message, or send the owner a notice: at least once; a second copy is a possible duplicate in the ledger."""
    compose = _compose_notice if job.kind is JobKind.NOTICE else _compose_forward
    return send(job, lambda context, raw: compose(context, raw, dispatch), dispatch)


def _compose_forward(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    conversation = conversation_of(context)
    item, record = context.item, context.message
    mailbox = item.recipients[0]
    message = parse(raw)
    about = forward_context(
        message,
        record,
        conversation,
        owners=dispatch.owners,
        mailbox=mailbox,
        contact=context.contact,
        possible_duplicate=item.possible_duplicate,
        text_only=item.note == TEXT_ONLY,
    )
    return Draft(
        raw=compose_forward(message, about).raw,
        sender=about.thread_address,
        conversation=lambda now, wire: add_forward(now, record, mailbox, wire),
        event="Message Forwarded",
    )


def _compose_notice(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    item, owners = context.item, dispatch.owners
    if item.note == DIGEST:
        composed = compose_digest([HeldEntry(**entry) for entry in json.loads(raw)], owners=owners, item=item)
    else:
        composed = compose_notice(
            NoticeKind(item.note), owners=owners, record=context.message, conversation=context.conversation, item=item
        )
    return Draft(raw=composed.raw, sender=owners.notices_address)
