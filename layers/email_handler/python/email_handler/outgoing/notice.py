"""Notices: what the system tells the owner about an answer of theirs that did not reach the contact."""

import html
from enum import StrEnum

from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord
from email_handler.conversations.threads import threading_for_owner
from email_handler.mail import writer as mime
from email_handler.outgoing.composed import Composed


class NoticeKind(StrEnum):
    """What the owner is told; kept in a ledger item's ``note``."""

    NOT_VERIFIED = "not-verified"  # somebody wrote to a thread address and is not verified to be the owner
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the owner wrote to a thread address that opens no conversation
    SEVERAL = "several"  # the owner wrote to more than one conversation at once
    VIRUS = "virus"  # SES found a virus in the owner's answer
    NO_ADDRESS = "no-address"  # the contact left no address to answer to
    LEAK = "leak"  # the leak gate held the answer
    BOUNCED = "bounced"  # the answer left and came back


_TITLES = {
    NoticeKind.NOT_VERIFIED: "Refused: not verified to be you",
    NoticeKind.WRONG_TOKEN: "Not sent: unknown thread address",
    NoticeKind.SEVERAL: "Not sent: several conversations",
    NoticeKind.VIRUS: "Not sent: virus found",
    NoticeKind.NO_ADDRESS: "Not sent: no address to answer to",
    NoticeKind.LEAK: "Held: your private address is in it",
    NoticeKind.BOUNCED: "Your answer bounced",
}
_TEXTS = {
    NoticeKind.NOT_VERIFIED: """\
A mail in your name came to this conversation's thread address, but nothing proves that you wrote it. Nothing was
sent to the contact.

If it was you: send it again from a mailbox or alias that is listed as yours, through its provider's own server, so
that SPF or DKIM can prove it. If it was not you, there is nothing to do.""",
    NoticeKind.WRONG_TOKEN: """\
Your mail went to a thread address that opens no conversation. Nothing was sent.

Answer the forwarded mail itself, so that your mail program fills in its address.""",
    NoticeKind.SEVERAL: """\
Your mail went to the thread addresses of several conversations at once, which do not know of each other. Nothing was
sent.

Write to each by itself.""",
    NoticeKind.VIRUS: """\
Your answer was not sent: the virus scan found something in it.

Remove the attachment in question and send the answer again.""",
    NoticeKind.NO_ADDRESS: """\
Your answer was not sent: the contact's mail names no address to answer to.

If you know another address of theirs, write to it directly, but note that this shows your own.""",
    NoticeKind.LEAK: """\
Your answer was not sent: it would have shown the contact what you keep private, in a place where it could not be
replaced.

Change those places and send the answer again.""",
    NoticeKind.BOUNCED: """\
Your answer left, but the contact's mail server did not take it.

Check the address, or try another one of theirs.""",
}


def compose_notice(
    kind: NoticeKind, *, owners: Owners, record: MessageRecord, conversation: Conversation | None, item: LedgerItem
) -> Composed:
    """Return the notice *kind* about the message of *record*, for the owner.

    It stands in the conversation's own thread of the owner's mailbox where there is a conversation. Nothing of the
    refused mail is quoted.
    """
    fields = [
        ("From", mime.mailbox(_TITLES[kind], owners.notices_address)),
        ("To", conversation.public_address if conversation else owners.public_addresses[0]),
    ]
    if conversation:
        threading = threading_for_owner(
            conversation,
            conversation.public_address.rpartition("@")[2],
            f"Re: {conversation.owner_subject}",
            mailbox=item.recipients[0],
        )
        fields.append(("Subject", mime.unstructured(threading.subject)))
        if answered := mime.message_ids((threading.in_reply_to,)):
            fields.append(("In-Reply-To", answered))
        if references := mime.message_ids(threading.references):
            fields.append(("References", references))
    else:
        fields.append(("Subject", mime.unstructured(f"{_TITLES[kind]}: {record.subject}")))
    fields += [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")]
    explained, facts = _TEXTS[kind], _facts(record, conversation)
    text = "\n\n".join((_TITLES[kind], explained, "\n".join(facts))) + "\n"
    paragraphs = (*map(html.escape, explained.split("\n\n")), "<br>\n".join(map(html.escape, facts)))
    page = f"<p><b>{html.escape(_TITLES[kind])}</b></p>\n" + "".join(f"<p>{text}</p>\n" for text in paragraphs)
    body = mime.multipart("alternative", (mime.text(text), mime.text(page, "html")))
    return Composed(raw=mime.write(tuple(fields), body, item.id.encode()))


def _facts(record: MessageRecord, conversation: Conversation | None) -> list[str]:
    facts = [f"Subject: {mime.one_line(record.subject, 200) or 'none'}"]
    facts += [f"Why: {reason.detail}" for reason in record.reasons if reason.detail]
    facts += [
        f"{name.capitalize()}: {mime.one_line(value, 300)}" for name, value in sorted(record.feedback.items()) if value
    ]
    if conversation:
        facts.append(f"Conversation: {conversation.id}")
    facts.append(f"Kept in the archive as {record.archive_key}")
    return facts
