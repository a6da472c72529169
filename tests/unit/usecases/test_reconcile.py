"""The daily pass: stored messages without a decision, unfinished decisions and overdue sends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import SETUP_OBJECT
from email_handler.errors import QueueUnavailable, RecordsUnavailable
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.usecases.reconcile import LOOK_BACK, OVERDUE, SETTLED, reconcile
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.world import OWNER, PUBLIC, THREAD, World

SES_FIELDS = {
    "return_path": "<jane@customer.example>",
    "received": f"from mx.customer.example by inbound-smtp.us-east-1.amazonaws.com with SMTP id x for {PUBLIC};"
    " Mon, 02 Mar 2026 09:00:00 +0000 (UTC)",
    "x_ses_spam_verdict": "PASS",
    "x_ses_virus_verdict": "PASS",
    "authentication_results": "amazonses.com; spf=pass (x) client-ip=192.0.2.1;"
    " envelope-from=jane@customer.example; helo=mx.customer.example; dkim=pass header.i=@customer.example;"
    " dmarc=pass header.from=customer.example;",
}


@pytest.fixture
def world() -> World:
    return World()


def store_without_event(world: World, **headers: str) -> ReceiptId:
    """Store a message whose event never arrived."""
    return world.store(mail(**{**SES_FIELDS, **headers}), receipt="lost1").id  # type: ignore[arg-type]


def recipients(left: list[Sent]) -> list[tuple[str, ...]]:
    return sorted(tuple(one.recipients) for one in left)


def test_a_message_without_a_decision_is_taken_up_once_and_never_acknowledged(world: World) -> None:
    store_without_event(world)
    world.now += SETTLED
    first, second = reconcile("inbound", world.context), reconcile("inbound", world.context)

    assert (first.taken_up, second.taken_up) == (("lost1",), ())
    assert recipients(world.run()) == [(OWNER,)]
    assert world.records.message_records[ReceiptId("lost1"), "inbound"].verified


def test_verdicts_are_read_from_the_stored_message(world: World) -> None:
    store_without_event(world, x_ses_virus_verdict="FAIL")
    world.now += SETTLED
    reconcile("inbound", world.context)

    assert world.run() == []


def test_a_recent_message_is_left_to_the_ordinary_retries(world: World) -> None:
    store_without_event(world)
    world.now += SETTLED - timedelta(seconds=1)

    assert reconcile("inbound", world.context).taken_up == ()


def test_a_message_is_taken_up_until_the_look_back_ends(world: World) -> None:
    store_without_event(world)
    world.now += LOOK_BACK + timedelta(seconds=1)
    assert reconcile("inbound", world.context).taken_up == ()

    world.now -= timedelta(seconds=1)
    assert reconcile("inbound", world.context).taken_up == ("lost1",)


def test_the_setup_object_of_ses_is_not_a_message(world: World) -> None:
    world.store(b"set up", receipt=SETUP_OBJECT)
    world.now += SETTLED

    assert reconcile("inbound", world.context).seen == 0


def test_a_decision_without_its_jobs_in_the_queue_is_finished(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail())
    world.jobs.queued.clear()
    world.now += OVERDUE + timedelta(seconds=1)

    assert reconcile("inbound", world.context).finished == 1
    assert recipients(world.run()) == [("jane@customer.example",), (OWNER,)]


def test_a_decision_with_a_lost_response_is_finished_by_the_next_pass(world: World) -> None:
    store_without_event(world)
    world.now += SETTLED
    world.records.fail("commit", RecordsUnavailable("lost"), after=True)
    assert reconcile("inbound", world.context).failed == {"lost1": "RecordsUnavailable: lost"}
    reconcile("inbound", world.context)

    assert recipients(world.run()) == [(OWNER,)]


@pytest.mark.parametrize(
    ("error", "why"),
    [(RecordsUnavailable("down"), "RecordsUnavailable: down"), (ValueError(OWNER), "ValueError")],
)
def test_a_message_that_fails_does_not_stop_the_others(world: World, error: Exception, why: str) -> None:
    store_without_event(world)
    world.store(mail(**SES_FIELDS, message_id="<second@customer.example>"), receipt="lost2")  # type: ignore[arg-type]
    world.now += SETTLED
    world.records.fail("look_up", error)
    done = reconcile("inbound", world.context)

    assert (done.taken_up, done.failed) == (("lost2",), {"lost1": why})
    assert recipients(world.run()) == [(OWNER,)]


def test_a_decision_that_cannot_be_finished_does_not_stop_the_others(world: World) -> None:
    for number in (1, 2):
        world.jobs.fail("queue", QueueUnavailable("down"))
        with pytest.raises(QueueUnavailable):
            world.arrive(mail(message_id=f"<m{number}@customer.example>", text=str(number)), receipt=f"r{number}")
    world.jobs.queued.clear()
    world.now += OVERDUE + timedelta(seconds=1)
    world.events.fail("publish", QueueUnavailable("an event that the bus refuses"))
    done = reconcile("inbound", world.context)

    assert (done.finished, list(done.failed)) == (1, ["r1"])
    assert done.queued > 0


def test_an_overdue_send_is_queued_again_and_sent_once(world: World) -> None:
    world.arrive(mail())
    world.jobs.queued.clear()  # the queue lost them
    world.now += OVERDUE + timedelta(seconds=1)

    assert reconcile("inbound", world.context).queued == 2
    assert reconcile("inbound", world.context).queued == 2
    assert len(world.run()) == 2


def test_a_send_that_is_not_overdue_is_not_queued_again(world: World) -> None:
    world.arrive(mail())
    world.now += OVERDUE

    assert reconcile("inbound", world.context).queued == 0


def test_unpublished_events_of_sends_are_published(world: World) -> None:
    world.arrive(mail())
    world.jobs.queued = [job for job in world.jobs.queued if job.kind is JobKind.FORWARD]
    world.events.fail("publish", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.run()
    world.now += OVERDUE + timedelta(seconds=1)
    reconcile("inbound", world.context)

    assert len(world.events.details("Message Forwarded")) == 1
    assert world.records.sent_events == {}


SEVERAL = "from mx.example.net by inbound-smtp.us-east-1.amazonaws.com with SMTP id x; Mon, 02 Mar 2026 09:00:00 +0000"


@pytest.mark.parametrize("field", ["to", "cc"])
def test_the_owners_reply_to_several_recipients_is_taken_up_by_its_thread_address(world: World, field: str) -> None:
    world.arrive(mail())
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    fields = {name: value.replace("customer.example", "private.example") for name, value in SES_FIELDS.items()}
    fields |= {"received": SEVERAL, "to": f"{PUBLIC}, kim@other.example"}
    fields[field] = f"{fields.get(field, PUBLIC)}, {thread}"
    raw = mail(sender=OWNER, message_id="<o1@private.example>", text="Yes.", **fields)  # type: ignore[arg-type]
    world.store(raw, receipt="lost2", to=thread, function="reply")
    world.now += SETTLED

    assert reconcile("reply", world.context).taken_up == ("lost2",)
    assert recipients(world.run()) == [("jane@customer.example",)]


@pytest.mark.parametrize(
    ("to", "cc", "public", "source"),
    [
        ("kim@other.example", "press+fair@example.com", "press@example.com", "fair"),
        ("press@example.com", PUBLIC, "press@example.com", ""),
        ("kim@other.example", "jo@other.example", PUBLIC, ""),
    ],
)
def test_a_message_to_several_recipients_is_taken_up_by_its_public_address(
    world: World, to: str, cc: str, public: str, source: str
) -> None:
    world.owners = replace(world.owners, public_addresses=(PUBLIC, EmailAddress("press@example.com")))
    store_without_event(world, received=SEVERAL, to=to, cc=cc)
    world.now += SETTLED
    reconcile("inbound", world.context)

    record = world.records.message_records[ReceiptId("lost1"), "inbound"]
    assert (record.public_address, record.source) == (public, source)
    assert recipients(world.run()) == [(OWNER,)]


def test_the_owners_reply_is_taken_up_from_the_reply_prefix(world: World) -> None:
    world.arrive(mail())
    world.run()
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    fields = {name: value.replace("customer.example", "private.example") for name, value in SES_FIELDS.items()}
    fields["received"] = fields["received"].replace(PUBLIC, thread)
    raw = mail(sender=OWNER, to=thread, message_id="<o1@private.example>", text="Yes.", **fields)  # type: ignore[arg-type]
    world.store(raw, receipt="lost2", to=thread, function="reply")
    world.now += SETTLED

    assert reconcile("reply", world.context).taken_up == ("lost2",)
    assert recipients(world.run()) == [("jane@customer.example",)]


def test_a_contacts_message_to_the_thread_address_is_not_acknowledged_by_the_pass(world: World) -> None:
    world.ack_daily_cap = 0
    world.arrive(mail())
    world.run()
    world.ack_daily_cap = 200
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    raw = mail(**{**SES_FIELDS, "received": SEVERAL}, to=thread, message_id="<m2@customer.example>")  # type: ignore[arg-type]
    world.store(raw, receipt="lost1", to=thread, function="reply")
    world.now += SETTLED
    reconcile("reply", world.context)

    assert recipients(world.run()) == [(OWNER,)]


def test_an_event_is_forgotten_only_after_it_is_published(world: World) -> None:
    world.arrive(mail())
    world.events.fail("publish", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.run()
    world.now += OVERDUE + timedelta(seconds=1)
    world.events.fail("publish", QueueUnavailable("down"))
    failed = reconcile("inbound", world.context)

    assert len(failed.failed) == 1
    assert len(world.records.sent_events) == 1
    assert reconcile("inbound", world.context).finished == 1
    assert world.records.sent_events == {}


def test_what_is_not_overdue_is_left_to_the_ordinary_retries(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail())
    world.now += OVERDUE - timedelta(seconds=1)

    assert reconcile("inbound", world.context).finished == 0


def test_an_event_that_is_not_overdue_is_left_to_the_ordinary_retries(world: World) -> None:
    world.arrive(mail())
    world.events.fail("publish", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.run()
    world.now += OVERDUE - timedelta(seconds=1)

    assert reconcile("inbound", world.context).finished == 0


def test_a_pass_counts_what_it_saw(world: World) -> None:
    store_without_event(world)
    world.now += SETTLED

    assert (reconcile("inbound", world.context).seen, reconcile("reply", world.context).queued) == (1, 0)
