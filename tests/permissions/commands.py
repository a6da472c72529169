"""Which policies the operator needs for which command."""

from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.command import whole_command

READS, ACTS = "OperatorReadPolicy", "OperatorActPolicy"  # logical ids of the template

READING = frozenset(
    {
        *("list", "inbox", "show", "search", "why", "lists", "export", "doctor", "reconcile --dry-run"),
        *(
            "held list",
            "held show",
            "rules show",
            "rules backtest",
            "routes show",
            "acknowledgement show",
            "signature show",
            *("learn status", "learn save", "learn backtest"),
        ),
    }
)
"""Commands that change nothing. ``redrive --dry-run`` hides the dead letters from others while it looks at them."""


def policies(command: str) -> frozenset[str]:
    """Return the logical ids of the managed policies with which *command* must work; ``--dry-run`` may follow its name."""
    return frozenset({READS} if command in READING else {READS, ACTS})


def unrecorded(callers: Iterable[str]) -> list[str]:
    """Return the commands that work on a deployment and are not among *callers*: their permissions are not proven."""
    recorded = {caller.removesuffix(" --dry-run") for caller in callers}
    return sorted(set(_on_a_stack(whole_command())) - recorded)


def _on_a_stack(command: Any, path: str = "") -> Iterator[str]:
    """Yield the names of all commands below *command* that have the option ``--stack``."""
    for name, found in getattr(command, "commands", {}).items():
        yield from _on_a_stack(found, f"{path} {name}".strip())
    if any(parameter.name == "stack" for parameter in command.params):
        yield path
