"""``email-handler held``: what the filter kept back, and the operator's word about it.

Releasing and confirming is done by the receiving functions, with their settings and permissions: the command only asks.
"""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer
from rich.filesize import decimal
from rich.text import Text

from cli.connection import Connection, Endpoint, Stack, connect
from cli.conversations import Limit, ledger_items, messages_table, public_fields
from cli.deployment import Functions
from cli.terminal import AdminError, AsJson, ExitCode, err, out, plain, print_json, print_pairs, tracked, when
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import LedgerItem, MessageRecord
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.usecases.held import is_open

ALL = 10**9
SHOWN_FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Return-Path", "Authentication-Results")
SHOWN_TEXT = 1500  # characters of the text that ``held show`` prints

app = typer.Typer(no_args_is_help=True, help="Look at mail that was held, release it, or confirm that it was right.")


class Receiver(StrEnum):
    """The functions that hold mail."""

    INBOUND = "inbound"
    REPLY = "reply"


LOGICAL_IDS = {Receiver.INBOUND: "InboundFunction", Receiver.REPLY: "ReplyFunction"}

Receipts = Annotated[list[str], typer.Argument(metavar="RECEIPT…", help="As `held list` shows them.")]
Function = Annotated[
    Receiver | None,
    typer.Option(help="Which function held it; needed only where both did.", show_default=False),
]


