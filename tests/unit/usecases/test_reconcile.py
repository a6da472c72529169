"""The passes: stored messages without a decision, unfinished decisions and overdue sends."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import SETUP_OBJECT, feedback_key, feedback_prefix, raw_key, raw_prefix
from email_handler.errors import ArchiveUnavailable, QueueUnavailable, RecordsUnavailable
from email_handler.identifiers import EmailAddress, LedgerId, ReceiptId
from email_handler.usecases import reconcile as reconciling
from email_handler.usecases.feedback import Unrecorded, record_feedback
from email_handler.usecases.inbound import receive
from email_handler.usecases.reconcile import (
    ACKNOWLEDGED_WITHIN,
    DAILY,
    HOURLY,
    OVERDUE,
    PATIENCE,
    QUEUED_AGAIN,
    SETTLED,
    Scope,
    reconcile,
)
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.records import commit, forward, passed_receipt
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


@pytest.mark.parametrize("scope", [HOURLY, DAILY], ids=lambda scope: scope.name)
def test_a_message_without_a_decision_is_taken_up_once_and_acknowledged(world: World, scope: Scope) -> None:
    store_without_event(world)
    world.now += SETTLED
    first, second = (reconcile("inbound", world.context, scope) for _ in range(2))

    assert (first.taken_up, second.taken_up) == (("lost1",), ())
    assert recipients(world.run()) == [("jane@customer.example",), (OWNER,)]
    assert world.records.message_records[ReceiptId("lost1"), "inbound"].verified


def test_a_message_is_not_acknowledged_a_day_later(world: World) -> None:
    store_without_event(world)
    world.now += ACKNOWLEDGED_WITHIN
    reconcile("inbound", world.context)

    assert recipients(world.run()) == [(OWNER,)]


def test_the_hourly_pass_leaves_what_is_older_than_a_day_to_the_daily_one(world: World) -> None:
    store_without_event(world)
    world.now += HOURLY.look_back + timedelta(seconds=1)

    assert reconcile("inbound", world.context, HOURLY).seen == 0
    assert reconcile("inbound", world.context, DAILY).taken_up == ("lost1",)


def test_what_arrives_while_a_pass_takes_it_up_is_decided_once(world: World) -> None:
    """Lambda may still try the event when the pass comes: it is throttled for up to six hours."""
    store_without_event(world)
    world.now += SETTLED
    reconcile("inbound", world.context)
    receive(passed_receipt(id=ReceiptId("lost1")), raw_key("inbound", ReceiptId("lost1")), world.context)

    assert recipients(world.run()) == [("jane@customer.example",), (OWNER,)]


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
    world.now += DAILY.look_back + timedelta(seconds=1)
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
    world.now += ACKNOWLEDGED_WITHIN
    world.records.fail("commit", RecordsUnavailable("lost"), after=True)
    assert reconcile("inbound", world.context).failed == {"lost1": "RecordsUnavailable: lost"}
    world.now += SETTLED + timedelta(seconds=1)
    reconcile("inbound", world.context)

    assert recipients(world.run()) == [(OWNER,)]


@pytest.mark.parametrize(
    ("error", "why"),
    [(RecordsUnavailable("down"), "RecordsUnavailable: down"), (ValueError(OWNER), "ValueError")],
)
def test_a_message_that_fails_does_not_stop_the_others(world: World, error: Exception, why: str) -> None:
    store_without_event(world)
    world.store(mail(**SES_FIELDS, message_id="<second@customer.example>"), receipt="lost2")  # type: ignore[arg-type]
    world.now += ACKNOWLEDGED_WITHIN
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
    assert list(world.records.unpublished(world.now)) == []


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
    world.now += ACKNOWLEDGED_WITHIN
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


def test_a_contacts_message_to_the_thread_address_is_not_acknowledged_a_day_later(world: World) -> None:
    world.ack_daily_cap = 0
    world.arrive(mail())
    world.run()
    world.ack_daily_cap = 200
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    raw = mail(**{**SES_FIELDS, "received": SEVERAL}, to=thread, message_id="<m2@customer.example>")  # type: ignore[arg-type]
    world.store(raw, receipt="lost1", to=thread, function="reply")
    world.now += ACKNOWLEDGED_WITHIN
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
    assert len(list(world.records.unpublished(world.now))) == 1
    assert reconcile("inbound", world.context).finished == 1
    assert list(world.records.unpublished(world.now)) == []


def test_a_decision_of_a_moment_ago_is_left_to_the_ordinary_retries(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail())
    world.now += SETTLED - timedelta(seconds=1)

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


# 100,000 objects


class Counting:
    """Counts the calls of a port's methods."""

    def __init__(self, port: object) -> None:
        self._port = port
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._port, name)


