"""The hourly and the daily pass: what was left is finished, and what no alarm sees is reported; daily also the digest, and
what the owner's decisions teach."""

from email_handler.conversations.records import Decision
from email_handler.ports import Alerts, Health
from email_handler.usecases.conditions import (
    left_over,
    note_reply_pass,
    report_conditions,
    report_news,
    stopped,
    undelivered,
    waiting,
)
from email_handler.usecases.context import Context
from email_handler.usecases.digest import send_digest
from email_handler.usecases.learning import Learning, learn_daily
from email_handler.usecases.reconcile import DAILY, HOURLY, PATIENCE, Pass, Reconciled, reconcile
from email_handler.usecases.reputation import look_at_reputation, put_in_force
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport:
    """What one pass did."""

    reconciled: Reconciled
    digest: Decision | None = None  # None if there was nothing to send
    conditions: tuple[str, ...] = ()  # what was reported to the alarm topic
    learned: int = 0  # decisions of the owner that were learned from, or taken back


def inbound_hourly(context: Context, *, health: Health, alerts: Alerts) -> PassReport:
    """Finish and take up what inbound left in the last day; report dead letters, sends that nothing takes from their
    queues, and that reply's passes have stopped, once each time that any of it changes."""
    one = Pass("inbound", HOURLY, context)
    one.finish_decided()
    try:
        conditions = report_news((*waiting(one.done), *health.dead_letters(), *stopped(context)), alerts, context)
    finally:
        one.take_up_stored()  # stored messages do not wait for a topic that cannot be reached
    return PassReport(reconciled=one.done, conditions=conditions)


def reply_hourly(context: Context) -> PassReport:
    """Finish and take up what reply left in the last day."""
    done = reconcile("reply", context, HOURLY)
    note_reply_pass(context)
    return PassReport(reconciled=done)


def inbound_daily(context: Context, *, health: Health, alerts: Alerts, learning: Learning) -> PassReport:
    """Finish what inbound left, send the digest, report what no alarm sees; then list the whole archive for what has no
    decision, hold doubtful messages while too many forwards come back, and learn from what the owner decided.

    What lists the archive is last: the function may end meanwhile, and the others do not wait for that. Idempotent: a
    second pass a day sends no second digest, and repeats the report.
    """
    began, one = context.clock(), Pass("inbound", DAILY, context)
    one.finish_decided()
    digest = send_digest(context)
    problems = (*context.configuration().problems, *undelivered(context), *health.conditions())
    report_conditions(problems, alerts)
    one.take_up_stored()
    reputation = look_at_reputation(context)
    listed = (*left_over(one.done), *reputation.conditions)
    report_conditions(listed, alerts)
    put_in_force(reputation, context)
    learned = learn_daily(context, learning, late=lambda: context.clock() - began >= PATIENCE)
    return PassReport(reconciled=one.done, digest=digest, conditions=(*problems, *listed), learned=learned)


def reply_daily(context: Context) -> PassReport:
    """Finish and take up what reply left, in the whole archive."""
    return PassReport(reconciled=reconcile("reply", context, DAILY))
