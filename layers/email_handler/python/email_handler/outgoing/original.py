"""The contact's message as it came, for a forward that cannot show all of it."""

from email_handler.mail import writer

FORWARD_LIMIT = 25 * 1024 * 1024  # bytes of a forward as sent: what common mailboxes accept


def original(raw: bytes) -> writer.Entity:
    """Return the whole message as a file of its bytes, not as a message: clients offer an attached one's invitation."""
    return writer.binary("application/octet-stream", raw, disposition="attachment", name="original.eml")
