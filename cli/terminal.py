"""Output of the operator's command: results on stdout, notes on stderr, JSON one object a line."""

import json
import textwrap
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from operations.errors import CommandError

BAR_AFTER = 1.0  # seconds: shorter work needs no progress bar
STYLES = {
    **dict.fromkeys(("deliver", "relay", "sent", "fine"), "green"),
    **dict.fromkeys(("flag", "queued", "sending", "note"), "yellow"),
    **dict.fromkeys(("hold", "drop", "failed", "unknown", "bounced", "wrong"), "red"),
    **dict.fromkeys(("record", "cancelled"), "cyan"),
}
"""The colour of each outcome, state of a send, and state that doctor reports."""


def plain(text: str) -> str:
    """Return *text* without control and formatting characters (Unicode's Cc, Cf, Cs), except tab and line feed: they
    could steer the terminal, or show letters in another order. Line and paragraph separators become spaces."""
    return "".join(_shown(letter) for letter in text)


def _shown(letter: str) -> str:
    if letter in "\n\t":
        return letter
    category = unicodedata.category(letter)
    return "" if category in ("Cc", "Cf", "Cs") else " " if category in ("Zl", "Zp") else letter


class _Plain(RenderHook):
    """Makes the text of everything that a console prints plain; the console's own control codes stay."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return *renderables* as Rich prints them (called by Rich)."""
        return [_PlainSegments(self._console, each) for each in renderables]


class _PlainSegments:
    def __init__(self, console: Console, inner: ConsoleRenderable) -> None:
        self._console, self._inner = console, inner

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for text, style, control in self._console.render(self._inner, options):
            unlinked = style.update_link(None) if style and style.link else style  # a panel's title is markup always
            yield Segment(text if control else plain(text), unlinked, control)


def new_console(**options: Any) -> Console:
    """Return a console with Rich's *options*. A stranger may have written what it prints: that cannot steer the
    terminal, and square brackets and colons in it are no markup."""
    console = Console(markup=False, emoji=False, **options)
    console.push_render_hook(_Plain(console))
    return console


out = new_console()
err = new_console(stderr=True)

_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}


class ExitCode(IntEnum):
    """What scripts can rely on; ``email-handler --help`` lists them."""

    DONE = 0
    FAILED = 1  # it failed, or a part of it did; the text explains what to do
    USAGE = 2  # the command line is wrong (Click's own)
    HELD = 3  # compose: at least one message must not leave
    HELD_AGAIN = 4  # rules backtest: a released message would be held again
    STUCK = 5  # reconcile --dry-run: something has no state or waits for the operator


def fail_if(condition: object) -> None:
    """Exit with the code FAILED if *condition* is true."""
    if condition:
        raise typer.Exit(ExitCode.FAILED)


def print_json(value: Any) -> None:
    """Print *value* as one line of ASCII JSON: it keeps every character, but escaped, so that none reaches a terminal."""
    typer.echo(json.dumps(value, default=_as_text))


def json_document(value: Any) -> bytes:
    """Return *value* as a JSON file for people to read."""
    return json.dumps(value, indent=2, default=_as_text).encode() + b"\n"


def write_file(path: Path, content: bytes) -> None:
    """Write *content* to *path*, in folders made as needed. Raises CommandError, which names the option --out."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}. Choose another folder with --out.") from error


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_line(text: str, style: str = "") -> None:
    """Print *text* to stdout, without markup; the terminal wraps it."""
    out.print(Text(text, style), soft_wrap=True)


def print_note(text: str, style: str = "") -> None:
    """Print *text* to stderr, without markup; the terminal wraps it."""
    err.print(text, style=style, soft_wrap=True)


def print_result(value: Any, text: str, *, as_json: bool) -> None:
    """Print *value* as JSON, or *text* as a note."""
    if as_json:
        print_json(value)
    else:
        print_note(text)


def print_hanging(console: Console, before: str | Text, value: str, style: str = "") -> None:
    """Print *value* after *before*, with its further lines indented to the same column.

    Words are never broken, even if they are wider than the terminal: ids, addresses and keys are there to be copied.
    """
    first = Text(before) if isinstance(before, str) else before
    room = max(console.width - first.cell_len, 20)
    lines = [part for line in plain(value).splitlines() for part in textwrap.wrap(line, room, **_WHOLE_WORDS) or [""]]
    for number, line in enumerate(lines or [""]):
        start = first if number == 0 else " " * first.cell_len
        console.print(Text.assemble(start, (line, style)), soft_wrap=True)


def print_pairs(**values: str) -> None:
    """Print *values* as lines of name and value, leaving out empty ones."""
    width = max(map(len, values))
    for name, value in values.items():
        if value:
            print_hanging(out, Text(f"{name:{width}}  ", "bold"), value)


def new_table(*headers: str, right: Collection[str] = ()) -> Table:
    """Return an empty table with columns of these *headers*; those in *right* are aligned to the right."""
    table = Table(box=None, header_style="bold")
    for header in headers:
        table.add_column(header, justify="right" if header in right else "left")
    return table


def tracked[T](items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield *items*; after a second, show a progress bar on stderr if that is a terminal.

    *what* names the items; *total* is their number if it is known.
    """
    with progress(what) as show:
        for done, item in enumerate(items, start=1):
            yield item
            show(done, total)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that is told how many of how many (None: not known) are done; after a second, show a progress bar
    on stderr if that is a terminal. *what* names the items."""
    if not err.is_terminal:
        yield lambda _, __: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = shown = time.monotonic()
    with Progress(*columns, console=err, transient=True, disable=False, auto_refresh=False) as bar:
        task = bar.add_task(what, visible=False)

        def show(done: int, total: int | None) -> None:
            nonlocal shown
            now = time.monotonic()
            bar.update(task, completed=done, total=total)
            if now - shown > (BAR_AFTER if shown == began else 0.1):
                bar.update(task, visible=True)
                bar.refresh()
                shown = now

        yield show


def when(moment: datetime | None) -> str:
    """Return *moment* in local time, such as ``25 Nov 14:01``; with the year instead of the time if it is over half a
    year away; "" for None."""
    if moment is None:
        return ""
    recent = abs(datetime.now(UTC) - moment) < timedelta(days=183)
    return f"{moment.astimezone():%d %b %H:%M}" if recent else f"{moment.astimezone():%d %b %Y}"


def describe_files(files: Iterable[dict[str, Any]]) -> str:
    """Return a line for each of *files*, which have ``name``, ``type`` and ``size`` (bytes)."""
    return "\n".join(f"{file['name']} ({file['type']}, {decimal(file['size'])})" for file in files)
