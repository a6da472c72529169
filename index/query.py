"""The query language of the search: what a person types, as a value. Pure.

All of a query must hold. Words occur anywhere in a message: names, addresses, subject, text, files and their text.

============================== =========================================================================
``garden shed``                both words, in any order, case and accents aside
``"garden shed"``              these words in this order
``gard*``                      words that begin so
``-shed`` ``-is:closed``       not that
``from:jane`` ``to:`` ``subject:`` ``file:``  the word (or quoted words) there
``has:attachment``             a message with files
``is:waiting``                 of a conversation of this status, or a message of this outcome (STATES)
``before:2026-11-20``          earlier than that day; ``after:`` that day and later; ``on:`` that day, month or year
============================== =========================================================================
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Status
from index.texts import has_words, plain_letters, prepare

LONGEST = 1000
"""Characters of a query: longer ones are no questions of a person's."""

COLUMNS = {"from": "sender", "to": "recipient", "subject": "subject", "file": "files"}
"""Operators that ask for words in one column of the index."""

OUTCOMES = {
    "delivered": Outcome.DELIVER,
    "flagged": Outcome.FLAG,
    "held": Outcome.HOLD,
    "dropped": Outcome.DROP,
    "recorded": Outcome.RECORD,
    "reply": Outcome.RELAY,
}
"""What ``is:`` knows of messages; of their conversations it knows each Status."""

STATES = (*(status.value for status in Status), *OUTCOMES)
"""Everything that ``is:`` knows."""

_ASKED = re.compile(
    r'(?P<minus>-?)(?:(?P<operator>[a-z]+):)?(?:"(?P<quoted>[^"]*)"?(?P<star>\*?)|(?P<bare>[^\s"]*))', re.IGNORECASE
)
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)


class QueryError(ValueError):
    """The query cannot be asked. The text is one sentence for the person who typed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Words that must occur next to each other."""

    text: str
    column: str = ""  # of the index; "" is any
    prefix: bool = False  # the last word may go on
    excluded: bool = False

    @property
    def match(self) -> str:
        """Return the term in FTS5's syntax: always quoted, so that nothing in it is syntax."""
        spellings = dict.fromkeys((self.text, plain_letters(self.text)))
        quoted = ('"{}"'.format(text.replace('"', '""')) + "*" * self.prefix for text in spellings)
        anywhere = f"({' OR '.join(quoted)})"
        return f"{self.column} : {anywhere}" if self.column else anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a message, or its conversation, must be."""

    name: str  # of STATES
    excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When a message must have come: from *since* on, before *until*."""

    since: datetime | None = None
    until: datetime | None = None
    excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """That a message must have files."""

    excluded: bool = False


type Condition = Term | State | Span | Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked for: all *conditions* hold."""

    conditions: tuple[Condition, ...]


def parse_query(text: str, zone: tzinfo | None, *, unfinished: bool = False) -> Query:
    """Return what *text* asks for. Days are those of *zone* (None: this machine's). If the text is *unfinished*, still being
    typed, its last word may go on.

    An unknown ``word:`` is text like any other (``Re:``, ``https:``), and punctuation asks for nothing. Raises QueryError.
    """
    if len(text) > LONGEST:
        raise QueryError(f"A query has up to {LONGEST:,} characters.")
    asked = [_condition(part, zone, goes_on=unfinished and part.end() == len(text)) for part in _ASKED.finditer(text)]
    conditions = tuple(condition for condition in asked if condition)
    if not conditions:
        raise QueryError("There is no word to search for.")
    return Query(conditions=conditions)


def _condition(part: re.Match[str], zone: tzinfo | None, *, goes_on: bool) -> Condition | None:
    """Return what one *part* of a query asks for, None for punctuation. Raises QueryError."""
    operator, excluded = (part["operator"] or "").lower(), bool(part["minus"])
    value = part["bare"] if part["quoted"] is None else part["quoted"]
    if operator in ("has", "is", "before", "after", "on") and value:
        return _filter(operator, value.lower(), zone, excluded=excluded)
    words = prepare(value if not operator or operator in COLUMNS else f"{part['operator']}:{value}")
    if not has_words(words):
        return None
    return Term(
        text=words,
        column=COLUMNS.get(operator, ""),
        prefix=bool(part["star"]) or (part["quoted"] is None and (value.endswith("*") or goes_on)),
        excluded=excluded,
    )


def _filter(operator: str, value: str, zone: tzinfo | None, *, excluded: bool) -> Condition:
    if operator == "has":
        if value.rstrip("s") not in ("attachment", "file"):
            raise QueryError(f"has:{value} is not known; has:attachment is.")
        return Files(excluded=excluded)
    if operator == "is":
        if value not in STATES:
            raise QueryError(f"is:{value} is not known; these are: {', '.join(STATES)}.")
        return State(name=value, excluded=excluded)
    first, end = _days(operator, value, zone)
    return Span(
        since=None if operator == "before" else first,
        until={"before": first, "after": None, "on": end}[operator],
        excluded=excluded,
    )


def _days(operator: str, value: str, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """Return when the day, month or year *value* begins in *zone*, and when the next one does. Raises QueryError."""
    found = _DATE.fullmatch(value)
    year, month, day = (int(number or 0) for number in found.groups()) if found else (0, 0, 0)
    try:
        first = date(year, month or 1, day or 1)
        if day:
            following = first + timedelta(days=1)
        else:
            following = date(year + month // 12, month % 12 + 1, 1) if month else date(year + 1, 1, 1)
        return _midnight(first, zone), _midnight(following, zone)
    except (ValueError, OverflowError) as error:
        raise QueryError(
            f"{operator}:{value} is no day; write it as in {operator}:2026-11-20, or 2026-11, or 2026."
        ) from error


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
