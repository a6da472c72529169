"""A mistake of ours as a value: what a pure step raised, and where. It holds nothing of the message.

A message must not be lost to an exception, nor to a step that does not end before Lambda ends the function. So what
reads, judges or composes one runs through :func:`attempt`, and the caller decides what becomes of the message without
that step's result.
"""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, TracebackType

from email_handler.errors import EmailHandlerError
from email_handler.values import dataclass

_OURS = f"{__name__.partition('.')[0]}."
STEP_SHARE = 1 / 3
"""Of the time that is left, for one step: ten slow ones in a row leave a sixtieth for what comes after."""

_remaining: ContextVar[Callable[[], float] | None] = ContextVar("remaining", default=None)


class TookTooLong(BaseException):
    """A step was stopped. It is no ``Exception``, so that no library takes it for one of its own."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What escaped from a step."""

    kind: str  # the exception's type: "ValueError"
    place: str  # module, function and line of ours: "mail.html:text:267"

    @classmethod
    def of(cls, error: BaseException) -> "Mistake":
        """Return *error* without its text, which may quote the message."""
        return cls(type(error).__name__, _place(error.__traceback__))

    def __str__(self) -> str:
        """Return both, for a person."""
        return f"{self.kind} at {self.place}"


def attempt[*A, T](step: Callable[[*A], T], *args: *A) -> T | Mistake:
    """Return what *step* returns for *args*, or the :class:`Mistake` that it raised.

    Whatever escapes counts, memory and recursion errors too, and a panic in Rust, which is no ``Exception``. Errors that
    we raise on purpose pass, since they say whether retrying helps; so does what asks the process to end.
    """
    try:
        return _in_time(step, *args)
    except (EmailHandlerError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - this is the net
        return Mistake.of(error)


def attempt_or[*A, T](default: T, step: Callable[[*A], T], *args: *A) -> T:
    """Return what *step* returns for *args*, or *default* if it raises."""
    found = attempt(step, *args)
    return default if isinstance(found, Mistake) else found


@contextmanager
def steps_end_within(remaining: Callable[[], float]) -> Iterator[None]:
    """Stop each step that takes more than its share of the seconds that *remaining* returns when it begins.

    Only a program's main thread can be interrupted, which is Lambda's; in others this does nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    token = _remaining.set(remaining if main else None)
    try:
        yield
    finally:
        _remaining.reset(token)


def seconds_left() -> float:
    """Return what :func:`steps_end_within` was told remains; outside of it, there is no end."""
    remaining = _remaining.get()
    return math.inf if remaining is None else remaining()


def _in_time[*A, T](step: Callable[[*A], T], *args: *A) -> T:
    remaining = _remaining.get()
    if remaining is None:
        return step(*args)
    token, before = _remaining.set(None), signal.signal(signal.SIGALRM, _stop)  # None: a step within it has no own time
    try:
        try:
            # Again and again: what is raised in a destructor is lost.
            signal.setitimer(signal.ITIMER_REAL, max(remaining() * STEP_SHARE, 0.001), 1)
            return step(*args)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # the signal may have come while the line above ran
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        _remaining.reset(token)


def _stop(_: int, __: FrameType | None) -> None:
    raise TookTooLong


def _place(traceback: TracebackType | None) -> str:
    """Return the innermost place of ours, which called what raised; "" without any."""
    place = ""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if module.startswith(_OURS) and module != __name__:
            name = traceback.tb_frame.f_code.co_name
            place = f"{module.removeprefix(_OURS)}:{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
