"""What the owner decided, found by when; and the examples that were made of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from cloud.clients import Clients
from email_handler.adapters.dynamodb.judgements import DynamoJudgements
from email_handler.adapters.ssm import SsmPointer
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Status
from email_handler.errors import ConfigUnavailable
from email_handler.identifiers import ConversationId, ReceiptId
from email_handler.ports import BUILTIN, DocumentPointer, Judgements
from email_handler.spam.learned import Act
from tests.contract.conftest import BOTH, MovableClock, Table
from tests.support.fakes import NOW, FakeJudgements, FakePointer, FakeRecords
from tests.support.learned import example
from tests.support.records import commit, conversation, message

LATER = NOW + timedelta(days=1)


@pytest.fixture
def judgements(table: Table, request: pytest.FixtureRequest) -> Judgements:
    """Return the port on the same table as ``table``."""
    if isinstance(table, FakeRecords):
        return FakeJudgements(table)
    clients: Clients = request.getfixturevalue("clients")
    return DynamoJudgements(clients.dynamodb, request.getfixturevalue("table_name"))


def begin(table: Table, name: str, status: Status = Status.OPEN) -> None:
    """Store a conversation that begins with a message."""
    started = conversation(id=ConversationId(name), status=status, updated_at=NOW, started_at=NOW)
    table.commit(
        commit(name, record=message(name, conversation=ConversationId(name)), conversation=started, contact=None)
    )


def test_conversations_of_a_status_are_found_by_when_they_were_written_oldest_first(
    table: Table, judgements: Judgements, clock: MovableClock
) -> None:
    for days, name in ((3, "c-third"), (1, "c-first"), (2, "c-second")):
        clock.now = NOW + timedelta(days=days)
        begin(table, name)
    begin(table, "c-spam", Status.SPAM)

    found = list(judgements.conversations(Status.OPEN, NOW, NOW + timedelta(days=9)))
    assert [(at, one.id) for at, one in found] == [
        (NOW + timedelta(days=1), "c-first"),
        (NOW + timedelta(days=2), "c-second"),
        (NOW + timedelta(days=3), "c-third"),
    ]
    some = judgements.conversations(Status.OPEN, NOW + timedelta(days=2), NOW + timedelta(days=3))
    assert [one.id for _, one in some] == ["c-second"]
    assert list(judgements.conversations(Status.OPEN, LATER, NOW)) == []


def test_the_operators_decisions_are_found_by_when_they_were_made(
    table: Table, judgements: Judgements, clock: MovableClock
) -> None:
    held = message("r-held", conversation="", outcome=Outcome.HOLD)
    table.commit(commit("r-held", record=held))
    clock.now = LATER
    decided = commit("r-held", record=held)
    table.commit(replace(decided, decision=replace(decided.decision, decider="operator")))
    table.finish(ReceiptId("r-held"), "operator")

    (found,) = judgements.decided(NOW, LATER + timedelta(seconds=1))
    assert (found[0], found[1].receipt, found[1].decider) == (LATER, "r-held", "operator")
    assert list(judgements.decided(NOW, LATER)) == []


def test_an_example_is_stored_replaced_and_forgotten(judgements: Judgements) -> None:
    first, second = example(1, Act.SPAM, "guest posting niche"), example(2, Act.REPLIED, "harbour crane")
    receipts = [ReceiptId("r-1"), ReceiptId("r-2"), ReceiptId("r-3")]
    judgements.learn(receipts[0], first)
    judgements.learn(receipts[1], first)
    judgements.learn(receipts[1], second)

    assert judgements.acts(receipts) == {"r-1": Act.SPAM, "r-2": Act.REPLIED}
    assert dict(judgements.examples()) == {"r-1": first, "r-2": second}

    judgements.unlearn(receipts[0])
    judgements.unlearn(receipts[0])
    assert dict(judgements.examples()) == {"r-2": second}


def test_hundreds_of_examples_are_read_page_after_page(judgements: Judgements) -> None:
    for number in range(120):
        judgements.learn(ReceiptId(f"r-{number}"), example(number, Act.SPAM, "guest posting"))

    assert len(list(judgements.examples())) == 120
    assert len(judgements.acts([ReceiptId(f"r-{number}") for number in range(120)])) == 120


@pytest.fixture(params=BOTH)
def pointer(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> DocumentPointer:
    if request.param == "fake":
        return FakePointer()
    clients = cast(Clients, request.getfixturevalue("clients"))
    name = f"/{unique('stack')}/learned"
    clients.ssm.put_parameter(Name=name, Value=BUILTIN, Type="String")
    return SsmPointer(clients.ssm, name)


def test_a_pointer_says_where_it_points_and_moves(pointer: DocumentPointer) -> None:
    assert pointer.where() == BUILTIN
    pointer.move("config/learned/1.model")
    assert pointer.where() == "config/learned/1.model"


@pytest.mark.cloud
def test_a_parameter_that_does_not_exist_is_unavailable(clients: Clients) -> None:
    with pytest.raises(ConfigUnavailable):
        SsmPointer(clients.ssm, "/nowhere/learned").where()
