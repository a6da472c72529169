"""Replies that wait and can be cancelled, and conversations that are put off until the owner is reminded."""

from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.commands import PREFILLED
from email_handler.conversations.records import REMINDER, Conversation, LedgerItem, SendState, Status
from email_handler.conversations.thread_address import thread_address
from email_handler.errors import RecordChanged, RetryLater, SendingThrottled, SendOutcomeUnknown
from email_handler.identifiers import EmailAddress
from email_handler.usecases.audit import audit
from email_handler.usecases.decision import finish
from email_handler.usecases.reconcile import HOURLY, Pass, Reconciled, reconcile
from email_handler.usecases.send_reply import send_reply
from email_handler.usecases.waiting import can_be_cancelled, cancel, describe_cancelled
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.records import forward
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = EmailAddress("jane@customer.example")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def world() -> World:
    """Return a world in which Jane has written, and replies wait for a minute."""
    world = World()
    world.now += timedelta(minutes=40)
    world.reply_delay = MINUTE
    world.arrive(mail())
    world.run()
    return world


def conversation(world: World) -> Conversation:
    (found,) = world.records.conversations.values()
    return found


def write(world: World, tag: str = "", **fields: Any) -> None:
    """Let the owner write to the conversation's address, with *tag*."""
    to = thread_address(conversation(world), THREAD, tag)
    number = len(world.records.message_records)
    world.arrive(mail(sender=OWNER, to=to, message_id=f"<{number}@private.example>", **fields), to=to)


def ask(world: World, verb: str) -> str:
    """Let the owner ask for *verb*, and return what they are told; what waits in the queues goes on waiting."""
    before, waiting = len(world.mailer.sent), list(world.jobs.queued)
    world.jobs.queued.clear()
    write(world, verb, text=PREFILLED)
    world.run()
    world.jobs.queued[:] = waiting
    (notice,) = world.mailer.sent[before:]
    return said(notice)


def said(notice: Sent) -> str:
    assert (notice.sender, notice.recipients) == (f"notices@{THREAD}", (OWNER,))
    text: str = read(notice).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return " ".join(text.split())


def replies(world: World) -> list[LedgerItem]:
    return [world.records.ledger[send] for send in conversation(world).replies]


def to_jane(world: World) -> list[Sent]:
    return [sent for sent in world.mailer.sent if sent.sender == PUBLIC and b"My answer" in sent.raw]


# Cancelling


def test_a_reply_waits_for_the_delay_and_its_ledger_item_says_until_when(world: World) -> None:
    write(world, text="My answer")

    (reply,) = replies(world)
    assert (reply.state, reply.due) == (SendState.QUEUED, world.now + MINUTE)
    assert world.jobs.delays == {reply.id: MINUTE}
    assert len(world.jobs.queued) == 1, "no notice says that it waits"


def test_without_a_delay_a_reply_is_queued_at_once(world: World) -> None:
    world.reply_delay = timedelta()
    write(world, text="My answer")

    assert replies(world)[0].due == world.now
    assert world.jobs.delays == {}


def test_a_decision_that_is_finished_late_delays_its_reply_only_for_what_is_left(world: World) -> None:
    world.jobs.fail("queue", RuntimeError("crashed"))
    with pytest.raises(RuntimeError):
        write(world, text="My answer")
    (decision,) = world.records.unfinished(world.now + MINUTE)
    world.now += MINUTE / 2

    finish(decision, world.context)
    assert list(world.jobs.delays.values()) == [MINUTE / 2]


def test_a_cancelled_reply_never_leaves_and_the_conversation_stays_as_it_was(world: World) -> None:
    status = conversation(world).status
    write(world, text="My answer")

    assert ask(world, "cancel") == "Your email is cancelled and will not be sent."
    world.run()

    assert to_jane(world) == []
    assert [(reply.state, reply.reason) for reply in replies(world)] == [
        (SendState.CANCELLED, "cancelled by the owner")
    ]
    assert (conversation(world).status, conversation(world).sent) == (status, 0)


def test_all_replies_that_wait_in_the_conversation_are_cancelled(world: World) -> None:
    write(world, text="My answer")
    write(world, text="My answer, again")

    assert ask(world, "cancel") == "2 of your emails are cancelled and will not be sent."
    world.run()
    assert to_jane(world) == []


