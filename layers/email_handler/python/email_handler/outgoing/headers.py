"""Header fields that the messages we compose have in common."""

from email_handler.conversations.threads import Threading
from email_handler.mail import writer as mime


def threading_fields(threading: Threading) -> mime.Fields:
    """Return Subject, and In-Reply-To and References if *threading* has ids for them."""
    ids = (
        ("In-Reply-To", mime.message_ids((threading.in_reply_to,))),
        ("References", mime.message_ids(threading.references)),
    )
    return (("Subject", mime.unstructured(threading.subject)), *(field for field in ids if field[1]))
