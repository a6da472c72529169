"""A mistake of ours as a value: what a pure step raised, and where. It holds nothing of the message.

A message must not be lost to an exception. So what reads, judges or composes one runs through :func:`attempt`, and the
caller decides what becomes of the message without that step's result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from email_handler.errors import EmailHandlerError

_OURS = f"{__name__.partition('.')[0]}."


@dataclass(frozen=True, slots=True)
class Mistake:
    """What escaped from a step."""

    kind: str  # the exception's type: "ValueError"
    place: str  # module, function and line of ours: "mail.html:text:267"

    def __str__(self) -> str:
        """Return both, for a person."""
        return f"{self.kind} at {self.place}"


def attempt[*A, T](step: Callable[[*A], T], *args: *A) -> T | Mistake:
    """Return what *step* returns for *args*, or the :class:`Mistake` that it raised.

    Whatever escapes counts, memory and recursion errors too, and a panic in Rust, which is no ``Exception``. Errors that
    we raise on purpose pass, since they say whether retrying helps; so does what asks the process to end.
    """
    try:
        return step(*args)
    except (EmailHandlerError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - this is the net
        return Mistake(type(error).__name__, _place(error.__traceback__))


def attempt_or[*A, T](default: T, step: Callable[[*A], T], *args: *A) -> T:
    """Return what *step* returns for *args*, or *default* if it raises."""
    found = attempt(step, *args)
    return default if isinstance(found, Mistake) else found


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