@app.command("list")
def list_(
    limit: Limit = 50,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """List held mail that waits for your word, newest first, with the reasons."""
    connection = connect(stack, endpoint)
    found = connection.records.find("verdict", "held", limit=ALL)
    held = list(islice((record for record in found if isinstance(record, MessageRecord) and is_open(record)), limit))
    if as_json:
        for record in held:
            print_json(public_fields(record))
    elif held:
        out.print(messages_table(held))
        err.print("email-handler held show|release|confirm RECEIPT", style="dim")
    else:
        err.print("Nothing is held.")


@app.command()
def show(
    receipt: Annotated[str, typer.Argument(metavar="RECEIPT", help="As `held list` shows it.")],
    function: Function = None,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Show who wrote, why it is held, and how the text begins. Nothing is opened, fetched or run."""
    connection = connect(stack, endpoint)
    record = held_record(connection, receipt, function)
    try:
        message: Message | None = parse(connection.archive.get(record.archive_key))
    except ArchiveObjectMissing:
        message = None
    shown = _shown(record, message)
    if as_json:
        print_json(shown)
        return
    reasons = "\n".join(
        f"{reason.stage}:{reason.rule}"
        + (f" +{reason.weight:g}" if reason.weight else "")
        + (f"  {reason.detail}" if reason.detail else "")
        for reason in record.reasons
    )
    files = [f"{found['name']} ({found['type']}, {decimal(found['size'])})" for found in shown["attachments"]]
    out.print(Text(plain(record.subject) or "(no subject)", "bold"))
    print_pairs(
        Outcome=f"{record.outcome.value} {when(record.at)} by {record.function}, score {record.score:g}, "
        f"rules {record.rules_version or '-'}",
        Sender=f"{'verified' if record.verified else 'not verified'}: {record.verification}",
        Reasons=reasons,
        Header="\n".join(f"{name}: {value}" for name, values in shown["headers"].items() for value in values),
        Files="\n".join(files),
    )  # fmt: skip
    out.print()
    out.print(Text(shown["text"] if message else "The archive no longer holds this mail.", "default"))


@app.command()
def release(
    receipts: Receipts,
    allow: Annotated[bool, typer.Option(help="Put the senders on the allow-list (verified ones only).")] = False,
    function: Function = None,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Deliver held mail as if it had not been held: forwarded once, acknowledged if that is due."""
    _ask("release", receipts, {"allow": True} if allow else {}, function, connect(stack, endpoint), as_json=as_json)


@app.command()
def confirm(
    receipts: Receipts,
    block: Annotated[bool, typer.Option(help="Put the senders on the block-list (verified ones only).")] = False,
    function: Function = None,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Confirm that mail was rightly held: it leaves the list and stays in the archive until it expires."""
    _ask("confirm", receipts, {"block": True} if block else {}, function, connect(stack, endpoint), as_json=as_json)


def _ask(
    do: str,
    receipts: Sequence[str],
    options: dict[str, bool],
    function: Receiver | None,
    connection: Connection,
    *,
    as_json: bool,
) -> None:
    functions = Functions(connection)
    failed = 0
    for receipt in tracked(receipts, "messages", len(receipts)):
        receiver = function or _receiver(connection, receipt)
        request = {"do": do, "receipt": receipt, "function": receiver.value, **options}
        answer = functions.call(LOGICAL_IDS[receiver], {"operator": request})
        if (answer.get("outcome") == Outcome.HOLD) is (do == "release"):  # decided once: an earlier word stands
            before = "confirmed" if do == "release" else "released"
            answer["error"] = f"it was {before} before, and that stands"
        failed += "error" in answer
        if as_json:
            print_json({"receipt": receipt, "function": receiver.value, **answer})
        elif "error" in answer:
            err.print(f"{receipt}: {answer['error']}", style="red", markup=False, soft_wrap=True)
        else:
            sends = ledger_items(connection, answer["jobs"])
            out.print(Text(f"{receipt}: {told(answer, sends)}"), soft_wrap=True)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def told(answer: dict[str, Any], sends: Sequence[LedgerItem]) -> str:
    """Return the functions' answer to the operator as a line for people; *sends* are what its jobs came to so far."""
    states = f", {' and '.join(f'{send.kind} {send.state}' for send in sends)}" if sends else ""
    conversation = f", conversation {answer['conversation']}" if answer["conversation"] else ""
    return f"{answer['outcome']}{conversation}{states}"


def _receiver(connection: Connection, receipt: str) -> Receiver:
    """Return which function held *receipt*; inbound (which will say so) where none did."""
    found = [
        receiver for receiver in Receiver if _is_held(connection.records.message(ReceiptId(receipt), name(receiver)))
    ]
    if len(found) > 1:
        raise AdminError(f"{receipt} was held by both functions: say which with --function inbound or reply")
    return found[0] if found else Receiver.INBOUND


def _is_held(record: MessageRecord | None) -> bool:
    return record is not None and record.outcome is Outcome.HOLD


def name(receiver: Receiver) -> FunctionName:
    """Return *receiver* as the records name it."""
    return "inbound" if receiver is Receiver.INBOUND else "reply"


def held_record(connection: Connection, receipt: str, function: Receiver | None) -> MessageRecord:
    """Return the record of a message, whatever became of it since. Raises AdminError where there is none."""
    receiver = function or _receiver(connection, receipt)
    record = connection.records.message(ReceiptId(receipt), name(receiver))
    if record is None:
        raise AdminError(f"there is no message {receipt} in {connection.where}: email-handler held list")
    return record


def _shown(record: MessageRecord, message: Message | None) -> dict[str, Any]:
    headers = (
        {field: [plain(value) for value in message.header_all(field)] for field in SHOWN_FIELDS} if message else {}
    )
    files = message.attachments if message else ()
    return {
        "receipt": record.receipt,
        "function": record.function,
        "outcome": record.outcome.value,
        "at": record.at,
        "score": record.score,
        "rules_version": record.rules_version,
        "verified": record.verified,
        "verification": record.verification,
        "reasons": [asdict(reason) for reason in record.reasons],
        "headers": {field: values for field, values in headers.items() if values},
        "text": plain(message.text[:SHOWN_TEXT]) if message else "",
        "attachments": [
            {"name": plain(found.name), "type": found.content_type, "size": len(found.payload)} for found in files
        ],
        "archive_key": record.archive_key,
    }
