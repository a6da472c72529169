"""Options that several commands share."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

Stack = Annotated[
    str, typer.Option("--stack", envvar="EMAIL_HANDLER_STACK", help="Name of the deployed stack.", show_default=False)
]
Endpoint = Annotated[
    str, typer.Option("--endpoint", help="AWS-compatible endpoint instead of AWS itself.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, instead of text and tables.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing: only show what would be done.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show at most.")]
Server = Annotated[
    str, typer.Option("--dns", help="Ask this name server (ADDRESS or ADDRESS:PORT) instead of the system's.")
]
LearnedFile = Annotated[
    Path | None, typer.Option("--learned", help="A personal model, as `learn save` writes it. Without it, none judges.")
]
RulesFile = Annotated[Path | None, typer.Option("--rules", help="A rules file instead of the built-in set.")]

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str) -> datetime:
    """Return the time that ``--since`` means: a span back from now (``2h``), or ISO 8601, local if it has no zone.

    Raises typer.BadParameter.
    """
    if span := _SPAN.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text} is not a time such as 2026-11-20, 2026-11-20T09:00, 2h, 3d or 1w", param_hint="--since"
        ) from error
