"""``email-handler why``: everything that happened to a message, and why."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.connection import Connection, connect
from cli.conversations import decisions_of, describe_reason, public_fields, sends_of
from cli.functions import RECEIVERS
from cli.options import AsJson, Endpoint, Stack
from cli.terminal import CommandError, out, print_json, print_line, print_pairs, when
from email_handler.conversations.keys import text_prefix
from email_handler.conversations.records import LedgerItem, MessageRecord
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ConversationId, LedgerId, ReceiptId, SesId

Identifier = Annotated[
    str, typer.Argument(metavar="ID", help="A receipt, SES's id of an email we sent, a send or a conversation.")
]


def why(identifier: Identifier, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """Show what happened to a message and why: decision, reasons, sends, events, and its place in the archive.

    For a conversation, show that for each of its messages.
    """
    connection = connect(stack, endpoint)
    messages = _find_messages(connection, identifier)
    if not messages:
        raise CommandError(f"nothing called {identifier} is in {connection.where}: email-handler search finds ids")
    for message in messages:
        sends = sends_of(connection, message)
        explained = _explain(connection, message, sends)
        if as_json:
            print_json(explained)
        else:
            _print_explanation(message, sends, explained)


def _find_messages(connection: Connection, identifier: str) -> list[MessageRecord]:
    records = connection.records
    bare = identifier.strip("<>").partition("@")[0]
    found = [records.message(ReceiptId(bare), function) for function in RECEIVERS]
    if not any(found):
        send = connection.ledger.by_ses_id(SesId(bare))
        if send is None:
            try:
                send = connection.ledger.context(LedgerId(bare)).item
            except UnknownConversation:
                return list(records.messages(ConversationId(bare.lower())))
        found = [records.message(send.source, send.source_function)]
    return [message for message in found if message is not None]


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
        Sends="\n".join(map(_describe_send, sends)),
        Events="\n".join(event["detail_type"] for event in explained["events"]),
        Archive="\n".join(explained["archive"]),
    )  # fmt: skip
    out.print()


def _describe_send(send: LedgerItem) -> str:
    return (
        f"{send.kind} {send.state}"
        + (f" at attempt {send.attempt}" if send.attempt > 1 else "")
        + (f", SES id {send.ses_id}" if send.ses_id else "")
        + (f": {send.reason}" if send.reason else "")
        + (", a second copy may have been sent" if send.possible_duplicate else "")
    )
