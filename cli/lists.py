"""``email-handler allow``, ``block``, ``unlist`` and ``lists``: the senders whose messages the filter passes or holds."""

import re
from typing import Annotated

import typer

from cli.connection import connect
from cli.options import AsJson, Endpoint, Stack
from cli.terminal import CommandError, new_table, out, print_json, print_note, print_result
from email_handler.ports import ListKind

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

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


def read_entry(text: str) -> str:
    """Return the address or domain that *text* names, in lower case. Raises typer.BadParameter."""
    entry = text.strip().lower().removeprefix("@")
    local, at, domain = entry.rpartition("@")
    if not _DOMAIN.fullmatch(domain) or (at and (not local or any(letter.isspace() for letter in local))):
        raise typer.BadParameter(f"{text} is neither an address nor a domain", param_hint="ADDRESS-OR-DOMAIN")
    return entry


def _move(text: str, kind: ListKind | None, stack: str, endpoint: str, *, as_json: bool) -> None:
    entry = read_entry(text)
    connection = connect(stack, endpoint)
    before = dict(connection.records.listed()).get(entry)
    if kind is None and before is None:
        raise CommandError(f"{entry} is on no list of {connection.where}: email-handler lists")
    connection.records.put_listed(entry, kind)
    moved = f" (it was on the {before}-list)" if before and before != kind else ""
    done = f"{entry} is on the {kind}-list{moved}." if kind else f"{entry} is off the {before}-list."
    print_result({"entry": entry, "list": kind, "before": before}, done, as_json=as_json)
