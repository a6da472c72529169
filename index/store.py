"""The search index of one stack: searching it, and putting into it what the stack says."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from email_handler.adapters.dynamodb.items import timestamp
from email_handler.conversations.records import Conversation, MessageRecord, Status
from email_handler.identifiers import ConversationId, ReceiptId
from index.entries import (
    Entry,
    Texts,
    conversation_from,
    is_described,
    message_from,
    texts_state,
    to_json,
    words_about,
    words_of,
)
from index.file import COLUMNS, IndexFile
from index.query import OUTCOMES, Condition, Files, Query, Span, State, Term
from index.texts import readable

AWAITING = (Status.OPEN, Status.WAITING)
"""The statuses of conversations that wait for the owner's reply."""

ASKED_FOR = timedelta(days=15)
"""How long an undescribed message is asked for: dead letters of the attachment function last 14 days."""

_SOONEST = timedelta(minutes=1)  # after which an undescribed message is asked for again
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


class SearchIndex:
    """The index in one file. It keeps nothing open, and may be used from any thread. Everything that reads or changes
    the file raises IndexDamaged or IndexUnavailable."""

    def __init__(self, path: Path, identity: str) -> None:
        """Use the file at *path* for the stack *identity*, which :meth:`open` has prepared."""
        self._file = IndexFile(path)
        self._identity = identity

    @classmethod
    def open(cls, path: Path, identity: str) -> Self:
        """Return the index in the file *path* of the stack *identity* (any text that names it and its table).

        A missing or damaged file, one of another version, and one of another stack are made anew. Raises
        IndexUnavailable.
        """
        index = cls(path, identity)
        index._file.prepare(identity)
        return index

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self._file.path

    def clear(self) -> None:
        """Forget everything, to read it again from the stack; a damaged file is replaced."""
        self._file.prepare(self._identity)
        self._file.clear(self._identity)

    def delete(self) -> None:
        """Delete the file."""
        self._file.remove()

    # What a person asks

    def search(
        self, query: Query, *, limit: int = 50, offset: int = 0, order: Literal["newest", "best"] = "newest"
    ) -> Results:
        """Return the messages that *query* finds: the newest first, or those in which the words say most."""
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
        found = f"SELECT m.id FROM {source} WHERE {' AND '.join(where)} ORDER BY {first}m.at DESC, m.id DESC"  # noqa: S608  (values are bound)
        with self._file.connected() as connection:
            ids = [id_ for (id_,) in connection.execute(found, values)]
            hits = tuple(_hit(connection, id_, match) for id_ in ids[offset : offset + limit])
        return Results(hits=hits, total=len(ids))

    def inbox(self, *, limit: int = 20, offset: int = 0) -> list[Conversation]:
        """Return the conversations that wait for the owner's reply, the longest waiting first."""
        return self._conversations(AWAITING, "updated_at, id", limit, offset)

    def count_inbox(self) -> int:
        """Return how many conversations wait for the owner's reply."""
        return self._count(AWAITING)

    def conversations(self, status: Status | None = None, *, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Return the conversations (of *status*), those that changed last first."""
        return self._conversations([status] if status else [*Status], "updated_at DESC, id", limit, offset)

    def count_conversations(self, status: Status | None = None) -> int:
        """Return how many conversations (of *status*) there are."""
        return self._count([status] if status else [*Status])

    def _conversations(self, statuses: Sequence[Status], order: str, limit: int, offset: int) -> list[Conversation]:
        wanted = (
            f"SELECT record FROM conversations WHERE {_among('status', statuses)} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        )
        with self._file.connected() as connection:
            return [conversation_from(text) for (text,) in connection.execute(wanted, (*statuses, limit, offset))]

    def _count(self, statuses: Sequence[Status]) -> int:
        wanted = f"SELECT count(*) FROM conversations WHERE {_among('status', statuses)}"  # noqa: S608
        with self._file.connected() as connection:
            count: int = connection.execute(wanted, tuple(statuses)).fetchone()[0]
            return count

    # What the stack says

    def fact(self, name: str) -> str:
        """Return what was remembered as *name*, "" for nothing."""
        with self._file.connected() as connection:
            found = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return found[0] if found else ""

    def put_conversations(self, conversations: Iterable[Conversation], facts: dict[str, str]) -> None:
        """Store *conversations* unless newer versions are there, their messages to be read, and remember *facts*: both or
        neither."""
        with self._file.changing() as connection:
            connection.executemany(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, 1, ?) ON CONFLICT (id) DO UPDATE SET"
                " status = excluded.status, started_at = excluded.started_at, updated_at = excluded.updated_at,"
                " version = excluded.version, unread = 1, record = excluded.record WHERE excluded.version > version",
                [
                    (
                        one.id,
                        one.status,
                        timestamp(one.started_at),
                        timestamp(one.updated_at),
                        one.version,
                        to_json(one),
                    )
                    for one in conversations
                ],
            )
            _remember(connection, facts)

    def put_loose(self, entries: Iterable[Entry], facts: dict[str, str]) -> None:
        """Store messages that belong to no conversation, and remember *facts*: both or neither."""
        with self._file.changing() as connection:
            for entry in entries:
                _put(connection, entry, None)
            _remember(connection, facts)

    def unread(self, limit: int) -> list[Conversation]:
        """Return conversations whose messages are to be read, those that changed last first."""
        wanted = "SELECT record FROM conversations WHERE unread ORDER BY updated_at DESC LIMIT ?"
        with self._file.connected() as connection:
            return [conversation_from(text) for (text,) in connection.execute(wanted, (limit,))]

    def count_unread(self) -> int:
        """Return how many conversations' messages are to be read."""
        with self._file.connected() as connection:
            count: int = connection.execute("SELECT count(*) FROM conversations WHERE unread").fetchone()[0]
            return count

    def texts_of(self, conversations: Collection[ConversationId]) -> dict[tuple[str, str], str]:
        """Return which texts are known of each message (receipt, function) of *conversations*: a ``texts_state``."""
        wanted = f"SELECT receipt, function, texts FROM messages WHERE {_among('conversation', conversations)}"  # noqa: S608
        with self._file.connected() as connection:
            return {
                (receipt, function): texts
                for receipt, function, texts in connection.execute(wanted, tuple(conversations))
            }

    def put_messages(self, read: Iterable[tuple[Conversation, Sequence[Entry]]], now: datetime) -> None:
        """Store all messages of each conversation as it was when they were read; one that has changed since stays to be
        read. *now* tells when to ask again for undescribed ones."""
        with self._file.changing() as connection:
            for conversation, entries in read:
                found = connection.execute(
                    "SELECT version FROM conversations WHERE id = ?", (conversation.id,)
                ).fetchone()
                if found is None:  # erased meanwhile
                    continue
                kept = [_put(connection, entry, conversation, now) for entry in entries]
                known = connection.execute(
                    "SELECT id FROM messages WHERE conversation = ?", (conversation.id,)
                ).fetchall()
                _delete(connection, {id_ for (id_,) in known} - set(kept))
                if found[0] == conversation.version:
                    connection.execute("UPDATE conversations SET unread = 0 WHERE id = ?", (conversation.id,))

    def forget(self, *, conversations: Collection[ConversationId] = (), receipts: Collection[ReceiptId] = ()) -> None:
        """Erase *conversations* with their messages, and the messages of *receipts*, so that no byte of the file tells of
        them."""
        with self._file.changing() as connection:
            found = connection.execute(
                f"SELECT id FROM messages WHERE {_among('conversation', conversations)} OR {_among('receipt', receipts)}",  # noqa: S608
                (*conversations, *receipts),
            ).fetchall()
            _delete(connection, [id_ for (id_,) in found])
            connection.executemany("DELETE FROM conversations WHERE id = ?", [(id_,) for id_ in conversations])
            # FTS5 only notes what is deleted, and drops it when it merges its parts.
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._file.settle()


def _among(column: str, values: Collection[Any]) -> str:
    return f"{column} IN ({', '.join('?' * len(values))})"


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


def _remember(connection: sqlite3.Connection, facts: dict[str, str]) -> None:
    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())


