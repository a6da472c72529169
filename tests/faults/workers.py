"""Workers of an explicit-state search: each stops before every call that matters until it is told how that goes."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Semaphore, Thread
from typing import Any

from email_handler import errors

FAULTS = ("refused", "lost", "killed before", "killed after")
FAILURES: dict[str, Callable[[str], Exception]] = {
    "send": errors.SendOutcomeUnknown,
    "put": errors.ArchiveUnavailable,
    "get": errors.ArchiveUnavailable,
    "queue": errors.QueueUnavailable,
    "dead_letter": errors.QueueUnavailable,
}
"""What a call raises if its response is lost; the table's if it is not named."""

type Choice = tuple[int, str]
"""Which worker goes on, and what happens to its call."""


class Killed(BaseException):
    """The worker's process ended."""


class Worker(Thread):
    """One run of *work*, which is given the worker for the ports whose calls are its steps."""

    def __init__(self, work: Callable[["Worker"], Any]) -> None:
        super().__init__(daemon=True)
        self.history: list[str] = []  # what it has seen: with the world's, its whole state
        self.done = False
        self.outcome: Any = ""  # "" if it did not end by itself
        self._told, self._stopped = Semaphore(0), Semaphore(0)
        self._how = self.at = ""
        self._work = work
        self.start()
        self._stopped.acquire()

    def run(self) -> None:
        """Do the work."""
        with suppress(errors.EmailHandlerError, Killed):
            self.outcome = self._work(self)
        self.done = True
        self._stopped.release()

    def go(self, how: str) -> None:
        """Let the next step happen, and wait for the one after it."""
        self._how = how
        self._told.release()
        self._stopped.acquire()

    def step(self, name: str, call: Callable[[], Any]) -> Any:
        """Stop, then make *call* as told."""
        self.at = name
        self._stopped.release()
        self._told.acquire()
        self.history.append(f"{name} {self._how}")
        if self._how == "killed before":
            raise Killed
        if self._how == "rejected":
            raise errors.MessageRefused("rejected")
        if self._how == "refused":
            raise (errors.SendingThrottled if name == "send" else FAILURES.get(name, errors.RecordsUnavailable))(
                "refused"
            )
        try:
            found = call()
            found = list(found) if isinstance(found, Iterator) else found
        except errors.EmailHandlerError as error:
            self.history.append(type(error).__name__)
            raise
        if self._how == "killed after":
            raise Killed
        self.history.append(str(found))
        if self._how == "lost":
            raise FAILURES.get(name, errors.RecordsUnavailable)("lost")
        return found


class Stepped:
    """A port: its calls that *is_step* (given name and first argument) are steps of a worker."""

    def __init__(self, port: Any, worker: Worker, is_step: Callable[[str, Any], bool]) -> None:
        self._port, self._worker, self._is_step = port, worker, is_step

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **named: Any) -> Any:
            if self._is_step(name, args[0] if args else None):
                return self._worker.step(name, lambda: method(*args, **named))
            return method(*args, **named)

        return call if callable(method) else method
