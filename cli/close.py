"""``email-handler close``: end conversations that need no reply."""

from typing import Annotated

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import print_result
from email_handler.conversations.records import Status
from email_handler.identifiers import ConversationId
from operations.connection import connect
from operations.errors import CommandError


def close(
    ids: Annotated[list[str], typer.Argument(metavar="CONVERSATION…", help="c-7k2m9x4q, as `list` shows it.")],
    spam: Annotated[bool, typer.Option("--spam", help="Mark them as spam: a new email does not reopen them.")] = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Close conversations.

    The contact's next email reopens a closed one. It is forwarded in any case: `block` holds a contact's emails.
    """
    connection = connect(stack, endpoint)
    status = Status.SPAM if spam else Status.CLOSED
    unknown = []
    for wanted in dict.fromkeys(ids):
        if connection.operator.put_status(ConversationId(wanted), status):
            print_result({"conversation": wanted, "status": status}, f"{wanted} is {status}.", as_json=as_json)
        else:
            unknown.append(wanted)
    if unknown:
        raise CommandError(f"no such conversation in {connection.where}: {', '.join(unknown)}")
