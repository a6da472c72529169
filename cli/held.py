"""``email-handler held``: look at messages that the filter held, and release or confirm them.

The receiving functions release and confirm, with their settings and permissions: the command only asks them.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from cli.conversations import print_records
from cli.options import AsJson, Endpoint, Limit, Stack
from cli.terminal import describe_files, fail_if, out, print_json, print_line, print_note, print_pairs, tracked, when
from email_handler.conversations.held import is_open
from email_handler.conversations.records import MessageRecord
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from operations.connection import Connection, connect
from operations.conversations import describe_reason, ledger_items
from operations.errors import CommandError
from operations.functions import Functions, describe_result
from operations.held import decide, receiver_of

ALL = 10**9
SHOWN_FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Return-Path", "Authentication-Results")
SHOWN_TEXT = 1500  # characters of the text that ``held show`` prints

app = typer.Typer(
    no_args_is_help=True, help="Look at held messages, release them, or confirm that they were rightly held."
)

Receipt = Annotated[str, typer.Argument(metavar="RECEIPT", help="As `held list` shows it.")]
Receipts = Annotated[list[str], typer.Argument(metavar="RECEIPT…", help="As `held list` shows them.")]
Function = Annotated[
    Literal["inbound", "reply"] | None,
    typer.Option(help="The function that held it; needed only if both did.", show_default=False),
]


@app.command("list")
def list_(limit: Limit = 50, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False) -> None:
    """List held messages that wait for your decision, newest first, with the reasons."""
    found = connect(stack, endpoint).records.find("verdict", "held", limit=ALL)
    held = islice((record for record in found if isinstance(record, MessageRecord) and is_open(record)), limit)
    if print_records(held, as_json=as_json, nothing="Nothing is held.") and not as_json:
        print_note("email-handler held show|release|confirm RECEIPT", "dim")


@app.command()
def show(
    receipt: Receipt, function: Function = None, stack: Stack = "", endpoint: Endpoint = "", as_json: AsJson = False
) -> None:
    """Show the sender, the reasons, and the beginning of the text. Nothing is opened, fetched or run."""
    connection = connect(stack, endpoint)
    record = connection.records.message(ReceiptId(receipt), function or receiver_of(connection, ReceiptId(receipt)))
    if record is None:
        raise CommandError(f"there is no message {receipt} in {connection.where}: email-handler held list")
    try:
        message: Message | None = parse(connection.archive.get(record.archive_key))
    except ArchiveObjectMissing:
        message = None
    shown = _describe(record, message)
    if as_json:
        print_json(shown)
        return
    print_line(record.subject or "(no subject)", "bold")
    print_pairs(
        Outcome=f"{record.outcome} {when(record.at)} by {record.function}, score {record.score:g}, "
        f"rules {record.rules_version or '-'}",
        Sender=f"{'verified' if record.verified else 'not verified'}: {record.verification}",
        Reasons="\n".join(map(describe_reason, record.reasons)),
        Header="\n".join(f"{name}: {value}" for name, values in shown["headers"].items() for value in values),
        Files=describe_files(shown["attachments"]),
    )  # fmt: skip
    out.print()
    out.print(Text(shown["text"] if message else "The archive no longer holds this message."))


@app.command()
def release(
    receipts: Receipts,
    allow: Annotated[bool, typer.Option(help="Put the senders on the allow-list (verified ones only).")] = False,
    function: Function = None,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Deliver held messages as if they had not been held: forwarded once, acknowledged if that is due."""
    _decide("release", receipts, function, connect(stack, endpoint), listed=allow, as_json=as_json)


@app.command()
def confirm(
    receipts: Receipts,
    block: Annotated[bool, typer.Option(help="Put the senders on the block-list (verified ones only).")] = False,
    function: Function = None,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Confirm that messages were rightly held: they leave the list and stay in the archive until they expire."""
    _decide("confirm", receipts, function, connect(stack, endpoint), listed=block, as_json=as_json)


def _decide(
    what: Literal["release", "confirm"],
    receipts: Sequence[str],
    function: FunctionName | None,
    connection: Connection,
    *,
    listed: bool,
    as_json: bool,
) -> None:
    functions = Functions(connection)
    failed = 0
    for receipt in tracked(receipts, "messages", len(receipts)):
        receiver = function or receiver_of(connection, ReceiptId(receipt))
        result = decide(what, ReceiptId(receipt), receiver, functions, listed=listed)
        failed += "error" in result
        if as_json:
            print_json({"receipt": receipt, "function": receiver, **result})
        elif "error" in result:
            print_note(f"{receipt}: {result['error']}", "red")
        else:
            print_line(f"{receipt}: {describe_result(result, ledger_items(connection, result['jobs']))}")
    fail_if(failed)


def _describe(record: MessageRecord, message: Message | None) -> dict[str, Any]:
    fields = ("receipt", "function", "outcome", "at", "score", "rules_version", "verified", "verification")
    headers = {field: list(message.header_all(field)) for field in SHOWN_FIELDS} if message else {}
    return {field: getattr(record, field) for field in fields} | {
        "reasons": [asdict(reason) for reason in record.reasons],
        "headers": {field: values for field, values in headers.items() if values},
        "text": message.text[:SHOWN_TEXT] if message else "",
        "attachments": [
            {"name": found.name, "type": found.content_type, "size": len(found.payload)}
            for found in (message.attachments if message else ())
        ],
        "archive_key": record.archive_key,
    }
