"""Held messages, and how the operator releases or confirms them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.held import is_open
from email_handler.errors import ArchiveObjectMissing, ArchiveUnavailable, NotHeld, RecordChanged, RecordsUnavailable
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.usecases import reply
from email_handler.usecases.decision import finish
from email_handler.usecases.held import confirm, release
from tests.support.builders import entity, mail, multipart
from tests.support.world import OWNER, PUBLIC, THREAD, World

JANE = "jane@customer.example"
HELD = ReceiptId("r1")


@pytest.fixture
def world() -> World:
    world = World()
    decision = world.arrive(
        mail(to="contact+shop@example.com"), receipt=HELD, to="contact+shop@example.com", spam="FAIL"
    )
    assert decision.outcome is Outcome.HOLD
    assert world.run() == []
    return world


def conversation_with(world: World, contact: str) -> str:
    """Let *contact* start the first conversation, and return its thread address."""
    world.arrive(mail(sender=contact, message_id="<other@customer.example>"))
    world.run()
    (conversation,) = world.records.conversations.values()
    return f"{conversation.id}.{conversation.token}@{THREAD}"


def test_a_released_message_is_forwarded_once_and_acknowledged_once(world: World) -> None:
    arrived = world.now
    world.now += timedelta(days=1)
    decision = release(HELD, "inbound", world.context)
    again = release(HELD, "inbound", world.context)

    assert sorted(one.recipients for one in world.run()) == [(JANE,), (OWNER,)]
    assert again.conversation == decision.conversation
    record = world.records.message_records[HELD, "inbound"]
    assert (record.outcome, record.conversation, record.source) == (Outcome.DELIVER, decision.conversation, "shop")
    assert (record.at, is_open(record)) == (arrived, False)
    assert (HELD, "operator") in world.records.decisions


def test_a_held_message_may_expire_and_a_released_one_is_kept(world: World) -> None:
    assert world.archive.expiring == {"raw/inbound/r1"}
    release(HELD, "inbound", world.context)
    assert world.archive.expiring == set()


def test_a_copy_of_a_released_message_is_recorded_and_not_forwarded(world: World) -> None:
    release(HELD, "inbound", world.context)
    world.run()
    copy = world.arrive(mail(to="contact+shop@example.com"), to="contact+shop@example.com")

    assert (copy.outcome, world.run()) == (Outcome.RECORD, [])


def test_a_held_message_can_be_released_although_a_copy_was_delivered(world: World) -> None:
    world.arrive(mail(to="contact+shop@example.com"), to="contact+shop@example.com")
    world.run()

    assert release(HELD, "inbound", world.context).outcome is Outcome.DELIVER


def test_two_operators_who_release_at_the_same_time_send_one_forward(world: World) -> None:
    world.records.fail("commit", RecordChanged("the other was faster"))
    release(HELD, "inbound", world.context)
    release(HELD, "inbound", world.context)

    assert len(world.run()) == 2
    assert len(world.records.conversations) == 1


def test_a_released_message_from_an_unverified_sender_is_not_acknowledged(world: World) -> None:
    unverified = {"spam": "FAIL", "dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"}
    other = world.arrive(mail(sender="kim@x.example", message_id="<k@x.example>"), **unverified)
    release(other.receipt, "inbound", world.context)

    assert [one.recipients for one in world.run()] == [(OWNER,)]
    with pytest.raises(NotHeld):
        release(other.receipt, "inbound", world.context, allow=True)


def test_a_contact_who_was_acknowledged_meanwhile_is_not_acknowledged_again(world: World) -> None:
    world.arrive(mail(message_id="<m2@customer.example>", text="again"))
    world.run()
    release(HELD, "inbound", world.context)

    assert [one.recipients for one in world.run()] == [(OWNER,)]


def test_release_can_allow_the_sender_and_their_next_message_is_delivered(world: World) -> None:
    release(HELD, "inbound", world.context, allow=True)
    after = world.arrive(mail(message_id="<m2@customer.example>", text="again"), spam="FAIL")

    assert after.outcome is Outcome.DELIVER


def test_a_confirmed_message_stays_held_and_is_no_longer_open(world: World) -> None:
    confirm(HELD, "inbound", world.context, block=True)

    record = world.records.message_records[HELD, "inbound"]
    assert (record.outcome, is_open(record)) == (Outcome.HOLD, False)
    assert world.run() == []
    assert world.arrive(mail(message_id="<m2@customer.example>", text="again")).outcome is Outcome.HOLD


def test_a_confirmed_message_cannot_be_released(world: World) -> None:
    confirm(HELD, "inbound", world.context)
    decision = release(HELD, "inbound", world.context)

    assert decision.outcome is Outcome.HOLD
    assert world.run() == []
    assert world.records.lists == {}


def test_a_message_that_is_not_held_can_be_neither_released_nor_confirmed(world: World) -> None:
    delivered = world.arrive(mail(message_id="<m2@customer.example>", text="again"))
    for operation in (release, confirm):
        with pytest.raises(NotHeld):
            operation(delivered.receipt, "inbound", world.context)
        with pytest.raises(NotHeld):
            operation(ReceiptId("nothing"), "inbound", world.context)


def test_a_held_reply_of_the_owner_cannot_be_released(world: World) -> None:
    held = world.arrive(mail(sender=OWNER, to=f"c-0.{'z' * 10}@{THREAD}"), to=f"c-0.{'z' * 10}@{THREAD}")
    with pytest.raises(NotHeld):
        release(held.receipt, "reply", world.context)
    confirm(held.receipt, "reply", world.context)
    with pytest.raises(NotHeld):
        release(held.receipt, "reply", world.context)


def test_a_held_reply_from_a_mailbox_that_only_the_conversation_names_cannot_be_released(world: World) -> None:
    """Its route is gone since."""
    thread = conversation_with(world, "kim@x.example")
    former = EmailAddress("former@private.example")
    known = next(iter(world.records.conversations.values()))
    world.records.conversations[known.id] = replace(known, mailboxes=(former,))
    held = world.arrive(mail(sender=former, to=thread), to=thread, dmarc="GRAY", spf="GRAY", dkim="GRAY")
    for _ in range(2):
        with pytest.raises(NotHeld):
            release(held.receipt, "reply", world.context)
        confirm(held.receipt, "reply", world.context)


def test_an_owners_message_to_a_public_address_can_be_released(world: World) -> None:
    held = world.arrive(mail(sender=OWNER), spam="FAIL")

    assert held.outcome is Outcome.HOLD
    assert release(held.receipt, "inbound", world.context).outcome is Outcome.DELIVER


def test_a_released_delivery_report_counts_as_a_message_of_its_sender(world: World) -> None:
    status = entity([("Content-Type", "message/delivery-status")], b"Final-Recipient: rfc822; kim@x.example\r\n")
    raw = multipart("report", status, headers=[("From", "mallory@evil.example"), ("To", PUBLIC)])
    release(world.arrive(raw, spam="FAIL").receipt, "inbound", world.context)

    assert world.records.contacts["mallory@evil.example"].messages == 1


def test_a_released_message_to_a_thread_address_joins_the_conversation_of_its_token(world: World) -> None:
    delivered = world.arrive(mail(message_id="<m2@customer.example>", text="again"))
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    held = world.arrive(mail(to=thread, subject="More", message_id="<m3@customer.example>"), to=thread, spam="FAIL")

    assert held.outcome is Outcome.HOLD
    assert release(held.receipt, "reply", world.context).conversation == delivered.conversation


def test_a_released_blind_copy_to_a_thread_address_joins_the_conversation_of_its_token(world: World) -> None:
    thread = conversation_with(world, "kim@x.example")
    blind = mail(received=f"from x by inbound-smtp.us-east-1.amazonaws.com with SMTP id x for {thread}; now")
    held = world.arrive(blind, to=thread)

    assert held.outcome is Outcome.HOLD
    assert release(held.receipt, "reply", world.context).conversation in world.records.conversations
    assert len(world.records.conversations) == 1


def test_a_strangers_message_to_a_thread_address_can_be_released(world: World) -> None:
    thread = conversation_with(world, JANE)
    stranger = mail(sender="Kim <kim@other.example>", to=thread, message_id="<k@other.example>", text="P.S. from Kim")
    held = world.arrive(stranger, to=thread)
    world.run()
    decision = release(held.receipt, "reply", world.context)
    forward = next(one for one in world.run() if one.recipients == (OWNER,))

    assert (held.outcome, thread.partition(".")[0]) == (Outcome.HOLD, decision.conversation)
    assert b"P.S. from Kim" in forward.raw


def test_an_owners_message_that_could_not_be_read_cannot_be_released(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = conversation_with(world, JANE)

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reply, "compose_reply", fails)
    held = world.arrive(mail(sender=OWNER, to=thread, message_id="<o@private.example>"), to=thread)

    assert held.outcome is Outcome.HOLD
    with pytest.raises(NotHeld):
        release(held.receipt, "reply", world.context)


def test_a_late_finish_of_a_hold_lets_no_released_message_expire(world: World) -> None:
    world.archive.fail("let_expire", ArchiveUnavailable("down"))
    with pytest.raises(ArchiveUnavailable):
        world.arrive(mail(message_id="<late@customer.example>"), receipt="late", spam="FAIL")
    release(ReceiptId("late"), "inbound", world.context)
    finish(world.records.decisions[ReceiptId("late"), "inbound"], world.context)

    assert "raw/inbound/late" not in world.archive.expiring


def test_a_late_finish_of_a_hold_lets_a_confirmed_message_expire(world: World) -> None:
    world.archive.fail("let_expire", ArchiveUnavailable("down"))
    with pytest.raises(ArchiveUnavailable):
        world.arrive(mail(message_id="<late@customer.example>"), receipt="late", spam="FAIL")
    confirm(ReceiptId("late"), "inbound", world.context)
    finish(world.records.decisions[ReceiptId("late"), "inbound"], world.context)

    assert "raw/inbound/late" in world.archive.expiring


def test_blocking_after_a_release_changes_no_list(world: World) -> None:
    release(HELD, "inbound", world.context)
    decision = confirm(HELD, "inbound", world.context, block=True)

    assert decision.outcome is Outcome.DELIVER
    assert world.records.lists == {}


def test_allowing_after_a_confirmation_changes_no_list(world: World) -> None:
    confirm(HELD, "inbound", world.context)
    release(HELD, "inbound", world.context, allow=True)

    assert world.records.lists == {}


def test_a_release_that_allows_changes_no_list_without_the_stored_message(world: World) -> None:
    del world.archive.objects["raw/inbound/r1"]
    with pytest.raises(ArchiveObjectMissing):
        release(HELD, "inbound", world.context, allow=True)

    assert world.records.lists == {}
    assert (HELD, "operator") not in world.records.decisions


@pytest.mark.parametrize("after", [False, True])
def test_a_decision_and_its_list_entry_are_both_stored_or_neither(world: World, after: bool) -> None:
    world.records.fail("commit", RecordsUnavailable("down"), after=after)
    with pytest.raises(RecordsUnavailable):
        confirm(HELD, "inbound", world.context, block=True)

    assert bool(world.records.lists) is after
    assert ((HELD, "operator") in world.records.decisions) is after


def test_an_address_of_linkedins_goes_on_no_list_since_many_people_write_from_it(world: World) -> None:
    sender = "Jane Roe <hit-reply@linkedin.com>"
    other = world.arrive(mail(message_id="<m2@linkedin.com>", sender=sender), spam="FAIL")
    with pytest.raises(NotHeld, match="LinkedIn"):
        confirm(other.receipt, "inbound", world.context, block=True)
    with pytest.raises(NotHeld, match="LinkedIn"):
        release(other.receipt, "inbound", world.context, allow=True)

    assert world.records.lists == {}


def test_who_was_released_or_confirmed_before_can_still_be_listed_in_the_same_way(world: World) -> None:
    other = world.arrive(mail(message_id="<m2@customer.example>", sender="kim@x.example"), spam="FAIL")
    for allow in (False, True):
        release(HELD, "inbound", world.context, allow=allow)
        confirm(other.receipt, "inbound", world.context, block=allow)

    assert world.records.lists == {JANE: "allow", "kim@x.example": "block"}
