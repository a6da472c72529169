"""Finding messages in the index's file: a query as SQL, and what is shown of each hit."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from email_handler.adapters.dynamodb.items import timestamp
from email_handler.conversations.records import Conversation, MessageRecord
from index.entries import conversation_from, message_from
from index.file import COLUMNS
from index.query import OUTCOMES, Condition, Files, Query, Span, State, Term
from index.texts import readable

type Order = Literal["newest", "best"]
"""The newest first, or those in which the words say most."""

_SNIPPET_WORDS = 24
_BEGIN, _END = "\x02", "\x03"  # around a hit; no prepared text holds control characters
_TEXTS = tuple(COLUMNS.index(name) for name in ("new", "quoted", "contents"))
_WEIGHTS = (4, 2, 8, 2, 4, 3, 1, 1)  # of COLUMNS in the order "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a snippet. Plain text of a stranger's: escape it."""

    text: str
    marked: bool  # it is what was searched for


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One message found. The records' tokens are "": the index has none."""

    message: MessageRecord
    conversation: Conversation | None
    snippet: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A page of what was found."""

    hits: tuple[Hit, ...]
    total: int  # of all pages


def find(connection: sqlite3.Connection, query: Query, *, limit: int, offset: int, order: Order) -> Results:
    """Return the messages that *query* finds, *limit* of them from *offset* on."""
    match = " AND ".join(term.match for term in query.terms)
    where, values = _where(query.conditions)
    source = "messages AS m LEFT JOIN conversations AS c ON c.id = m.conversation"
    if match:
        source, where, values = (
            f"words JOIN {source}",
            ["m.id = words.rowid", "words MATCH ?", *where],
            [match, *values],
        )
    first = f"bm25(words, {', '.join(map(str, _WEIGHTS))}), " if match and order == "best" else ""
    found = f"SELECT m.id FROM {source} WHERE {' AND '.join(where)} ORDER BY {first}m.at DESC, m.id DESC"
    ids = [id_ for (id_,) in connection.execute(found, values)]
    hits = tuple(_hit(connection, id_, match) for id_ in ids[offset : offset + limit])
    return Results(hits=hits, total=len(ids))


def _where(conditions: Iterable[Condition]) -> tuple[list[str], list[Any]]:
    """Return the SQL of *conditions* but for the words that must occur, and its values."""
    where: list[str] = ["1"]
    values: list[Any] = []
    for condition in conditions:
        clause: str
        bound: Sequence[Any]
        match condition:
            case Term(excluded=True):
                clause, bound = "m.id IN (SELECT rowid FROM words WHERE words MATCH ?)", [condition.match]
            case State(name=name):
                clause, bound = ("m.outcome IS ?", [OUTCOMES[name]]) if name in OUTCOMES else ("c.status IS ?", [name])
            case Files():
                clause, bound = "m.files", []
            case Span():
                clause, bound = _span(condition)
            case _:
                continue
        where.append(f"NOT ({clause})" if condition.excluded else clause)
        values += bound
    return where, values


def _span(span: Span) -> tuple[str, list[str]]:
    bounds = [("m.at >= ?", span.since), ("m.at < ?", span.until)]
    given = [(clause, timestamp(moment)) for clause, moment in bounds if moment]
    return " AND ".join(clause for clause, _ in given), [text for _, text in given]


def _hit(connection: sqlite3.Connection, id_: int, match: str) -> Hit:
    wanted = "SELECT m.record, c.record FROM messages AS m LEFT JOIN conversations AS c ON c.id = m.conversation WHERE m.id = ?"
    record, conversation = connection.execute(wanted, (id_,)).fetchone()
    message = message_from(record)
    return Hit(
        message=message,
        conversation=conversation_from(conversation) if conversation else None,
        snippet=_snippet(connection, id_, match) or (Piece(text=message.snippet, marked=False),),
    )


def _snippet(connection: sqlite3.Connection, id_: int, match: str) -> tuple[Piece, ...]:
    """Return a part of the first text of a message that has a hit, () if none has."""
    cut = "SELECT snippet(words, ?, ?, ?, '…', ?) FROM words WHERE words MATCH ? AND rowid = ?"
    for column in _TEXTS if match else ():
        (found,) = connection.execute(cut, (column, _BEGIN, _END, _SNIPPET_WORDS, match, id_)).fetchone()
        if _BEGIN in found:
            return tuple(_pieces(readable(found)))
    return ()


def _pieces(snippet: str) -> Iterator[Piece]:
    for number, part in enumerate(snippet.replace(_END, _BEGIN).split(_BEGIN)):
        if part:
            yield Piece(text=part, marked=number % 2 == 1)