def store_many(world: World, count: int, *, decided: bool = True) -> list[str]:
    """Store *count* messages, and return their keys in order."""
    keys = [raw_key("inbound", ReceiptId(f"m{number:06}")) for number in range(count)]
    world.archive.objects.update(dict.fromkeys(keys, b""))
    world.archive.modified.update(dict.fromkeys(keys, world.now))
    if decided:
        done = replace(commit().decision, done=True)
        world.records.decisions.update({(ReceiptId(key.rpartition("/")[2]), "inbound"): done for key in keys})
    return list(keys)


@pytest.mark.parametrize("scope", [HOURLY, DAILY], ids=lambda scope: scope.name)
def test_a_hundred_thousand_recent_messages_cost_a_call_for_a_thousand_of_them(world: World, scope: Scope) -> None:
    store_many(world, 100_000)
    store_without_event(world)
    world.now += SETTLED
    archive, records = Counting(world.archive), Counting(world.records)
    done = reconcile("inbound", replace(world.context, archive=archive, records=records), scope)

    assert (done.seen, done.taken_up, done.complete) == (100_001, ("lost1",), True)
    assert archive.calls == {"keys": 2, "get": 2}, "the message alone is read: by the pass, and by the use case"
    assert records.calls["undecided"] == 101
    assert records.calls["set_checkpoint"] == 102
    assert sum(records.calls.values()) < 220


