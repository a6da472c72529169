"""A dead-lettered send is sent again, once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import Refusals, SendState
from email_handler.errors import MessageRefused, SendOutcomeUnknown
from email_handler.ports import DeadLetter
from email_handler.usecases.redrive import Redrive, Redriven, discard, redrive
from email_handler.usecases.retries import COPIES
from tests.support.builders import mail
from tests.support.fakes import FakeRecords
from tests.support.world import World


class Letters:
    """The dead letters of a world's queues."""

    def __init__(self, world: World) -> None:
        self._dead_lettered = world.jobs.dead_lettered

    def letters(self) -> Iterator[DeadLetter]:
        for number, dead in enumerate(list(self._dead_lettered)):
            yield DeadLetter(
                queue=dead.kind, handle=str(number), body=dead.body, reason=dead.reason, attempts=dead.attempts
            )

    def discard(self, letter: DeadLetter) -> None:
        self._dead_lettered.remove(next(dead for dead in self._dead_lettered if dead.body == letter.body))


@pytest.fixture
def world() -> World:
    world = World()
    world.arrive(mail(), dmarc="GRAY", spf="GRAY", dkim="GRAY")
    world.mailer.fail("send", MessageRefused("MessageRejected"))
    assert world.run() == []
    assert len(world.jobs.dead_lettered) == 1
    return world


def run(world: World, *, resend: bool = False, dry_run: bool = False) -> list[Redrive]:
    parts = {"records": world.records, "ledger": world.records, "jobs": world.jobs, "clock": world.clock}
    return list(redrive(letters=Letters(world), resend=resend, dry_run=dry_run, **parts))  # type: ignore[arg-type]


def test_a_dead_lettered_forward_is_sent_once(world: World) -> None:
    (line,) = run(world)

    assert (line.what, line.reason, line.attempts) == (Redriven.QUEUED, "MessageRejected", 1)
    assert world.jobs.dead_lettered == []
    assert len(world.run()) == 1
    assert run(world) == []


def test_a_send_that_fails_again_during_the_redrive_is_left(world: World) -> None:
    """A sender may be faster than the redrive, which would otherwise never end."""

    class FastSender(Letters):
        def letters(self) -> Iterator[DeadLetter]:
            yield from super().letters()
            world.mailer.fail("send", MessageRefused("MessageRejected"))
            world.run()
            yield from super().letters()

    parts = {"records": world.records, "ledger": world.records, "jobs": world.jobs, "clock": world.clock}
    lines = list(redrive(letters=FastSender(world), dry_run=False, **parts))  # type: ignore[arg-type]

    assert [line.what for line in lines] == [Redriven.QUEUED]
    assert len(world.jobs.dead_lettered) == 1
    assert world.jobs.queued == []


def test_two_letters_of_one_send_are_both_gone_and_it_is_sent_once(world: World) -> None:
    world.jobs.dead_lettered *= 2

    assert [line.what for line in run(world)] == [Redriven.QUEUED, Redriven.QUEUED]
    assert world.jobs.dead_lettered == []
    assert len(world.run()) == 1


def test_a_dry_run_changes_nothing(world: World) -> None:
    (line,) = run(world, dry_run=True)

    assert line.what is Redriven.QUEUED
    assert (len(world.jobs.dead_lettered), world.jobs.queued) == (1, [])


def test_a_failed_send_whose_dead_letter_expired_is_found_in_the_ledger(world: World) -> None:
    world.jobs.dead_lettered.clear()
    (line,) = run(world)

    assert line.what is Redriven.QUEUED
    assert len(world.run()) == 1


def test_a_dead_letter_of_a_send_that_ended_meanwhile_is_deleted(world: World) -> None:
    letter = world.jobs.dead_lettered[0]
    run(world)
    world.run()
    world.jobs.dead_lettered.append(letter)
    (line,) = run(world)

    assert line.what is Redriven.ENDED
    assert world.jobs.dead_lettered == []
    assert world.run() == []


