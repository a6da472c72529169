"""What a decision commits, as values."""

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.usecases.decision import build_commit
from tests.support.fakes import NOW
from tests.support.records import CONVERSATION, PUBLIC, message


@pytest.mark.parametrize(
    ("outcome", "direction"), [(Outcome.DELIVER, "contact"), (Outcome.RELAY, "owner"), (Outcome.RECORD, "contact")]
)
def test_the_event_of_a_decision_names_its_message_outcome_and_direction(outcome: Outcome, direction: str) -> None:
    (event,) = build_commit(message("r1", outcome=outcome, source="shop")).decision.events

    assert (event.id, event.detail_type) == ("r1-inbound-message-received", "Message Received")
    assert event.detail == {
        "version": 1,
        "receipt": "r1",
        "function": "inbound",
        "conversation": CONVERSATION,
        "direction": direction,
        "outcome": outcome,
        "reasons": ["patterns:seo"],
        "archive_key": "raw/inbound/r1",
        "public_address": PUBLIC,
        "source": "shop",
        "at": NOW.isoformat(),
    }
