"""``email-handler redrive``: send what was dead-lettered, and run failed invocations again.

The ledger decides what is sent, so that nothing is sent twice, whatever the queues hold.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from cli.options import AsJson, DryRun, Endpoint, Stack
from cli.terminal import err, fail_if, print_json, print_line, tracked
from email_handler.usecases.redrive import Redrive, Redriven
from operations.connection import Connection, connect
from operations.functions import Functions
from operations.redrive import SENT_BY, describe, discard_failures, failures, redrive_failures
from operations.redrive import redrive as redrive_sends

Queue = Annotated[
    Literal["ack", "forward", "reply", "processing-failures"] | None,
    typer.Argument(help="Without one, the three send queues.", show_default=False),
]
Discard = Annotated[
    bool,
    typer.Option(
        "--discard",
        help="Only delete the dead letters that nobody can use; what may have left is not sent again. Nothing is sent or run.",
    ),
]
Resend = Annotated[
    bool,
    typer.Option("--resend", help="Also send again, once, what may have left already: its recipient may get it twice."),
]


def redrive(
    queue: Queue = None,
    discard: Discard = False,
    resend: Resend = False,
    dry_run: DryRun = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Send again what was dead-lettered. The ledger decides, so that nothing is sent twice.

    processing-failures: run inbound, reply or attachment again on what failed three times.
    """
    connection = connect(stack, endpoint)
    if queue == "processing-failures":
        _redrive_failures(connection, discard=discard, dry_run=dry_run, as_json=as_json)
    else:
        chosen = [queue] if queue else list(SENT_BY)
        _redrive_sends(connection, chosen, discard=discard, resend=resend, dry_run=dry_run, as_json=as_json)


def _redrive_sends(
    connection: Connection, chosen: Sequence[str], *, discard: bool, resend: bool, dry_run: bool, as_json: bool
) -> None:
    lines = redrive_sends(connection, chosen, discard=discard, resend=resend, dry_run=dry_run)
    counts: Counter[Redriven] = Counter()
    for line in tracked(lines, "dead letters"):
        counts[line.what] += 1
        if as_json:
            print_json(asdict(line))
        else:
            print_line(_describe(line, dry_run=dry_run))
    if not counts:
        err.print("Every dead letter can be used." if discard else "Nothing is dead-lettered.")
    fail_if(counts[Redriven.LEFT] + counts[Redriven.UNDECIDED])


def _describe(line: Redrive, *, dry_run: bool) -> str:
    attempts = f"{line.attempts} {'attempt' if line.attempts == 1 else 'attempts'}"
    return f"{line.ledger or '(unreadable)'}: {describe(line, dry_run=dry_run)}; dead-lettered after {attempts}: {line.reason or '-'}"


def _redrive_failures(connection: Connection, *, discard: bool, dry_run: bool, as_json: bool) -> None:
    functions = Functions(connection)
    letters = failures(connection)
    count = left = 0
    if discard:
        lines = discard_failures(letters, functions.logical_id, dry_run=dry_run)
    else:
        lines = redrive_failures(letters, functions.start, functions.logical_id, dry_run=dry_run)
    for failure, function in tracked(lines, "failures", letters.count()):
        count += 1
        left += not function and not discard
        about, error, at = failure.about, failure.error, failure.at
        what = _what(function, discard=discard, dry_run=dry_run)
        if as_json:
            line = {"function": function, "about": about, "what": what, "error": error, "at": at}
            print_json(line | {"attempts": failure.attempts, "body": "" if function else failure.letter.body})
        else:
            print_line(f"{function or '(unknown function)'} {about}: {what}; {error} at {at}")
    if not count:
        err.print("Every failed invocation can be run again." if discard else "No failed invocations.")
    fail_if(left)


def _what(function: str, *, discard: bool, dry_run: bool) -> str:
    if discard:
        return "would be deleted" if dry_run else "deleted"
    if not function:
        return "left (--discard deletes it)"
    return "would run again" if dry_run else "started again"