def _put(
    connection: sqlite3.Connection, entry: Entry, conversation: Conversation | None, now: datetime | None = None
) -> int:
    """Store one message, and return its number."""
    message = entry.message
    own = (message.receipt, message.function)
    row = {
        "conversation": message.conversation,
        "at": timestamp(message.at),
        "outcome": message.outcome,
        "files": len(message.attachments),
        "due": _due(message, now) if now else None,
        "expires": timestamp(entry.expires) if entry.expires else None,
        "record": to_json(message),
    }
    known = connection.execute("SELECT id, texts FROM messages WHERE (receipt, function) = (?, ?)", own).fetchone()
    about = words_about(message, conversation)
    if known and entry.texts is None:
        id_: int = known[0]
        changes = ", ".join(f"{name} = ?" for name in row)
        connection.execute(f"UPDATE messages SET {changes} WHERE id = ?", (*row.values(), id_))  # noqa: S608
        _update_words(connection, id_, about)
        return id_
    texts = entry.texts or Texts(new=message.snippet, full="")
    row |= {
        "texts": texts_state(message) if entry.texts else "",
        "receipt": message.receipt,
        "function": message.function,
    }
    if known:
        _delete(connection, [known[0]])
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    id_ = connection.execute(f"INSERT INTO messages ({names}) VALUES ({marks})", tuple(row.values())).lastrowid or 0  # noqa: S608
    every = (id_, *about, *words_of(texts))
    connection.execute(f"INSERT INTO words (rowid, {', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(every))})", every)  # noqa: S608
    return id_


def _update_words(connection: sqlite3.Connection, id_: int, about: tuple[str, ...]) -> None:
    names = COLUMNS[: len(about)]
    stored = connection.execute(f"SELECT {', '.join(names)} FROM words WHERE rowid = ?", (id_,)).fetchone()  # noqa: S608
    if stored != about:
        changes = ", ".join(f"{name} = ?" for name in names)
        connection.execute(f"UPDATE words SET {changes} WHERE rowid = ?", (*about, id_))  # noqa: S608


def _due(message: MessageRecord, now: datetime) -> str | None:
    """Return when to ask again whether the files of *message* have been described: the older, the later."""
    age = now - message.at
    return None if is_described(message) or age > ASKED_FOR else timestamp(now + max(age / 2, _SOONEST))


def _delete(connection: sqlite3.Connection, ids: Collection[int]) -> None:
    connection.executemany("DELETE FROM words WHERE rowid = ?", [(id_,) for id_ in ids])
    connection.executemany("DELETE FROM messages WHERE id = ?", [(id_,) for id_ in ids])
