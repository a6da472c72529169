"""The forward of a message that a mistake of ours kept from being shown: a warning, and the message as it came."""

from email_handler.conversations.disposition import Reason
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.thread_address import thread_address
from email_handler.conversations.threads import Threading, threading_for_owner
from email_handler.identifiers import EmailAddress
from email_handler.mail import writer
from email_handler.mail.addresses import address_domain
from email_handler.mistakes import attempt_or
from email_handler.outgoing import pieces
from email_handler.outgoing.banner import as_html, as_text, unread_banner
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.headers import sender_name, threading_fields
from email_handler.outgoing.original import FORWARD_LIMIT, original
from email_handler.outgoing.pieces import Box, Tone
from email_handler.outgoing.sentinels import NOT_VERIFIED


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
    nameless = "(no subject)"
    subject = record.subject or nameless
    threading = Threading(subject=nameless, in_reply_to="", references=())
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

    def body(where: str) -> writer.Entity:
        text = f"An error in this system kept it from being read. {where} ({mistake.rule}, {mistake.detail})"
        shown = unread_banner(record, conversation, Box(Tone.GRAVE, "Cannot be shown", text))
        page = pieces.page(as_html(shown), title=subject, preview=f"Cannot be shown: {writer.one_line(subject, 100)}")
        return writer.multipart("alternative", (writer.text(as_text(shown) + "\n"), writer.text(page, "html")))

    if not text_only:
        attached = body("It is attached as it came. It was not checked: open it with care.")
        composed = Composed(raw=writer.write(fields, writer.multipart("mixed", (attached, original(raw))), seed))
        if len(composed.raw) <= FORWARD_LIMIT:
            return composed
    kept = body(f"It is too large to be attached, or was refused. It is kept in the archive as {record.archive_key}.")
    return Composed(raw=writer.write(fields, kept, seed))
