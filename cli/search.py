"""``email-handler search``: messages by words, dates and what they are, from the index on this machine."""

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cli.options import AsJson, Endpoint, Limit, Stack
from cli.terminal import STYLES, err, fail_if, new_table, out, print_json, print_note, progress, when
from index.file import IndexDamaged
from index.hits import Hit, Order, Results
from index.query import STATES, Query, QueryError, parse_query
from index.store import SearchIndex
from operations.connection import Connection, connect
from operations.conversations import headline, public_fields
from operations.errors import CommandError
from operations.indexing import catch_up, open_index

LANGUAGE = (
    'All of it must hold: words; "words in quotes" that follow each other; gard* for words that begin so; -shed for what '
    "must not be there; from:, to:, subject: or file: and a word; has:attachment; before:, after: or on: and a date such as "
    f"2026-11-20 or 2026-11; is: and one of {', '.join(STATES)}."
)

# A word may begin with a minus sign: -shed is no list of options, so not even -h is one here.
app = typer.Typer(
    add_completion=False, context_settings={"help_option_names": ["--help"], "ignore_unknown_options": True}
)


@app.command()
def search(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD…", help=LANGUAGE)] = None,
    best: Annotated[bool, typer.Option("--best", help="Best matches first, instead of the newest.")] = False,
    sync: Annotated[bool, typer.Option(help="First read what has changed in the stack.")] = True,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="First make the index anew.")] = False,
    limit: Limit = 50,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Find messages by words in names, addresses, subjects, texts and files; newest first.

    An index on this machine is brought up to date first; if that is interrupted, the next search goes on with it.
    """
    query = _parsed(words)
    if query is None and not rebuild:
        raise typer.BadParameter("what for? email-handler search --help", param_hint="WORD…")
    connection = connect(stack, endpoint)
    index = open_index(connection)
    if rebuild:
        index.clear()
    if sync or rebuild:
        _catch_up(connection, index)
    if query is None:
        return
    order: Order = "best" if best else "newest"
    try:
        results = index.search(query, limit=limit, order=order)
    except IndexDamaged:
        index.clear()
        _catch_up(connection, index)
        results = index.search(query, limit=limit, order=order)
    _print(results, as_json=as_json)
    fail_if(not results.total)


def _parsed(words: list[str] | None) -> Query | None:
    try:
        return parse_query(" ".join(words), None) if words else None
    except QueryError as error:
        raise CommandError(str(error)) from error


def _catch_up(connection: Connection, index: SearchIndex) -> None:
    with progress("conversations") as show:
        catch_up(connection, index, progress=show)


def _print(results: Results, *, as_json: bool) -> None:
    if as_json:
        for hit in results.hits:
            print_json(_fields(hit))
        return
    if not results.total:
        err.print("Nothing found.")
        return
    out.print(_table(results))
    if (more := results.total - len(results.hits)) > 0:
        print_note(f"{more} more: --limit {results.total}", "dim")


def _fields(hit: Hit) -> dict[str, Any]:
    """Return a hit as JSON shows it: the message's record, with the status of its conversation and the words around what
    was found."""
    excerpt = "".join(piece.text for piece in hit.snippet)
    status = hit.conversation.status if hit.conversation else ""
    return public_fields(hit.message) | {"status": status, "excerpt": excerpt}


def _table(results: Results) -> Table:
    table = new_table("When", "Outcome", "Message")
    for hit in results.hits:
        message = hit.message
        ids = " ".join(filter(None, (message.conversation, message.receipt)))
        excerpt = Text.assemble(*((piece.text, "bold yellow" if piece.marked else "") for piece in hit.snippet))
        lines = [Text(headline(message), "bold"), *([excerpt] if excerpt.plain else []), Text(ids, "dim")]
        outcome = Text(message.outcome, STYLES[message.outcome])
        table.add_row(Text(when(message.at), no_wrap=True), outcome, Group(*lines))
    return table
