"""``email-handler allow``, ``block``, ``unlist`` and ``lists``: the senders whose messages the filter passes or holds."""

from typing import Annotated

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import new_table, out, print_json, print_note, print_result
from email_handler.ports import ListKind
from operations.connection import connect
from operations.errors import CommandError
from operations.lists import put, read_entry

Entry = Annotated[str, typer.Argument(metavar="ADDRESS-OR-DOMAIN", help="jane@customer.example or customer.example.")]


def allow(entry: Entry, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Let emails from an address or a domain pass the spam filter.

    Counts only for verified senders, and never against a virus.
    """
    _move(entry, "allow", stack, endpoint, as_json=as_json)


def block(entry: Entry, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Hold all emails from an address or a domain, verified or not."""
    _move(entry, "block", stack, endpoint, as_json=as_json)


def unlist(entry: Entry, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Take an address or a domain off the list that it is on."""
    _move(entry, None, stack, endpoint, as_json=as_json)


def lists(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Show the allow-list and the block-list."""
    table = new_table("List", "Address or domain")
    for entry, kind in connect(stack, endpoint).records.listed():
        table.add_row(kind, entry)
        if as_json:
            print_json({"entry": entry, "list": kind})
    if not table.rows:
        print_note("Both lists are empty: email-handler allow|block ADDRESS-OR-DOMAIN")
    elif not as_json:
        out.print(table)


def _move(text: str, kind: ListKind | None, stack: str, endpoint: str, *, as_json: bool) -> None:
    try:
        entry = read_entry(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ADDRESS-OR-DOMAIN") from error
    connection = connect(stack, endpoint)
    before = put(connection, entry, kind)
    if kind is None and before is None:
        raise CommandError(f"{entry} is on no list of {connection.where}: email-handler lists")
    moved = f" (it was on the {before}-list)" if before and before != kind else ""
    done = f"{entry} is on the {kind}-list{moved}." if kind else f"{entry} is off the {before}-list."
    print_result({"entry": entry, "list": kind, "before": before}, done, as_json=as_json)
