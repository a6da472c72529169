"""``email-handler replay``, ``reconcile`` and ``redrive``: bring to its end what has none.

The functions do the work, with their settings and permissions; the ledger lets nothing be sent twice.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import batched
from typing import Annotated, Any, Self

import typer
from rich.text import Text

from cli.connection import Connection, Endpoint, Stack, connect
from cli.conversations import ledger_items
from cli.deployment import Functions, resources, unasked
from cli.held import LOGICAL_IDS, Receiver, name, told
from cli.terminal import AdminError, AsJson, ExitCode, err, out, print_hanging, print_json, tracked, when
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import SETUP_OBJECT
from email_handler.conversations.records import Decision
from email_handler.identifiers import ReceiptId
from email_handler.ports import DeadLetter, DeadLetters
from email_handler.usecases.audit import SETTLED, Audited, Trouble, audit
from email_handler.usecases.redrive import Redrive, Redriven
from email_handler.usecases.redrive import redrive as redrive_sends

AT_ONCE = 4  # replays side by side: fewer than Lambda grants the smallest account
SHOWN = 50  # lines of each kind that the audit prints for people; --json tells all

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing: only tell what there is.")]


class Replayed(StrEnum):
    """What a replay came to."""

    KEPT = "kept"  # it had its decision, and that had been carried out: nothing was done
    FINISHED = "finished"  # it had its decision, whose jobs or events were not out yet
    DECIDED = "decided"  # it had none

    @classmethod
    def of(cls, before: Decision | None) -> Self:
        """Return what a replay comes to where *before* is the decision so far."""
        if before is None:
            return cls("decided")
        return cls("kept" if before.done else "finished")


DONE = {
    Replayed.KEPT: "decided before, nothing left to do",
    Replayed.FINISHED: "decided before, finished now",
    Replayed.DECIDED: "had no decision, decided now",
}
WOULD_BE = {
    Replayed.KEPT: "decided, nothing left to do",
    Replayed.FINISHED: "decided, would be finished",
    Replayed.DECIDED: "has no decision, would be decided",
}


def replay(
    receipts: Annotated[list[str] | None, typer.Argument(metavar="RECEIPT…", help="Of stored mails.")] = None,
    since: Annotated[str, typer.Option(help="All mail stored since 2026-11-20, 2026-11-20T09:00, 2h, 3d or 1w.")] = "",
    dry_run: DryRun = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Run the receiving function again for stored mail: what has its decision keeps it and is finished, what has none
    gets one. Nobody is acknowledged, and nothing is forwarded twice.
    """
    if bool(receipts) == bool(since):
        raise typer.BadParameter("name receipts, or a time", param_hint="RECEIPT… or --since")
    began = moment(since) if since else None
    connection = connect(stack, endpoint)
    stored = list(_stored_since(connection, began)) if began else list(_stored(connection, receipts or ()))
    functions = Functions(connection)

    def run(mail: tuple[Receiver, ReceiptId]) -> dict[str, Any]:
        receiver, receipt = mail
        what = Replayed.of(connection.records.decision(receipt, name(receiver)))
        line: dict[str, Any] = {"receipt": receipt, "function": receiver.value, "what": what.value}
        if dry_run:
            return line
        request = {"do": "replay", "receipt": receipt, "function": receiver.value}
        try:
            line |= functions.call(LOGICAL_IDS[receiver], {"operator": request})
        except AdminError as error:
            line["error"] = str(error)
        return line

    counts: Counter[str] = Counter()
    for line in tracked(_side_by_side(run, stored), "mails", len(stored)):
        what = Replayed(line["what"])
        counts["error" if "error" in line else what] += 1
        if as_json:
            print_json(line)
        elif "error" in line:
            err.print(f"{line['receipt']}: {line['error']}", style="red", markup=False, soft_wrap=True)
        elif not since or what is not Replayed.KEPT:  # of thousands, those with nothing left to do are only counted
            mail = f"{line['receipt']} {line['function']}"
            now = "" if dry_run else told(line, ledger_items(connection, line["jobs"]))
            became = WOULD_BE[what] if dry_run else f"{DONE[what]}: {now}"
            out.print(Text(f"{mail}, {became}"), soft_wrap=True)
    err.print(
        f"{len(stored)} mails: {counts[Replayed.KEPT]} decided and finished before, {counts[Replayed.FINISHED]} "
        f"unfinished, {counts[Replayed.DECIDED]} without a decision, {counts['error']} failed",
        style="dim",
        soft_wrap=True,
    )
    if counts["error"]:
        raise typer.Exit(ExitCode.FAILED)


