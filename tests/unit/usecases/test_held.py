"""Held mail and the operator's word about it."""

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.errors import NotHeld, RecordChanged
from email_handler.identifiers import ReceiptId
from email_handler.usecases.held import confirm, is_open, release
from tests.support.builders import mail
from tests.support.world import OWNER, THREAD, World

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


def test_released_mail_is_forwarded_once_and_acknowledged_once(world: World) -> None:
    decision = release(HELD, "inbound", world.context)
    again = release(HELD, "inbound", world.context)

    assert sorted(one.recipients for one in world.run()) == [(JANE,), (OWNER,)]
    assert again.conversation == decision.conversation
    record = world.records.message_records[HELD, "inbound"]
    assert (record.outcome, record.conversation, record.source) == (Outcome.DELIVER, decision.conversation, "shop")
    assert (HELD, "operator") in world.records.decisions


def test_held_mail_may_expire_and_released_mail_is_kept(world: World) -> None:
    assert world.archive.expiring == {"raw/inbound/r1"}
    release(HELD, "inbound", world.context)
    assert world.archive.expiring == set()


def test_a_copy_of_released_mail_is_recorded_and_not_forwarded(world: World) -> None:
    release(HELD, "inbound", world.context)
    world.run()
    copy = world.arrive(mail(to="contact+shop@example.com"), to="contact+shop@example.com")

    assert (copy.outcome, world.run()) == (Outcome.RECORD, [])


def test_held_mail_whose_copy_was_delivered_is_released_all_the_same(world: World) -> None:
    world.arrive(mail(to="contact+shop@example.com"), to="contact+shop@example.com")
    world.run()

    assert release(HELD, "inbound", world.context).outcome is Outcome.DELIVER


def test_two_operators_who_release_at_the_same_time_send_one_forward(world: World) -> None:
    world.records.fail("commit", RecordChanged("the other was faster"))
    release(HELD, "inbound", world.context)
    release(HELD, "inbound", world.context)

    assert len(world.run()) == 2
    assert len(world.records.conversations) == 1


def test_released_mail_of_an_unverified_sender_is_not_acknowledged(world: World) -> None:
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


def test_release_can_allow_the_sender_whose_next_mail_passes(world: World) -> None:
    release(HELD, "inbound", world.context, allow=True)
    after = world.arrive(mail(message_id="<m2@customer.example>", text="again"), spam="FAIL")

    assert after.outcome is Outcome.DELIVER


def test_confirmed_mail_stays_held_and_waits_no_longer(world: World) -> None:
    confirm(HELD, "inbound", world.context, block=True)

    record = world.records.message_records[HELD, "inbound"]
    assert (record.outcome, is_open(record)) == (Outcome.HOLD, False)
    assert world.run() == []
    assert world.arrive(mail(message_id="<m2@customer.example>", text="again")).outcome is Outcome.HOLD


def test_what_was_confirmed_is_not_released_after_all(world: World) -> None:
    confirm(HELD, "inbound", world.context)
    decision = release(HELD, "inbound", world.context)

    assert decision.outcome is Outcome.HOLD
    assert world.run() == []


def test_what_is_not_held_is_neither_released_nor_confirmed(world: World) -> None:
    delivered = world.arrive(mail(message_id="<m2@customer.example>", text="again"))
    for word in (release, confirm):
        with pytest.raises(NotHeld):
            word(delivered.receipt, "inbound", world.context)
        with pytest.raises(NotHeld):
            word(ReceiptId("nothing"), "inbound", world.context)


def test_an_answer_of_the_owners_that_was_held_is_not_released(world: World) -> None:
    held = world.arrive(mail(sender=OWNER, to=f"c-0.{'z' * 10}@{THREAD}"), to=f"c-0.{'z' * 10}@{THREAD}")
    with pytest.raises(NotHeld):
        release(held.receipt, "reply", world.context)


def test_released_mail_to_a_thread_address_joins_the_conversation_whose_token_it_bears(world: World) -> None:
    talk = world.arrive(mail(message_id="<m2@customer.example>", text="again"))
    conversation = next(iter(world.records.conversations.values()))
    thread = f"{conversation.id}.{conversation.token}@{THREAD}"
    held = world.arrive(mail(to=thread, subject="More", message_id="<m3@customer.example>"), to=thread, spam="FAIL")

    assert held.outcome is Outcome.HOLD
    assert release(held.receipt, "reply", world.context).conversation == talk.conversation
