"""``email-handler close``: conversations that wait for nobody."""

from typing import Annotated

import typer

from cli.connection import Endpoint, Stack, connect
from cli.terminal import AdminError, AsJson, err, print_json
from email_handler.conversations.records import Status
from email_handler.identifiers import ConversationId


def close(
    ids: Annotated[list[str], typer.Argument(metavar="CONVERSATION…", help="c-7k2m9x4q, as `list` shows it.")],
    spam: Annotated[bool, typer.Option("--spam", help="As spam, which no later mail makes a talk again.")] = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Close conversations. The contact's next mail there opens a closed one again, and is forwarded in any case:
    `block` is what holds their mail.
    """
    connection = connect(stack, endpoint)
    status = Status.SPAM if spam else Status.CLOSED
    unknown = []
    for wanted in dict.fromkeys(ids):
        if not connection.operator.put_status(ConversationId(wanted), status):
            unknown.append(wanted)
        elif as_json:
            print_json({"conversation": wanted, "status": status})
        else:
            err.print(f"{wanted} is {status}.", markup=False)
    if unknown:
        raise AdminError(f"no conversation of {connection.where}: {', '.join(unknown)}")