def moment(text: str) -> datetime:
    """Return the time that *text* means: a span back from now (``2h``), or ISO 8601 (local where it has no zone).

    Raises typer.BadParameter.
    """
    if span := _SPAN.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text} is no time such as 2026-11-20, 2026-11-20T09:00, 2h, 3d or 1w", param_hint="--since"
        ) from error


def _side_by_side[T, R](work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Yield the results in the order of *items*, a few at a time: whoever stops half-way has done no more than told."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for batch in batched(items, AT_ONCE):
            yield from pool.map(work, batch)


def _stored(connection: Connection, receipts: Iterable[str]) -> Iterator[tuple[Receiver, ReceiptId]]:
    for receipt in receipts:
        found = [receiver for receiver in Receiver if _is_stored(connection, f"raw/{receiver.value}/{receipt}")]
        if not found:
            raise AdminError(f"the archive holds no mail {receipt}: email-handler search finds receipts")
        yield from ((receiver, ReceiptId(receipt)) for receiver in found)


def _is_stored(connection: Connection, key: str) -> bool:
    return any(stored == key for stored, _ in connection.archive.keys(key))


def _stored_since(connection: Connection, since: datetime) -> Iterator[tuple[Receiver, ReceiptId]]:
    for receiver in Receiver:
        for key, modified in connection.archive.keys(f"raw/{receiver.value}/"):
            receipt = ReceiptId(key.rpartition("/")[2])
            if modified >= since and receipt != SETUP_OBJECT:
                yield receiver, receipt


def reconcile(
    dry_run: DryRun = False,
    settled: Annotated[
        int, typer.Option(min=0, metavar="MINUTES", help="With --dry-run: what is younger counts as on its way.")
    ] = int(SETTLED.total_seconds() // 60),
    since: Annotated[str, typer.Option(help="With --dry-run: only mail stored since then, as for replay.")] = "",
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Run the daily pass now: stored mail without a decision, unfinished decisions, overdue sends are taken up.

    With --dry-run nothing is changed: everything without an end is counted and named, and the exit code is 5 if there
    is anything but acknowledgements of which nobody knows whether they left (those are never sent again).
    """
    if dry_run:
        began = moment(since) if since else None
        connection = connect(stack, endpoint)
        looked_at = audit(
            archive=connection.archive,
            records=connection.records,
            ledger=connection.ledger,
            clock=lambda: datetime.now(UTC),
            settled=timedelta(minutes=settled),
            since=began,
        )
        _tell_audit(looked_at, as_json=as_json)
        return
    connection = connect(stack, endpoint)
    functions = Functions(connection)
    failed = 0
    for receiver in tracked(list(Receiver), "functions", len(Receiver)):
        done = functions.call(LOGICAL_IDS[receiver], {"reconcile": True})
        if done is None:
            raise AdminError("the deployed functions do not tell what they did: deploy this version (docs/deploy.md)")
        failed += len(done["failed"])
        if as_json:
            print_json({"function": receiver.value, **done})
            continue
        out.print(
            f"{receiver.value}: {done['seen']} stored mails seen, {len(done['taken_up'])} taken up, "
            f"{done['finished']} finished, {done['queued']} sends queued again, {len(done['failed'])} failed",
            soft_wrap=True,
        )
        for left, why in done["failed"].items():
            err.print(f"not taken up: {left} ({why})", style="red", markup=False, soft_wrap=True)
        for condition in done.get("conditions", ()):
            not_here = unasked(condition, emulated=connection.emulated)
            err.print(not_here or condition, style="dim" if not_here else "yellow", markup=False)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _tell_audit(looked_at: Iterable[Audited], *, as_json: bool) -> None:
    """Print each trouble and the counts. Raises typer.Exit where anything is stuck."""
    total = 0
    troubles: list[Audited] = []
    for one in tracked(looked_at, "mails and sends"):
        total += 1
        if one.trouble is not None:
            troubles.append(one)
    counts = Counter(one.trouble for one in troubles)
    if as_json:
        for one in troubles:
            print_json(asdict(one))
        print_json({"looked_at": total, **{trouble.value: counts[trouble] for trouble in Trouble}})
    else:
        _print_troubles(troubles)
        out.print(f"{total} mails and sends looked at, {len(troubles)} without an end.")
    if any(one.trouble and one.trouble.stuck for one in troubles):
        err.print("What failed: email-handler redrive. Everything else: email-handler reconcile.", style="dim")
        raise typer.Exit(ExitCode.STUCK)


def _print_troubles(troubles: Sequence[Audited]) -> None:
    for trouble in Trouble:
        of_it = [one for one in troubles if one.trouble is trouble]
        if of_it:
            out.print(f"{MEANING[trouble]}: {len(of_it)}", style="bold")
        for one in of_it[:SHOWN]:
            print_hanging(out, "  ", f"{one.id} {one.function} {when(one.since)} {one.reason}")
        if len(of_it) > SHOWN:
            out.print(f"  and {len(of_it) - SHOWN} more (--json tells all)", style="dim")


MEANING = {
    Trouble.STATELESS: "mail without a decision",
    Trouble.UNFINISHED: "decided, jobs or events not out",
    Trouble.OVERDUE: "send overdue",
    Trouble.UNPUBLISHED: "sent, event not out",
    Trouble.FAILED: "send failed and parked",
    Trouble.UNKNOWN: "acknowledgement that may have left",
}


class Queue(StrEnum):
    """What can be sent back."""

    ACK = "ack"
    FORWARD = "forward"
    REPLY = "reply"
    PROCESSING_FAILURES = "processing-failures"


SEND_QUEUES = {
    Queue.ACK: ("AckQueue", "AckDeadLetters", (JobKind.ACKNOWLEDGEMENT,)),
    Queue.FORWARD: ("ForwardQueue", "ForwardDeadLetters", (JobKind.FORWARD, JobKind.NOTICE)),
    Queue.REPLY: ("ReplyQueue", "ReplyDeadLetters", (JobKind.REPLY,)),
}


def redrive(
    queue: Annotated[
        Queue | None, typer.Argument(help="Without one, the three send queues.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Send again what was parked: by the ledger, so that nothing leaves twice, whatever lies in the queues.

    processing-failures: runs inbound, reply or attachment again on what failed three times.
    """
    connection = connect(stack, endpoint)
    if queue is Queue.PROCESSING_FAILURES:
        _redrive_failures(connection, dry_run=dry_run, as_json=as_json)
    else:
        chosen = [queue] if queue else list(SEND_QUEUES)
        _redrive_sends(connection, chosen, dry_run=dry_run, as_json=as_json)


def _redrive_sends(connection: Connection, chosen: Sequence[Queue], *, dry_run: bool, as_json: bool) -> None:
    from email_handler.adapters.sqs import DeadLetterQueues, SqsJobs  # noqa: PLC0415  (boto3, see cli.connection)

    urls = resources(connection)
    sqs = connection.session.client("sqs")
    queues = {kind.value: urls[queue] for queue, _, kinds in SEND_QUEUES.values() for kind in kinds}
    letters = DeadLetterQueues(sqs, [urls[SEND_QUEUES[queue][1]] for queue in chosen])
    lines = redrive_sends(
        letters=letters,
        records=connection.records,
        ledger=connection.ledger,
        jobs=SqsJobs(sqs, queues, {}),
        clock=lambda: datetime.now(UTC),
        kinds=[kind for queue in chosen for kind in SEND_QUEUES[queue][2]],
        dry_run=dry_run,
    )
    counts: Counter[Redriven] = Counter()
    for line in tracked(lines, "letters"):
        counts[line.what] += 1
        if as_json:
            print_json(asdict(line))
        else:
            _tell_redrive(line, dry_run=dry_run)
    if not counts:
        err.print("Nothing is parked.")
    if counts[Redriven.LEFT]:
        raise typer.Exit(ExitCode.FAILED)


def _tell_redrive(line: Redrive, *, dry_run: bool) -> None:
    what = {
        Redriven.QUEUED: "would be queued again" if dry_run else "queued again",
        Redriven.ENDED: "has its end already" + ("" if dry_run else ": letter thrown away"),
        Redriven.LEFT: "left: no job of ours, or its records are gone",
    }[line.what]
    tries = f"{line.attempts} {'try' if line.attempts == 1 else 'tries'}"
    out.print(
        Text(f"{line.ledger or '(unreadable)'}: {what}; parked after {tries}: {line.reason or '-'}"), soft_wrap=True
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One invocation that failed for good, as Lambda's on-failure destination recorded it.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """

    letter: DeadLetter
    function: str  # ARN, "" where the record is none of Lambda's
    payload: Any
    error: str  # class of what was raised; texts may quote mail
    at: str
    attempts: int

    @property
    def about(self) -> str:
        """Return the receipt, or what else the invocation was for."""
        payload = self.payload if isinstance(self.payload, dict) else {}
        try:
            return str(payload["Records"][0]["ses"]["mail"]["messageId"])
        except (KeyError, IndexError, TypeError):
            detail = payload.get("detail")
            return str((detail.get("receipt") if isinstance(detail, dict) else "") or payload.get("detail-type") or "-")


def read_failure(letter: DeadLetter) -> Failure:
    """Read a message of ProcessingFailures. Never raises: what is no record has an empty ``function``."""
    try:
        record = json.loads(letter.body)
        context, response = record["requestContext"], record.get("responsePayload") or {}
        return Failure(
            letter=letter,
            function=str(context["functionArn"]),
            payload=record["requestPayload"],
            error=str(response.get("errorType") or context.get("condition") or "")
            if isinstance(response, dict)
            else "",
            at=str(record.get("timestamp") or ""),
            attempts=int(context.get("approximateInvokeCount") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Failure(letter=letter, function="", payload=None, error="not a record of Lambda's", at="", attempts=0)


def redrive_failures(
    letters: DeadLetters, start: Callable[[str, Any], None], known: Callable[[str], str], *, dry_run: bool
) -> Iterator[tuple[Failure, str]]:
    """Yield each failed invocation with the logical id of its function, "" for what is left where it is: no record of
    Lambda's, or a function that is not ours (*known* tells the logical id of an ARN).

    The order is the guarantee: *start* runs it again, then the letter is deleted. A crash in between runs it twice,
    and the decision is taken once all the same.
    """
    for letter in letters.letters():
        failure = read_failure(letter)
        logical_id = known(failure.function) if failure.function else ""
        if logical_id and not dry_run:
            start(failure.function, failure.payload)
            letters.discard(letter)
        yield failure, logical_id


def _redrive_failures(connection: Connection, *, dry_run: bool, as_json: bool) -> None:
    from email_handler.adapters.sqs import DeadLetterQueues  # noqa: PLC0415  (boto3, see cli.connection)

    functions = Functions(connection)
    letters = DeadLetterQueues(connection.session.client("sqs"), [resources(connection)["ProcessingFailures"]])
    count = left = 0
    lines = redrive_failures(letters, functions.start, functions.logical_id, dry_run=dry_run)
    for failure, logical_id in tracked(lines, "failures", letters.count()):
        count += 1
        left += not logical_id
        what = "left" if not logical_id else "would run again" if dry_run else "started again"
        if as_json:
            print_json({
                "function": logical_id,
                "about": failure.about,
                "what": what,
                "error": failure.error,
                "at": failure.at,
                "attempts": failure.attempts,
            })  # fmt: skip
        else:
            line = f"{logical_id or '(unknown function)'} {failure.about}: {what}; {failure.error} at {failure.at}"
            out.print(Text(line), soft_wrap=True)
    if not count:
        err.print("Nothing has failed.")
    if left:
        raise typer.Exit(ExitCode.FAILED)
