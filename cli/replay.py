"""``email-handler replay``: run the receiving function again for stored messages."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import batched
from typing import Annotated, Any

import typer

from cli.options import AsJson, DryRun, Endpoint, Stack, parse_since
from cli.terminal import fail_if, print_json, print_line, print_note, tracked
from email_handler.conversations.keys import SETUP_OBJECT, raw_key, raw_prefix, receipt_of
from email_handler.conversations.records import Decision
from email_handler.identifiers import FunctionName, ReceiptId
from operations.connection import Connection, connect
from operations.conversations import ledger_items
from operations.errors import CommandError
from operations.functions import RECEIVERS, Functions, describe_result

AT_ONCE = 4  # parallel replays: fewer than Lambda grants the smallest account

_EFFECTS = {  # what a replay did, and with --dry-run would do
    "kept": ("decided before, nothing left to do", "decided, nothing left to do"),
    "finished": ("decided before, finished now", "decided, would be finished"),
    "decided": ("had no decision, decided now", "has no decision, would be decided"),
}


def replay(
    receipts: Annotated[list[str] | None, typer.Argument(metavar="RECEIPT…", help="Of stored messages.")] = None,
    since: Annotated[
        str, typer.Option(help="All messages stored since 2026-11-20, 2026-11-20T09:00, 2h, 3d or 1w.")
    ] = "",
    dry_run: DryRun = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Run the receiving function again for stored messages.

    A message that has a decision keeps it, and its jobs are finished; one without gets a decision. No acknowledgement
    is sent, and nothing is forwarded twice.
    """
    if bool(receipts) == bool(since):
        raise typer.BadParameter("name receipts, or a time", param_hint="RECEIPT… or --since")
    began = parse_since(since) if since else None
    connection = connect(stack, endpoint)
    stored = list(_stored_since(connection, began) if began else _stored(connection, receipts or ()))
    functions = Functions(connection)

    def run(message: tuple[FunctionName, ReceiptId]) -> dict[str, Any]:
        function, receipt = message
        what = replay_effect(connection.records.decision(receipt, function))
        line: dict[str, Any] = {"receipt": receipt, "function": function, "what": what}
        if dry_run:
            return line
        request = {"do": "replay", "receipt": receipt, "function": function}
        try:
            line |= functions.call(function, {"operator": request})
        except CommandError as error:
            line["error"] = str(error)
        return line

    counts: Counter[str] = Counter()
    for line in tracked(_in_parallel(run, stored), "messages", len(stored)):
        counts["error" if "error" in line else line["what"]] += 1
        if as_json:
            print_json(line)
        elif receipts or "error" in line or line["what"] != "kept":  # of thousands, the kept ones are only counted
            _print_replay(connection, line)
    print_note(
        f"{len(stored)} messages: {counts['kept']} decided and finished before, {counts['finished']} unfinished, "
        f"{counts['decided']} without a decision, {counts['error']} failed",
        "dim",
    )
    fail_if(counts["error"])


def _print_replay(connection: Connection, line: dict[str, Any]) -> None:
    if "error" in line:
        print_note(f"{line['receipt']}: {line['error']}", "red")
        return
    done, effect = _EFFECTS[line["what"]]
    if "jobs" in line:
        effect = f"{done}: {describe_result(line, ledger_items(connection, line['jobs']))}"
    print_line(f"{line['receipt']} {line['function']}, {effect}")


def replay_effect(before: Decision | None) -> str:
    """Return what a replay does if *before* is the decision so far: kept, finished, or decided."""
    if before is None:
        return "decided"
    return "kept" if before.done else "finished"


def _in_parallel[T, R](work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield the results in the order of *items*, in small batches: an interrupted command has done little more than it
    has shown."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for batch in batched(items, AT_ONCE):
            yield from pool.map(work, batch)


def _stored(connection: Connection, receipts: Iterable[str]) -> Iterator[tuple[FunctionName, ReceiptId]]:
    for receipt in receipts:
        keys = {function: raw_key(function, ReceiptId(receipt)) for function in RECEIVERS}
        found = [name for name, key in keys.items() if any(key == stored for stored, _ in connection.archive.keys(key))]
        if not found:
            raise CommandError(f"the archive holds no message {receipt}: email-handler search finds receipts")
        yield from ((function, ReceiptId(receipt)) for function in found)


def _stored_since(connection: Connection, since: datetime) -> Iterator[tuple[FunctionName, ReceiptId]]:
    for function in RECEIVERS:
        for key, modified in connection.archive.keys(raw_prefix(function)):
            receipt = receipt_of(key)
            if modified >= since and receipt != SETUP_OBJECT:
                yield function, receipt
