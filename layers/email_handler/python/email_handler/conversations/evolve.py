"""How a conversation and its contact change: with each message that arrives and each send that leaves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from email_handler.conversations.owners import Owners
from email_handler.conversations.records import (
    AWAITING,
    Contact,
    Conversation,
    LeftOut,
    Link,
    MessageRecord,
    Status,
)
from email_handler.conversations.routes import MAX_MAILBOXES, Routes
from email_handler.conversations.subjects import base_subject, renamed
from email_handler.conversations.thread_address import TOKEN_LENGTH
from email_handler.conversations.threads import local_part, replied_to
from email_handler.identifiers import ConversationId, EmailAddress, LedgerId, ReceiptId
from email_handler.mail.addresses import address_domain, aligned

if TYPE_CHECKING:  # the senders read no message as a receiving function does
    from email_handler.conversations.parsed import ParsedMessage
    from email_handler.mail.message import Message

ID_LENGTH = 8  # characters, 40 bits: ids are readable names, not secrets
MAX_LINKS = 10  # the first and the last nine messages: enough for References, bounded for the record
MAX_PARTICIPANTS = 10
MAX_REPEATS = 2  # replies with the same text to one contact within REPEATS_WITHIN
REPEATS_WITHIN = timedelta(hours=1)
MAX_RELAYED = 10  # replies whose digests are kept with a contact
MAX_UNTOLD = 20  # unchecked parts that one forward tells the owner of
MAX_REPLIES = 10  # replies of a conversation that can be found to be cancelled
MAX_EARLIER = 5  # conversations kept with a contact for the banner

type NewToken = Callable[[int], str]
"""Returns that many random characters of lower-case Crockford base32."""


# A message arrives


def start(
    parsed: ParsedMessage,
    conversation: ConversationId | Literal[""],
    reply_address: EmailAddress | Literal[""],
    *,
    owners: Owners,
    routes: Routes,
    new_token: NewToken,
) -> Conversation:
    """Return the conversation that *parsed* starts, before the message is added to it.

    *conversation* is the id if it is known already (a LinkedIn person's), *reply_address* where replies will go.
    """
    named = owners.public_recipients(parsed.receipt.recipients) or ((owners.public_addresses[0], ""),)
    public_address, source = named[0]
    subject = base_subject(parsed.message.subject)
    return Conversation(
        id=conversation or ConversationId(f"c-{new_token(ID_LENGTH)}"),
        token=new_token(TOKEN_LENGTH),
        contact=parsed.sender,
        contact_name=parsed.sender_name,
        public_address=public_address,
        source=source,
        subject=subject,
        owner_subject=subject,
        mailboxes=_mailboxes(named, subject=parsed.message.subject, sender=parsed.sender, owners=owners, routes=routes),
        status=Status.OPEN,
        verified=parsed.verification.verified,
        reply_address=reply_address,
        reply_differs=_differs(parsed, reply_address),
        started_at=parsed.at,
        updated_at=parsed.at,
        linkedin_thread=parsed.person.thread_url if parsed.person else "",
    )


def start_by_owner(
    parsed: ParsedMessage,
    contact: EmailAddress,
    name: str,
    public_address: EmailAddress,
    owner: EmailAddress,
    *,
    owners: Owners,
    routes: Routes,
    new_token: NewToken,
) -> Conversation:
    """Return the conversation with *contact*, called *name*, that *owner* starts with *parsed*, before it is added.

    Its mailboxes are those that a message of the contact's under this subject would go to, and *owner*'s own.
    """
    subject = base_subject(parsed.message.subject)
    routed = _mailboxes([(public_address, "")], subject=subject, sender=contact, owners=owners, routes=routes)
    own = [owner] if owner in (*owners.forward_to, *owners.routed) else []  # an alias is no mailbox to forward to
    return Conversation(
        id=ConversationId(f"c-{new_token(ID_LENGTH)}"),
        token=new_token(TOKEN_LENGTH),
        contact=contact,
        contact_name=name,
        public_address=public_address,
        source="",
        subject=subject,
        owner_subject=subject,
        mailboxes=tuple(dict.fromkeys((*own, *routed)))[:MAX_MAILBOXES],
        status=Status.ANSWERED,  # nobody waits for the owner
        verified=False,
        reply_address=contact,
        reply_differs=False,
        started_at=parsed.at,
        updated_at=parsed.at,
        started_with=parsed.receipt.id,
    )


def add_message(
    before: Conversation, parsed: ParsedMessage, reply_address: EmailAddress | Literal[""], owners: Owners
) -> Conversation:
    """Return *before* with the contact's message *parsed* in it.

    An unverified message and a machine's only add themselves. Where replies go and what the thread is called is for a
    verified person to change.
    """
    trusted = parsed.verification.verified and not parsed.by_machine
    link = Link(
        receipt=parsed.receipt.id,
        contact_id=parsed.message.message_id,
        owner_ids={},
        reply_address=reply_address if trusted else before.reply_address,
    )
    conversation = replace(with_link(before, link), received=before.received + 1, updated_at=_later(before, parsed.at))
    if before.status in (Status.ANSWERED, Status.CLOSED, Status.SNOOZED) and not parsed.by_machine:
        conversation = replace(conversation, status=Status.WAITING)
    if not trusted:
        return conversation
    subject = renamed(parsed.message.subject, before.subject)
    return replace(
        conversation,
        verified=True,
        subject=subject or before.subject,
        owner_subject=subject or before.owner_subject,
        reply_address=reply_address or before.reply_address,
        reply_differs=_differs(parsed, reply_address) if reply_address else before.reply_differs,
        participants=_participants(before, parsed, owners),
    )


def contact_after(parsed: ParsedMessage, known: Contact | None, conversation: Conversation) -> Contact | None:
    """Return the contact after their message *parsed* in *conversation*; None if a contact record makes no sense: a
    LinkedIn person (their address is LinkedIn's), feedback, or a sender without an address."""
    if parsed.person or parsed.feedback is not None or "@" not in parsed.sender:
        return None
    before = known or Contact(
        address=parsed.sender, name=conversation.contact_name, first_at=parsed.at, updated_at=parsed.at
    )
    others = [entry for entry in before.conversations if entry[0] != conversation.id]
    return replace(
        before,
        updated_at=parsed.at,
        messages=before.messages + 1,
        conversations=((conversation.id, conversation.subject, conversation.started_at), *others)[:MAX_EARLIER],
    )


def add_reply(
    before: Conversation, parsed: ParsedMessage, owner: EmailAddress, send: LedgerId, untold: Sequence[str] = ()
) -> Conversation:
    """Return *before* with the reply *parsed* that *owner* wrote, whose *send* is queued. A changed subject renames both
    sides.

    *untold* are its parts that could not be checked, if no notice tells the owner of them.
    """
    message = parsed.message
    mailbox = mailbox_of(message, owner, before)
    owner_ids: dict[str, str] = {mailbox: message.message_id} if message.message_id else {}
    subject = renamed(message.subject, before.owner_subject)
    return replace(
        with_link(before, Link(receipt=parsed.receipt.id, contact_id="", owner_ids=owner_ids)),
        updated_at=_later(before, parsed.at),
        owner_subject=subject or before.owner_subject,
        subject=subject or before.subject,
        untold=(*before.untold, *untold)[:MAX_UNTOLD],
        replies=(*before.replies, send)[-MAX_REPLIES:],
    )


def mailbox_of(message: Message, owner: EmailAddress, conversation: Conversation) -> EmailAddress:
    """Return which of the *conversation*'s mailboxes *owner* wrote the reply *message* from: that of an alias is the one
    whose forward it replies to, else the first."""
    if owner in conversation.mailboxes or not conversation.mailboxes:
        return owner
    link = replied_to(message, conversation)
    named = {local_part(id_) for id_ in (*message.in_reply_to, *message.references[-1:])}
    known = link.owner_ids if link else {}
    asked = (mailbox for mailbox in conversation.mailboxes if mailbox in known and local_part(known[mailbox]) in named)
    return next(asked, conversation.mailboxes[0])


def is_repeated(contact: Contact | None, digest: str, at: datetime) -> bool:
    """Return whether replies with the text of *digest* went to *contact* so often that another must wait: two automatic
    replies that say nothing of being ones reply to each other."""
    relayed = contact.relayed if contact else ()
    return sum(known == digest and at - when < REPEATS_WITHIN for known, when in relayed) >= MAX_REPEATS


def contact_after_reply(before: Contact, digest: str, at: datetime) -> Contact:
    """Return *before* after a reply with the text of *digest* to it was queued."""
    return replace(before, updated_at=at, relayed=(*before.relayed, (digest, at))[-MAX_RELAYED:])


def contact_after_cancelling(before: Contact, queued_at: Collection[datetime]) -> Contact:
    """Return *before* without the replies of the times *queued_at*, which were cancelled: they do not count as repeated."""
    return replace(before, relayed=tuple(relayed for relayed in before.relayed if relayed[1] not in queued_at))


# The owner puts a conversation off


def snooze(before: Conversation, until: datetime) -> Conversation:
    """Return *before*, put off until *until*."""
    return replace(before, status=Status.SNOOZED, snoozed_until=until)


def is_snoozed(conversation: Conversation, until: datetime) -> bool:
    """Return whether *conversation* is put off, and until just then."""
    return conversation.status is Status.SNOOZED and conversation.snoozed_until == until


def awaiting(conversation: Conversation) -> Status:
    """Return the status of *conversation* when it is the owner's turn."""
    return Status.WAITING if conversation.sent else Status.OPEN


# A send left, and SES gave it a Message-ID


def add_forward(
    before: Conversation, record: MessageRecord, mailbox: EmailAddress, wire_id: str, left_out: LeftOut | None = None
) -> Conversation:
    """Return *before* after the message of *record* was forwarded to *mailbox* as *wire_id*, without *left_out*."""
    ids: dict[str, str] = {mailbox: wire_id}
    link = Link(receipt=record.receipt, contact_id=record.message_id, owner_ids=ids, left_out=left_out)
    return with_link(before, link)


def add_copy(before: Conversation, receipt: ReceiptId, mailbox: EmailAddress, wire_id: str) -> Conversation:
    """Return *before* after *mailbox* got a copy of the reply *receipt* as *wire_id*."""
    return with_link(before, Link(receipt=receipt, contact_id="", owner_ids={mailbox: wire_id}))


def add_sent_reply(before: Conversation, receipt: ReceiptId, wire_id: str, at: datetime) -> Conversation:
    """Return *before* after the owner's reply *receipt* left as *wire_id*. It answers what the owner had seen: who wrote
    while it was on its way still waits."""
    linked = with_link(before, Link(receipt=receipt, contact_id=wire_id, owner_ids={}))
    receipts = [link.receipt for link in linked.links]
    since = linked.links[receipts.index(receipt) + 1 :]
    if before.status in AWAITING and any(link.reply_address for link in since):
        status = Status.WAITING
    else:
        status = before.status if before.status is Status.SNOOZED else Status.ANSWERED
    return replace(linked, sent=before.sent + 1, status=status, updated_at=_later(before, at))


def _later(before: Conversation, at: datetime) -> datetime:
    """Return *at*, or when *before* was last changed: of two messages at once, the later one may be decided first."""
    return max(before.updated_at, at)


def after_reminder(before: Conversation, until: datetime) -> Conversation:
    """Return *before* after the owner was reminded of it: it awaits them again, unless it was put off anew meanwhile."""
    return replace(before, status=awaiting(before)) if is_snoozed(before, until) else before


def with_link(conversation: Conversation, link: Link) -> Conversation:
    """Return *conversation* with *link* added, or merged into the link of the same receipt."""
    links = list(conversation.links)
    for place, known in enumerate(links):
        if known.receipt == link.receipt:
            links[place] = replace(
                known,
                contact_id=link.contact_id or known.contact_id,
                owner_ids=known.owner_ids | link.owner_ids,
                left_out=link.left_out or known.left_out,
            )
            return replace(conversation, links=tuple(links))
    links.append(link)
    return replace(conversation, links=tuple(links[:1] + links[1:][-(MAX_LINKS - 1) :]))


def _mailboxes(
    named: Sequence[tuple[EmailAddress, str]], *, subject: str, sender: str, owners: Owners, routes: Routes
) -> tuple[EmailAddress, ...]:
    """Return the mailboxes that the routes give a message to the public addresses and tags *named*, each once."""
    routed = (
        mailbox
        for address, tag in named
        for mailbox in routes.mailboxes_for(
            address=address, tag=tag, subject=subject, sender=sender, otherwise=owners.forward_to
        )
        if not owners.is_ours(mailbox)  # it would come back to us
    )
    return tuple(dict.fromkeys(routed))[:MAX_MAILBOXES] or owners.forward_to


def _differs(parsed: ParsedMessage, reply_address: str) -> bool:
    return not aligned(address_domain(reply_address), address_domain(parsed.sender))


def _participants(before: Conversation, parsed: ParsedMessage, owners: Owners) -> tuple[EmailAddress, ...]:
    message = parsed.message
    named = (box.address for box in (*message.from_, *message.to, *message.cc))
    others: dict[str, EmailAddress] = {}  # by lower case: an address written in two ways gets one copy
    for address in (*before.participants, *named):
        if owners.may_be_written_to(address, before):
            others.setdefault(address.lower(), address)
    others.pop(before.contact.lower(), None)
    return tuple(others.values())[:MAX_PARTICIPANTS]
