"""Notices: emails to the owner about a reply of theirs that did not reach the contact: what happened, and what to do."""

from collections.abc import Sequence

from email_handler.conversations.keys import is_received
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord
from email_handler.conversations.subjects import reply_subject
from email_handler.conversations.threads import Threading, threading_for_owner
from email_handler.mail import writer
from email_handler.mail.addresses import address_domain, displayed
from email_handler.outgoing import pieces
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.headers import threading_fields
from email_handler.outgoing.pieces import Action, Actions, Facts, Heading, Paragraph, Piece
from email_handler.outgoing.sentinels import NO_ADDRESS, VERIFIED
from email_handler.outgoing.unlinked import quoted
from email_handler.values import dataclass

MAX_LENGTH = 2000  # characters of a fact that is quoted: ten places of the leak gate
MAX_NAME = 200  # characters of a name, an address, or a subject
_BEGINNING = 12  # characters of an id that the operator's command needs


@dataclass(frozen=True, slots=True)
class _Said:
    """What a notice says: its title, what happened, and what the owner can do."""

    title: str
    happened: str
    to_do: str


_SAID = {
    NoticeKind.NOT_VERIFIED: _Said(
        "Refused: not verified to be you",
        "An email in your name came to this conversation, but it is not verified that you sent it. Nothing was sent to the "
        "contact.",
        "If you sent it, send it again from a mailbox or alias that is listed as yours, through its provider's own server, so "
        "that DMARC or DKIM can verify it. If you did not, there is nothing to do.",
    ),
    NoticeKind.NOT_OWNER: _Said(
        "Refused: somebody else wrote to this conversation",
        "An email from an address that is none of yours came to this conversation. Nothing was sent to the contact, and "
        "nothing is forwarded: only you and those who take part in the conversation can write there.",
        "It is held. The operator can release it, which forwards it to you. If the address is yours, list it as an alias.",
    ),
    NoticeKind.AUTOMATIC: _Said(
        "Not sent: looks like an automatic reply",
        "Your email was not sent to the contact: it has a sign of an automatic reply, which must not go out in your name.",
        "If you wrote it, send it again as an ordinary reply, under another subject. If your email program did, there is "
        "nothing to do. There is at most one notice like this an hour.",
    ),
    NoticeKind.TO_NOTICES: _Said(
        "Not sent: notices take no reply",
        "Your email went to the address that notices come from. Nothing was sent.",
        "To write to a contact, reply to an email that was forwarded to you. There is at most one notice like this an hour.",
    ),
    NoticeKind.WRONG_TOKEN: _Said(
        "Not sent: the address leads nowhere",
        "Your email went to an address that opens nothing: it is misspelled, its conversation was erased, or its held "
        "message is not kept any more. Nothing was sent or changed.",
        "Reply to the forwarded email itself, so that your email program fills in its address.",
    ),
    NoticeKind.SEVERAL: _Said(
        "Not sent: several conversations",
        "Your email went to several conversations at once. Their contacts do not know of each other, so nothing was sent.",
        "Write to each conversation separately.",
    ),
    NoticeKind.VIRUS: _Said(
        "Not sent: virus found",
        "Your email was not sent: the virus scan found something in it.",
        "Remove the attachment in question and send the email again.",
    ),
    NoticeKind.NOT_NAMED: _Said(
        "Not sent: thread address not in To or Cc",
        "An email of yours came to this conversation, but its To and Cc name other addresses. Somebody may have sent a copy "
        "of it on, so nothing was sent to the contact.",
        "If you wanted to send it, reply to the forwarded email, with its address in To or Cc.",
    ),
    NoticeKind.REPEATED: _Said(
        "Not sent: the same text a third time",
        "Your email was not sent: the same text went to this contact twice within the last hour. Two automatic replies may "
        "be replying to each other.",
        "If you wrote it yourself, change a word and send it again.",
    ),
    NoticeKind.NO_ADDRESS: _Said(
        "Not sent: no address to reply to",
        "Your reply was not sent: the contact's email has no address to reply to.",
        "If you know another address of theirs, you can write to it directly, but they will see your own address.",
    ),
    NoticeKind.UNCHECKED: _Said(
        "Held: parts of it could not be checked",
        "Your email was not sent: the parts listed below could not be read, so they may show the contact your own address.",
        "Send it again without them, or in a format without a password.",
    ),
    NoticeKind.CHANGED: _Said(
        "Your email was changed",
        "Your email goes to the contact with other words than yours in the places listed below: they would have shown what "
        "you keep private.",
        "If it now says something wrong, write to the contact again.",
    ),
    NoticeKind.LEAK: _Said(
        "Held: your private address is in it",
        "Your email was not sent: it would have shown the contact something that you keep private, in a place where it could "
        "not be replaced.",
        "Change the places listed below and send the email again.",
    ),
    NoticeKind.MISTAKE: _Said(
        "Held: an error in this system",
        "An email to this conversation could not be read, because of an error in this system. Nothing was sent to the "
        "contact.",
        "If you sent it, send it again in a simpler form, for example as plain text.",
    ),
    NoticeKind.NOT_SENT: _Said(
        "Not sent: your email could not go out",
        "Your email could not be sent. It is kept, and the operator can send it with email-handler redrive.",
        "Or send it again in a simpler form, for example as plain text without attachments.",
    ),
    NoticeKind.MAY_BE_SENT: _Said(
        "Perhaps not sent: your email",
        "The mail service got your email, but never confirmed that. The contact may have it, once or twice, or not at all. "
        "Nothing more is sent by itself.",
        "Ask the contact, or ask the operator to send it once more with email-handler redrive --resend.",
    ),
    NoticeKind.NEW_UNREADABLE: _Said(
        "Not sent: it is not clear to whom",
        "Your email went to an address that starts a conversation, but it cannot be read from it with whom.",
        "Before the @ stands the word to with a dot behind it, then the contact's address with = instead of its own @. The "
        "operator can print it with email-handler address.",
    ),
    NoticeKind.NEW_FROM: _Said(
        "Not sent: no such public address",
        "Your email names, behind .from., a public address that does not exist, so nobody could see it come from there.",
        "Write the part before the @ of one of your public addresses there, or leave it out for the first of them.",
    ),
    NoticeKind.NEW_OURS: _Said(
        "Not sent: that is one of your own addresses",
        "Your email would start a conversation with a public address, a thread address, or a mailbox of yours.",
        "Conversations are with other people. Check the address that you wrote to.",
    ),
    NoticeKind.NEW_UNREACHABLE: _Said(
        "Not sent: this contact cannot be reached",
        "Your email would start a conversation with a contact who cannot be reached: earlier email to this address came "
        "back, or they marked it as spam.",
        "Try another address of theirs. As soon as they write to you, you can reply to that.",
    ),
    NoticeKind.NEW_BLOCKED: _Said(
        "Not sent: this contact is blocked",
        "Your email would start a conversation with a contact who is blocked: their reply would be held.",
        "If you want to hear from them again, ask the operator to unblock them with email-handler unlist, and send it again.",
    ),
    NoticeKind.NEW_CAPPED: _Said(
        "Not sent: too many new conversations today",
        "Your email was not sent: as many conversations were started today as may be.",
        "Send it again tomorrow (the day ends at midnight UTC), or ask the operator to raise NewConversationsDailyCap. You "
        "can go on writing in conversations that exist.",
    ),
    NoticeKind.NEW_COMMAND: _Said(
        "Not sent: a command needs a conversation",
        "Your email has the subject of a command, but its address starts a new conversation. Nothing was sent or changed.",
        "Send the command to the address of the conversation that it is about, or choose another subject.",
    ),
    NoticeKind.BOUNCED: _Said(
        "Your email did not arrive",
        "Your email was sent, but the contact's mail server did not accept it.",
        "Check the address. To try another one of theirs, write it below in place of NAME=DOMAIN, with = for its @ sign.",
    ),
    NoticeKind.TOO_MUCH: _Said(
        "Your email did not arrive: too large, or its attachments",
        "Your email was sent, but the contact's mail server refused its size or what is attached.",
        "Send it again without attachments, or with a link to them.",
    ),
    NoticeKind.RETURNED: _Said(
        "Your email may not have arrived",
        "The contact's mail server sent something back: a failure that need not last, such as a full mailbox, or only an "
        "automatic reply. Nothing more is sent by itself.",
        "If you hear nothing from the contact, send your email again later.",
    ),
    NoticeKind.SUPPRESSED: _Said(
        "Your email was not sent on",
        "The mail service sends nothing to this address any more, because an earlier email to it bounced or was marked as "
        "spam.",
        "To try another address of theirs, write it below in place of NAME=DOMAIN, with = for its @ sign. If this one works again, the operator can remove it from the suppression list of "
        "Amazon SES, and you can send your email again.",
    ),
    NoticeKind.DELAYED: _Said(
        "Your email is delayed",
        "Your email has been on its way for over an hour: the contact's mail server does not take it yet. It is tried again "
        "for about half a day.",
        "There is nothing to do: if it cannot be delivered, another notice follows. If it is urgent, reach them another way.",
    ),
    NoticeKind.COMPLAINED: _Said(
        "Your email was marked as spam",
        "Your email arrived, but it was marked as spam there. The mail service sends nothing more to this address.",
        "Do not send it again: complaints can keep all your email from being delivered. If it was a mistake, the contact can "
        "write to you, and the operator can remove the address from the suppression list of Amazon SES.",
    ),
    NoticeKind.REJECTED: _Said(
        "Not sent: virus found",
        "Your email was not delivered: the mail service found a virus in it.",
        "Remove the attachment in question and send the email again.",
    ),
}


