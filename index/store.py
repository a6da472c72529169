"""The search index of one stack: searching it, and putting into it what the stack says."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from email_handler.adapters.dynamodb.changes import MessageId, Stored, stamp_of
from email_handler.adapters.dynamodb.items import timestamp
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import AWAITING, Conversation, MessageRecord, Status
from email_handler.identifiers import ConversationId, ReceiptId
from index.entries import (
    Entry,
    Texts,
    conversation_from,
    is_described,
    message_from,
    microseconds,
    texts_state,
    to_json,
    words_about,
    words_of,
)
from index.file import AS_IT_CAME, COLUMNS, WITHOUT_TEXTS, IndexFile
from index.hits import Order, Results, find
from index.query import Query

ASKED_FOR = timedelta(days=15)
"""How long an undescribed message is asked for: dead letters of the attachment function last 14 days."""

_AMONG_IDS, _AMONG_STATUSES, _AMONG_CONVERSATIONS, _AMONG_RECEIPTS = (
    f"{column} IN (SELECT value FROM json_each(?))" for column in ("id", "status", "conversation", "receipt")
)
_WRITTEN = (Outcome.DELIVER, Outcome.FLAG, Outcome.RELAY)
_PUT_CONVERSATION = """
INSERT INTO conversations VALUES (?, ?, ?, ?, ?, 1, ?) ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, started_at = excluded.started_at, updated_at = excluded.updated_at,
    version = excluded.version, unread = 1, record = excluded.record
