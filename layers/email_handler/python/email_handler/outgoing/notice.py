"""Notices: emails to the owner about a reply of theirs that did not reach the contact."""

import html
from collections.abc import Sequence
from enum import StrEnum

from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord
from email_handler.conversations.threads import threading_for_owner
from email_handler.mail import writer
from email_handler.mail.addresses import address_domain, displayed
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.headers import threading_fields
from email_handler.outgoing.unlinked import quoted

MAX_LENGTH = 2000  # characters of a fact that is quoted: ten places of the leak gate
MAX_NAME = 200  # characters of a name, an address, or a subject


class NoticeKind(StrEnum):
    """What a notice is about; kept in a ledger item's ``note``."""

    NOT_VERIFIED = "not-verified"  # a message to a thread address is not verified to be the owner's
    NOT_OWNER = "not-owner"  # somebody else wrote to a thread address
    AUTOMATIC = "automatic"  # the owner's message looks like a machine's
    TO_NOTICES = "to-notices"  # the owner replied to a notice
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the owner wrote to a thread address that opens no conversation
    SEVERAL = "several"  # the owner wrote to more than one conversation at once
    VIRUS = "virus"  # SES found a virus in the owner's reply
    NOT_NAMED = "not-named"  # the thread address is neither in To nor in Cc of the owner's message
    REPEATED = "repeated"  # the same text went to the contact twice within an hour
    NO_ADDRESS = "no-address"  # the contact left no address to reply to
    UNCHECKED = "unchecked"  # parts of the reply could not be checked, and the operator wants such replies held
    CHANGED = "changed"  # the reply leaves, but something in the owner's own words was replaced
    LEAK = "leak"  # the leak gate held the reply
    MISTAKE = "mistake"  # a mistake of ours kept the message from being read
    NOT_SENT = "not-sent"  # the reply was accepted, then dead-lettered
    MAY_BE_SENT = "may-be-sent"  # the reply may have left as often as it may, without SES's confirmation
    BOUNCED = "bounced"  # the reply was sent and bounced


_TITLES = {
    NoticeKind.NOT_VERIFIED: "Refused: not verified to be you",
    NoticeKind.NOT_OWNER: "Refused: somebody else wrote to this conversation",
    NoticeKind.AUTOMATIC: "Not sent: looks like an automatic reply",
    NoticeKind.TO_NOTICES: "Not sent: notices take no reply",
    NoticeKind.WRONG_TOKEN: "Not sent: unknown thread address",
    NoticeKind.SEVERAL: "Not sent: several conversations",
    NoticeKind.VIRUS: "Not sent: virus found",
    NoticeKind.NOT_NAMED: "Not sent: thread address not in To or Cc",
    NoticeKind.REPEATED: "Not sent: the same text a third time",
    NoticeKind.NO_ADDRESS: "Not sent: no address to reply to",
    NoticeKind.UNCHECKED: "Held: parts of it could not be checked",
    NoticeKind.CHANGED: "Your reply was changed",
    NoticeKind.LEAK: "Held: your private address is in it",
    NoticeKind.MISTAKE: "Held: an error in this system",
    NoticeKind.NOT_SENT: "Not sent: your reply could not go out",
    NoticeKind.MAY_BE_SENT: "Perhaps not sent: your reply",
    NoticeKind.BOUNCED: "Your reply bounced",
}
_TEXTS = {
    NoticeKind.NOT_VERIFIED: """\
An email in your name arrived at this conversation's thread address, but it is not verified that you sent it. Nothing
was sent to the contact.

If you sent it, send it again from a mailbox or alias that is listed as yours, through its provider's own server, so
that DMARC or DKIM can verify it. If you did not, there is nothing to do.""",
    NoticeKind.NOT_OWNER: """\
An email from an address that is none of yours arrived at this conversation's thread address. Nothing was sent to the
contact, and nothing is forwarded: only you and those who take part in the conversation can write there.

The email is held: the operator can release it, which forwards it to you. If the address is yours, list it as an alias.""",
    NoticeKind.AUTOMATIC: """\
Your email was not sent to the contact: it has a sign of an automatic reply, which must not go out in your name.

If you wrote it, send it again as an ordinary reply, under another subject. If your email program did, there is nothing to
do. There is at most one notice like this an hour.""",
    NoticeKind.TO_NOTICES: """\
Your email went to the address that notices come from. Nothing was sent.

To write to a contact, reply to an email that was forwarded to you. There is at most one notice like this an hour.""",
    NoticeKind.WRONG_TOKEN: """\
Your email went to a thread address that opens no conversation. Nothing was sent.

Reply to the forwarded email itself, so that your email program fills in its address.""",
    NoticeKind.SEVERAL: """\
Your email went to the thread addresses of several conversations at once. Their contacts do not know of each other, so
nothing was sent.

Write to each conversation separately.""",
    NoticeKind.VIRUS: """\
Your reply was not sent: the virus scan found something in it.

Remove the attachment in question and send the reply again.""",
    NoticeKind.NOT_NAMED: """\
An email of yours arrived at this conversation's thread address, but its To and Cc name other addresses. Somebody may
have sent a copy of it on, so nothing was sent to the contact.

If you wanted to send it, reply to the forwarded email, with the thread address in To or Cc.""",
    NoticeKind.REPEATED: """\
Your reply was not sent: the same text went to this contact twice within the last hour. Two automatic replies may be
replying to each other.

If you wrote it yourself, change a word and send it again.""",
    NoticeKind.NO_ADDRESS: """\
Your reply was not sent: the contact's email has no address to reply to.

If you know another address of theirs, you can write to it directly, but they will see your own address.""",
    NoticeKind.UNCHECKED: """\
Your reply was not sent: the parts listed below could not be read, so they may show the contact your own address.

Send it again without them, or in a format without a password.""",
    NoticeKind.CHANGED: """\
Your reply goes to the contact with other words than yours in the places listed below: they would have shown what you
keep private.

If it now says something wrong, write to the contact again.""",
    NoticeKind.LEAK: """\
Your reply was not sent: it would have shown the contact something that you keep private, in a place where it could not
be replaced.

Change the places listed below and send the reply again.""",
    NoticeKind.MISTAKE: """\
An email to this conversation's thread address could not be read, because of an error in this system. Nothing was sent to
the contact.

If you sent it, send it again in a simpler form, for example as plain text. The operator finds the error, which is named
below, with email-handler why.""",
    NoticeKind.NOT_SENT: """\
Your reply could not be sent. It is kept, and the operator can send it with email-handler redrive.

Or send it again in a simpler form, for example as plain text without attachments.""",
    NoticeKind.MAY_BE_SENT: """\
Your reply was given to the mail service, but it never confirmed that. The contact may have it, once or twice, or not at
all. Nothing more is sent by itself.

If you do not know that it arrived, ask the contact, or ask the operator to send it once more with email-handler redrive
--resend.""",
    NoticeKind.BOUNCED: """\
Your reply was sent, but the contact's mail server did not accept it.

Check the address, or try another address of theirs.""",
}


