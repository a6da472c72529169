"""``email-handler inbox``: what waits for a reply, oldest first."""

from typing import Annotated

import typer

from cli.connection import connect
from cli.conversations import print_records
from cli.options import AsJson, Endpoint, Limit, Stack
from cli.terminal import print_note
from email_handler.conversations.records import AWAITING, Conversation

ALL = 10**9


def inbox(
    limit: Limit = 20,
    page: Annotated[int, typer.Option(min=1, help="Which part of the list: 1 for the oldest.")] = 1,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """List the conversations that wait for your reply, oldest first: open ones, and those where the contact wrote last."""
    records = connect(stack, endpoint).records
    found = [one for status in AWAITING for one in records.find("status", status, ALL) if isinstance(one, Conversation)]
    waiting = sorted(found, key=lambda conversation: conversation.updated_at)
    shown = waiting[(page - 1) * limit : page * limit]
    print_records(shown, as_json=as_json, nothing="Nothing waits for a reply." if not waiting else "No such page.")
    if len(waiting) > page * limit and not as_json:
        print_note(f"{len(waiting) - page * limit} more: --page {page + 1}", "dim")
