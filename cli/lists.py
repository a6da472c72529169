"""``email-handler allow``, ``block``, ``unlist`` and ``lists``: whose mail the filter lets pass, or holds."""

import re
from typing import Annotated

import typer
from rich.table import Table

from cli.connection import Endpoint, Stack, connect
from cli.terminal import AdminError, AsJson, err, out, print_json
from email_handler.ports import ListKind

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")

Entry = Annotated[str, typer.Argument(metavar="ADDRESS-OR-DOMAIN", help="jane@customer.example or customer.example.")]


def allow(entry: Entry, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Let the mail of an address or a domain pass the spam filter. Counts only where the sender is verified, and never
    against a virus.
    """
    _put(entry, "allow", stack, endpoint, as_json=as_json)


def block(entry: Entry, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Hold all mail of an address or a domain, verified or not."""
    _put(entry, "block", stack, endpoint, as_json=as_json)


def unlist(entry: Entry, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Take an address or a domain off whichever list it is on."""
    wanted = read_entry(entry)
    connection = connect(stack, endpoint)
    kind = dict(connection.records.listed()).get(wanted)
    if kind is None:
        raise AdminError(f"{wanted} is on no list of {connection.where}: email-handler lists")
    connection.records.put_listed(wanted, None)
    if as_json:
        print_json({"entry": wanted, "list": None, "before": kind})
    else:
        err.print(f"{wanted} is off the {kind}-list.", markup=False)


def lists(stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Show the allow-list and the block-list."""
    table = Table("List", "Address or domain", box=None, header_style="bold")
    count = 0
    for count, (entry, kind) in enumerate(connect(stack, endpoint).records.listed(), 1):  # noqa: B007  (asked below)
        if as_json:
            print_json({"entry": entry, "list": kind})
        else:
            table.add_row(kind, entry)
    if count and not as_json:
        out.print(table)
    elif not count:
        err.print("Both lists are empty: email-handler allow|block ADDRESS-OR-DOMAIN", markup=False)


def read_entry(text: str) -> str:
    """Return the address or domain that *text* names, in lower case. Raises typer.BadParameter."""
    entry = text.strip().lower().removeprefix("@")
    local, at, domain = entry.rpartition("@")
    if not _DOMAIN.fullmatch(domain) or (at and (not local or any(letter.isspace() for letter in local))):
        raise typer.BadParameter(f"{text} is neither an address nor a domain", param_hint="ADDRESS-OR-DOMAIN")
    return entry


def _put(text: str, kind: ListKind, stack: str, endpoint: str, *, as_json: bool) -> None:
    entry = read_entry(text)
    connection = connect(stack, endpoint)
    before = dict(connection.records.listed()).get(entry)
    connection.records.put_listed(entry, kind)
    if as_json:
        print_json({"entry": entry, "list": kind, "before": before})
    else:
        moved = f" (it was on the {before}-list)" if before and before != kind else ""
        err.print(f"{entry} is on the {kind}-list{moved}.", markup=False)
