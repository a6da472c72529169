"""Header fields that the messages we compose have in common."""

from email_handler.conversations.threads import Threading
from email_handler.mail import writer


def threading_fields(threading: Threading) -> writer.Fields:
    """Return Subject, and In-Reply-To and References if *threading* has ids for them."""
    ids = (
        ("In-Reply-To", writer.message_ids((threading.in_reply_to,))),
        ("References", writer.message_ids(threading.references)),
    )
    return (("Subject", writer.unstructured(threading.subject)), *(field for field in ids if field[1]))
