"""The hourly and the daily pass: what was left is finished; daily also the digest, the report to the alarm topic, and
what the owner's decisions teach."""

from dataclasses import dataclass

from email_handler.conversations.records import Decision
from email_handler.identifiers import FunctionName
from email_handler.ports import Alerts, Health
from email_handler.usecases.conditions import left_over, report_conditions, undelivered
from email_handler.usecases.context import Context
from email_handler.usecases.digest import send_digest
from email_handler.usecases.learning import Learning, learn_daily
from email_handler.usecases.reconcile import DAILY, HOURLY, PATIENCE, Pass, Reconciled, reconcile
from email_handler.usecases.reputation import look_at_reputation, put_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport:
    """What one pass did."""

    reconciled: Reconciled
    digest: Decision | None = None  # None if there was nothing to send
    conditions: tuple[str, ...] = ()  # what was reported to the alarm topic
    learned: int = 0  # decisions of the owner that were learned from, or taken back


def hourly_pass(function: FunctionName, context: Context) -> PassReport:
    """Finish and take up what *function* left in the last day."""
    return PassReport(reconciled=reconcile(function, context, HOURLY))


def inbound_pass(context: Context, *, health: Health, alerts: Alerts, learning: Learning) -> PassReport:
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


def reply_pass(context: Context) -> PassReport:
    """Finish and take up what reply left, in the whole archive."""
    return PassReport(reconciled=reconcile("reply", context, DAILY))