def test_a_reply_that_has_left_is_not_cancelled_and_the_owner_hears_so(world: World) -> None:
    write(world, text="My answer")
    world.run()

    assert ask(world, "cancel") == "Your last email has left already."
    assert [reply.state for reply in replies(world)] == [SendState.SENT]


def test_a_reply_that_a_sender_has_claimed_is_leaving(world: World) -> None:
    write(world, text="My answer")
    world.records.claim(replies(world)[0].id, world.now, world.now + MINUTE)

    assert ask(world, "cancel") == "Your last email is leaving at this moment, and is not cancelled."


def test_a_sender_that_is_faster_than_the_cancelling_write_wins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reads the reply as queued; then a sender claims it, and the transaction fails."""
    write(world, text="My answer")
    commit = world.records.commit

    def late(wanted: Any) -> None:
        monkeypatch.undo()
        world.run()
        commit(wanted)

    monkeypatch.setattr(world.records, "commit", late)
    write(world, "cancel", text=PREFILLED)
    world.run()

    assert len(to_jane(world)) == 1
    assert said(world.mailer.sent[-1]) == "Your last email has left already."


def test_a_reply_that_ses_refuses_for_now_can_be_cancelled(world: World) -> None:
    write(world, text="My answer")
    world.mailer.fail("send", SendingThrottled("throttled"))
    with pytest.raises(RetryLater):
        send_reply(world.jobs.queued[0], world.dispatch)

    assert ask(world, "cancel") == "Your email is cancelled and will not be sent."


def test_a_reply_whose_response_was_lost_may_have_left(world: World) -> None:
    write(world, text="My answer")
    world.mailer.fail("send", SendOutcomeUnknown("lost"), after=True)
    with pytest.raises(RetryLater):
        send_reply(world.jobs.queued[0], world.dispatch)

    assert ask(world, "cancel") == "Your last email may have left already, and is not cancelled."


def test_nothing_to_cancel_and_cancelling_twice_change_nothing(world: World) -> None:
    assert ask(world, "cancel") == "None of your emails is waiting in this conversation."
    write(world, text="My answer")
    ask(world, "cancel")

    assert ask(world, "cancel") == "Your last email was cancelled already."


def test_the_same_text_can_be_sent_after_it_was_cancelled_twice(world: World) -> None:
    for _ in range(2):
        write(world, text="My answer")
        ask(world, "cancel")
    write(world, text="My answer")
    world.run()

    assert len(to_jane(world)) == 1


def test_the_operator_cancels_by_the_same_condition(world: World) -> None:
    write(world, text="My answer")
    write(world, text="My answer, again")
    first, second = replies(world)
    world.records.claim(second.id, world.now, world.now + MINUTE)

    assert [after.state for reply in (first, second) if (after := cancel(reply, "by hand", world.records))] == [
        SendState.CANCELLED,
        SendState.SENDING,
    ]


@pytest.mark.parametrize(
    ("cancelled", "last", "said"),
    [
        (0, None, "None of your emails is waiting in this conversation."),
        (1, None, "Your email is cancelled and will not be sent."),
        (2, SendState.SENT, "2 of your emails are cancelled and will not be sent. Your last email has left already."),
        (0, SendState.BOUNCED, "Your last email left, and came back."),
        (0, SendState.UNKNOWN, "Your last email may have left already."),
        (0, SendState.FAILED, "Your last email could not be sent: there is nothing to cancel."),
    ],
)
def test_the_owner_is_told_what_was_cancelled_and_what_became_of_the_last_reply(
    cancelled: int, last: SendState | None, said: str
) -> None:
    assert describe_cancelled(cancelled, forward(state=last) if last else None) == said


@pytest.mark.parametrize("state", SendState)
def test_every_state_of_the_last_reply_has_words(state: SendState) -> None:
    assert describe_cancelled(0, forward(state=state)).startswith("Your last email ")


@pytest.mark.parametrize("changes", [{"lost": 1}, {"state": SendState.SENDING}, {"state": SendState.SENT}])
def test_only_what_surely_has_not_left_can_be_cancelled(changes: dict[str, Any]) -> None:
    assert can_be_cancelled(forward())
    assert not can_be_cancelled(forward(**changes))


# Putting off


def passes(world: World) -> Reconciled:
    """Run the hourly pass and the senders."""
    one = Pass("inbound", HOURLY, world.context)
    one.finish_decided()
    world.run()
    return one.done


@pytest.mark.parametrize(("verb", "days"), [("snooze", 1), ("snooze-3d", 3), ("snooze-90d", 90)])
def test_a_conversation_is_put_off_and_the_owner_reminded_in_its_thread_on_its_day(
    world: World, verb: str, days: int
) -> None:
    began = world.now
    ask(world, verb)
    assert conversation(world).status is Status.SNOOZED
    before = len(world.mailer.sent)

    world.now = began + days * DAY - HOUR
    passes(world)
    assert world.mailer.sent[before:] == []
    world.now = began + days * DAY - timedelta(minutes=38)  # the hour began two minutes ago
    passes(world)

    (notice,) = world.mailer.sent[before:]
    assert said(notice).startswith("You asked to be reminded: Jane")
    assert read(notice)["In-Reply-To"]
    assert conversation(world).status is Status.OPEN


def test_a_reminder_is_no_trouble_before_its_day(world: World) -> None:
    ask(world, "snooze-3d")
    world.now += 3 * DAY - HOUR
    found = audit(archive=world.archive, records=world.records, ledger=world.records, clock=world.clock)

    assert [one for one in found if one.trouble] == []


def test_a_message_of_the_contacts_ends_it_and_no_reminder_leaves(world: World) -> None:
    ask(world, "snooze")
    world.arrive(mail(message_id="<again@customer.example>", references="<first@customer.example>"))
    world.run()
    before = len(world.mailer.sent)
    world.now += DAY
    passes(world)

    assert world.mailer.sent[before:] == []
    assert [item.state for item in world.records.ledger.values() if item.note == REMINDER] == [SendState.CANCELLED]


def test_an_automatic_reply_of_the_contacts_does_not_end_it(world: World) -> None:
    ask(world, "snooze")
    raw = mail(
        message_id="<away@customer.example>", references="<first@customer.example>", auto_submitted="auto-replied"
    )
    world.arrive(raw)
    world.run()

    assert (conversation(world).received, conversation(world).status) == (2, Status.SNOOZED)


def test_another_snooze_moves_it(world: World) -> None:
    ask(world, "snooze")
    ask(world, "snooze-3d")
    before = len(world.mailer.sent)
    world.now += DAY
    passes(world)
    assert world.mailer.sent[before:] == []
    world.now += 2 * DAY
    passes(world)

    assert len(world.mailer.sent[before:]) == 1


def test_a_snooze_within_the_hour_of_one_that_was_ended_counts_again(world: World) -> None:
    ask(world, "snooze")
    ask(world, "close")
    ask(world, "snooze")
    before = len(world.mailer.sent)
    world.now += DAY
    passes(world)

    assert len(world.mailer.sent[before:]) == 1


def test_a_reply_that_leaves_later_does_not_end_it_and_the_reminder_asks_for_an_answer(world: World) -> None:
    write(world, text="My answer")
    ask(world, "snooze")
    world.run()
    assert (conversation(world).status, conversation(world).sent) == (Status.SNOOZED, 1)
    world.now += DAY
    passes(world)

    assert conversation(world).status is Status.WAITING


def test_a_reminder_that_waits_is_queued_by_no_decision_that_is_finished_late(world: World) -> None:
    world.jobs.fail("queue", RuntimeError("crashed"))
    with pytest.raises(RuntimeError):
        write(world, "snooze-3d")
    world.now += HOUR
    reconcile("reply", world.context)
    before = len(world.mailer.sent)
    world.run()

    (notice,) = world.mailer.sent[before:]
    assert "You are reminded" in said(notice)


def test_a_reminder_that_is_put_off_while_it_leaves_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(world, "snooze")
    world.now += DAY

    def late(_: Any) -> None:
        monkeypatch.undo()
        write(world, "snooze-3d")
        raise RecordChanged("others wrote")

    monkeypatch.setattr(world.records, "sent", late)
    passes(world)

    assert conversation(world).status is Status.SNOOZED
