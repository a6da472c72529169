"""Conditions that no alarm can see are published: once a day all, and every hour what is new about queues and passes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import text_only_forward_id
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.ports import Alerts
from email_handler.usecases.context import Context
from email_handler.usecases.reconcile import Reconciled

SUBJECT = "email-handler: something needs you"
REPORTED_FOR = timedelta(days=7)  # a send can wait for four days, and the mailbox's server take days before it bounces
STOPPED = timedelta(hours=3)  # after the last pass of a function that has one every hour
MANY = 1000

_REPORTED, _LAST_REPLY = "reported", "last reply"  # names of checkpoints


def report_conditions(found: Sequence[str], alerts: Alerts) -> None:
    """Publish what was *found* wrong today, all in one message; on a good day publish nothing.

    Called by the daily schedule; a second call the same day repeats the message, which does no harm.
    """
    if found:
        alerts.publish(SUBJECT, "\n\n".join(found) + "\n\nWhat each means and what to type: docs/runbook.md\n")


def report_news(found: Sequence[str], alerts: Alerts, context: Context) -> tuple[str, ...]:
    """Publish what was *found* wrong this hour, unless it is what the last hour found, and return what was published.

    What was found is remembered after it is published: a crash in between repeats the message.
    """
    news = "\n".join(found)
    if news == context.records.checkpoint(_REPORTED):
        return ()
    report_conditions(found, alerts)
    context.records.set_checkpoint(_REPORTED, news)
    return tuple(found)


def waiting(done: Reconciled) -> tuple[str, ...]:
    """Return a sentence about sends that nothing takes from their queues."""
    if not done.waiting:
        return ()
    return (f"{done.waiting} sends are overdue by more than two hours: email-handler list --send queued, and doctor.",)


def note_reply_pass(context: Context) -> None:
    """Record that reply's pass has run, which inbound's pass looks for."""
    context.records.set_checkpoint(_LAST_REPLY, context.clock().isoformat())


def stopped(context: Context) -> tuple[str, ...]:
    """Return a sentence if reply's passes have stopped. That inbound's have, its own alarm sees."""
    last = context.records.checkpoint(_LAST_REPLY)
    if not last or context.clock() - datetime.fromisoformat(last) < STOPPED:
        return ()
    return ("The hourly pass of reply has stopped: look at its schedule in EventBridge Scheduler.",)


def left_over(done: Reconciled) -> tuple[str, ...]:
    """Return a sentence about what a pass of the reconciler could not take up."""
    if not done.failed:
        return ()
    return (
        f"{len(done.failed)} stored messages could not be taken up or finished: email-handler reconcile names them.",
    )


def undelivered(context: Context) -> tuple[str, ...]:
    """Return a sentence about what the owner's own mailboxes refused for good: no email can report that. What went out
    once more as text does not count."""
    since = context.clock() - REPORTED_FOR
    refused = [
        item
        for item in context.records.find("send_state", SendState.BOUNCED, limit=MANY)
        if isinstance(item, LedgerItem)
        and item.kind in (JobKind.FORWARD, JobKind.NOTICE)
        and item.queued_at >= since
        and context.ledger.by_id(text_only_forward_id(item.id)) is None
    ]
    if not refused:
        return ()
    return (
        f"{len(refused)} emails of the last week were refused by a mailbox of yours: email-handler list --send bounced.",
    )