RESPONSES = {
    NoticeKind.COMMAND: "Your request",
    NoticeKind.WAITS: "Your email waits",
    NoticeKind.CHECK: "Your reply, checked",
    NoticeKind.FILES: "Files that were left out",
}
"""Titles of the notices that respond to what the owner asked for."""


def compose_notice(
    kind: NoticeKind,
    *,
    owners: Owners,
    record: MessageRecord,
    conversation: Conversation | None,
    item: LedgerItem,
    actions: Sequence[Action] = (),
    further: Sequence[Piece] = (),
    attached: Sequence[writer.Entity] = (),
) -> Composed:
    """Return the notice *kind* to the owner about the message of *record*, with *actions* at its end. One that responds to
    a command says what *item* does, then shows what is *further* known, with files *attached*.

    It joins the conversation's thread in the owner's mailbox; without a conversation, a command's joins the thread of
    the command. Of the refused message it quotes sender and subject, and nothing in it becomes a link: it looks like
    ours.
    """
    if kind in RESPONSES:
        said = _Said(RESPONSES[kind], item.detail.partition("\n")[0], "")
        shown: Sequence[Piece] = [Paragraph(quoted(line, MAX_LENGTH)) for line in item.detail.splitlines()]
        shown = (*shown, *further)
        more: Sequence[Piece] = ()
    elif kind is NoticeKind.REMINDER:
        said = _Said("Reminder", f"You asked to be reminded: {_described(conversation)}", "")
        shown, more = [Paragraph(said.happened)], ()
    else:
        said = _SAID[kind]
        shown = _about_message(kind, said, record, conversation, item)
        is_event = not is_received(record.archive_key)
        named = conversation.id if conversation and is_event else record.receipt[:_BEGINNING]
        more = [Paragraph(f"For the operator: email-handler why {named}", dim=True)]
    fields = [
        ("From", writer.mailbox(said.title, owners.notices_address)),
        ("To", conversation.public_address if conversation else owners.public_addresses[0]),
    ]
    if conversation:
        threading = threading_for_owner(
            conversation,
            address_domain(conversation.public_address),
            f"Re: {conversation.owner_subject}",
            mailbox=item.recipients[0],
        )
    elif kind in RESPONSES:
        ids = (record.message_id,) if record.message_id else ()
        threading = Threading(
            subject=reply_subject(quoted(record.subject, MAX_NAME)), in_reply_to=record.message_id, references=ids
        )
    else:
        threading = Threading(
            subject=f"{said.title}: {quoted(record.subject, MAX_NAME)}", in_reply_to="", references=()
        )
    fields += threading_fields(threading)
    shown = (*shown, Actions(tuple(actions)), *more)
    return compose_for_owner(tuple(fields), said.title, _status(record) or said.happened, shown, item, attached)


