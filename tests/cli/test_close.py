"""``email-handler close``."""

from dataclasses import replace

import pytest

from cloud.cloud import LocalCloud
from email_handler.conversations.records import Conversation, Status
from email_handler.identifiers import ConversationId
from operations.connection import connect
from tests.support.operator import lines
from tests.support.records import commit, conversation

pytestmark = pytest.mark.cloud


def stored(cloud: LocalCloud, name: str) -> Conversation:
    """Store a new conversation in the cloud's table and return it."""
    made = conversation(id=ConversationId(name))
    whole = commit(f"receipt of {name}", conversation=made)
    connect(endpoint=cloud.endpoint).records.commit(replace(whole, decision=replace(whole.decision, done=True)))
    return made


@pytest.mark.parametrize(("options", "status"), [([], Status.CLOSED), (["--spam"], Status.SPAM)])
def test_a_closed_conversation_is_found_by_its_status(cloud: LocalCloud, options: list[str], status: Status) -> None:
    made = stored(cloud, f"c-{status}")
    records = connect(endpoint=cloud.endpoint).records

    assert lines(cloud, "close", made.id, *options) == [{"conversation": made.id, "status": status}]
    assert records.conversation(made.id) == replace(made, status=status, version=2)
    assert list(records.find("status", status)) == [replace(made, status=status, version=2)]


def test_an_unknown_conversation_fails_and_the_others_are_closed(cloud: LocalCloud) -> None:
    made = stored(cloud, "c-another")

    assert lines(cloud, "close", "c-nowhere1", made.id, code=1) == [{"conversation": made.id, "status": "closed"}]
