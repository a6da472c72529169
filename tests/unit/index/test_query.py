"""The query language."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.query import LONGEST, Files, QueryError, Span, State, Term, parse_query


def conditions(text: str, **options: Any) -> tuple[object, ...]:
    return parse_query(text, UTC, **options).conditions


def day(*date: int) -> datetime:
    return datetime(*date, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("garden shed", [Term(text="garden"), Term(text="shed")]),
        ('"garden shed"', [Term(text="garden shed")]),
        ('"garden shed', [Term(text="garden shed")]),
        ('say"garden shed"now', [Term(text="say"), Term(text="garden shed"), Term(text="now")]),
        ("gard*", [Term(text="gard*", prefix=True)]),
        ('"garden sh"*', [Term(text="garden sh", prefix=True)]),
        ("-shed", [Term(text="shed", excluded=True)]),
        ('-"garden shed"', [Term(text="garden shed", excluded=True)]),
        ("well-known", [Term(text="well-known")]),
        ("from:jane To:john", [Term(text="jane", column="sender"), Term(text="john", column="recipient")]),
        ('subject:"garden shed"', [Term(text="garden shed", column="subject")]),
        ("-file:plan*", [Term(text="plan*", column="files", prefix=True, excluded=True)]),
        ("Re: https://shop.example", [Term(text="Re:"), Term(text="https://shop.example")]),
        ("AND OR NOT NEAR", [Term(text=word) for word in ("AND", "OR", "NOT", "NEAR")]),
        ("has:attachment -has:files", [Files(), Files(excluded=True)]),
        ("is:waiting -IS:Held", [State(name="waiting"), State(name="held", excluded=True)]),
        ("from: jane", [Term(text="jane")]),
        ("shed , . - ( )", [Term(text="shed")]),
    ],
)
def test_a_query_is_words_and_what_else_must_hold(text: str, expected: list[object]) -> None:
    assert list(conditions(text)) == expected


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("on:2026-11-20", day(2026, 11, 20), day(2026, 11, 21)),
        ("on:2026-12", day(2026, 12, 1), day(2027, 1, 1)),
        ("on:2026", day(2026, 1, 1), day(2027, 1, 1)),
        ("after:2026-11-20", day(2026, 11, 20), None),
        ("before:2026-11", None, day(2026, 11, 1)),
    ],
)
def test_dates_are_days_months_and_years(text: str, since: datetime | None, until: datetime | None) -> None:
    assert conditions(text) == (Span(since=since, until=until),)


def test_a_day_is_that_of_the_readers_zone() -> None:
    query = parse_query("on:2026-11-20", timezone(timedelta(hours=2)))

    (span,) = query.conditions
    assert span == Span(since=datetime(2026, 11, 19, 22, tzinfo=UTC), until=datetime(2026, 11, 20, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no word"),
        ("- , *", "no word"),
        ("is:urgent", "waiting"),
        ("has:legs", "has:attachment"),
        ("on:tomorrow", "2026-11-20"),
        ("on:2026-02-30", "no day"),
        ("before:0", "no day"),
        ("on:9999", "no day"),
        ("x" * (LONGEST + 1), "1,000"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        parse_query(text, UTC)


def test_the_last_word_of_an_unfinished_query_may_go_on() -> None:
    assert conditions("garden sh", unfinished=True) == (Term(text="garden"), Term(text="sh", prefix=True))
    assert conditions("garden shed ", unfinished=True) == (Term(text="garden"), Term(text="shed"))
    assert conditions("garden s", unfinished=True) == (Term(text="garden"), Term(text="s", prefix=True))
    assert conditions('"garden sh', unfinished=True) == (Term(text="garden sh"),)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(['"', "-", "*", ":", "is:", "on:", "a", " ", "(", "\x00"])).map("".join)
)
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = parse_query(text, UTC)
    except QueryError:
        return
    assert query.conditions
