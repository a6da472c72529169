"""The operator's command as a whole, for tests that look at all of it."""

from functools import cache
from typing import Any

from typer.main import get_command

from cli.commands import COMMANDS, load
from cli.main import app


@cache
def whole_command() -> Any:
    """Return the command with every command below it imported: ``commands`` of groups has them by name."""
    command: Any = get_command(app)
    command.commands = {name: load(name) for name in COMMANDS}
    return command
