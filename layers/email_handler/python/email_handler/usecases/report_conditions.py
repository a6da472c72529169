"""Conditions that no alarm can see are published once a day."""

from collections.abc import Sequence

from email_handler.ports import Alerts, Health

SUBJECT = "email-handler: something needs you"


def report_conditions(problems: Sequence[str], *, health: Health, alerts: Alerts) -> tuple[str, ...]:
    """Publish what is wrong today, all in one message, and return it; nothing is published on a good day.

    *problems* are those of rules and routes. Called by the daily schedule; a second call the same day repeats the
    message, which does no harm.
    """
    found = (*problems, *health.conditions())
    if found:
        alerts.publish(SUBJECT, "\n\n".join(found) + "\n\nWhat each means and what to type: docs/runbook.md\n")
    return found