def test_a_dead_letter_that_is_not_one_of_our_jobs_is_left_in_the_queue(world: World) -> None:
    world.jobs.dead_letter("{broken", JobKind.FORWARD, "the sender failed", 3)
    world.jobs.dead_letter("{too", JobKind.FORWARD, "", 5)
    _, *lines = run(world)

    assert [(line.what, line.reason, line.attempts) for line in lines] == [
        (Redriven.LEFT, "the sender failed", 3),
        (Redriven.LEFT, "not a job of ours: JSONDecodeError", 5),
    ]
    assert [dead.body for dead in world.jobs.dead_lettered] == ["{broken", "{too"]


def test_a_redriven_send_is_as_patient_as_a_new_one(world: World) -> None:
    (item,) = world.records.ledger.values()
    old = world.now - timedelta(days=30)
    refusals = Refusals(kind="SendingThrottled", times=99, since=old, in_all=99, first_at=old)
    world.records.ledger[item.id] = replace(item, refusals=refusals)
    run(world)

    (item,) = world.records.ledger.values()
    assert (item.state, item.refusals) == (SendState.QUEUED, None)


def may_have_left(world: World, kind: JobKind = JobKind.FORWARD) -> None:
    """Lose SES's response to the only send as often as that may be."""
    (item,) = world.records.ledger.values()
    kind_of = replace(item, kind=kind, state=SendState.QUEUED)
    world.records.ledger[item.id] = kind_of
    world.jobs.dead_lettered.clear()
    world.jobs.queued = [kind_of.job]
    for _ in range(COPIES[kind]):
        world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    world.run()


def test_what_may_have_left_already_is_not_sent_again_unless_it_is_asked_for(world: World) -> None:
    may_have_left(world)
    copies = len(world.mailer.sent)

    assert [line.what for line in run(world)] == [Redriven.UNDECIDED]
    assert (len(world.jobs.dead_lettered), world.run()) == (1, [])
    assert [line.what for line in run(world, resend=True)] == [Redriven.QUEUED]
    assert (len(world.jobs.dead_lettered), len(world.run())) == (0, 1)
    assert len(world.mailer.sent) == copies + 1


def test_sending_again_what_may_have_left_costs_one_more_copy_at_most(world: World) -> None:
    may_have_left(world)
    copies = len(world.mailer.sent)
    run(world, resend=True)
    for _ in range(3):
        world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
    world.run()

    assert len(world.mailer.sent) == copies + 1
    assert [line.what for line in run(world)] == [Redriven.UNDECIDED]


def test_what_may_have_left_is_sent_once_more_even_if_its_sender_is_faster_than_the_redrive(world: World) -> None:
    may_have_left(world)
    copies = len(world.mailer.sent)

    class FastSender(Letters):
        def letters(self) -> Iterator[DeadLetter]:
            yield from super().letters()
            world.mailer.fail("send", SendOutcomeUnknown("read time-out"), after=True)
            world.run()
            yield from super().letters()

    parts = {"records": world.records, "ledger": world.records, "jobs": world.jobs, "clock": world.clock}
    list(redrive(letters=FastSender(world), resend=True, dry_run=False, **parts))  # type: ignore[arg-type]
    world.run()

    assert len(world.mailer.sent) == copies + 1


def test_what_may_have_left_is_found_after_its_letter_has_expired(world: World) -> None:
    may_have_left(world)
    world.jobs.dead_lettered.clear()

    assert [line.what for line in run(world)] == [Redriven.UNDECIDED]


def test_an_acknowledgement_that_may_have_left_is_never_sent_again(world: World) -> None:
    may_have_left(world, JobKind.ACKNOWLEDGEMENT)

    assert run(world, resend=True) == []
    assert world.run() == []
    (item,) = world.records.ledger.values()
    world.jobs.dead_letter(item.job.to_json(), item.kind, "received too often", 1000)
    for resend in (False, True):
        world.jobs.dead_letter(item.job.to_json(), item.kind, "received too often", 1000)
        assert {line.what for line in run(world, resend=resend)} == {Redriven.ENDED}
    assert world.run() == []


