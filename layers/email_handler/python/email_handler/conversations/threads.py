"""Which conversation a message belongs to, and the ids that keep it one thread in both sides' clients (ADR 0009)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain

from email_handler.conversations.commands import quoted_request
from email_handler.conversations.records import Conversation, Link, Reference, Status
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.addresses import same_address
from email_handler.mail.message import Message
from email_handler.senders.linkedin import LinkedInPerson
from email_handler.values import dataclass

TOPIC_AGE = timedelta(days=30)  # the same contact and subject continue a conversation for that long
MAX_REFERENCES = 40  # ids looked up for one message: the first half and the last half of what it names


@dataclass(frozen=True, slots=True, kw_only=True)
class Threading:
    """Subject and ids for one side's copy, ids without angle brackets, ready to be written."""

    subject: str  # the full subject line
    in_reply_to: str  # "" if none
    references: tuple[str, ...]


def local_part(message_id: str) -> str:
    """Return the part of a Message-ID before ``@``: SES does not promise the host after it."""
    return message_id.strip().strip("<>").partition("@")[0][:400]


def named_references(message: Message) -> tuple[str, ...]:
    """Return the local parts that *message* names, nearest first, at most ``MAX_REFERENCES``: In-Reply-To, then
    References from its end (RFC 5322 §3.6.4). Of more ids the nearest half and the oldest half are kept."""
    ids = [local_part(i) for i in (*message.in_reply_to, *reversed(message.references))]
    unique = list(dict.fromkeys(i for i in ids if i))
    half = MAX_REFERENCES // 2
    return tuple(unique[:half] + unique[half:][-half:])


def own_reference(
    message: Message, conversation: Conversation, receipt: ReceiptId, known: Iterable[Reference]
) -> tuple[Reference, ...]:
    """Return the reference from *message*'s own id to *conversation*, none if the id is missing or in *known*.

    A sender who repeats another message's id must not redirect the replies to it.
    """
    own = local_part(message.message_id)
    if not own or any(reference.local_part == own for reference in known):
        return ()
    return (Reference(local_part=own, conversation=conversation.id, receipt=receipt),)


def takes_part(conversation: Conversation, address: str) -> bool:
    """Return whether the verified *address* is the contact or a participant, in any case."""
    return any(same_address(known, address) for known in (conversation.contact, *conversation.participants))


def choose(
    *,
    by_token: Conversation | None,
    by_reference: Iterable[Conversation],
    by_awaited: Iterable[Conversation],
    by_topic: Conversation | None,
    verified: EmailAddress | None,
    now: datetime,
) -> Conversation | None:
    """Return the conversation that a contact's message joins, or None to start a new one.

    *by_token* has had its token compared; *verified* is the sender's address if it is verified. A message that is not
    verified joins by token only: with forged ids or subjects it starts a conversation of its own.
    """
    if by_token is not None:
        return by_token
    if verified is None:
        return None
    for conversation in chain(by_reference, by_awaited):
        if takes_part(conversation, verified):
            return conversation
    if (
        by_topic is not None
        and same_address(by_topic.contact, verified)
        and by_topic.status in (Status.OPEN, Status.WAITING, Status.ANSWERED, Status.SNOOZED)
        and now - by_topic.updated_at <= TOPIC_AGE
    ):
        return by_topic
    return None


def choose_on_linkedin(
    person: LinkedInPerson, *, namesakes: Iterable[Conversation], by_reference: Iterable[Conversation]
) -> Conversation | None:
    """Return the conversation with *person*: the one of the *namesakes* with the same thread URL; without a URL, by ids
    and name. Of two persons of one name, neither may change where replies to the other go."""
    if person.thread_url:
        same_thread = (c for c in (*namesakes, *by_reference) if c.linkedin_thread == person.thread_url)
        return next(same_thread, None)
    return next((c for c in by_reference if c.linkedin_thread and c.contact_name == person.name), None)


def replied_to(message: Message, conversation: Conversation) -> Link | None:
    """Return the link of the message that the owner's *message* replies to by its ids; None if it names none known."""
    named = set(_parents(message))
    return next((link for link in reversed(conversation.links) if named.intersection(_owner_ids(link))), None)


def reply_recipients(
    message: Message, conversation: Conversation, *, everyone: bool, at_most: int
) -> tuple[EmailAddress, ...]:
    """Return the envelope of the owner's reply *message*, from the record alone: the reply address of the message it
    replies to (by its ids), else of the last verified one; with *everyone* all participants too."""
    known = {own: link.reply_address for link in conversation.links if link.reply_address for own in _owner_ids(link)}
    first = next((known[i] for i in _parents(message) if i in known), conversation.reply_address)
    others = conversation.participants if everyone else ()
    return tuple(dict.fromkeys(EmailAddress(a) for a in (first, *others) if a))[:at_most]


def _parents(message: Message) -> tuple[str, ...]:
    """Return the local parts of In-Reply-To, or of the last reference: some clients write only that (RFC 5322 §3.6.4)."""
    return tuple(map(local_part, message.in_reply_to or message.references[-1:]))


def _owner_ids(link: Link) -> list[str]:
    return list(map(local_part, link.owner_ids.values()))


def threading_for_contact(conversation: Conversation, domain: str, subject: str, *, replies_to: ReceiptId) -> Threading:
    """Return subject and ids for a message to the contact that replies to their message *replies_to*.

    References begin with a constant id of ours for this conversation and side, so that all our messages share an
    ancestor even if the contact's client dropped theirs. Its host is the public *domain*: the thread subdomain would
    show the machinery (and the leak gate would hold it).
    """
    ids = [link.contact_id for link in conversation.links if link.contact_id]
    parent = next((link.contact_id for link in conversation.links if link.receipt == replies_to), "")
    return _threading(f"{root_for_contact(conversation)}@{domain}", ids, parent, subject)


def root_for_contact(conversation: Conversation) -> str:
    """Return the local part of the id with which the References of all our messages to the contact begin."""
    return f"{conversation.id}.c"


def threading_for_owner(
    conversation: Conversation, domain: str, subject: str, *, mailbox: EmailAddress, named: Iterable[str] = ()
) -> Threading:
    """Return subject and ids for a message to the owner's *mailbox*.

    *named* are the ids that the contact's message names, nearest first. The first one known is translated into the id
    that *mailbox* knows for the same message. The *subject* may be a contact's: it does not read like a command.
    """
    ids = [link.owner_ids[mailbox] for link in conversation.links if mailbox in link.owner_ids]
    contacts = [link for link in reversed(conversation.links) if link.contact_id]  # of two with one id the first counts
    translated = {local_part(link.contact_id): link.owner_ids.get(mailbox, "") for link in contacts}
    parent = next((translated[i] for i in map(local_part, named) if i in translated), "")
    return _threading(f"{conversation.id}.o@{domain}", ids, parent, quoted_request(subject))


def _threading(root: str, ids: list[str], parent: str, subject: str) -> Threading:
    last = parent or (ids[-1] if ids else "")
    references = [root, *(i for i in ids if i != last), *([last] if last else [])]
    return Threading(subject=subject, in_reply_to=last or root, references=tuple(dict.fromkeys(references)))


def wire_id(ses_id: str, region: str) -> str:
    """Return the Message-ID that SES writes for its API's *ses_id* (observed, not promised)."""
    host = "email.amazonses.com" if region == "us-east-1" else f"{region}.amazonses.com"
    return f"{ses_id}@{host}"