def test_a_pass_that_lambda_ends_goes_on_where_it_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = store_many(world, 2500)
    lost = keys[1700]
    del world.records.decisions[ReceiptId("m001700"), "inbound"]
    world.now += SETTLED

    def end(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as context:
        context.setattr(reconciling, "receive", end)
        with pytest.raises(SystemExit):
            reconcile("inbound", world.context)
    after = [key for key, _ in world.archive.keys(raw_prefix("inbound"), lost)]
    second = reconcile("inbound", world.context)
    third = reconcile("inbound", world.context)

    assert second.seen == len(after), "it goes on behind the message that ended the function"
    assert (third.seen, third.taken_up) == (2500, ("m001700",)), "whose turn comes again with the next listing"


def test_a_pass_stops_in_time_and_the_next_goes_on_there(world: World) -> None:
    store_many(world, 2500)
    world.now += SETTLED
    times = count()
    late = replace(world.context, clock=lambda: world.now + next(times) * PATIENCE / 2)
    first, second = (reconcile("inbound", late) for _ in range(2))
    third = reconcile("inbound", world.context)

    assert (first.seen, first.complete) == (2000, False)
    assert (second.seen, second.complete) == (500, True)
    assert third.seen == 2500


def test_an_hourly_pass_lists_so_many_keys_and_the_next_goes_on_there(world: World) -> None:
    store_many(world, 2500)
    world.now += SETTLED
    scope = replace(HOURLY, pages=2)
    passes = [reconcile("inbound", world.context, scope) for _ in range(3)]

    assert [(one.seen, one.complete) for one in passes] == [(2000, False), (500, True), (2000, False)]


def test_an_unfinished_decision_is_left_to_the_step_for_those(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.arrive(mail(), receipt="half")
    world.now += SETTLED + timedelta(seconds=1)
    done = reconcile("inbound", world.context)

    assert (done.finished, done.taken_up) == (1, ())


def test_decisions_and_sends_are_finished_before_the_archive_is_listed(world: World) -> None:
    world.arrive(mail())
    world.jobs.queued.clear()
    world.now += OVERDUE + timedelta(seconds=1)
    world.archive.fail("keys", ArchiveUnavailable("down"))
    with pytest.raises(ArchiveUnavailable):
        reconcile("inbound", world.context)

    assert len(world.run()) == 2


def test_an_old_send_is_queued_again_before_ten_thousand_newer_ones(world: World) -> None:
    for number in range(10_000):
        store_send(world, f"new{number:05}", world.now)
    store_send(world, "old", world.now - timedelta(hours=2))
    world.now += OVERDUE + timedelta(seconds=1)
    store_many(world, 1500)
    done = reconcile("inbound", world.context)

    assert (done.queued, done.complete) == (QUEUED_AGAIN, False)
    assert world.jobs.queued[0].ledger == "old"
    assert world.records.checkpoint(f"daily {raw_prefix('inbound')}") == "", "the archive was listed to its end"


def test_sends_that_are_overdue_again_and_again_keep_no_other_from_its_turn(world: World) -> None:
    for number in range(2 * QUEUED_AGAIN):
        store_send(world, f"s{number:05}", world.now + timedelta(milliseconds=number))
    world.now += OVERDUE + timedelta(minutes=1)
    first, second, third = (reconcile("inbound", world.context) for _ in range(3))

    assert (first.complete, second.complete) == (False, True)
    assert {job.ledger for job in world.jobs.queued} == set(world.records.ledger)
    assert third.queued == QUEUED_AGAIN
    assert world.jobs.queued[-1] == world.jobs.queued[QUEUED_AGAIN - 1], "the third begins again"


@pytest.mark.parametrize("wait", [timedelta(seconds=1), timedelta(days=1)])
def test_a_send_that_waits_for_a_later_time_is_not_queued_again(world: World, wait: timedelta) -> None:
    store_send(world, "blocked", world.now, due=world.now + wait)
    world.now += OVERDUE + timedelta(seconds=1)

    assert reconcile("inbound", world.context).queued == 0


def test_a_pass_stops_in_time_between_overdue_sends_and_the_next_goes_on_there(world: World) -> None:
    for number in range(4):
        store_send(world, f"s{number}", world.now + timedelta(seconds=number))
    world.now += OVERDUE + timedelta(minutes=1)
    times = count()
    late = replace(world.context, clock=lambda: world.now + next(times) * PATIENCE / 3)
    first, second = reconcile("inbound", late), reconcile("inbound", world.context)

    assert (first.queued, second.queued) == (2, 2)
    assert [job.ledger for job in world.jobs.queued] == ["s0", "s1", "s2", "s3"]


def store_send(world: World, name: str, queued_at: datetime, *, due: datetime | None = None) -> None:
    """Store a queued send whose job the queue has lost."""
    item = forward(id=LedgerId(name), queued_at=queued_at, due=due or queued_at)
    world.records.ledger[item.id] = item


# SES's feedback


def bounced(world: World) -> Mapping[str, Any]:
    """Let the acknowledgement of a message leave, and return SES's event that it bounced."""
    world.arrive(mail())
    sent = next(one for one in world.run() if one.recipients == ("jane@customer.example",))
    failed = [{"emailAddress": "jane@customer.example", "status": "5.1.1"}]
    return {
        "eventType": "Bounce",
        "mail": {"messageId": sent.ses_id},
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": failed},
    }


@pytest.mark.parametrize("scope", [HOURLY, DAILY], ids=lambda scope: scope.name)
def test_feedback_whose_send_was_not_recorded_yet_is_taken_up(world: World, scope: Scope) -> None:
    event = bounced(world)
    reference = world.records.references.pop(event["mail"]["messageId"])
    assert record_feedback(event, world.context) is Unrecorded.WAITS
    world.records.references[event["mail"]["messageId"]] = reference
    (kept,) = (key for key in world.archive.objects if key.startswith(feedback_prefix()))
    world.now += SETTLED
    done = reconcile("inbound", world.context, scope)

    assert [feedback_key(receipt) for receipt in done.taken_up] == [kept]
    assert world.records.contacts["jane@customer.example"].unreachable
    assert reconcile("inbound", world.context, scope).taken_up == ()
    assert reconcile("reply", world.context, scope).seen == 0


def test_feedback_about_nothing_that_was_sent_stops_no_other_message(world: World) -> None:
    world.archive.put(feedback_key(ReceiptId("strange")), b"[]", "application/json")
    store_without_event(world)
    world.now += SETTLED
    done = reconcile("inbound", world.context)

    assert (done.taken_up, list(done.failed)) == (("lost1",), ["strange"])
