"""``email-handler cancel``, ``snooze`` and ``reopen``, and the same by mail on the deployed stack."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cloud.cloud import LocalCloud
from email_handler.conversations.records import REMINDER, Conversation, LedgerItem, SendState, Status
from operations.connection import Connection, connect
from tests.support.operator import OWNER, arrive, lines, person, run, sent_since
from tests.support.waiting_replies import delayed_replies, deliver_now, waiting, write_back

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def connection(cloud: LocalCloud) -> Connection:
    return connect(endpoint=cloud.endpoint)


@pytest.fixture
def conversation(cloud: LocalCloud, connection: Connection) -> Conversation:
    """Return a new conversation with one message."""
    (found,) = connection.records.find("contact", _write(cloud))
    assert isinstance(found, Conversation)
    return found


def _write(cloud: LocalCloud) -> str:
    sender = person()
    arrive(cloud, sender)
    return sender


@pytest.fixture
def delayed(cloud: LocalCloud) -> Iterator[None]:
    """Let replies wait for fifteen minutes."""
    with delayed_replies(cloud):
        yield


def state(connection: Connection, item: LedgerItem) -> tuple[SendState, str]:
    found = connection.ledger.by_id(item.id)
    assert found is not None
    return found.state, found.reason


@pytest.mark.usefixtures("delayed")
def test_a_reply_is_cancelled_by_mail_and_never_leaves(
    cloud: LocalCloud, connection: Connection, conversation: Conversation
) -> None:
    before = len(cloud.sent())
    reply = waiting(cloud, connection, conversation)

    write_back(cloud, conversation, "cancel")
    cloud.wait_until(lambda: state(connection, reply)[0] is SendState.CANCELLED, what="the cancelled reply")
    deliver_now(cloud, reply)

    assert [sent.recipients for sent in sent_since(cloud, before)] == [(OWNER,)]
    assert state(connection, reply) == (SendState.CANCELLED, "cancelled by the owner")
    (explained,) = lines(cloud, "why", reply.source)
    assert [send["state"] for send in explained["sends"]] == ["cancelled"]


@pytest.mark.usefixtures("delayed")
def test_the_operator_cancels_a_reply_once_and_it_never_leaves(
    cloud: LocalCloud, connection: Connection, conversation: Conversation
) -> None:
    before = len(cloud.sent())
    reply = waiting(cloud, connection, conversation)

    told = {"send": reply.id, "receipt": reply.source, "state": "cancelled"}
    assert lines(cloud, "cancel", conversation.id) == [told | {"cancelled": True}]
    assert lines(cloud, "cancel", reply.source, code=1) == [told | {"cancelled": False}]
    assert "was cancelled already" in run(cloud, "cancel", reply.source).output
    deliver_now(cloud, reply)

    assert sent_since(cloud, before) == []
    assert "cancelled by the operator" in run(cloud, "show", conversation.id).output


def test_a_reply_that_has_left_is_not_cancelled(cloud: LocalCloud, conversation: Conversation) -> None:
    write_back(cloud, conversation)
    cloud.settle()

    ran = run(cloud, "cancel", conversation.id)
    assert (ran.exit_code, "Your last email has left already." in ran.output) == (1, True)
    assert run(cloud, "cancel", "c-nowhere1").exit_code == 1


def test_a_snoozed_conversation_leaves_the_inbox_until_it_is_reopened(
    cloud: LocalCloud, connection: Connection, conversation: Conversation
) -> None:
    def in_inbox() -> bool:
        return conversation.id in [one["id"] for one in lines(cloud, "inbox", "--limit", "1000")]

    assert in_inbox()
    (told,) = lines(cloud, "snooze", conversation.id, "--days", "3")

    until = datetime.fromisoformat(told["until"])
    found = connection.records.conversation(conversation.id)
    assert found is not None
    assert (found.status, found.snoozed_until) == (Status.SNOOZED, until)
    assert timedelta(days=2, hours=22) < until - datetime.now(UTC) <= timedelta(days=3)
    assert not in_inbox()
    assert "snoozed until" in run(cloud, "show", conversation.id).output
    assert lines(cloud, "reopen", conversation.id) == [{"conversation": conversation.id, "status": "open"}]
    assert in_inbox()


def test_an_erased_conversation_leaves_no_reminder(
    cloud: LocalCloud, connection: Connection, conversation: Conversation
) -> None:
    lines(cloud, "snooze", conversation.id)
    found = connection.records.conversation(conversation.id)
    assert found is not None
    (reminder,) = found.reminders
    assert connection.ledger.by_id(reminder)

    lines(cloud, "erase", conversation.id, "--yes")

    assert connection.ledger.by_id(reminder) is None


def test_a_snooze_by_mail_ends_with_a_reminder_that_the_hourly_pass_queues(
    cloud: LocalCloud, connection: Connection, conversation: Conversation
) -> None:
    write_back(cloud, conversation, "snooze-2d")
    cloud.settle()
    reminder = next(
        item
        for item in connection.records.sends(SendState.QUEUED, datetime.now(UTC))
        if (item.note, item.conversation) == (REMINDER, conversation.id)
    )
    before, then = len(cloud.sent()), datetime.now(UTC) - timedelta(hours=2)
    cloud.invoke("InboundFunction", {"reconcile": "hourly"})
    assert sent_since(cloud, before) == []

    # Two days later
    connection.ledger.give_back(replace(reminder, queued_at=then), SendState.QUEUED, "", then)
    connection.operator.put_snoozed(conversation.id, then, reminder.id)
    cloud.invoke("InboundFunction", {"reconcile": "hourly"})

    (notice,) = sent_since(cloud, before)
    assert notice.recipients == (OWNER,)
    found = connection.records.conversation(conversation.id)
    assert found is not None
    assert found.status is Status.OPEN
