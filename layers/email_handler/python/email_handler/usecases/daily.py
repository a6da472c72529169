"""The daily passes: reconcile, and for inbound also the digest and the report to the alarm topic."""

from dataclasses import dataclass

from email_handler.conversations.records import Decision
from email_handler.ports import Alerts, Health
from email_handler.usecases.conditions import left_over, report_conditions, undelivered
from email_handler.usecases.context import Context
from email_handler.usecases.digest import send_digest
from email_handler.usecases.reconcile import Reconciled, reconcile
from email_handler.usecases.reputation import look_at_reputation, put_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReport:
    """What one daily pass did."""

    reconciled: Reconciled
    digest: Decision | None  # None if there was nothing to send
    conditions: tuple[str, ...]  # what was reported to the alarm topic


def inbound_pass(context: Context, *, health: Health, alerts: Alerts) -> DailyReport:
    """Reconcile inbound, send the digest, report what no alarm sees, and hold doubtful messages while too many forwards
    come back. Idempotent: a second pass a day sends no second digest, and repeats the report."""
    reconciled = reconcile("inbound", context)
    digest = send_digest(context)
    reputation = look_at_reputation(context)
    problems = (
        *context.configuration().problems,
        *left_over(reconciled),
        *undelivered(context),
        *reputation.conditions,
    )
    conditions = report_conditions(problems, health=health, alerts=alerts)
    put_in_force(reputation, context)
    return DailyReport(reconciled=reconciled, digest=digest, conditions=conditions)


def reply_pass(context: Context) -> DailyReport:
    """Reconcile reply."""
    return DailyReport(reconciled=reconcile("reply", context), digest=None, conditions=())
