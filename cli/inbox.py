"""``email-handler inbox``: what waits for a reply, oldest first."""

from typing import Annotated

import typer

from cli.conversations import print_records
from cli.options import AsJson, Endpoint, Limit, Stack
from cli.terminal import print_note, progress
from operations.connection import connect
from operations.indexing import catch_up, open_index


def inbox(
    limit: Limit = 20,
    page: Annotated[int, typer.Option(min=1, help="Which part of the list: 1 for the oldest.")] = 1,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """List the conversations that wait for your reply, oldest first: open ones, and those where the contact wrote last."""
    connection = connect(stack, endpoint)
    index = open_index(connection)
    with progress("conversations") as show:
        catch_up(connection, index, texts=False, progress=show)
    waiting = index.count_inbox()
    shown = index.inbox(limit=limit, offset=(page - 1) * limit)
    print_records(shown, as_json=as_json, nothing="No such page." if waiting else "Nothing waits for a reply.")
    if waiting > page * limit and not as_json:
        print_note(f"{waiting - page * limit} more: --page {page + 1}", "dim")
