"""attachment: stores a recorded message's texts and attachments and describes them in its record."""

from email_handler import bootstrap
from email_handler.runtime import Event, event_handler, log_outcome, recorded_message
from email_handler.usecases.attachments import store_attachments


def handle(event: Event) -> None:
    """Handle one ``Message Received`` event."""
    receipt, function = recorded_message(event)
    storage = bootstrap.storage()
    stored = store_attachments(
        receipt, function, archive=storage.archive, records=storage.records, extractor=storage.extractor
    )
    log_outcome("attachments stored", "Attachments", receipt=receipt, function=function, count=len(stored))


handler = event_handler(handle)
