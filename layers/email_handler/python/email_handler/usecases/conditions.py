"""Conditions that no alarm can see are published once a day."""

from collections.abc import Sequence
from datetime import timedelta

from email_handler.conversations.jobs import JobKind, ledger_id
from email_handler.conversations.records import TEXT_ONLY, LedgerItem, SendState
from email_handler.errors import UnknownConversation
from email_handler.ports import Alerts, Health
from email_handler.usecases.context import Context

SUBJECT = "email-handler: something needs you"
TOLD_FOR = timedelta(days=7)  # a send can wait for four days, and the mailbox's server take another before it bounces
MANY = 1000


def report_conditions(problems: Sequence[str], *, health: Health, alerts: Alerts) -> tuple[str, ...]:
    """Publish what is wrong today, all in one message, and return it; nothing is published on a good day.

    *problems* are those of rules and routes. Called by the daily schedule; a second call the same day repeats the
    message, which does no harm.
    """
    found = (*problems, *health.conditions())
    if found:
        alerts.publish(SUBJECT, "\n\n".join(found) + "\n\nWhat each means and what to type: docs/runbook.md\n")
    return found


def undelivered(context: Context) -> tuple[str, ...]:
    """Return a sentence about what the owner's own mailboxes refused for good: nobody can tell them by mail. What went
    out once more as text is no trouble."""
    since = context.clock() - TOLD_FOR
    bounced = context.records.find("send_state", SendState.BOUNCED, limit=MANY)
    refused = [
        item
        for item in bounced
        if isinstance(item, LedgerItem)
        and item.kind in (JobKind.FORWARD, JobKind.NOTICE)
        and item.queued_at >= since
        and not _went_as_text(item, context)
    ]
    if not refused:
        return ()
    return (
        f"{len(refused)} mails of the last week were refused by a mailbox of yours: email-handler list --send bounced.",
    )


def _went_as_text(item: LedgerItem, context: Context) -> bool:
    try:
        context.ledger.context(ledger_id(item.kind, item.id, TEXT_ONLY))
    except UnknownConversation:
        return False
    return True
