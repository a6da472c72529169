"""``email-handler why``: everything that happened to a message, and why."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.conversations import describe_send
from cli.options import AsJson, Endpoint, Stack
from cli.terminal import out, print_json, print_line, print_pairs, when
from email_handler.conversations.keys import text_prefix
from email_handler.conversations.records import LedgerItem, MessageRecord
from operations.connection import Connection, connect
from operations.conversations import decisions_of, describe_reason, public_fields, sends_of
from operations.lookup import find_messages

Identifier = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A receipt, SES's id of an email we sent, a send or a conversation, or how one begins; or a contact's address.",
    ),
]


def why(identifier: Identifier, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Show what happened to a message and why: decision, reasons, sends, events, and its place in the archive.

    For a conversation or a contact, show that for each message.
    """
    connection = connect(stack, endpoint)
    for message in find_messages(connection, identifier):
        sends = sends_of(connection, message)
        explained = _explain(connection, message, sends)
        if as_json:
            print_json(explained)
        else:
            _print_explanation(message, sends, explained)


def _explain(connection: Connection, message: MessageRecord, sends: Sequence[LedgerItem]) -> dict[str, Any]:
    """Return everything that is known about *message*, as ``--json`` prints it."""
    decisions = decisions_of(connection, message)
    texts = text_prefix(message.conversation, message.receipt)
    return {
        "message": public_fields(message),
        "decision": {
            "outcome": message.outcome.value,
            "reasons": [asdict(reason) for reason in message.reasons],
            "score": message.score,
            "rules_version": message.rules_version,
            "done": bool(decisions) and all(decision.done for decision in decisions),
        },
        "sends": [*map(public_fields, sends)],
        "events": [
            {"id": event.id, "detail_type": event.detail_type} for decision in decisions for event in decision.events
        ],
        "archive": [
            message.archive_key,
            *(found.archive_key for found in message.attachments),
            *(key for key, _ in connection.archive.keys(texts)),
            *(send.sent_key for send in sends if send.sent_key),
        ],
    }


def _print_explanation(message: MessageRecord, sends: Sequence[LedgerItem], explained: dict[str, Any]) -> None:
    print_line(message.subject or "(no subject)", "bold")
    verification = f"{'verified' if message.verified else 'not verified'}: {message.verification}"
    print_pairs(
        Received=f"{when(message.at)} by {message.function}, {message.size} bytes",
        From=f"{message.sender_name} <{message.sender}>, {verification}".strip(),
        Outcome=f"{message.outcome}, score {message.score:g}, rules {message.rules_version or '-'}"
        + ("" if explained["decision"]["done"] else ", not finished yet"),
        Reasons="\n".join(map(describe_reason, message.reasons)),
        Machine=message.automatic,
        Feedback=", ".join(f"{name} {value}" for name, value in explained["message"]["feedback"].items() if value),
        Defects=", ".join(message.defects),
        Changed="\n".join(message.changes),
        Unchecked="\n".join(message.unchecked),
        Conversation=message.conversation,
        Sends="\n".join(map(describe_send, sends)),
        Events="\n".join(event["detail_type"] for event in explained["events"]),
        Archive="\n".join(explained["archive"]),
    )  # fmt: skip
    out.print()
