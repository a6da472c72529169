"""Puts the console of a deployment together."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from console.app import build_app
from console.desk import Desk
from console.reading import Reading
from console.session import Session
from operations.connection import Connection
from operations.indexing import catch_up, open_index


def open_console(connection: Connection, port: int, outbox: Path | None) -> tuple[Starlette, Session]:
    """Return the console of *connection* for *port* of 127.0.0.1, and its session, whose link opens it.

    *outbox* is the folder of what the local cloud has sent, None for a deployment that has none. Reading what has
    changed begins at once. Raises IndexUnavailable.
    """
    connection = replace(connection, session=_Session(connection.session))
    session = Session(port)
    index = open_index(connection)

    def read(progress: Callable[[int, int | None], None]) -> None:
        desk.held()
        catch_up(connection, index, progress=progress)

    reading = Reading(index, read)
    desk = Desk(connection, reading, session, outbox, lambda: datetime.now(UTC))
    reading.begin()
    return build_app(desk), session


class _Session:
    """Makes boto3's clients one at a time: threads may share a client, but not the session that makes it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._lock = threading.Lock()

    def client(self, *named: Any, **options: Any) -> Any:
        """Return a client of the session."""
        with self._lock:
            return self._session.client(*named, **options)
