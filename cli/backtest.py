"""``email-handler rules backtest``: what a changed rule set would have decided about messages of the past.

Only the rules are tried. What SES's verdicts and the operator's lists decided stays as it was, except for released
messages: the operator judged their content, so they count as held again if the rules alone would hold them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.inspection import each_file, find_files, read_rules
from cli.options import AsJson, Endpoint, Stack
from cli.terminal import ExitCode, err, new_table, out, print_json, tracked
from email_handler.mail.parsing import parse
from email_handler.spam.stages import assess_content
from operations.backtest import DECIDED, Tried, stored_since, tried_of, try_archive
from operations.connection import connect
from operations.errors import CommandError


def backtest(
    new: Annotated[Path, typer.Argument(metavar="NEW.toml", help="The changed rules.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A folder of raw messages instead of the archive.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Of the archive: messages of the last DAYS.")] = 30,
    against: Annotated[
        Path | None, typer.Option(help="With FOLDER: the rules to compare with instead of the built-in set.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many messages to show of each kind.")] = 10,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Show which messages of the archive or of a folder would be decided differently by changed rules.

    Exit code 4 if a message that you released would be held again. With --json: one object for each changed message,
    and the counts.
    """
    rules = read_rules(new)
    if folder:
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder")
        read_rules(against)
        files = list(find_files([folder]))
        tried: Iterable[Tried] = each_file(partial(try_file, new, against), files)
        total = len(files)
    else:
        connection = connect(stack, endpoint)
        since = datetime.now(UTC) - timedelta(days=days)
        stored = stored_since(connection, since)
        tried, total = try_archive(connection, stored, rules), len(stored)
    counts: Counter[tuple[str, str]] = Counter()
    changed: list[Tried] = []
    for one in tracked(tried, "messages", total):
        counts[one.before, one.after] += 1
        if one.changed or one.newly_held:
            changed.append(one)
            if as_json:
                print_json(asdict(one))
    held_again = sum(count for (before, after), count in counts.items() if (before, after) == ("released", "hold"))
    if as_json:
        newly = sum(one.newly_held for one in changed)
        moves = {f"{before} to {after}": count for (before, after), count in sorted(counts.items())}
        print_json({"messages": counts.total(), "changed": len(changed), "newly_held": newly, "held_again": held_again, "counts": moves})  # fmt: skip
    else:
        _print_changes(counts, changed, examples)
    if held_again:
        err.print(f"Would be held again: {held_again} of the messages that you released.", style="red")
        raise typer.Exit(ExitCode.HELD_AGAIN)


def try_file(new: Path, against: Path | None, path: Path) -> Tried:
    """Return the file at *path* under both rules files. An unreadable one counts as an empty message."""
    try:
        message = parse(path.read_bytes())
    except OSError:
        message = parse(b"")
    before, after = assess_content(message, read_rules(against)), assess_content(message, read_rules(new))
    sender = message.from_[0].address if message.from_ else ""
    return tried_of(str(path), before.outcome.value, after.outcome, after, sender, message.subject)


def _print_changes(counts: Counter[tuple[str, str]], changed: Sequence[Tried], examples: int) -> None:
    table = new_table("Decided", *DECIDED, right=DECIDED)
    for before in ("deliver", "flag", "hold", "released", "confirmed"):
        if any(was == before for was, _ in counts):
            table.add_row(before, *(str(counts[before, after.value] or "-") for after in DECIDED))
    out.print("What was decided (rows), and what the new rules would decide (columns):")
    out.print(table)
    held = [one for one in changed if one.newly_held]
    others = [one for one in changed if not one.newly_held]
    for title, found in (("Forwarded, and would be held", held), ("Other changes", others)):
        if not found:
            continue
        out.print(f"\n{title}: {len(found)}", style="bold")
        for one in sorted(found, key=lambda one: one.before != "released")[:examples]:
            out.print(
                Text(f"{one.before} to {one.after}, score {one.score:g}: {one.sender}: {one.subject}"), soft_wrap=True
            )
            points = {"words": one.words, "learned": one.learned}
            sources = [*one.rules, *(f"{name} {found:g}" for name, found in points.items() if found)]
            out.print(Text(f"  {one.id} {', '.join(sources)}", "dim"), soft_wrap=True)
        if len(found) > examples:
            out.print(f"and {len(found) - examples} more (--json shows all)", style="dim")
    out.print(f"\n{counts.total()} messages, {len(changed)} changed.")
