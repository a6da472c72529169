"""``email-handler reconcile``: run the daily pass now, or only list what is unfinished."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.options import AsJson, DryRun, Endpoint, Stack, parse_since
from cli.terminal import ExitCode, fail_if, out, print_hanging, print_json, print_line, print_note, tracked, when
from email_handler.usecases.audit import SETTLED, Audited, Trouble, audit
from operations.connection import connect
from operations.errors import CommandError
from operations.functions import RECEIVERS, Functions
from operations.health import unavailable

SHOWN = 50  # lines of each kind that --dry-run prints for people; --json shows all

_MEANING = {
    Trouble.STATELESS: "message or event of SES without a decision",
    Trouble.UNFINISHED: "decided, but jobs or events not sent",
    Trouble.OVERDUE: "send overdue",
    Trouble.UNPUBLISHED: "sent, but event not published",
    Trouble.FAILED: "send failed and dead-lettered",
    Trouble.UNDECIDED: "send that may have left (redrive --resend or --discard)",
    Trouble.UNKNOWN: "may have been sent, and is not sent again",
}


def reconcile(
    dry_run: DryRun = False,
    settled: Annotated[
        int, typer.Option(min=0, metavar="MINUTES", help="With --dry-run: anything younger counts as on its way.")
    ] = int(SETTLED.total_seconds() // 60),
    since: Annotated[str, typer.Option(help="With --dry-run: only messages stored since then, as for replay.")] = "",
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Run the daily pass now: take up messages without a decision, unfinished decisions and overdue sends. Messages of
    the last day are acknowledged if that is due.

    With --dry-run nothing is changed: everything unfinished is counted and listed. The exit code is then 5 if there is
    anything but what may have been sent and is not sent again (acknowledgements, and what you discarded).
    """
    began = parse_since(since) if since else None
    connection = connect(stack, endpoint)
    if dry_run:
        audited = audit(
            archive=connection.archive,
            records=connection.records,
            ledger=connection.ledger,
            clock=lambda: datetime.now(UTC),
            settled=timedelta(minutes=settled),
            since=began,
        )
        _print_audit(audited, as_json=as_json)
        return
    functions = Functions(connection)
    failed = 0
    for function in tracked(RECEIVERS, "functions", len(RECEIVERS)):
        done = functions.call(function, {"reconcile": True})
        if done is None:
            raise CommandError(
                "the deployed functions do not report what they did: deploy this version (docs/deploy.md)"
            )
        failed += len(done["failed"])
        if as_json:
            print_json({"function": function, **done})
            continue
        print_line(
            f"{function}: {done['seen']} stored messages seen, {len(done['taken_up'])} taken up, "
            f"{done['finished']} finished, {done['queued']} sends queued again, {len(done['failed'])} failed"
        )
        for left, why in done["failed"].items():
            print_note(f"not taken up: {left} ({why})", "red")
        if not done.get("complete", True):
            print_note("There is more: run it again, it goes on where it stopped.", "yellow")
        for condition in done.get("conditions", ()):
            note = unavailable(condition, emulated=connection.emulated)
            print_note(note or condition, "dim" if note else "yellow")
    fail_if(failed)


def _print_audit(audited: Iterable[Audited], *, as_json: bool) -> None:
    """Print everything unfinished, and the counts. Raises typer.Exit if anything is stuck."""
    total = 0
    found: dict[Trouble, list[Audited]] = {trouble: [] for trouble in Trouble}
    for one in tracked(audited, "messages and sends"):
        total += 1
        if one.trouble is not None:
            found[one.trouble].append(one)
            if as_json:
                print_json(asdict(one))
    counts = {trouble: len(those) for trouble, those in found.items()}
    if as_json:
        print_json({"looked_at": total, **counts})
    else:
        for trouble, those in found.items():
            if those:
                print_line(f"{_MEANING[trouble]}: {len(those)}", "bold")
            for one in those[:SHOWN]:
                print_hanging(out, "  ", f"{one.id} {one.function} {when(one.since)} {one.reason}")
            if len(those) > SHOWN:
                print_line(f"  and {len(those) - SHOWN} more (--json shows all)", "dim")
        out.print(f"{total} messages and sends checked, {sum(counts.values())} unfinished.")
    if any(trouble.stuck for trouble in counts if counts[trouble]):
        print_note("For what failed: email-handler redrive. For everything else: email-handler reconcile.", "dim")
        raise typer.Exit(ExitCode.STUCK)
