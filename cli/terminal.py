"""How the operator's command speaks: results on stdout, everything else on stderr, JSON one object a line."""

import json
import textwrap
import time
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

BAR_AFTER = 1.0  # seconds: what is done sooner needs no bar

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")]


class ExitCode(IntEnum):
    """What scripts can go by; told in ``email-handler --help``."""

    DONE = 0
    FAILED = 1  # it could not be done, or not all of it: the text says what to do
    USAGE = 2  # the command line is wrong (Click's own)
    HELD = 3  # compose: at least one mail must not leave
    HELD_AGAIN = 4  # rules backtest: mail that was released would be held again
    STUCK = 5  # reconcile --dry-run: something has no state, or waits for somebody


class AdminError(Exception):
    """What was asked cannot be done. The text is one line for the operator: what is wrong and what to do."""


def print_json(value: Any) -> None:
    """Write *value* as one line of ASCII JSON; file names that are no UTF-8 and lone surrogates survive in it."""
    typer.echo(json.dumps(value, default=_as_text))


def json_document(value: Any) -> bytes:
    """Return *value* as a JSON file for people to read."""
    return json.dumps(value, indent=2, default=_as_text).encode() + b"\n"


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def plain(text: str) -> str:
    """Return *text* without what steers a terminal: control and formatting characters (Unicode's Cc and Cf), line
    feeds aside."""
    return "".join(
        letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs")
    )


def print_hanging(console: Console, before: str | Text, value: str, style: str = "") -> None:
    """Print *value* after *before*, and its further lines below its beginning.

    A word is never broken, not even where it is wider than the terminal: ids, addresses and keys are there to be copied.
    What would steer the terminal is left out: a stranger may have written it.
    """
    first = Text(before) if isinstance(before, str) else before
    room = max(console.width - first.cell_len, 20)
    lines = [part for line in plain(value).splitlines() for part in textwrap.wrap(line, room, **_WHOLE_WORDS) or [""]]
    for number, line in enumerate(lines or [""]):
        start = first if number == 0 else " " * first.cell_len
        console.print(Text.assemble(start, (line, style)), soft_wrap=True)


_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


def print_pairs(**values: str) -> None:
    """Print *values* as lines of name and value; what is empty is left out."""
    width = max(map(len, values))
    for name, value in values.items():
        if value:
            print_hanging(out, Text(f"{name:{width}}  ", "bold"), value)


def tracked[T](items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield *items*, and once they take over a second show a bar on stderr, if that is a terminal.

    *what* names the items; *total* is their number where it is known.
    """
    if not err.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=err, transient=True, disable=False, auto_refresh=False) as bar:
        task = bar.add_task(what, total=total, visible=False)
        shown = began
        for item in items:
            yield item
            bar.advance(task)
            now = time.monotonic()
            if now - shown > (BAR_AFTER if shown == began else 0.1):
                bar.update(task, visible=True)
                bar.refresh()
                shown = now


def when(moment: datetime | None) -> str:
    """Return *moment* in local time: ``25 Nov 14:01``, with the year instead of the time after half a year; "" for
    None."""
    if moment is None:
        return ""
    recent = abs(datetime.now(UTC) - moment) < timedelta(days=183)
    return f"{moment.astimezone():%d %b %H:%M}" if recent else f"{moment.astimezone():%d %b %Y}"
