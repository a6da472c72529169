"""Ids that a contact's messages name and that no message had yet."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from email_handler.adapters.dynamodb.items import encode, write
from email_handler.conversations.awaited import (
    AWAITED_FOR,
    MAX_AWAITED,
    MAX_NAMED,
    awaiting,
    conversations_awaiting,
)
from email_handler.conversations.records import Contact
from email_handler.identifiers import ConversationId
from tests.support.fakes import NOW
from tests.support.records import contact

ONE, TWO = ConversationId("c-00000001"), ConversationId("c-00000002")


def after(before: Contact, *named: str, conversation: ConversationId = ONE, **given_: object) -> Contact:
    fields: dict[str, object] = {"known": (), "arrived": "own", "now": NOW, **given_}
    return awaiting(before, conversation, named=named, **fields)  # type: ignore[arg-type]  # a test's keywords


def test_what_is_named_leads_to_the_conversation_and_nothing_else_does() -> None:
    known = after(contact(), "parent")

    assert conversations_awaiting(known, ["unknown", "parent"], NOW) == (ONE,)
    assert conversations_awaiting(known, ["unknown", ""], NOW) == ()
    assert conversations_awaiting(None, ["parent"], NOW) == ()


def test_conversations_are_found_once_each_in_the_order_of_the_ids() -> None:
    known = after(after(contact(), "a", "b"), "c", conversation=TWO)

    assert conversations_awaiting(known, ["c", "a", "b"], NOW) == (TWO, ONE)


def test_an_id_stays_with_the_conversation_that_awaited_it_first() -> None:
    known = after(after(contact(), "parent"), "parent", conversation=TWO)

    assert conversations_awaiting(known, ["parent"], NOW) == (ONE,)
    assert len(known.awaited) == 1


def test_what_has_arrived_or_is_known_is_not_awaited() -> None:
    known = after(after(contact(), "parent"), "older", "ours", known={"ours"}, arrived="parent")

    assert conversations_awaiting(known, ["parent", "ours"], NOW) == ()
    assert conversations_awaiting(known, ["older"], NOW) == (ONE,)


def test_an_id_is_awaited_for_90_days_and_then_removed() -> None:
    known = after(contact(), "parent")
    later = NOW + AWAITED_FOR

    assert conversations_awaiting(known, ["parent"], later) == (ONE,)
    assert conversations_awaiting(known, ["parent"], later + timedelta(seconds=1)) == ()
    assert after(known, now=later + timedelta(seconds=1)).awaited == ()
    assert after(known, "parent", conversation=TWO, now=later + timedelta(seconds=1)).awaited[0][1] == TWO


def test_of_many_ids_the_nearest_and_the_oldest_are_kept() -> None:
    named = [f"m{number}" for number in range(MAX_NAMED + 3)]
    known = after(contact(), *named)
    kept = [one for one in named if conversations_awaiting(known, [one], NOW)]

    assert kept == [*named[: MAX_NAMED // 2], *named[-(MAX_NAMED // 2) :]]


def test_of_a_contacts_ids_the_latest_are_kept() -> None:
    known = contact()
    for number in range(MAX_AWAITED + 1):
        known = after(known, f"m{number}")

    assert len(known.awaited) == MAX_AWAITED
    assert conversations_awaiting(known, ["m0"], NOW) == ()
    assert conversations_awaiting(known, ["m1"], NOW) == (ONE,)


@given(st.lists(st.text(max_size=500), max_size=80))
def test_whatever_is_named_the_record_stays_small(named: list[str]) -> None:
    known = contact()
    for number in range(0, len(named), 3):
        known = after(known, *named[number : number + 3], conversation=ConversationId("linkedin-" + "j" * 40))
    encode(write(known))

    assert len(str(write(known.awaited)).encode()) <= MAX_AWAITED * 130
    assert all(len(digest) == 16 for digest, *_ in known.awaited)