def _about_message(
    kind: NoticeKind, said: _Said, record: MessageRecord, conversation: Conversation | None, item: LedgerItem
) -> Sequence[Piece]:
    return (
        Heading(_heading(kind, conversation)),
        Paragraph(said.happened),
        Paragraph(said.to_do),
        Facts((*(_sender(record) if kind in _BY_OTHERS else ()), *_facts(record, item.detail))),
    )


def compose_for_owner(
    fields: writer.Fields,
    title: str,
    preview: str,
    shown: Sequence[Piece],
    item: LedgerItem,
    attached: Sequence[writer.Entity] = (),
) -> Composed:
    """Return an email of ours that shows *shown*, as text and HTML, with files *attached*. No machine responds to it.

    *title* is the page's; a list of messages shows *preview* beside the subject.
    """
    text = pieces.as_text(shown) + "\n"
    page = pieces.page(pieces.as_html(shown), title=title, preview=preview, links=False)
    body = writer.multipart("alternative", (writer.text(text), writer.text(page, "html")))
    if attached:
        body = writer.multipart("mixed", (body, *attached))
    fields = (*fields, ("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"))
    return Composed(raw=writer.write(fields, body, item.id.encode()))


def _described(conversation: Conversation | None) -> str:
    """Return whom *conversation* is with, and what about, in one line."""
    if conversation is None:
        return "a conversation"
    name = quoted(conversation.contact_name or displayed(conversation.contact or NO_ADDRESS, MAX_NAME), MAX_NAME)
    return f"{name}, {quoted(conversation.subject, MAX_NAME)}" if conversation.subject else name


