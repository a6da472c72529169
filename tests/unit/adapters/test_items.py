"""Records as items: every record is read back as it was written, whatever a message put into it."""

from dataclasses import dataclass, replace
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
def test_every_record_is_read_back_as_it_was_written(record: type[Any], data: st.DataObject) -> None:
    value = data.draw(st.builds(record) if record is not PendingEvent else st.from_type(PendingEvent))

    assert read(record, decode(encode(write(value)))) == value


def test_a_typical_record_is_read_back_as_it_was_written() -> None:
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


def test_what_is_empty_by_default_is_not_kept_and_a_number_is() -> None:
    kept = write(forward(attempt=0, reason="", copies=()))

    assert not {"reason", "copies", "discarded", "lease_until"} & kept.keys()
    assert (kept["attempt"], kept["lost"]) == (0, 0), "writes add to them"
    assert write(forward(reason="down", discarded=True))["discarded"] is True


def test_integers_in_an_event_stay_integers() -> None:
    detail = read(PendingEvent, decode(encode(write(event())))).detail

    assert detail == {"version": 1, "score": 1.5, "ids": ["a", "b"], "contact": {"verified": True, "name": None}}
    assert type(detail["version"]) is int
    assert detail["contact"]["verified"] is True


def test_a_time_in_any_zone_is_read_back_as_the_same_moment() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))

    assert read(Contact, write(contact(first_at=tokyo))) == contact()


def test_a_character_that_is_not_unicode_is_stored_as_a_question_mark() -> None:
    stored = decode(encode(write(message(subject="caf\udce9"))))

    assert read(MessageRecord, stored) == message(subject="caf?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A contact as a later version of the code may store it."""

    address: str
    mood: str = "cheerful"
    friends: tuple[str, ...] = ()


def test_older_and_newer_code_read_each_others_items() -> None:
    newer = Newer(address=JANE, mood="grumpy", friends=("john",))

    assert read(Newer, write(contact())) == Newer(address=JANE)
    assert read(Contact, write(contact()) | write(newer)) == contact()


@pytest.mark.parametrize("before", [True, False])
def test_a_send_of_the_last_release_is_read_with_what_it_says_of_lost_responses(before: bool) -> None:
    attributes = write(forward())
    del attributes["lost"]
    old = read(LedgerItem, attributes | {"possible_duplicate": before})

    assert (old.lost, old.refusals, old.possible_duplicate) == (int(before), None, before)
    assert read(LedgerItem, write(replace(old, lost=2)) | {"possible_duplicate": before}).lost == 2


def test_an_item_without_a_required_field_raises() -> None:
    with pytest.raises(TypeError, match="address"):
        read(Contact, {"name": "Jane"})


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (one < other) == (timestamp(one) < timestamp(other))


@given(st.text(st.characters(codec=None), max_size=2000), st.text(st.characters(codec=None), max_size=2000))
def test_key_parts_are_bounded_and_differ_for_different_texts(one: str, other: str) -> None:
    parts = key_part(one), key_part(other)

    assert all(len(part.encode()) <= 512 for part in parts)
    assert (parts[0] == parts[1]) == (one == other)


def test_long_key_parts_differ_if_only_the_ends_of_the_texts_do() -> None:
    assert key_part("x" * 4000 + "1") != key_part("x" * 4000 + "2")
    assert key_part("x" * 4000).startswith("x" * 64)
    assert key_part("\udce9") != key_part("\\udce9") != key_part("?")
