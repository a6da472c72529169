"""Puts the console of a deployment together."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

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
    session = Session(port)
    index = open_index(connection)

    def read(progress: Callable[[int, int | None], None]) -> None:
        desk.held()
        catch_up(connection, index, progress=progress)

    reading = Reading(index, read)
    desk = Desk(connection, reading, session, outbox, lambda: datetime.now(UTC))
    reading.begin()
    return build_app(desk), session
