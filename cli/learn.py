"""``email-handler learn``: what the filter learned from the owner's decisions, and how to stop, undo or forget it."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import (
    fail_if,
    new_table,
    out,
    print_json,
    print_line,
    print_pairs,
    print_result,
    tracked,
    when,
    write_file,
)
from email_handler.spam.learned import FEWEST, FEWEST_OF_A_KIND, Act
from operations import learning
from operations.backtest import stored_since
from operations.connection import connect
from operations.documents import LEARNED, Pointer
from operations.errors import CommandError
from operations.learning import Learned, Tried

STATES = {
    "off": "off: nothing is learned, and no personal model judges (learn on)",
    "learning": "on: a daily pass learns from what you decided",
    "chosen": "you chose the model in force, and it stays until learn on",
}
ACTS = {Act.REPLIED: "answered", Act.RELEASED: "released", Act.SPAM: "marked as spam", Act.CONFIRMED: "confirmed"}

app = typer.Typer(
    no_args_is_help=True, help="See what the filter learned from your decisions; stop it, undo it or forget it."
)


@app.command()
def status(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Show from how many decisions it learned, what is in force, and the earlier models."""
    found = learning.status(connect(stack, endpoint))
    if as_json:
        print_json(asdict(found))
        return
    made = (
        found.model and f"from {found.model['spam']} against and {found.model['ham']} for, until {found.model['until']}"
    )
    print_pairs(**{
        "Learning": STATES[found.state],
        "In force": "none" if found.in_force == "builtin" else found.in_force,
        "Made": made or "",
        "Decisions": ", ".join(f"{found.acts[act]} {said}" for act, said in ACTS.items() if found.acts.get(act)) or "none yet",
        "That count": f"{found.spam} against, {found.ham} for{_missing(found)}",
        "Next": "the daily pass makes a new model" if found.waiting and found.state == "learning" else "",
    })  # fmt: skip
    table = new_table("Version", "When", "Key")
    for version in reversed(found.history[:-1]):
        table.add_row(str(version.version), when(version.at), Text(version.key))
    if table.rows:
        out.print("", table)


def _missing(found: Learned) -> str:
    if sum(found.acts.values()) >= FEWEST and min(found.spam, found.ham) >= FEWEST_OF_A_KIND:
        return ""
    return f"; a model takes {FEWEST} decisions, of which {FEWEST_OF_A_KIND} of each kind count"


@app.command()
def on(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Learn again, and put in force what was learned last."""
    _print_move(*learning.switch_on(connect(stack, endpoint)), as_json=as_json)


@app.command()
def off(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Learn nothing, and judge without a personal model. What was learned stays for `learn on`."""
    _print_move(*learning.switch_off(connect(stack, endpoint)), as_json=as_json)


@app.command()
def rollback(
    to: Annotated[str, typer.Option(metavar="KEY", help="The one to use: a key that status lists.")] = "",
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Put the previous model in force, none if there is none, or the one that --to names. It stays until `learn on`."""
    _print_move(*learning.roll_back(connect(stack, endpoint), to), as_json=as_json)


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do it: without, it is only shown.")] = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Forget what was learned, and begin again with what you decide from now on.

    Earlier models stay in the archive, without text or addresses.
    """
    connection = connect(stack, endpoint)
    if not yes:
        acts = learning.status(connection).acts
        count = sum(acts.values())
        print_result({"would_forget": count}, f"Would forget {count} decisions with --yes.", as_json=as_json)
        return
    count = learning.reset(connection, datetime.now(UTC))
    print_result({"forgotten": count}, f"Forgot {count} decisions. No personal model is in force.", as_json=as_json)


@app.command()
def save(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Write the model in force to a file, for `inspect --learned` and `rules test --learned`."""
    pointer = Pointer(LEARNED, connect(stack, endpoint))
    body = pointer.body(pointer.history()[-1].key)
    if body is None:
        raise CommandError("no personal model is in force: email-handler learn status")
    write_file(file, body)
    print_result({"file": str(file), "bytes": len(body)}, f"{file}: {len(body)} bytes", as_json=as_json)


@app.command()
def backtest(
    days: Annotated[int, typer.Option(min=1, help="Messages of the last DAYS.")] = 30,
    examples: Annotated[int, typer.Option(min=0, help="How many changed messages to show.")] = 10,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Show how what was learned so far judges messages of the past, each by a model that did not learn from its sender.

    Exit code 1 if more of your decisions are judged worse by it than better. With --json: one object for each changed
    message, and the counts.
    """
    connection = connect(stack, endpoint)
    stored = stored_since(connection, datetime.now(UTC) - timedelta(days=days))
    found = list(tracked(learning.backtest(connection, stored), "messages", len(stored)))
    changed = [one for one in found if one.without != one.with_]
    judged = Counter(learning.better(one) for one in changed)
    if as_json:
        for one in changed:
            print_json(asdict(one))
        print_json({"messages": len(found), "changed": len(changed), "better": judged[True], "worse": judged[False]})
    else:
        _print_tried(found, changed, examples)
    fail_if(judged[False] > judged[True])


def _print_tried(found: list[Tried], changed: list[Tried], examples: int) -> None:
    counted = ("Messages", "Flagged without", "Held without", "Flagged with", "Held with")
    table = new_table("You", *counted, right=counted)
    for act, said in [*ACTS.items(), ("", "did nothing that teaches")]:
        own = [one for one in found if one.act == act]
        if own:
            numbers = [
                sum(getattr(one, by) == what for one in own) for by in ("without", "with_") for what in ("flag", "hold")
            ]
            table.add_row(said, str(len(own)), *map(str, numbers))
    out.print(table, "")
    for one in changed[:examples]:
        what = ACTS[Act(one.act)] if one.act else "not judged by you"
        print_line(f"{one.without} to {one.with_} ({one.points:+g}), {what}: {one.sender}: {one.subject}")
    if len(changed) > examples:
        out.print(f"and {len(changed) - examples} more (--json shows all)", style="dim")
    out.print(f"{len(found)} messages, {len(changed)} changed.")


def _print_move(before: str, key: str, *, as_json: bool) -> None:
    text = f"{key} is in force already." if key == before else f"In force within a minute: {key}\nBefore: {before}"
    print_result({"in_force": key, "before": before}, text, as_json=as_json)
