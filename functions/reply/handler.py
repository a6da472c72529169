"""reply: decides about mail to the thread addresses, and reconciles once a day."""

from typing import Any

from email_handler import bootstrap
from email_handler.identifiers import ArchiveKey
from email_handler.runtime import (
    Event,
    event_handler,
    is_reconciliation,
    log_decision,
    log_reconciliation,
    log_request,
    operator_request,
    ses_receipts,
)
from email_handler.usecases.operate import operate
from email_handler.usecases.reconcile import reconcile
from email_handler.usecases.reply import relay_reply


def handle(event: Event) -> dict[str, Any] | None:
    """Handle one invocation: SES's receiving event, the schedule's, or the operator's."""
    if (request := operator_request(event)) is not None:
        return log_request(operate(request, bootstrap.context()))
    if is_reconciliation(event):
        return log_reconciliation(reconcile("reply", bootstrap.context()))
    for receipt in ses_receipts(event):
        log_decision(relay_reply(receipt, ArchiveKey(f"raw/reply/{receipt.id}"), bootstrap.context()))
    return None


handler = event_handler(handle)
