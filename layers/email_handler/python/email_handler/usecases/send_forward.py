"""forward-sender's use case: forwards and notices, both to the owner."""

import json

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.identity import Threading
from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import TEXT_ONLY, Conversation, Link
from email_handler.conversations.threads import (
    local_part,
    renamed,
    shown_subject,
    thread_address,
    threading_for_owner,
    with_link,
)
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.outgoing.composed import ForwardContext
from email_handler.outgoing.digest import DIGEST, compose_digest, from_json
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.notice import NoticeKind, compose_notice
from email_handler.ports import SendContext
from email_handler.usecases.sending import Dispatch, Outgoing, SendResult, conversation_of, send


def forward(job: Job, dispatch: Dispatch) -> SendResult:
    """Forward a message, or tell the owner something: at least once; a second copy is marked in the ledger."""
    if job.kind is JobKind.NOTICE:
        return send(job, lambda context, raw: _notice(context, raw, dispatch), dispatch)
    return send(job, lambda context, raw: _forward(context, raw, dispatch), dispatch)


def _forward(context: SendContext, raw: bytes, dispatch: Dispatch) -> Outgoing:
    conversation = conversation_of(context)
    item, record = context.item, context.message
    mailbox = item.recipients[0]
    message = parse(raw)
    sender = thread_address(conversation, dispatch.owners.thread_domain)
    earlier = context.contact.conversations if context.contact else ()
    composed = compose_forward(
        message,
        ForwardContext(
            identity=dispatch.owners.identity(conversation),
            thread_address=sender,
            everyone_address=thread_address(conversation, dispatch.owners.thread_domain, everyone=True),
            conversation=conversation.id,
            threading=_threading(message, conversation, context),
            number=_number(context, conversation),
            started_at=conversation.started_at,
            earlier=tuple(entry for entry in earlier if entry[0] != conversation.id),
            sender_name=record.sender_name,
            sender=record.sender,
            verified=record.verified,
            verification=record.verification,
            flagged=record.outcome is Outcome.FLAG,
            score=record.score,
            reasons=record.reasons,
            source=record.source,
            reply_address=_answer_to(context, conversation),
            reply_differs=conversation.reply_differs,
            archive_key=item.archive_key,
            linkedin_thread=conversation.linkedin_thread,
            possible_duplicate=item.possible_duplicate,
            text_only=item.note == TEXT_ONLY,
        ),
    )
    return Outgoing(
        raw=composed.raw,
        sender=sender,
        conversation=lambda now, wire: with_link(
            now, Link(receipt=item.source, contact_id=record.message_id, owner_ids={mailbox: wire})
        ),
        event="Message Forwarded",
    )


def _number(context: SendContext, conversation: Conversation) -> int:
    """Return which of the contact's messages this is: its place among the latest ones counts back from the end."""
    receipts = [link.receipt for link in conversation.links if link.reply_address]
    if context.item.source not in receipts:
        return max(conversation.received, 1)
    return max(conversation.received - (len(receipts) - 1 - receipts.index(context.item.source)), 1)


def _answer_to(context: SendContext, conversation: Conversation) -> str:
    own = (link.reply_address for link in conversation.links if link.receipt == context.item.source)
    return next(own, "") or conversation.reply_address


def _threading(message: Message, conversation: Conversation, context: SendContext) -> Threading:
    first = _number(context, conversation) == 1
    named_anew = renamed(message.subject, conversation.subject) and not context.message.automatic
    subject = shown_subject(message.subject) if first or named_anew else f"Re: {conversation.owner_subject}"
    known = {local_part(link.contact_id) for link in conversation.links if link.contact_id}
    named = (*message.in_reply_to, *reversed(message.references))
    return threading_for_owner(
        conversation,
        conversation.public_address.rpartition("@")[2],
        subject,
        mailbox=context.item.recipients[0],
        answers=next((i for i in named if local_part(i) in known), ""),
    )


def _notice(context: SendContext, raw: bytes, dispatch: Dispatch) -> Outgoing:
    if context.item.note == DIGEST:
        composed = compose_digest(from_json(json.loads(raw)), owners=dispatch.owners, item=context.item)
        return Outgoing(raw=composed.raw, sender=dispatch.owners.notices_address)
    composed = compose_notice(
        NoticeKind(context.item.note),
        owners=dispatch.owners,
        record=context.message,
        conversation=context.conversation,
        item=context.item,
    )
    return Outgoing(raw=composed.raw, sender=dispatch.owners.notices_address)