WHERE excluded.version > version OR excluded.started_at <> started_at
"""
_SOONEST = timedelta(minutes=1)  # after which an undescribed message is asked for again


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
        self._file.clear(self._identity)

    def delete(self) -> None:
        """Delete the file."""
        self._file.remove()

    # What a person asks

    def search(self, query: Query, *, limit: int = 50, offset: int = 0, order: Order = "newest") -> Results:
        """Return the messages that *query* finds: the newest first, or those in which the words say most."""
        with self._file.reading() as connection:
            return find(connection, query, limit=limit, offset=offset, order=order)

    def inbox(self, *, limit: int = 20, offset: int = 0) -> list[Conversation]:
        """Return the conversations that wait for the owner's reply, the longest waiting first."""
        return self._conversations(AWAITING, "updated_at", limit, offset)

    def count_inbox(self) -> int:
        """Return how many conversations wait for the owner's reply."""
        return self._count(AWAITING)

    def conversations(self, status: Status | None = None, *, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Return the conversations (of *status*), those that changed last first."""
        return self._conversations([status] if status else [], "updated_at DESC", limit, offset)

    def count_conversations(self, status: Status | None = None) -> int:
        """Return how many conversations (of *status*) there are."""
        return self._count([status] if status else [*Status])

    def _conversations(self, statuses: Sequence[Status], order: str, limit: int, offset: int) -> list[Conversation]:
        where, values = (f"WHERE {_AMONG_STATUSES}", [_list(statuses)]) if statuses else ("", [])
        wanted = f"SELECT record FROM conversations {where} ORDER BY {order}, id LIMIT ? OFFSET ?"
        with self._file.connected() as connection:
            found = connection.execute(wanted, (*values, limit, offset))
            return [conversation_from(text) for (text,) in found]

    def _count(self, statuses: Sequence[Status]) -> int:
        wanted = f"SELECT count(*) FROM conversations WHERE {_AMONG_STATUSES}"
        with self._file.connected() as connection:
            count: int = connection.execute(wanted, (_list(statuses),)).fetchone()[0]
            return count

    def latest(self, conversations: Sequence[ConversationId]) -> dict[ConversationId, MessageRecord]:
        """Return the latest message that one side wrote to the other in each of *conversations* of which one has been
        read."""
        wanted = (
            "SELECT conversation, record, max(id) FROM messages"
            f" WHERE {_AMONG_CONVERSATIONS} AND outcome IN (SELECT value FROM json_each(?)) GROUP BY 1"
        )
        with self._file.connected() as connection:
            found = connection.execute(wanted, (json.dumps(conversations), json.dumps(_WRITTEN))).fetchall()
        return {ConversationId(id_): message_from(record) for id_, record, _ in found}

    # What the stack says

    def fact(self, name: str) -> str:
        """Return what was remembered as *name*, "" for nothing."""
        with self._file.connected() as connection:
            found = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            return found[0] if found else ""

    def remember(self, **facts: str) -> None:
        """Remember *facts*."""
        with self._file.changing() as connection:
            _remember(connection, facts)

    def versions(self, ids: Iterable[ConversationId]) -> dict[ConversationId, str]:
        """Return which version is known of each of the conversations *ids*."""
        wanted = f"SELECT id, CAST(version AS TEXT) FROM conversations WHERE {_AMONG_IDS}"
        with self._file.connected() as connection:
            return dict(connection.execute(wanted, (_list(ids),)))

    def put_conversations(self, conversations: Iterable[Conversation]) -> None:
        """Store *conversations* unless newer versions are there. Their messages are to be read then."""
        with self._file.changing() as connection:
            connection.executemany(_PUT_CONVERSATION, map(_row, conversations))

    def stamps(self, ids: Iterable[MessageId]) -> dict[MessageId, str]:
        """Return which state (``stamp_of``) is known of each of the messages *ids*."""
        return self._of_messages("stamp", ids)

    def texts_of(self, ids: Iterable[MessageId]) -> dict[MessageId, str]:
        """Return which texts (a ``texts_state``) are known of each of the messages *ids*."""
        return self._of_messages("texts", ids)

    def _of_messages(self, column: str, ids: Iterable[MessageId]) -> dict[MessageId, str]:
        wanted = f"SELECT receipt, function, {column} FROM messages WHERE {_AMONG_RECEIPTS}"
        with self._file.connected() as connection:
            found = connection.execute(wanted, (_list(receipt for receipt, _ in ids),))
            return {(receipt, function): value for receipt, function, value in found}

    def put_held(self, messages: Iterable[Stored]) -> None:
        """Store messages that were held or dropped; of those that belong to a conversation, only those of known ones."""
        with self._file.changing() as connection:
            for one in messages:
                conversation = _conversation(connection, one.message.conversation)
                if conversation or not one.message.conversation:
                    _put(connection, Entry(message=one.message, expires=one.expires), conversation, due=None)

    def without_texts(self, limit: int) -> list[Stored]:
        """Return held and dropped messages whose texts have not been read, the newest first."""
        wanted = f"SELECT record, expires FROM messages WHERE {WITHOUT_TEXTS} ORDER BY id DESC LIMIT ?"
        with self._file.connected() as connection:
            found = connection.execute(wanted, (limit,)).fetchall()
        return [Stored(message_from(text), datetime.fromisoformat(at) if at else None) for text, at in found]

    def put_texts(self, entries: Iterable[Entry]) -> None:
        """Store the texts of messages that :meth:`without_texts` named, as far as they are still there and without."""
        with self._file.changing() as connection:
            for one in entries:
                own = (one.message.receipt, one.message.function)
                still = f"SELECT 1 FROM messages WHERE (receipt, function) = (?, ?) AND {WITHOUT_TEXTS}"
                if connection.execute(still, own).fetchone():
                    _put(connection, one, _conversation(connection, one.message.conversation), due=None)

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

    def put_messages(self, read: Iterable[tuple[Conversation, Sequence[Entry]]], now: datetime) -> None:
        """Store all messages of each conversation as it was when they were read; one that has changed since stays to be
        read. *now* tells when to ask again for undescribed ones."""
        with self._file.changing() as connection:
            for conversation, entries in read:
                current = _conversation(connection, conversation.id)
                if current is None:  # erased meanwhile
                    continue
                stored = {_put(connection, one, conversation, _due(one.message, now)) for one in entries}
                known = connection.execute("SELECT id FROM messages WHERE conversation = ?", (conversation.id,))
                _delete(connection, {id_ for (id_,) in known} - stored)
                if current.version == conversation.version:
                    connection.execute("UPDATE conversations SET unread = 0 WHERE id = ?", (conversation.id,))

    def due(self, now: datetime, limit: int) -> list[MessageId]:
        """Return messages that were undescribed, and that it is time to ask for again."""
        wanted = "SELECT receipt, function FROM messages WHERE due <= ? ORDER BY due LIMIT ?"
        with self._file.connected() as connection:
            return connection.execute(wanted, (timestamp(now), limit)).fetchall()

    def put_described(self, asked: Collection[MessageId], entries: Iterable[Entry], now: datetime) -> None:
        """Store those of the messages *asked* for, which :meth:`due` named, that there are, as they are now."""
        if not asked:
            return
        with self._file.changing() as connection:
            nothing_due = "UPDATE messages SET due = NULL WHERE (receipt, function) = (?, ?)"
            connection.executemany(nothing_due, asked)
            for entry in entries:
                if conversation := _conversation(connection, entry.message.conversation):
                    _put(connection, entry, conversation, _due(entry.message, now))

    def ids(self) -> tuple[dict[ConversationId, datetime], list[ReceiptId]]:
        """Return the ids of all conversations, with their beginnings, and of all messages."""
        with self._file.connected() as connection:
            conversations = connection.execute("SELECT id, started_at FROM conversations").fetchall()
            receipts = connection.execute("SELECT receipt FROM messages").fetchall()
        return {id_: datetime.fromisoformat(at) for id_, at in conversations}, [receipt for (receipt,) in receipts]

    def forget_expired(self, now: datetime) -> None:
        """Delete the messages that the table has forgotten by now."""
        with self._file.changing() as connection:
            found = connection.execute("SELECT id FROM messages WHERE expires <= ?", (timestamp(now),))
            _delete(connection, {id_ for (id_,) in found})

    def forget(self, *, conversations: Collection[ConversationId] = (), receipts: Collection[ReceiptId] = ()) -> None:
        """Erase *conversations* with their messages, and the messages of *receipts*, so that no byte of the file tells of
        them."""
        with self._file.changing() as connection:
            about = f"SELECT id FROM messages WHERE {_AMONG_CONVERSATIONS} OR {_AMONG_RECEIPTS}"
            messages = {id_ for (id_,) in connection.execute(about, (_list(conversations), _list(receipts)))}
            _delete(connection, messages)
            gone = connection.execute(f"DELETE FROM conversations WHERE {_AMONG_IDS}", (_list(conversations),)).rowcount
            if not (messages or gone):
                return
            # FTS5 only notes what is deleted, and drops it when it merges its parts.
            connection.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._file.settle()


def _list(values: Iterable[str]) -> str:
    """Return *values* for ``json_each``: however many, they are one value."""
    return json.dumps(list(values))


def _row(conversation: Conversation) -> tuple[Any, ...]:
    times = timestamp(conversation.started_at), timestamp(conversation.updated_at)
    return conversation.id, conversation.status, *times, conversation.version, to_json(conversation)


def _remember(connection: sqlite3.Connection, facts: dict[str, str]) -> None:
    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())


def _conversation(connection: sqlite3.Connection, id_: str) -> Conversation | None:
    found = connection.execute("SELECT record FROM conversations WHERE id = ?", (id_,)).fetchone()
    return conversation_from(found[0]) if found else None


def _put(connection: sqlite3.Connection, entry: Entry, conversation: Conversation | None, due: str | None) -> int:
    """Store one message, and return its number."""
    message = entry.message
    own = (message.receipt, message.function)
    row = {
        "conversation": message.conversation,
        "outcome": message.outcome,
        "files": len(message.attachments),
        "stamp": stamp_of(message),
        "due": due,
        "expires": timestamp(entry.expires) if entry.expires else None,
        "record": to_json(message),
    }
    known = connection.execute("SELECT id FROM messages WHERE (receipt, function) = (?, ?)", own).fetchone()
    id_: int = known[0] if known else _free(connection, microseconds(message.at))
    about = words_about(message, conversation)
    if known and entry.texts is None:
        changes = ", ".join(f"{name} = ?" for name in row)
        connection.execute(f"UPDATE messages SET {changes} WHERE id = ?", (*row.values(), id_))
        _update_words(connection, id_, about)
        return id_
    texts = entry.texts or Texts(new=message.snippet, full="")
    row |= {
        "id": id_,
        "texts": (texts_state(message) or AS_IT_CAME) if entry.texts else "",
        "receipt": message.receipt,
        "function": message.function,
    }
    if known:
        _delete(connection, {id_})
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO messages ({names}) VALUES ({marks})", tuple(row.values()))
    every = (id_, *about, *words_of(texts))
    connection.execute(f"INSERT INTO words (rowid, {', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(every))})", every)
    return id_


def _free(connection: sqlite3.Connection, id_: int) -> int:
    """Return *id_*, or one soon after it that no message has."""
    while connection.execute("SELECT 1 FROM messages WHERE id = ?", (id_,)).fetchone():
        soon = "SELECT max(id) + 1 FROM messages WHERE id BETWEEN ? AND ?"
        (id_,) = connection.execute(soon, (id_, id_ + 1_000_000)).fetchone()
    return id_


def _update_words(connection: sqlite3.Connection, id_: int, about: tuple[str, ...]) -> None:
    names = COLUMNS[: len(about)]
    stored = connection.execute(f"SELECT {', '.join(names)} FROM words WHERE rowid = ?", (id_,)).fetchone()
    if stored != about:
        changes = ", ".join(f"{name} = ?" for name in names)
        connection.execute(f"UPDATE words SET {changes} WHERE rowid = ?", (*about, id_))


def _due(message: MessageRecord, now: datetime) -> str | None:
    """Return when to ask again whether the files of *message* have been described: the older, the later."""
    age = now - message.at
    return None if is_described(message) or age > ASKED_FOR else timestamp(now + max(age / 2, _SOONEST))


def _delete(connection: sqlite3.Connection, ids: set[int]) -> None:
    connection.executemany("DELETE FROM words WHERE rowid = ?", [(id_,) for id_ in ids])
    connection.executemany("DELETE FROM messages WHERE id = ?", [(id_,) for id_ in ids])
