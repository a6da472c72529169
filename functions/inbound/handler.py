"""inbound: decides about mail to the public addresses and records SES's feedback; once a day it reconciles, sends the
digest and tells the alarm topic what no alarm sees."""

from typing import Any

from email_handler import bootstrap
from email_handler.identifiers import ArchiveKey
from email_handler.runtime import (
    Event,
    event_handler,
    feedback_detail,
    is_reconciliation,
    left_over,
    log_conditions,
    log_decision,
    log_reconciliation,
    log_request,
    operator_request,
    ses_receipts,
)
from email_handler.usecases.conditions import report_conditions, undelivered
from email_handler.usecases.digest import send_digest
from email_handler.usecases.feedback import record_feedback
from email_handler.usecases.inbound import receive
from email_handler.usecases.operate import operate
from email_handler.usecases.reconcile import reconcile


def handle(event: Event) -> dict[str, Any] | None:
    """Handle one invocation: SES's receiving event, SES's feedback by EventBridge, the schedule's, or the operator's."""
    if (request := operator_request(event)) is not None:
        return log_request(operate(request, bootstrap.context()))
    if is_reconciliation(event):
        context = bootstrap.context()
        told = log_reconciliation(reconcile("inbound", context))
        if (digest := send_digest(context)) is not None:
            log_decision(digest)
        watch = bootstrap.watch()
        problems = (*watch.problems, *left_over(told), *undelivered(context))
        conditions = report_conditions(problems, health=watch.health, alerts=watch.alerts)
        log_conditions(conditions)
        return told | {"conditions": list(conditions)}
    if (detail := feedback_detail(event)) is not None:
        log_decision(record_feedback(detail, bootstrap.context()))
    else:
        for receipt in ses_receipts(event):
            log_decision(receive(receipt, ArchiveKey(f"raw/inbound/{receipt.id}"), bootstrap.context()))
    return None


handler = event_handler(handle)