def test_an_acknowledgement_that_was_refused_is_redriven_without_its_letter(world: World) -> None:
    (item,) = world.records.ledger.values()
    world.records.ledger[item.id] = replace(item, kind=JobKind.ACKNOWLEDGEMENT)
    world.jobs.dead_lettered.clear()

    assert [line.what for line in run(world)] == [Redriven.QUEUED]


def throw_away(world: World, *, dry_run: bool = False, kinds: tuple[JobKind, ...] = tuple(JobKind)) -> list[Redrive]:
    parts = {"records": world.records, "ledger": world.records, "kinds": kinds, "dry_run": dry_run}
    return list(discard(letters=Letters(world), **parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("letters", [0, 1, 2])
def test_what_may_have_left_can_be_discarded_with_and_without_its_letter(world: World, letters: int) -> None:
    may_have_left(world)
    world.jobs.dead_lettered = world.jobs.dead_lettered * letters
    (before,) = world.records.ledger.values()
    assert {line.what for line in throw_away(world, dry_run=True)} == {Redriven.DISCARDED}
    assert list(world.records.ledger.values()) == [before]
    assert throw_away(world, kinds=(JobKind.REPLY,)) == [] or letters
    assert [line.what for line in throw_away(world)] == ([] if letters else [Redriven.DISCARDED])

    assert world.jobs.dead_lettered == []
    assert list(world.records.ledger.values()) == [replace(before, discarded=True)]
    assert throw_away(world) == []
    assert run(world, resend=True) == []
    assert world.run() == []


def test_what_ses_confirms_while_it_is_discarded_is_still_recorded(world: World) -> None:
    may_have_left(world)
    (item,) = world.records.ledger.values()

    stale = FakeRecords(world.clock)
    stale.ledger[item.id] = item
    world.records.give_back(item, SendState.QUEUED, "SES's events say that it has left", world.now)
    world.jobs.dead_lettered.clear()
    parts = {"records": stale, "ledger": world.records, "dry_run": False}

    assert [line.what for line in discard(letters=Letters(world), **parts)] == [Redriven.DISCARDED]  # type: ignore[arg-type]
    assert [one.state for one in world.records.ledger.values()] == [SendState.QUEUED]


def test_a_letter_whose_send_is_queued_already_is_queued_again(world: World) -> None:
    """A crash came between the ledger's change and the queue."""
    (item,) = world.records.ledger.values()
    world.records.give_back(item, SendState.QUEUED, "", world.now)

    assert [line.what for line in run(world)] == [Redriven.QUEUED]
    assert len(world.run()) == 1


def test_a_failed_send_without_a_letter_is_redriven_if_it_is_of_the_kinds_asked_for(world: World) -> None:
    world.jobs.dead_lettered.clear()

    def of(kind: JobKind) -> list[Redrive]:
        parts = {"records": world.records, "ledger": world.records, "jobs": world.jobs, "clock": world.clock}
        return list(redrive(letters=Letters(world), kinds=(kind,), dry_run=False, **parts))  # type: ignore[arg-type]

    assert of(JobKind.REPLY) == []
    assert [line.what for line in of(JobKind.FORWARD)] == [Redriven.QUEUED]
    assert len(world.run()) == 1


@pytest.mark.parametrize("dry_run", [False, True])
def test_only_letters_that_nobody_can_use_are_discarded(world: World, dry_run: bool) -> None:
    usable = world.jobs.dead_lettered[0]
    gone = replace(usable, body=usable.body.replace(Job.from_json(usable.body).ledger, "forward/none/none/none"))
    noise = replace(usable, body="{}", reason="")
    world.jobs.dead_lettered += [gone, noise]
    lines = throw_away(world, dry_run=dry_run)

    assert [(line.what, line.body) for line in lines] == [
        (Redriven.DISCARDED, gone.body),
        (Redriven.DISCARDED, noise.body),
    ]
    assert lines[1].reason
    assert world.jobs.dead_lettered == ([usable, gone, noise] if dry_run else [usable])
    assert world.jobs.queued == []
    assert [line.what for line in run(world)] == [Redriven.QUEUED, *[Redriven.LEFT] * (2 * dry_run)]
