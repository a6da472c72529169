"""forward-sender's use case: forwards, notices and copies of replies, all to the owner."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from email_handler.conversations.disposition import mistake_in, mistaken
from email_handler.conversations.evolve import add_copy, add_forward, after_reminder, is_snoozed
from email_handler.conversations.jobs import Job, JobKind, SendResult
from email_handler.conversations.notices import DIGEST, NoticeKind
from email_handler.conversations.records import (
    COPY,
    REMINDER,
    STARTED,
    TEXT_ONLY,
    Conversation,
    MessageRecord,
    SendState,
)
from email_handler.conversations.thread_address import thread_address
from email_handler.conversations.threads import reply_recipients
from email_handler.identifiers import LedgerId
from email_handler.mail import writer
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt
from email_handler.outgoing.actions import cancel_action, conversation_actions, start_action
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.context import copy_context, forward_context, reply_context
from email_handler.outgoing.digest import Digest, compose_digest
from email_handler.outgoing.forward import compose_forward, file_entities
from email_handler.outgoing.notice import MAX_NAME, compose_notice
from email_handler.outgoing.pieces import Action, Paragraph, Piece
from email_handler.outgoing.rehearsal import rehearsed, without_request
from email_handler.outgoing.reply import compose_reply
from email_handler.outgoing.unlinked import quoted
from email_handler.outgoing.whole import compose_whole
from email_handler.ports import SendContext
from email_handler.usecases.sending import (
    Dispatch,
    Draft,
    conversation_of,
    owners_in_force,
    send,
    signature_in_force,
)


def send_forward(job: Job, dispatch: Dispatch) -> SendResult:
    """Forward a message, or send the owner a notice: at least once; a second copy is a possible duplicate in the ledger."""
    compose = _compose_notice if job.kind is JobKind.NOTICE else _compose_forward
    return send(job, lambda context, raw: compose(context, raw, dispatch), dispatch)


def _compose_forward(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    """Compose a forward. What a mistake of ours kept from being read, or keeps from being composed, goes as it came."""
    conversation = conversation_of(context)
    item, record = context.item, context.message
    mailbox = item.recipients[0]
    before = mistake_in(record.reasons)
    rebuilt = attempt(_rebuilt, context, conversation, raw, dispatch) if before is None else before
    mistake = rebuilt if isinstance(rebuilt, Mistake) else None
    if isinstance(rebuilt, Composed):
        composed = rebuilt
    else:
        composed = compose_whole(
            raw,
            mistaken(rebuilt) if isinstance(rebuilt, Mistake) else rebuilt,
            record,
            conversation,
            owners=dispatch.owners,
            mailbox=mailbox,
            text_only=item.note == TEXT_ONLY,
        )
    return Draft(
        raw=composed.raw,
        sender=thread_address(conversation, dispatch.owners.thread_domain),
        conversation=lambda now, wire: add_forward(now, record, mailbox, wire, composed.left_out),
        mistake=mistake,
    )


def _rebuilt(context: SendContext, conversation: Conversation, raw: bytes, dispatch: Dispatch) -> Composed | Mistake:
    item = context.item
    message = parse(raw)
    if message.mistake is not None:
        return message.mistake
    about = forward_context(
        message,
        context.message,
        conversation,
        owners=dispatch.owners,
        mailbox=item.recipients[0],
        possible_duplicate=item.possible_duplicate,
        text_only=item.note == TEXT_ONLY,
    )
    return compose_forward(message, about)


def _compose_notice(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    item, owners, record = context.item, dispatch.owners, context.message
    if item.note == DIGEST:
        composed = compose_digest(Digest.from_json(raw), owners=owners, item=item)
        return Draft(raw=composed.raw, sender=owners.notices_address)
    if item.note == REMINDER:
        return _compose_reminder(context, dispatch)
    if item.note in (COPY, STARTED):
        return _compose_copy(context, raw, dispatch)
    kind = NoticeKind(item.note)
    if kind is NoticeKind.DELAYED and _has_bounced(record, dispatch):
        return Draft(
            raw=b"", sender=owners.notices_address, unwanted="another notice says that the reply did not arrive"
        )
    notice = partial(compose_notice, kind, owners=owners, item=item)

    def compose() -> Composed:
        further, attached = _RESPONSES[kind](context, raw, dispatch) if kind in _RESPONSES else ((), ())
        return notice(
            record=record,
            conversation=context.conversation,
            actions=_actions(kind, context, owners.thread_domain),
            further=further,
            attached=attached,
        )

    about = attempt(compose)
    if not isinstance(about, Mistake):
        return Draft(raw=about.raw, sender=owners.notices_address)
    bare = replace(record, subject="", sender="", sender_name="", verification="", feedback={}, reasons=())
    composed = notice(record=bare, conversation=None)  # without anything that the message holds
    return Draft(raw=composed.raw, sender=owners.notices_address, mistake=about)


def _actions(kind: NoticeKind, context: SendContext, thread_domain: str) -> tuple[Action, ...]:
    """Return what the owner can do at the end of the notice *kind*."""
    if kind is NoticeKind.WAITS:
        return (cancel_action(conversation_of(context), thread_domain),)
    return (start_action(thread_domain),) if kind in (NoticeKind.BOUNCED, NoticeKind.SUPPRESSED) else ()


def _has_bounced(record: MessageRecord, dispatch: Dispatch) -> bool:
    """Return whether the send that the feedback of *record* is about has bounced since."""
    send = dispatch.ledger.by_id(LedgerId(record.feedback["ledger"]))
    return send is not None and send.state is SendState.BOUNCED


def _compose_reminder(context: SendContext, dispatch: Dispatch) -> Draft:
    """Compose the notice at the end of a snooze, unless the conversation is not put off until just then any more."""
    conversation, item, owners = conversation_of(context), context.item, dispatch.owners
    if not is_snoozed(conversation, item.due):
        return Draft(
            raw=b"", sender=owners.notices_address, unwanted="the conversation is not put off until then any more"
        )
    composed = compose_notice(
        NoticeKind.REMINDER,
        owners=owners,
        record=context.message,
        conversation=conversation,
        item=item,
        actions=conversation_actions(conversation, owners.thread_domain),
    )
    return Draft(
        raw=composed.raw,
        sender=owners.notices_address,
        conversation=lambda now, _: after_reminder(now, item.due),
    )


def _compose_copy(context: SendContext, raw: bytes, dispatch: Dispatch) -> Draft:
    """Compose what a mailbox gets of a reply: *raw*, as the contact got it, or the one line alone, also if a mistake of
    ours keeps the rest from being composed."""
    conversation, item = conversation_of(context), context.item
    about = copy_context(context.message, conversation, owners=dispatch.owners, item=item)
    composed = attempt(lambda: compose_forward(parse(raw), about))
    mistake = composed if isinstance(composed, Mistake) else None
    if isinstance(composed, Mistake):
        composed = compose_forward(parse(b""), about)
    receipt, mailbox = context.message.receipt, item.recipients[0]
    return Draft(
        raw=composed.raw,
        sender=about.thread_address,
        # The message that starts a conversation is in its writer's mailbox already, under its own id.
        conversation=(lambda now, wire: add_copy(now, receipt, mailbox, wire)) if item.note == COPY else None,
        mistake=mistake,
    )


type _Response = tuple[Sequence[Piece], Sequence[writer.Entity]]
"""What a response to a command shows and attaches beside what it says."""


def _checked(context: SendContext, raw: bytes, dispatch: Dispatch) -> _Response:
    """Return the owner's reply as the contact would get it."""
    conversation = conversation_of(context)
    message = without_request(parse(raw), conversation)
    recipients = reply_recipients(message, conversation, everyone=False, at_most=1)
    about = reply_context(
        message,
        conversation,
        owners=owners_in_force(dispatch),
        recipients=recipients,
        receipt=context.message.receipt,
        signature=signature_in_force(dispatch, conversation),
    )
    return rehearsed(compose_reply(message, about))


def _files(context: SendContext, raw: bytes, dispatch: Dispatch) -> _Response:
    """Return the files that the item's detail, "Files 1 of 2", numbers."""
    item, message = context.item, parse(raw)
    about = forward_context(
        message, context.message, conversation_of(context), owners=dispatch.owners, mailbox=item.recipients[0]
    )
    named = quoted(context.message.subject, MAX_NAME) or "a message without a subject"
    return (Paragraph(f"They belong to: {named}"),), file_entities(message, about, int(item.detail.split()[1]))


_RESPONSES: dict[NoticeKind, Callable[[SendContext, bytes, Dispatch], _Response]] = {
    NoticeKind.CHECK: _checked,
    NoticeKind.FILES: _files,
}
