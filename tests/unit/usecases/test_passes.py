"""The order of the daily pass, and what the hourly one leaves to it."""

from datetime import timedelta

import pytest

from email_handler.errors import ArchiveUnavailable, HealthUnknown, QueueUnavailable, RecordsUnavailable
from email_handler.identifiers import ReceiptId
from email_handler.usecases.conditions import STOPPED
from email_handler.usecases.passes import inbound_daily, inbound_hourly, reply_daily, reply_hourly
from email_handler.usecases.reconcile import SETTLED, WAITED
from tests.support.builders import mail
from tests.support.world import OWNER, World


class Quiet:
    """SES's health with one condition, and the dead letters that it is given."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead

    def conditions(self) -> tuple[str, ...]:
        return ("SES has paused sending.",)

    def dead_letters(self) -> tuple[str, ...]:
        return self.dead


class Topic:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def publish(self, subject: str, text: str) -> None:
        self.texts.append(subject + text)


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail(), receipt="held", spam="FAIL")
    world.now += timedelta(days=1)
    return world


def test_digest_and_conditions_do_not_wait_for_the_listing(world: World) -> None:
    topic = Topic()
    world.archive.fail("keys", ArchiveUnavailable("down"))
    with pytest.raises(ArchiveUnavailable):
        inbound_daily(world.context, health=Quiet(), alerts=topic, learning=world.learning)

    assert [one.recipients for one in world.run()] == [(OWNER,)]
    assert len(topic.texts) == 1
    assert "SES has paused sending." in topic.texts[0]


def test_what_was_decided_is_finished_even_if_the_digest_fails(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail(message_id="<m2@customer.example>"), receipt="left")
    world.jobs.queued.clear()
    world.now += timedelta(hours=1)
    world.records.fail("held", RecordsUnavailable("down"))
    with pytest.raises(RecordsUnavailable):
        inbound_daily(world.context, health=Quiet(), alerts=Topic(), learning=world.learning)

    assert [one.recipients for one in world.run()].count((OWNER,)) == 1


def test_what_could_not_be_taken_up_is_reported_after_the_listing(world: World) -> None:
    topic = Topic()
    world.store(mail(message_id="<m2@customer.example>"), receipt="lost")
    world.now += SETTLED
    world.records.fail("commit", RecordsUnavailable("for the digest"))
    with pytest.raises(RecordsUnavailable):
        inbound_daily(world.context, health=Quiet(), alerts=topic, learning=world.learning)
    inbound_daily(world.context, health=Quiet(), alerts=topic, learning=world.learning)
    world.store(mail(message_id="<m3@customer.example>"), receipt="lost too")
    world.now += SETTLED
    world.records.fail("look_up", RecordsUnavailable("down"))
    report = inbound_daily(world.context, health=Quiet(), alerts=topic, learning=world.learning)

    assert list(report.reconciled.failed) == ["lost too"]
    assert "1 stored messages could not be taken up" in topic.texts[-1]
    assert len(report.conditions) == 2


def test_the_hourly_pass_sends_no_digest_and_leaves_the_state_of_ses_to_the_daily_one(world: World) -> None:
    topic = Topic()
    report = inbound_hourly(world.context, health=Quiet(), alerts=topic)

    assert (report.digest, report.conditions, topic.texts, world.run()) == (None, (), [], [])
    assert reply_hourly(world.context).digest is reply_daily(world.context).digest is None


def test_dead_letters_are_reported_within_the_hour_and_again_only_if_there_are_others(world: World) -> None:
    topic = Topic()
    for dead in (["1 in AckDeadLetters."] * 3, ["2 in AckDeadLetters."], [], ["2 in AckDeadLetters."]):
        for one in dead or [""]:
            inbound_hourly(world.context, health=Quiet(*filter(None, [one])), alerts=topic)

    assert [text.count("1 in AckDeadLetters.") - text.count("2 in AckDeadLetters.") for text in topic.texts] == [
        1,
        -1,
        -1,
    ]


def test_what_could_not_be_published_is_reported_by_the_next_pass() -> None:
    world = World()

    class Deaf(Topic):
        def publish(self, *_: str) -> None:
            raise HealthUnknown("SNS failed")

    world.store(mail(message_id="<m2@customer.example>"), receipt="lost")
    world.now += SETTLED
    with pytest.raises(HealthUnknown):
        inbound_hourly(world.context, health=Quiet("1 in AckDeadLetters."), alerts=Deaf())

    assert world.records.message(ReceiptId("lost"), "inbound"), "what is stored is taken up all the same"
    assert inbound_hourly(world.context, health=Quiet("1 in AckDeadLetters."), alerts=Topic()).conditions


def test_dead_letters_do_not_wait_for_the_listing(world: World) -> None:
    topic = Topic()
    world.archive.fail("keys", ArchiveUnavailable("down"))
    with pytest.raises(ArchiveUnavailable):
        inbound_hourly(world.context, health=Quiet("1 in AckDeadLetters."), alerts=topic)

    assert len(topic.texts) == 1


def test_sends_that_nothing_takes_from_their_queues_are_reported_after_two_hours(world: World) -> None:
    topic = Topic()
    world.arrive(mail(message_id="<m2@customer.example>"), receipt="waits")
    world.now += WAITED
    inbound_hourly(world.context, health=Quiet(), alerts=topic)
    assert not topic.texts

    world.now += timedelta(seconds=1)
    report = inbound_hourly(world.context, health=Quiet(), alerts=topic)

    assert report.conditions[0].startswith("2 sends are overdue by more than two hours")
    assert len(topic.texts) == 1


def test_that_the_passes_of_reply_have_stopped_is_reported_after_three_hours(world: World) -> None:
    """An alarm sees that inbound's have."""
    topic = Topic()
    inbound_hourly(world.context, health=Quiet(), alerts=topic)  # a new stack's first
    reply_hourly(world.context)
    world.now += STOPPED - timedelta(seconds=1)
    inbound_hourly(world.context, health=Quiet(), alerts=topic)
    assert not topic.texts

    world.now += timedelta(seconds=1)
    report = inbound_hourly(world.context, health=Quiet(), alerts=topic)

    assert report.conditions == (
        "The hourly pass of reply has stopped: look at its schedule in EventBridge Scheduler.",
    )
