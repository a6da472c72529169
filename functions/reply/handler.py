"""reply: decides about mail to the thread addresses, and reconciles once a day."""

from email_handler import bootstrap
from email_handler.domain.identifiers import ArchiveKey
from email_handler.runtime import (
    Event,
    event_handler,
    is_reconciliation,
    log_decision,
    log_reconciliation,
    ses_receipts,
)
from email_handler.usecases.reconcile import reconcile
from email_handler.usecases.relay_reply import relay_reply


def handle(event: Event) -> None:
    """Handle one invocation: SES's receiving event, or the schedule's."""
    if is_reconciliation(event):
        log_reconciliation(reconcile("reply", bootstrap.reception()))
    else:
        for receipt in ses_receipts(event):
            log_decision(relay_reply(receipt, ArchiveKey(f"raw/reply/{receipt.id}"), bootstrap.reception()))


handler = event_handler(handle)