def compose_notice(
    kind: NoticeKind, *, owners: Owners, record: MessageRecord, conversation: Conversation | None, item: LedgerItem
) -> Composed:
    """Return the notice *kind* to the owner about the message of *record*.

    It joins the conversation's thread in the owner's mailbox, if there is a conversation. Of the refused message it
    quotes sender and subject, and nothing in it becomes a link: it looks like ours.
    """
    fields = [
        ("From", writer.mailbox(_TITLES[kind], owners.notices_address)),
        ("To", conversation.public_address if conversation else owners.public_addresses[0]),
    ]
    if conversation:
        threading = threading_for_owner(
            conversation,
            address_domain(conversation.public_address),
            f"Re: {conversation.owner_subject}",
            mailbox=item.recipients[0],
        )
        fields += threading_fields(threading)
    else:
        fields.append(("Subject", writer.unstructured(f"{_TITLES[kind]}: {quoted(record.subject, MAX_NAME)}")))
    facts = [*(_sender(record) if kind in _BY_OTHERS else ()), *_facts(record, conversation, item.detail)]
    paragraphs = [*([paragraph] for paragraph in _TEXTS[kind].split("\n\n")), facts]
    return compose_for_owner(tuple(fields), _TITLES[kind], paragraphs, item)


def compose_for_owner(
    fields: writer.Fields, title: str, paragraphs: Sequence[Sequence[str]], item: LedgerItem
) -> Composed:
    """Return an email of ours with *title* and *paragraphs* of lines, as text and HTML. No machine responds to it."""
    text = "\n\n".join((title, *map("\n".join, paragraphs))) + "\n"
    shown = ("<br>\n".join(map(html.escape, paragraph)) for paragraph in paragraphs)
    page = f"{_NO_LINKS}<p><b>{html.escape(title.rstrip('.'))}</b></p>\n" + "".join(
        f"<p>{lines}</p>\n" for lines in shown
    )
    body = writer.multipart("alternative", (writer.text(text), writer.text(page, "html")))
    fields = (*fields, ("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"))
    return Composed(raw=writer.write(fields, body, item.id.encode()))


# Phones make links of what looks like a number, a date or a place. Apple's documentation names these; others ignore them.
_NO_LINKS = '<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">\n'
_BY_OTHERS = (NoticeKind.NOT_VERIFIED, NoticeKind.NOT_OWNER, NoticeKind.MISTAKE)


def _sender(record: MessageRecord) -> tuple[str, str]:
    address = quoted(displayed(record.sender or "no address", MAX_NAME), MAX_NAME)
    verified = "yes" if record.verified else "no"  # first, since the name may say anything
    return (
        f"Verified: {verified} ({record.verification})",
        f"From: <{address}> {quoted(record.sender_name, MAX_NAME)}".rstrip(),
    )


def _facts(record: MessageRecord, conversation: Conversation | None, detail: str) -> list[str]:
    why = (detail,) if detail else [r.detail for r in record.reasons if r.detail and r.rule != "verified"]
    told = (
        ("Subject", record.subject[:MAX_NAME] or "none"),
        *(("Why", entry) for entry in why),
        *(("Changed", change) for change in record.changes),
        *(("Could not be checked", part) for part in record.unchecked),
        *((name.capitalize(), value) for name, value in sorted(record.feedback.items()) if value),
    )
    facts = [f"{name}: {quoted(value, MAX_LENGTH)}" for name, value in told]
    if conversation:
        facts.append(f"Conversation: {conversation.id}")
    facts.append(f"Kept in the archive as {record.archive_key}")
    return facts
