"""Copies: what the owner's mailboxes get of a message of the owner's that went to the contact, and what it says on top.

Each is composed like a forward and comes from the thread address, so that a reply to it goes to the contact. The mailbox
that started a conversation gets one line and none of its own words: those are among its sent messages. Every other mailbox
gets the words and files as the contact does, what was replaced in them included. The name in From says nothing of who wrote:
email programs quote it, and it would reach the contact.
"""

from email_handler.conversations.records import STARTED, Conversation, LedgerItem, MessageRecord
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.outgoing.headers import spelled
from email_handler.outgoing.sentinels import AGAIN, defused, reads_as_mark
from email_handler.values import dataclass

_SHOWN = 80  # characters of a name, and of an address


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWords:
    """What stands on a copy instead of who wrote to the owner."""

    sender: str  # the display name in From
    line: str  # the banner


def copy_words(record: MessageRecord, conversation: Conversation, item: LedgerItem) -> CopyWords:
    """Return the words on the copy *item* of the owner's message of *record*, which left when *item* was queued."""
    starts = conversation.started_with == record.receipt
    contact = _shown(displayed(conversation.reply_address or conversation.contact, _SHOWN))
    writer_ = f"{_shown(record.sender_name)} {_shown(f'<{displayed(record.sender, _SHOWN)}>')}".strip()
    at = f"on {item.queued_at.day} {item.queued_at:%b %Y at %H:%M} UTC"
    if item.note == STARTED:
        line = f"Sent to {contact} as the start of a conversation"
    elif starts:
        line = f"Sent by {writer_} {at}, to {contact}, as the start of a conversation"
    else:
        line = f"Replied by {writer_} {at}"
    name = "" if reads_as_mark(conversation.contact_name) else spelled(conversation.contact_name)
    return CopyWords(
        sender=f"{'Sent' if starts else 'Replied'} to {name or spelled(contact)}", line=f"{line} · {AGAIN}"
    )


def _shown(text: str) -> str:
    return defused(writer.one_line(text, 2 * _SHOWN))
