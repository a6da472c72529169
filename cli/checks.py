"""What a command has checked: one thing, its state, and what to do about it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from rich.text import Text

from cli.terminal import STYLES, out, print_hanging, print_json


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


def print_checks(checks: Sequence[Check], *, as_json: bool) -> int:
    """Print *checks*, each a line (and one for what to do), or as JSON; return how many are wrong."""
    width = max((len(one.what) for one in checks), default=0)
    for one in checks:
        if as_json:
            print_json(asdict(one))
            continue
        before = Text.assemble((f"{one.state:5}  ", STYLES[one.state]), (f"{one.what:{width}}  ", "bold"))
        print_hanging(out, before, one.found)
        if one.todo:
            print_hanging(out, " " * before.cell_len, f"→ {one.todo}")
    return sum(one.state is State.WRONG for one in checks)
