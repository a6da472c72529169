"""Header fields that the messages we compose have in common."""

from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.conversations.threads import Threading
from email_handler.mail import writer
from email_handler.mail.addresses import displayed
from email_handler.outgoing.sentinels import NO_ADDRESS, NOT_VERIFIED, reads_as_mark

_NAME = 80  # characters of a sender's name, and of their address


def threading_fields(threading: Threading) -> writer.Fields:
    """Return Subject, and In-Reply-To and References if *threading* has ids for them."""
    ids = (
        ("In-Reply-To", writer.message_ids((threading.in_reply_to,))),
        ("References", writer.message_ids(threading.references)),
    )
    return (("Subject", writer.unstructured(threading.subject)), *(field for field in ids if field[1]))


def sender_name(record: MessageRecord, conversation: Conversation) -> str:
    """Return who wrote the message of *record*, as the display name in From of its forward.

    ``Jane Doe (jane at customer.example)``: no client takes that for the address to reply to. If the sender is not
    verified, it begins with that: a list of messages shows no banner. A name that says so by itself is left out.
    """
    return ("" if record.verified else NOT_VERIFIED) + _spelled_sender(record, conversation)


def _spelled_sender(record: MessageRecord, conversation: Conversation) -> str:
    name = spelled(record.sender_name)
    name = "" if reads_as_mark(name) else name
    if conversation.on_linkedin:
        return f"{name or 'Somebody'} (LinkedIn)"
    address = spelled(displayed(record.sender, _NAME), 2 * _NAME) if "@" in record.sender else NO_ADDRESS
    return f"{name} ({address})" if name else address


def spelled(text: str, limit: int = _NAME) -> str:
    """Return *text*, a name or an address, for a display name: ``jane at customer.example``."""
    return writer.one_line(text.replace("@", " at ").translate(_NO_MARKS), limit)


_NO_MARKS = str.maketrans("", "", '"<>')
