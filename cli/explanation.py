"""``email-handler why``: everything that happened to a message, and why."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.connection import Connection, Endpoint, Stack, connect
from cli.conversations import decisions_of, public_fields, sends_of
from cli.terminal import AdminError, AsJson, out, print_json, print_pairs, when
from email_handler.conversations.records import MessageRecord
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ConversationId, FunctionName, LedgerId, ReceiptId, SesId

FUNCTIONS: tuple[FunctionName, ...] = ("inbound", "reply")


def why(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="Receipt, SES's id of a mail we sent, send, or conversation.")
    ],
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Tell everything that happened to a message and why: decision, reasons, sends, events, and where it lies.

    For a conversation, that of every message in it.
    """
    connection = connect(stack, endpoint)
    explained = [explain(connection, message) for message in _messages_named(connection, identifier)]
    if not explained:
        raise AdminError(f"nothing called {identifier} is in {connection.where}: email-handler search finds ids")
    for one in explained:
        if as_json:
            print_json(one)
        else:
            _print_explanation(one)


def _messages_named(connection: Connection, identifier: str) -> list[MessageRecord]:
    records = connection.records
    bare = identifier.strip("<>").partition("@")[0]
    found = [records.message(ReceiptId(bare), function) for function in FUNCTIONS]
    if not any(found):
        send = connection.ledger.by_ses_id(SesId(bare))
        if send is None:
            try:
                send = connection.ledger.context(LedgerId(bare)).item
            except UnknownConversation:
                return list(records.messages(ConversationId(bare.lower())))
        found = [records.message(send.source, send.source_function)]
    return [message for message in found if message is not None]


def explain(connection: Connection, message: MessageRecord) -> dict[str, Any]:
    """Return everything that is known of *message*, as ``why --json`` prints it."""
    decisions = decisions_of(connection, message)
    sends = sends_of(connection, message)
    texts = f"text/{message.conversation or 'none'}/{message.receipt}/"
    archive = [
        message.archive_key,
        *(found.archive_key for found in message.attachments),
        *(key for key, _ in connection.archive.keys(texts)),
        *(send.sent_key for send in sends if send.sent_key),
    ]
    return {
        "message": public_fields(message),
        "decision": {
            "outcome": message.outcome.value,
            "reasons": [asdict(reason) for reason in message.reasons],
            "score": message.score,
            "rules_version": message.rules_version,
            "done": bool(decisions) and all(decision.done for decision in decisions),
        },
        "sends": [public_fields(send) for send in sends],
        "events": [
            {"id": event.id, "detail_type": event.detail_type} for decision in decisions for event in decision.events
        ],
        "archive": archive,
    }


def _print_explanation(one: dict[str, Any]) -> None:
    message, decision = one["message"], one["decision"]
    out.print(Text(f"{message['subject'] or '(no subject)'}", "bold"))
    verification = f"{'verified' if message['verified'] else 'not verified'}: {message['verification']}"
    reasons = [
        f"{reason['stage']}:{reason['rule']}"
        + (f" +{reason['weight']:g}" if reason["weight"] else "")
        + (f" ({reason['detail']})" if reason["detail"] else "")
        for reason in decision["reasons"]
    ]
    sends = [
        f"{send['kind']} {send['state']}"
        + (f" at try {send['attempt']}" if send["attempt"] > 1 else "")
        + (f", SES id {send['ses_id']}" if send["ses_id"] else "")
        + (f": {send['reason']}" if send["reason"] else "")
        + (", a second copy may have left" if send["possible_duplicate"] else "")
        for send in one["sends"]
    ]
    print_pairs(
        ParsedMessage=f"{when(message['at'])} by {message['function']}, {message['size']} octets",
        From=f"{message['sender_name']} <{message['sender']}>, {verification}".strip(),
        Outcome=f"{decision['outcome']}, score {decision['score']:g}, rules {decision['rules_version'] or '-'}"
        + ("" if decision["done"] else ", not finished yet"),
        Reasons="\n".join(reasons),
        Machine=message["automatic"],
        Feedback=", ".join(f"{name} {value}" for name, value in message["feedback"].items() if value),
        Defects=", ".join(message["defects"]),
        Conversation=message["conversation"],
        Sends="\n".join(sends),
        Events="\n".join(event["detail_type"] for event in one["events"]),
        Archive="\n".join(one["archive"]),
    )  # fmt: skip
    out.print()
