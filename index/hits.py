"""Finding messages in the index's file: a query as SQL, and what is shown of each hit."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from email_handler.conversations.records import Conversation, MessageRecord
from index.entries import conversation_from, message_from, microseconds
from index.file import COLUMNS
from index.query import OUTCOMES, Condition, Files, Query, Span, State, Term
from index.texts import readable

type Order = Literal["newest", "best"]
"""The newest first, or those in which the words say most."""

_NEVER = 2**63 - 1
_OF_STATUS = "SELECT m.id FROM conversations AS c JOIN messages AS m ON m.conversation = c.id WHERE c.status = ?"
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
    match = _match(query)
    where, values = (["words MATCH ?"], [match]) if match else ([], [])
    for condition in query.conditions:
        if not (match and isinstance(condition, Term)):
            clause, bound = _clause(condition)
            plus = "+" * (bool(match) and not isinstance(condition, Span))
            where.append(f"{'NOT ' * condition.excluded}{plus}{clause}")
            values += bound
    source, order_by = ("words", "rowid DESC") if match else ("messages INDEXED BY by_id", "id DESC")
    if match and order == "best":
        order_by = f"bm25(words, {', '.join(map(str, _WEIGHTS))}), rowid DESC"
    found = f"SELECT rowid FROM {source} WHERE {' AND '.join(where)} ORDER BY {order_by}"
    ids = [id_ for (id_,) in connection.execute(found, values)]
    shown = ids[offset : offset + limit]
    excerpts = _excerpts(connection, shown, match) if match and shown else {}
    return Results(hits=tuple(_hit(connection, id_, excerpts.get(id_, ())) for id_ in shown), total=len(ids))


def _match(query: Query) -> str:
    """Return the words of *query* in FTS5's syntax; "" if none must occur, since FTS5 cannot ask only for what must not."""
    terms = [one for one in query.conditions if isinstance(one, Term)]
    wanted = " AND ".join(term.match for term in terms if not term.excluded)
    unwanted = " OR ".join(term.match for term in terms if term.excluded)
    return f"({wanted}) NOT ({unwanted})" if wanted and unwanted else wanted


def _clause(condition: Condition) -> tuple[str, list[Any]]:
    """Return the SQL of one condition on messages, without its exclusion, and its values.

    Beside words, lists of messages get a plus sign, which keeps SQLite from asking FTS5 for each of them: that would
    match everything each time.
    """
    match condition:
        case Term():
            return "rowid IN (SELECT rowid FROM words WHERE words MATCH ?)", [condition.match]
        case State(name=name) if name in OUTCOMES:
            return "rowid IN (SELECT id FROM messages WHERE outcome = ?)", [OUTCOMES[name]]
        case State(name=name):
            return f"rowid IN ({_OF_STATUS})", [name]
        case Files():
            return "rowid IN (SELECT id FROM messages WHERE files)", []
        case Span(since=since, until=until):
            first, last = microseconds(since) if since else 0, microseconds(until) - 1 if until else _NEVER
            return "rowid BETWEEN ? AND ?", [first, last]
        case _:
            assert_never(condition)


def _hit(connection: sqlite3.Connection, id_: int, excerpt: tuple[Piece, ...]) -> Hit:
    wanted = "SELECT m.record, c.record FROM messages AS m LEFT JOIN conversations AS c ON c.id = m.conversation WHERE m.id = ?"
    record, conversation = connection.execute(wanted, (id_,)).fetchone()
    message = message_from(record)
    return Hit(
        message=message,
        conversation=conversation_from(conversation) if conversation else None,
        snippet=excerpt or (Piece(text=message.snippet, marked=False),),
    )


def _excerpts(connection: sqlite3.Connection, ids: Sequence[int], match: str) -> dict[int, tuple[Piece, ...]]:
    """Return a part of the first text of each of the messages *ids* that has a hit, nothing for those where none has."""
    cuts = ", ".join(f"snippet(words, {column}, '{_BEGIN}', '{_END}', '…', {_SNIPPET_WORDS})" for column in _TEXTS)
    wanted = (
        f"SELECT rowid, {cuts} FROM words"
        " WHERE words MATCH ? AND rowid BETWEEN ? AND ? AND +rowid IN (SELECT value FROM json_each(?))"
    )
    found = {}
    for id_, *parts in connection.execute(wanted, (match, min(ids), max(ids), json.dumps(list(ids)))):
        best = next((part for part in parts if _BEGIN in part), "")
        found[id_] = tuple(_pieces(readable(best)))
    return found


def _pieces(snippet: str) -> Iterator[Piece]:
    for number, part in enumerate(snippet.replace(_END, _BEGIN).split(_BEGIN)):
        if part:
            yield Piece(text=part, marked=number % 2 == 1)
