"""Messages that name ids never seen: parents that come late and siblings of those that never come join them."""

import random
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.awaited import AWAITED_FOR
from email_handler.identifiers import ConversationId
from tests.support.builders import mail
from tests.support.mail_threads import place, written_threads
from tests.support.world import World

MALLORY = "Mallory <mallory@evil.example>"
UNVERIFIED = {"spf": "GRAY", "dkim": "GRAY", "dmarc": "GRAY"}


@pytest.fixture
def world() -> World:
    return World()


def arrive(world: World, id_: str, subject: str, *named: str, sender: str = "", **changes: str) -> str:
    """Let a message arrive that names ids in References and return its conversation."""
    fields: dict[str, Any] = {"references": " ".join(f"<{one}@customer.example>" for one in named)} if named else {}
    raw = mail(
        sender=sender or "Jane Doe <jane@customer.example>",
        subject=subject,
        message_id=f"<{id_}@customer.example>",
        text=f"This is {id_}.",
        **fields,
    )
    return world.arrive(raw, **changes).conversation


def test_a_sibling_of_a_missing_parent_joins(world: World) -> None:
    first = arrive(world, "s1", "The north path", "missing")

    assert arrive(world, "s2", "The south path", "missing") == first


def test_a_parent_that_comes_late_joins_and_later_messages_find_it(world: World) -> None:
    child = arrive(world, "child", "A detail", "parent")

    assert arrive(world, "parent", "The whole plan") == child
    assert world.records.references["parent"].conversation == child
    assert arrive(world, "other", "Something else", "parent") == child


def test_what_a_late_parent_names_is_awaited_too(world: World) -> None:
    first = arrive(world, "c", "A detail of a detail", "b")
    arrive(world, "b", "A detail", "a")

    assert arrive(world, "a", "The whole plan") == first


def test_an_unseen_id_leads_nobody_else_into_the_conversation(world: World) -> None:
    first = arrive(world, "s1", "The north path", "missing")

    assert arrive(world, "s2", "The south path", "missing", sender=MALLORY) != first
    assert arrive(world, "missing", "The map", sender=MALLORY) != first


def test_an_unverified_message_neither_joins_by_an_awaited_id_nor_makes_one_awaited(world: World) -> None:
    first = arrive(world, "s1", "The north path", "missing")

    assert arrive(world, "forged", "The south path", "missing", **UNVERIFIED) != first
    arrive(world, "forged too", "The bridge", "guessed", **UNVERIFIED)
    assert arrive(world, "guessed", "A message of Jane's own") not in {first, ""}
    assert len(world.records.conversations) == 4


def test_two_contacts_who_name_the_same_unseen_id_have_a_conversation_each(world: World) -> None:
    janes = arrive(world, "s1", "The north path", "missing")
    kims = arrive(world, "s2", "The south path", "missing", sender="kim@customer.example")

    assert janes != kims
    assert arrive(world, "s3", "The bridge", "missing", sender="kim@customer.example") == kims
    assert arrive(world, "missing", "The map") == janes
    assert world.records.references["missing"].conversation == janes


def test_messages_below_somebody_elses_message_share_a_conversation_of_their_own(world: World) -> None:
    kims = arrive(world, "kim1", "The map", sender="kim@customer.example")
    janes = arrive(world, "s1", "The north path", "kim1")

    assert janes != kims
    assert arrive(world, "s2", "The south path", "kim1") == janes
    assert world.records.references["kim1"].conversation == kims


def test_an_awaited_id_does_not_keep_its_owners_message_from_being_found(world: World) -> None:
    arrive(world, "forged", "Guessing", "janes", sender=MALLORY)
    janes = arrive(world, "janes", "A question")

    assert arrive(world, "again", "Another subject", "janes") == janes


def test_a_known_id_counts_before_an_awaited_one(world: World) -> None:
    known = arrive(world, "known", "The roof")
    awaited = arrive(world, "s1", "The cellar", "missing")

    assert awaited != known
    assert arrive(world, "s2", "Both of them", "known", "missing") == known


def test_an_id_that_was_named_long_ago_is_forgotten(world: World) -> None:
    first = arrive(world, "s1", "The north path", "missing")
    world.now += AWAITED_FOR + timedelta(seconds=1)

    assert arrive(world, "s2", "The south path", "missing") != first


def test_our_own_root_and_ids_take_no_room_in_the_contacts_record(world: World) -> None:
    first = arrive(world, "q", "A question")
    sent = next(one for one in world.run() if one.recipients == ("jane@customer.example",))
    names = f"<{first}.c@example.com> <q@customer.example> <{sent.ses_id}@email.amazonses.com>"
    joined = world.arrive(mail(subject="Thanks", message_id="<t@customer.example>", text="Thanks", references=names))

    assert joined.conversation == first
    assert [contact.awaited for contact in world.records.contacts.values()] == [()]


def test_a_conversation_that_is_gone_awaits_nothing(world: World) -> None:
    first = arrive(world, "s1", "The north path", "missing")
    del world.records.conversations[ConversationId(first)]

    assert arrive(world, "s2", "The south path", "missing") != first


def test_written_threads_stay_whole_by_date() -> None:
    messages = written_threads()
    before, after = place(messages, remembering=False), place(messages)

    assert len({message.thread for message in messages}) == 24
    assert (len(before.torn), len(after.torn)) == (6, 0)
    assert set(after.merged) <= set(before.merged)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_written_threads_stay_whole_in_any_order(seed: int) -> None:
    messages = written_threads()
    shuffled = random.Random(seed).sample(messages, len(messages))
    before, after = place(shuffled, remembering=False), place(shuffled)

    assert len(before.torn) > 10
    assert len(after.torn) <= 1
    assert set(after.merged) <= set(before.merged)
