"""The forward of a message that a mistake of ours kept from being shown: a warning, and the message as it came."""

from email_handler.conversations.disposition import Reason
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.thread_address import thread_address
from email_handler.conversations.threads import Threading, threading_for_owner
from email_handler.identifiers import EmailAddress
from email_handler.mail import writer
from email_handler.mail.addresses import address_domain, displayed
from email_handler.mistakes import attempt_or
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.headers import sender_name, threading_fields
from email_handler.outgoing.original import FORWARD_LIMIT, original
from email_handler.outgoing.sentinels import BEGIN, END, NOT_VERIFIED
from email_handler.outgoing.unlinked import quoted


def compose_whole(
    raw: bytes,
    mistake: Reason,
    record: MessageRecord,
    conversation: Conversation,
    *,
    owners: Owners,
    mailbox: EmailAddress,
    text_only: bool = False,
) -> Composed:
    """Return the forward of *raw* to *mailbox*: why it is not shown, and the message attached as it came, unless that is
    too large or *text_only* (it was refused for content or size).

    It depends on nothing that *raw* holds: of its header only what the record has, each on one line.
    """
    subject = record.subject or "(no subject)"
    threading = Threading(subject=subject, in_reply_to="", references=())
    if conversation.received > 1:
        subject = f"Re: {conversation.owner_subject}"
    domain = address_domain(conversation.public_address)
    threading = attempt_or(threading, lambda: threading_for_owner(conversation, domain, subject, mailbox=mailbox))
    name = attempt_or(f"{NOT_VERIFIED}a name that cannot be shown", sender_name, record, conversation)
    fields = (
        ("From", writer.mailbox(name, thread_address(conversation, owners.thread_domain))),
        ("To", conversation.public_address),
        *threading_fields(threading),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("X-Email-Handler-Conversation", conversation.id),
    )
    seed = raw or record.receipt.encode()
    whole = (
        writer.text(_warning(mistake, record, "It is attached as it came. It was not checked: open it with care.")),
        original(raw),
    )
    if not text_only:
        composed = Composed(raw=writer.write(fields, writer.multipart("mixed", whole), seed))
        if len(composed.raw) <= FORWARD_LIMIT:
            return composed
    kept = _warning(mistake, record, "It is too large to be attached, or was refused; it is kept in the archive.")
    return Composed(raw=writer.write(fields, writer.text(kept), seed))


def _warning(mistake: Reason, record: MessageRecord, where: str) -> str:
    verified = "verified" if record.verified else "NOT verified"
    lines = (
        "! This message cannot be shown, because of an error in this system.",
        f"! {where}",
        f"From: {_address(record.sender) or 'no sender'}, {verified} ({record.verification})",
        f"Subject: {quoted(record.subject, 200) or 'none'}",
        f"Your reply goes to {_address(record.reply_address)}"
        if record.reply_address
        else "You cannot reply: the message has no address to reply to.",
        f"Error: {mistake.rule}, {mistake.detail}",
        f"Kept in the archive as {record.archive_key}",
    )
    return "\n".join((BEGIN, *lines, END)) + "\n"


def _address(address: str) -> str:
    return writer.one_line(displayed(address, 200), 200)
