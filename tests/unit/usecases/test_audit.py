"""The audit lists what is unfinished, and changes nothing."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import SETUP_OBJECT, feedback_key
from email_handler.conversations.records import SendState
from email_handler.errors import MessageRefused, QueueUnavailable, SendOutcomeUnknown
from email_handler.identifiers import ReceiptId
from email_handler.usecases.audit import SETTLED, Audited, Trouble, audit
from email_handler.usecases.decision import HELD_FOR
from tests.support.builders import mail
from tests.support.world import World


def run(world: World) -> list[Audited]:
    return list(audit(archive=world.archive, records=world.records, ledger=world.records, clock=world.clock))


def troubles(world: World) -> list[tuple[str, Trouble]]:
    return [(one.id, one.trouble) for one in run(world) if one.trouble]


def later(world: World, by: timedelta = SETTLED + timedelta(minutes=1)) -> None:
    world.now += by


def test_a_processed_message_is_no_trouble() -> None:
    world = World()
    world.arrive(mail(), receipt="first")
    world.run()
    later(world)

    assert [(one.id, one.trouble) for one in run(world)] == [("first", None)]


def test_a_stored_message_without_a_decision_is_listed_once_it_is_late() -> None:
    world = World()
    world.store(mail(), receipt="lost")
    world.store(mail(), receipt="lost too", function="reply")

    assert troubles(world) == []

    later(world, SETTLED)
    assert [(one.id, one.function, one.trouble) for one in run(world)] == [
        ("lost", "inbound", Trouble.STATELESS),
        ("lost too", "reply", Trouble.STATELESS),
    ]


def test_an_event_of_ses_that_waits_for_its_send_is_listed() -> None:
    world = World()
    world.archive.put(feedback_key(ReceiptId("early")), b"{}", "application/json")
    later(world)

    assert [(one.id, one.function, one.trouble) for one in run(world)] == [("early", "inbound", Trouble.STATELESS)]


def test_the_setup_object_of_ses_is_not_a_message() -> None:
    world = World()
    world.store(b"", receipt=SETUP_OBJECT)
    later(world)

    assert run(world) == []


def test_a_message_whose_record_may_have_expired_is_no_trouble() -> None:
    world = World()
    world.store(mail(), receipt="held long ago")
    later(world, HELD_FOR)

    assert troubles(world) == []


def test_the_audit_can_be_limited_to_messages_stored_since_a_time() -> None:
    world = World()
    world.store(mail(), receipt="old")
    later(world)
    began = world.now
    world.store(mail(), receipt="new")
    world.archive.modified["raw/inbound/new"] = began
    audited = audit(archive=world.archive, records=world.records, ledger=world.records, clock=world.clock, since=began)

    assert [one.id for one in audited] == ["new"]


def test_a_decision_with_unpublished_events_is_listed_once() -> None:
    world = World()
    world.events.fail("publish", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail(), receipt="half")
    world.run()
    later(world)

    assert troubles(world) == [("half", Trouble.UNFINISHED)]


def test_the_operators_unfinished_decision_is_listed_too() -> None:
    world = World()
    world.arrive(mail(), receipt="first")
    world.run()
    (done,) = world.records.decisions.values()
    key = (done.receipt, "operator")
    world.records.decisions[done.receipt, "operator"] = replace(done, decider="operator", done=False)
    world.records.decided_at[done.receipt, "operator"] = world.now
    later(world)

    assert [(one.id, one.function) for one in run(world) if one.trouble] == [key]


def test_a_send_without_a_job_is_overdue() -> None:
    world = World()
    world.arrive(mail())
    world.jobs.queued.clear()
    later(world, SETTLED)

    assert {trouble for _, trouble in troubles(world)} == {Trouble.OVERDUE}
    assert len(troubles(world)) == len(world.records.ledger)


def test_a_send_is_overdue_only_when_its_lease_has_expired() -> None:
    world = World()
    world.arrive(mail())
    for item in list(world.records.ledger.values()):
        world.records.claim(item.id, world.now, world.now + timedelta(hours=1))
    later(world)

    assert troubles(world) == []

    later(world, timedelta(hours=1))
    assert {trouble for _, trouble in troubles(world)} == {Trouble.OVERDUE}


def test_dead_lettered_sends_and_unknown_acknowledgements_are_listed_with_their_reason() -> None:
    world = World()
    world.arrive(mail())
    by_kind = {job.kind: job for job in world.jobs.queued}
    world.mailer.fail("send", MessageRefused("rejected"))
    world.jobs.queued = [by_kind[JobKind.FORWARD]]
    world.run()
    world.mailer.fail("send", SendOutcomeUnknown("no answer"))
    world.jobs.queued = [by_kind[JobKind.ACKNOWLEDGEMENT]]
    world.run()

    found = {one.id: one for one in run(world) if one.trouble}
    forward, acknowledgement = found[by_kind[JobKind.FORWARD].ledger], found[by_kind[JobKind.ACKNOWLEDGEMENT].ledger]
    assert (forward.trouble, forward.reason) == (Trouble.FAILED, "rejected")
    assert acknowledgement.trouble is Trouble.UNKNOWN
    assert Trouble.FAILED.stuck
    assert not Trouble.UNKNOWN.stuck
    assert world.records.ledger[by_kind[JobKind.FORWARD].ledger].state is SendState.FAILED


def test_what_may_have_left_as_often_as_it_may_waits_for_a_person_until_they_discard_it() -> None:
    world = World()
    world.arrive(mail())
    world.jobs.queued = [job for job in world.jobs.queued if job.kind is JobKind.FORWARD]
    for _ in range(3):
        world.mailer.fail("send", SendOutcomeUnknown("no answer"))
    world.run()
    (send,) = (item for item in world.records.ledger.values() if item.kind is JobKind.FORWARD)

    assert (send.id, Trouble.UNDECIDED) in troubles(world)
    assert Trouble.UNDECIDED.stuck

    world.records.ledger[send.id] = replace(send, discarded=True)
    assert (send.id, Trouble.UNKNOWN) in troubles(world)


def test_a_send_with_an_unpublished_event_is_listed() -> None:
    world = World()
    world.arrive(mail())
    world.jobs.queued = [job for job in world.jobs.queued if job.kind is JobKind.FORWARD]
    (job,) = world.jobs.queued
    world.events.fail("publish", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.run()
    later(world)

    assert (job.ledger, Trouble.UNPUBLISHED) in troubles(world)


def test_a_thousand_messages_are_audited_and_nothing_is_changed() -> None:
    world = World()
    for number in range(1000):
        world.store(b"", receipt=f"lost{number:04}")
    later(world)
    before = deepcopy((world.archive.objects, world.records.decisions, world.records.ledger))

    assert len(troubles(world)) == 1000
    assert (world.archive.objects, world.records.decisions, world.records.ledger) == before
