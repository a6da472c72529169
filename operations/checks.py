"""What a command has checked: one thing, its state, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of one thing."""

    FINE = "fine"
    NOTE = "note"  # works, or cannot be checked
    WRONG = "wrong"  # messages wait or are refused, alarms reach nobody, or a deployment would fail


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    what: str
    state: State
    found: str
    todo: str = ""


def check(what: str, found: str, *, fine: bool, todo: str) -> Check:
    """Return the check of a thing that is *fine* or wrong; *todo* is what to do if it is wrong."""
    return Check(what, State.FINE, found) if fine else Check(what, State.WRONG, found, todo)
