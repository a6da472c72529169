"""What composing needs besides the message itself, built by one piece of code for the senders and ``compose``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from email_handler.conversations.owners import Identity, Owners
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord
from email_handler.conversations.subjects import first_subject, renamed, reply_subject
from email_handler.conversations.thread_address import thread_address
from email_handler.conversations.threads import Threading, replied_to, threading_for_contact, threading_for_owner
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.message import Message
from email_handler.outgoing.copies import CopyWords, copy_words
from email_handler.values import dataclass

if TYPE_CHECKING:  # of a forward alone, and seven modules are behind it
    from email_handler.outgoing.pieces import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardContext:
    """What the banner and the headers of a forward need."""

    identity: Identity
    record: MessageRecord
    conversation: Conversation
    thread_address: EmailAddress
    threading: Threading
    number: int  # this is the contact's n-th message here
    reply_address: str  # where a reply will go
    possible_duplicate: bool = False  # SES's response to the first copy was lost
    text_only: bool = False  # text and a list of the rest: the whole was refused for content or size
    copy: CopyWords | None = None  # of a copy of the owner's own message
    actions: "tuple[Action, ...]" = ()  # what the owner may do about the message, at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyContext:
    """What a reply to the contact needs."""

    identity: Identity
    threading: Threading
    contact: EmailAddress  # replaces thread addresses in quotations
    recipients: tuple[EmailAddress, ...]  # To of the reply: the reply address, or all for ``+all``
    contact_name: str = ""
    signature: str = ""  # below the owner's words


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgementContext:
    """What an acknowledgement needs."""

    identity: Identity
    recipient: EmailAddress
    threading: Threading
    text_template: str  # string.Template placeholders: $name, $subject, $public_address, $display_name
    html_template: str
    name: str = ""


def forward_context(
    message: Message,
    record: MessageRecord,
    conversation: Conversation,
    *,
    owners: Owners,
    mailbox: EmailAddress,
    possible_duplicate: bool = False,
    text_only: bool = False,
) -> ForwardContext:
    """Return the context of the forward of *message* (its *record*, in its *conversation*) to the owner's *mailbox*."""
    from email_handler.outgoing.actions import conversation_actions  # noqa: PLC0415

    number, own_reply_address = _place(record.receipt, conversation)
    identity = owners.identity(conversation)
    # A machine's subject renames nothing.
    is_new_name = renamed(message.subject, conversation.subject) and not record.automatic
    subject = first_subject(message.subject) if number == 1 or is_new_name else f"Re: {conversation.owner_subject}"
    return ForwardContext(
        identity=identity,
        record=record,
        conversation=conversation,
        thread_address=thread_address(conversation, owners.thread_domain),
        threading=threading_for_owner(
            conversation,
            identity.domain,
            subject,
            mailbox=mailbox,
            named=(*message.in_reply_to, *reversed(message.references)),
        ),
        number=number,
        reply_address=own_reply_address or conversation.reply_address,
        possible_duplicate=possible_duplicate,
        text_only=text_only,
        actions=conversation_actions(conversation, owners.thread_domain),
    )


def _place(receipt: ReceiptId, conversation: Conversation) -> tuple[int, str]:
    """Return which of the contact's messages *receipt* is, counted back from the latest, and its own reply address."""
    theirs = [link for link in conversation.links if link.reply_address]
    for back, link in enumerate(reversed(theirs)):
        if link.receipt == receipt:
            return max(conversation.received - back, 1), link.reply_address
    return max(conversation.received, 1), ""


def copy_context(
    record: MessageRecord, conversation: Conversation, *, owners: Owners, item: LedgerItem
) -> ForwardContext:
    """Return the context of what a mailbox of the owner's gets, as *item*, of the owner's message of *record* to the
    contact: like a forward, in the same thread, so that a reply to it goes to the contact."""
    identity, mailbox = owners.identity(conversation), item.recipients[0]
    subject = f"Re: {conversation.owner_subject}".rstrip()
    return ForwardContext(
        identity=identity,
        record=record,
        conversation=conversation,
        thread_address=thread_address(conversation, owners.thread_domain),
        threading=threading_for_owner(conversation, identity.domain, subject, mailbox=mailbox),
        number=0,
        reply_address=conversation.reply_address,
        possible_duplicate=item.possible_duplicate,
        copy=copy_words(record, conversation, item),
    )


def reply_context(
    message: Message,
    conversation: Conversation,
    *,
    owners: Owners,
    recipients: Sequence[EmailAddress],
    receipt: ReceiptId,
    signature: str = "",
) -> ReplyContext:
    """Return the context of the owner's reply *message*, received as *receipt*, to *recipients*, with *signature*.

    The contact keeps their subject unless the owner renamed the thread; what starts a conversation has the owner's, and
    replies to nothing. No mailbox that any route names is shown to them: one owner may quote another's message.
    """
    identity = owners.identity(conversation)
    subject = renamed(message.subject, conversation.owner_subject) or conversation.subject
    parent = replied_to(message, conversation)
    if conversation.started_with == receipt:
        threading = Threading(subject=first_subject(message.subject), in_reply_to="", references=())
    else:
        # The reply's own receipt has no id on the contact's side: the last is taken.
        replies_to = parent.receipt if parent else receipt
        subject_line = f"Re: {subject}".rstrip()
        threading = threading_for_contact(conversation, identity.domain, subject_line, replies_to=replies_to)
    return ReplyContext(
        identity=identity,
        threading=threading,
        contact=EmailAddress(conversation.reply_address or conversation.contact),
        recipients=tuple(recipients),
        contact_name=conversation.contact_name,
        signature=signature,
    )


def acknowledgement_context(
    record: MessageRecord,
    conversation: Conversation,
    *,
    owners: Owners,
    recipient: EmailAddress,
    templates: tuple[str, str],
) -> AcknowledgementContext:
    """Return the context of the acknowledgement of the message of *record* to *recipient*, by *templates* (text, HTML)."""
    identity = owners.identity(conversation)
    subject = reply_subject(record.subject)
    threading = threading_for_contact(conversation, identity.domain, subject, replies_to=record.receipt)
    return AcknowledgementContext(
        identity=identity,
        recipient=recipient,
        threading=replace(threading, in_reply_to=record.message_id),
        text_template=templates[0],
        html_template=templates[1],
        name=record.sender_name,
    )
