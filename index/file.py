"""The index's file: private, whole or made anew, and usable from several threads and processes at once.

Every piece of work opens a connection of its own, which takes a millisecond. Readers see the last finished transaction
while another process writes (WAL).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from email_handler.errors import EmailHandlerError
from index.texts import TOKENIZER

VERSION = 2
"""Of the tables below. A file of another version is made anew: everything in it comes from the stack."""

COLUMNS = ("sender", "recipient", "subject", "people", "files", "new", "quoted", "contents")
"""What is searched of a message: who wrote to whom, about what, everybody's names and addresses with the ids, names of
files, the new text, the rest of the text, and the text in the files."""

AS_IT_CAME = "as it came"
"""Which texts a held or dropped message has in the index: nobody stores any of it."""

WITHOUT_TEXTS = "texts = '' AND outcome IN ('hold', 'drop')"

_TABLES = f"""
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    unread INTEGER NOT NULL,  -- whether its messages have not been read since it changed
    record TEXT NOT NULL
);
CREATE INDEX by_status ON conversations (status, updated_at, id);
CREATE INDEX by_change ON conversations (updated_at DESC, id);
CREATE INDEX by_unread ON conversations (updated_at) WHERE unread;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,  -- when it came, in microseconds since 1970: the newest are the last
    receipt TEXT NOT NULL,
    function TEXT NOT NULL,
    conversation TEXT NOT NULL,  -- "" for none
    outcome TEXT NOT NULL,
    files INTEGER NOT NULL,
    texts TEXT NOT NULL,  -- which texts are in words: a digest of what the record says of them, or AS_IT_CAME; "" for none
    stamp TEXT NOT NULL,  -- its state, as the table's index of held and dropped messages shows it
    due TEXT,  -- when to ask again whether its files have been described
    expires TEXT,
    record TEXT NOT NULL,
    UNIQUE (receipt, function)
);
CREATE INDEX by_conversation ON messages (conversation);
-- Narrow: who reads all numbers need not read all records.
CREATE INDEX by_id ON messages (id);
CREATE INDEX by_outcome ON messages (outcome);
CREATE INDEX by_files ON messages (id) WHERE files;
CREATE INDEX by_texts ON messages (id) WHERE {WITHOUT_TEXTS};
CREATE INDEX by_due ON messages (due) WHERE due IS NOT NULL;
CREATE INDEX by_expires ON messages (expires) WHERE expires IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5({", ".join(COLUMNS)}, tokenize = "{TOKENIZER}", prefix = '1 2');
"""

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600
_PATIENCE = 30.0  # seconds to wait for another process's transaction
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF  # of an extended result code


class IndexUnavailable(EmailHandlerError):
    """There can be no index: this Python's SQLite lacks FTS5, or the file cannot be written."""


class IndexDamaged(EmailHandlerError):
    """The file is no sound index any more; it can be made anew."""


class IndexFile:
    """One SQLite file with the tables above."""

    def __init__(self, path: Path) -> None:
        """Use the file at *path*, which :meth:`prepare` makes."""
        self.path = path

    def prepare(self, identity: str) -> None:
        """Make the file unless it is there, sound, of this version and of the stack *identity*.

        Raises IndexUnavailable.
        """
        _require_what_sqlite_may_lack()
        self._make_private()
        try:
            with self.connected() as connection:
                if _is_current(connection, identity):
                    return
                with suppress(sqlite3.OperationalError):  # another process does the same at this moment
                    connection.execute("PRAGMA journal_mode = WAL")
            with self.changing() as connection:
                if not _is_current(connection, identity):
                    _make_tables(connection, identity)
        except IndexDamaged:
            self.clear(identity)

    def clear(self, identity: str) -> None:
        """Empty the file, for the stack *identity*; replace a damaged one. Raises IndexUnavailable."""
        try:
            with self.changing() as connection:
                _make_tables(connection, identity)
        except IndexDamaged:
            self.remove()
            self.prepare(identity)

    def remove(self) -> None:
        """Delete the file, and what SQLite keeps beside it. Raises IndexUnavailable."""
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise IndexUnavailable(f"the search index {self.path} cannot be deleted: {error.strerror}") from error

    def _make_private(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(_PRIVATE_FOLDER)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, _PRIVATE_FILE))
            self.path.chmod(_PRIVATE_FILE)  # SQLite gives the files beside it the same mode
        except OSError as error:
            raise IndexUnavailable(f"the search index {self.path} cannot be written: {error.strerror}") from error

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for the block. SQLite's errors become IndexDamaged or IndexUnavailable."""
        try:
            with closing(sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA synchronous = NORMAL")  # what a power failure loses, the stack has
                yield connection
        except sqlite3.DatabaseError as error:
            if (getattr(error, "sqlite_errorcode", 0) & _PRIMARY) in _DAMAGED:
                raise IndexDamaged(
                    f"the search index {self.path} is damaged: email-handler search --rebuild"
                ) from error
            raise IndexUnavailable(f"the search index {self.path} cannot be used: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for the block, whose queries all see the same."""
        with self.connected() as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for the block, which is one transaction."""
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")  # without it, closing rolls back

    def settle(self) -> None:
        """Bring everything into the one file, and empty what SQLite keeps beside it, as far as nobody reads at this
        moment."""
        with self.connected() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _is_current(connection: sqlite3.Connection, identity: str) -> bool:
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        return False
    found = connection.execute("SELECT value FROM facts WHERE name = 'identity'").fetchone()
    return bool(found == (identity,))


def _make_tables(connection: sqlite3.Connection, identity: str) -> None:
    """Replace all tables by empty ones."""
    # Virtual tables first: they take their own tables with them.
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY sql NOT LIKE 'CREATE VIRTUAL%' LIMIT 1"
    while name := connection.execute(tables).fetchone():
        connection.execute(f'DROP TABLE "{name[0]}"')
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT INTO facts VALUES ('identity', ?)", (identity,))
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _require_what_sqlite_may_lack() -> None:
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("CREATE VIRTUAL TABLE words USING fts5(word)")
            connection.execute("SELECT value FROM json_each('[]')")
    except sqlite3.OperationalError as error:
        raise IndexUnavailable(
            "this Python's SQLite lacks full-text search (FTS5) or JSON: use a Python that has both"
        ) from error