_BY_OTHERS = (NoticeKind.NOT_VERIFIED, NoticeKind.NOT_OWNER, NoticeKind.MISTAKE)


def _sender(record: MessageRecord) -> tuple[tuple[str, str], ...]:
    address = quoted(displayed(record.sender or NO_ADDRESS, MAX_NAME), MAX_NAME)
    name = quoted(record.sender_name, MAX_NAME)
    verified = VERIFIED if record.verified else f"not {VERIFIED}"
    # Verified or not stands apart from the name, which may say anything.
    return (("Sent by", f"{address} ({verified})"), *([("Name given", name)] if name else []))


_STATUS = {  # RFC 3463 §3, as far as the owner can do something about it
    "1.1": "the address does not exist",
    "1.2": "there is no such mail domain",
    "1.10": "the address takes no email",
    "2.1": "the mailbox is closed",
    "2.2": "the mailbox is full",
    "2.3": "the message is too large",
    "3.4": "the message is too large",
    "4.1": "the mail server could not be reached",
    "4.7": "the mail server could not be reached in time",
    "7.1": "the mail server refuses it",
    "7.26": "the mail server could not verify the sender",
}


def _status(record: MessageRecord) -> str:
    """Return in words why the email that the feedback of *record* is about did not arrive, "" if nobody can say."""
    status = record.feedback.get("status", "")
    words = _STATUS.get(status.partition(".")[2])
    return f"{words[0].upper()}{words[1:]} ({status})" if words else ""


def _facts(record: MessageRecord, detail: str) -> list[tuple[str, str]]:
    why = [r.detail for r in record.reasons if r.detail and r.rule != "verified"]
    if record.feedback.get("status"):  # its record's reason only says what it is about
        why = [_status(record) or record.feedback["status"]]
    told = (
        ("Subject", record.subject[:MAX_NAME] or ("" if record.feedback else "none")),
        ("To", record.feedback.get("recipient", "")),
        *(("Why", entry) for entry in ([detail] if detail else why)),
        *(("Changed", change) for change in record.changes),
        *(("Could not be checked", part) for part in record.unchecked),
    )
    return [(name, quoted(value, MAX_LENGTH)) for name, value in told if value]


def _heading(kind: NoticeKind, conversation: Conversation | None) -> str:
    if kind in (NoticeKind.BOUNCED, NoticeKind.TOO_MUCH) and conversation and conversation.contact_name:
        return f"Your email to {quoted(conversation.contact_name, MAX_NAME)} did not arrive"
    return _SAID[kind].title
