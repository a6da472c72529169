"""Records as items: every record survives the table, whatever mail put into it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_handler.adapters.dynamodb.items import decode, encode, key_part, read, timestamp, write
from email_handler.conversations.records import (
    Contact,
    Conversation,
    Decision,
    LedgerItem,
    MessageRecord,
    PendingEvent,
    Reference,
)
from tests.support.fakes import NOW
from tests.support.records import JANE, commit, contact, conversation, event, forward, message, reference

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5) | st.floats(-1e9, 1e9, width=32),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(-1e30, 1e30).filter(lambda value: value == 0 or abs(value) > 1e-30))
st.register_type_strategy(int, st.integers(-(10**18), 10**18))
st.register_type_strategy(PendingEvent, st.builds(PendingEvent, detail=st.dictionaries(st.text(max_size=3), JSON)))


@pytest.mark.parametrize(
    "record", [Conversation, MessageRecord, Contact, Reference, LedgerItem, PendingEvent, Decision]
)
@settings(deadline=None, max_examples=50)  # the first example of a record pays for reading its type hints
@given(data=st.data())
def test_every_record_survives_the_table(record: type[Any], data: st.DataObject) -> None:
    value = data.draw(st.builds(record) if record is not PendingEvent else st.from_type(PendingEvent))

    assert read(record, decode(encode(write(value)))) == value


def test_a_record_written_by_hand_survives_the_table() -> None:
    for value in (
        conversation(),
        message(),
        contact(),
        reference(),
        forward(lease_until=NOW),
        event(),
        commit().decision,
    ):
        assert read(type(value), decode(encode(write(value)))) == value


def test_whole_numbers_of_an_event_stay_whole() -> None:
    detail = read(PendingEvent, decode(encode(write(event())))).detail

    assert detail == {"version": 1, "score": 1.5, "ids": ["a", "b"], "contact": {"verified": True, "name": None}}
    assert type(detail["version"]) is int
    assert detail["contact"]["verified"] is True


def test_a_time_of_any_zone_comes_back_as_the_same_moment() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))

    assert read(Contact, write(contact(first_at=tokyo))) == contact()


def test_what_is_not_unicode_is_stored_as_a_question_mark() -> None:
    stored = decode(encode(write(message(subject="caf\udce9"))))

    assert read(MessageRecord, stored) == message(subject="caf?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A contact as code to come may keep it."""

    address: str
    mood: str = "cheerful"
    friends: tuple[str, ...] = ()


def test_older_and_newer_code_read_each_others_items() -> None:
    newer = Newer(address=JANE, mood="grumpy", friends=("john",))

    assert read(Newer, write(contact())) == Newer(address=JANE)
    assert read(Contact, write(contact()) | write(newer)) == contact()


def test_an_item_without_what_every_record_needs_is_not_made_up() -> None:
    with pytest.raises(TypeError, match="address"):
        read(Contact, {"name": "Jane"})


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (one < other) == (timestamp(one) < timestamp(other))


@given(st.text(st.characters(codec=None), max_size=2000), st.text(st.characters(codec=None), max_size=2000))
def test_parts_of_keys_are_bounded_and_tell_texts_apart(one: str, other: str) -> None:
    parts = key_part(one), key_part(other)

    assert all(len(part.encode()) <= 512 for part in parts)
    assert (parts[0] == parts[1]) == (one == other)


def test_overlong_parts_of_keys_differ_where_only_their_ends_do() -> None:
    assert key_part("x" * 4000 + "1") != key_part("x" * 4000 + "2")
    assert key_part("x" * 4000).startswith("x" * 64)
    assert key_part("\udce9") != key_part("\\udce9") != key_part("?")
