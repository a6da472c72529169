"""``email-handler cancel``, ``snooze`` and ``reopen``: replies that have not left, and conversations that are put off."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import fail_if, print_json, print_note, print_result, when
from email_handler.conversations.commands import LONGEST_SNOOZE
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import LedgerItem, Status
from email_handler.identifiers import ConversationId, ReceiptId
from email_handler.usecases.waiting import describe_cancelled
from operations.connection import Connection, connect
from operations.conversations import find_conversation, ledger_items, sends_of
from operations.errors import CommandError
from operations.waiting import cancel as cancel_replies
from operations.waiting import reopen as reopen_conversation
from operations.waiting import snooze as snooze_conversation

Identifier = Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id, such as c-7k2m9x4q.")]


def cancel(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A conversation, or the receipt of one reply.")],
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Cancel replies that have not left yet: the last few of a conversation, or one.

    The exit code is 1 if nothing was cancelled. `why` shows a cancelled reply as such.
    """
    connection = connect(stack, endpoint)
    replies = cancel_replies(connection, _replies(connection, identifier))
    cancelled = sum(done for _, done in replies)
    for reply, done in replies if as_json else ():
        print_json({"send": reply.id, "receipt": reply.source, "state": reply.state, "cancelled": done})
    if not as_json:
        last = next((reply for reply, done in replies[-1:] if not done), None)
        print_note(describe_cancelled(cancelled, last))
    fail_if(not cancelled)


def _replies(connection: Connection, identifier: str) -> list[LedgerItem]:
    """Return the last replies of a conversation, or the one that came as a receipt, oldest first. Raises CommandError."""
    record = connection.records.message(ReceiptId(identifier), "reply")
    if record is not None:
        return [send for send in sends_of(connection, record) if send.kind is JobKind.REPLY]
    conversation = connection.records.conversation(ConversationId(identifier.lower()))
    if conversation is None:
        raise CommandError(
            f"{connection.where} has neither a conversation nor a reply {identifier}: email-handler list"
        )
    return ledger_items(connection, conversation.replies)


def snooze(
    identifier: Identifier,
    days: Annotated[int, typer.Option(min=1, max=LONGEST_SNOOZE, help="In how many days to be reminded.")] = 1,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Put a conversation off: a notice reminds you in its thread.

    Until then it does not wait for you, unless the contact writes. Another snooze moves it.
    """
    connection = connect(stack, endpoint)
    conversation = find_conversation(connection, identifier)
    until = snooze_conversation(connection, conversation, days, datetime.now(UTC))
    print_result(
        {"conversation": conversation.id, "status": Status.SNOOZED, "until": until.isoformat()},
        f"{conversation.id} is snoozed until {when(until)}.",
        as_json=as_json,
    )


def reopen(identifier: Identifier, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Let a conversation wait for your reply again, whatever it is now: closed, spam, answered or snoozed."""
    connection = connect(stack, endpoint)
    conversation = find_conversation(connection, identifier)
    status = reopen_conversation(connection, conversation)
    print_result(
        {"conversation": conversation.id, "status": status}, f"{conversation.id} is {status}.", as_json=as_json
    )
