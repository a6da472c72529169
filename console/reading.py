"""Keeps the search index up to date behind the pages: they wait for a moment, and show how far it is after that."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from email_handler.errors import EmailHandlerError
from index.store import SearchIndex

FRESH = 3.0  # seconds for which nothing is asked again, unless an act has changed something
WAIT = 0.15  # seconds that a page waits for what has changed; it shows that later by itself

type CatchUp = Callable[[Callable[[int, int | None], None]], object]
"""Brings the index up to date, and tells its argument how many conversations of how many have been read: all that lists
need is in it once the latter is known. Raises EmailHandlerError."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reading is."""

    done: int
    total: int | None  # not known yet


class Reading:
    """The index of one deployment, and the thread that reads what has changed."""

    def __init__(self, index: SearchIndex, catch_up: CatchUp) -> None:
        """Read with *catch_up*, which is called in a thread of its own, once at a time."""
        self.index = index
        self.problem = ""  # of the last reading, for people
        self._catch_up = catch_up
        self._lock = threading.Lock()
        self._listed = threading.Event()
        self._thread: threading.Thread | None = None
        self._progress = Progress(0, None)
        self._begun = float("-inf")
        self._stale = False

    @property
    def progress(self) -> Progress | None:
        """Return how far the reading is that runs now, None if none does."""
        thread = self._thread
        return self._progress if thread and thread.is_alive() else None

    def expect(self) -> None:
        """Say that something has changed: the next page asks for it."""
        self._stale = True

    def refresh(self, after: float = FRESH, wait: float = WAIT) -> bool:
        """Begin a reading if the last one began *after* seconds ago, or if something has changed since; and wait for up to
        *wait* seconds until lists are right. Return whether they are."""
        with self._lock:
            running = self._thread is not None and self._thread.is_alive()
            if not running and (self._stale or time.monotonic() - self._begun > after):
                self._begin()
        return self._listed.wait(wait)

    def begin(self) -> None:
        """Begin a reading, without waiting for anything."""
        with self._lock:
            self._begin()

    def _begin(self) -> None:
        self._stale = False
        self._begun = time.monotonic()
        self._progress = Progress(0, None)
        self._listed.clear()
        self._thread = threading.Thread(target=self._read, name="reading", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self._catch_up(self._note)
            self.problem = ""
        except EmailHandlerError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001 - a thread's last words would quote what it read
            self.problem = f"an error of ours, {type(error).__name__}"
        finally:
            self._listed.set()

    def _note(self, done: int, total: int | None) -> None:
        self._progress = Progress(done, total)
        if total is not None:
            self._listed.set()
