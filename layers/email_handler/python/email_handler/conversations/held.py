"""A held message, and what the operator decided about it, as its record shows it."""

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.records import MessageRecord

RELEASED = Reason(stage="operator", rule="released", detail="released by the operator")
CONFIRMED = Reason(stage="operator", rule="confirmed", detail="confirmed by the operator")


def is_open(record: MessageRecord) -> bool:
    """Return whether *record* is held and waits for the operator's decision."""
    return record.outcome is Outcome.HOLD and CONFIRMED not in record.reasons
