"""The order of the daily pass, and what the hourly one leaves to it."""

from datetime import timedelta

import pytest

from email_handler.errors import ArchiveUnavailable, QueueUnavailable, RecordsUnavailable
from email_handler.usecases.passes import hourly_pass, inbound_pass, reply_pass
from email_handler.usecases.reconcile import SETTLED
from tests.support.builders import mail
from tests.support.world import OWNER, World


class Quiet:
    """SES's health with one condition."""

    def conditions(self) -> tuple[str, ...]:
        return ("SES has paused sending.",)


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
        inbound_pass(world.context, health=Quiet(), alerts=topic, learning=world.learning)

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
        inbound_pass(world.context, health=Quiet(), alerts=Topic(), learning=world.learning)

    assert [one.recipients for one in world.run()].count((OWNER,)) == 1


def test_what_could_not_be_taken_up_is_reported_after_the_listing(world: World) -> None:
    topic = Topic()
    world.store(mail(message_id="<m2@customer.example>"), receipt="lost")
    world.now += SETTLED
    world.records.fail("commit", RecordsUnavailable("for the digest"))
    with pytest.raises(RecordsUnavailable):
        inbound_pass(world.context, health=Quiet(), alerts=topic, learning=world.learning)
    inbound_pass(world.context, health=Quiet(), alerts=topic, learning=world.learning)
    world.store(mail(message_id="<m3@customer.example>"), receipt="lost too")
    world.now += SETTLED
    world.records.fail("look_up", RecordsUnavailable("down"))
    report = inbound_pass(world.context, health=Quiet(), alerts=topic, learning=world.learning)

    assert list(report.reconciled.failed) == ["lost too"]
    assert "1 stored messages could not be taken up" in topic.texts[-1]
    assert len(report.conditions) == 2


def test_the_hourly_pass_sends_no_digest_and_reports_no_condition(world: World) -> None:
    report = hourly_pass("inbound", world.context)

    assert (report.digest, report.conditions, world.run()) == (None, (), [])
    assert reply_pass(world.context).digest is None
