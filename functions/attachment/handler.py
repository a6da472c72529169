"""attachment: stores a recorded message's texts and attachments and describes them in its record."""

from email_handler import bootstrap
from email_handler.runtime import Event, event_handler, log_outcome, recorded_message


def handle(event: Event) -> None:
    """Handle one ``Message Received`` event."""
    receipt, function = recorded_message(event)
    stored = bootstrap.attachments()(receipt, function)
    failed = sum(attachment.status.startswith("failed") for attachment in stored)
    log_outcome(
        "attachments stored", "Attachments", receipt=receipt, function=function, count=len(stored), failed=failed
    )


handler = event_handler(handle)
