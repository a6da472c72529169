"""How a command prints what was checked."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.text import Text

from cli.terminal import STYLES, out, print_hanging, print_json
from operations.checks import Check, State


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
