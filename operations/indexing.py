"""The search index of a deployment: where its file is, and bringing it up to date."""

import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from index.file import IndexDamaged
from index.store import SearchIndex
from index.sync import Progress, Synced, nothing, sync
from operations.connection import Connection

_APPLICATION = "email-handler"


def open_index(connection: Connection) -> SearchIndex:
    """Return the search index of a deployment. Its file is made, or made anew, as needed. Raises IndexUnavailable."""
    path = index_path(connection.stack, connection.stack_id, connection.endpoint)
    return SearchIndex.open(path, f"{connection.stack_id} {connection.outputs['RecordsTable']}")


def existing_index(connection: Connection) -> SearchIndex | None:
    """Return the search index of a deployment if it has one on this machine. Raises IndexUnavailable."""
    path = index_path(connection.stack, connection.stack_id, connection.endpoint)
    return open_index(connection) if path.exists() else None


def catch_up(connection: Connection, index: SearchIndex, *, texts: bool = True, progress: Progress = nothing) -> Synced:
    """Bring *index* up to date; without *texts* only conversations and their statuses, for the inbox.

    A damaged file is made anew and read again from the beginning. Raises RecordsUnavailable, ArchiveUnavailable,
    IndexUnavailable; what was read stays.
    """
    archive = connection.archive if texts else None
    try:
        return sync(index, connection.changes, archive, lambda: datetime.now(UTC), progress)
    except IndexDamaged:
        index.clear()
        return sync(index, connection.changes, archive, lambda: datetime.now(UTC), progress)


def index_path(stack: str, stack_id: str, endpoint: str) -> Path:
    """Return where the index of *stack* is: a folder for each account and region, or *endpoint*; a file for each name.

    *stack_id* is CloudFormation's (an ARN).
    """
    _, _, _, region, account, *_ = f"{stack_id}:::::".split(":")
    folder = cache_folder(os.environ, sys.platform, Path.home())
    return folder / _safe(endpoint or f"{account}-{region}") / f"{_safe(stack)}.sqlite"


def cache_folder(environ: Mapping[str, str], platform: str, home: Path) -> Path:
    """Return the folder of what this command keeps and can make again, by the conventions of the *platform*."""
    named = Path(environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # the specification: anything else is ignored
        return named / _APPLICATION
    if platform == "darwin":
        return home / "Library" / "Caches" / _APPLICATION
    if platform == "win32" and (local := environ.get("LOCALAPPDATA")):
        return Path(local) / _APPLICATION / "Cache"
    return home / ".cache" / _APPLICATION


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "_"
