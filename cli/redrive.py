"""``email-handler redrive``: send what was dead-lettered, and run failed invocations again.

The ledger decides what is sent, so that nothing is sent twice, whatever the queues hold.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from cli.connection import Connection, connect, resources
from cli.functions import Functions
from cli.options import AsJson, DryRun, Endpoint, Stack
from cli.terminal import err, fail_if, print_json, print_line, tracked
from email_handler.conversations.jobs import JobKind
from email_handler.ports import DeadLetter, DeadLetters
from email_handler.usecases.redrive import Redrive, Redriven
from email_handler.usecases.redrive import discard as discard_sends
from email_handler.usecases.redrive import redrive as redrive_sends

SENT_BY = {"ack": (JobKind.ACKNOWLEDGEMENT,), "forward": (JobKind.FORWARD, JobKind.NOTICE), "reply": (JobKind.REPLY,)}
"""The kinds of job that each send queue holds."""


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
    from email_handler.adapters.sqs import DeadLetterQueues, SqsJobs  # noqa: PLC0415  (boto3, see cli.connection)

    urls = resources(connection)
    sqs = connection.session.client("sqs")
    queues = {kind.value: urls[f"{name.capitalize()}Queue"] for name, kinds in SENT_BY.items() for kind in kinds}
    letters = DeadLetterQueues(sqs, [urls[f"{name.capitalize()}DeadLetters"] for name in chosen])
    kinds = [kind for name in chosen for kind in SENT_BY[name]]
    if discard:
        lines = discard_sends(
            letters=letters, records=connection.records, ledger=connection.ledger, kinds=kinds, dry_run=dry_run
        )
    else:
        lines = redrive_sends(
            letters=letters,
            records=connection.records,
            ledger=connection.ledger,
            jobs=SqsJobs(sqs, queues, {}),
            clock=lambda: datetime.now(UTC),
            kinds=kinds,
            resend=resend,
            dry_run=dry_run,
        )
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
    what = {
        Redriven.QUEUED: "would be queued again" if dry_run else "queued again",
        Redriven.ENDED: "has ended already" + ("" if dry_run else ": dead letter deleted"),
        Redriven.LEFT: "left: not one of our jobs, or its records are gone (--discard deletes it)",
        Redriven.UNDECIDED: "left: it may have been sent already (--resend sends it once more, --discard leaves it unsent)",
        Redriven.DISCARDED: "would be deleted" if dry_run else "deleted",
    }[line.what]
    attempts = f"{line.attempts} {'attempt' if line.attempts == 1 else 'attempts'}"
    return f"{line.ledger or '(unreadable)'}: {what}; dead-lettered after {attempts}: {line.reason or '-'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One invocation that failed for good, as Lambda's on-failure destination recorded it, or an event that EventBridge
    could not deliver.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """

    letter: DeadLetter
    function: str = ""  # ARN, "" if the record is not one of AWS's
    payload: Any = None
    error: str = "not a record of AWS's"  # class of the exception; its text may quote a message
    at: str = ""
    attempts: int = 0

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
    """Read a message of ProcessingFailures. Never raises: an unreadable one has an empty ``function``."""
    try:
        record = json.loads(letter.body)
        if letter.target:
            return Failure(
                letter=letter,
                function=letter.target,
                payload=record,
                error=letter.reason,
                at=str(record["time"]),
                attempts=letter.attempts,
            )
        context, response = record["requestContext"], record.get("responsePayload") or {}
        error = response.get("errorType") or context.get("condition") if isinstance(response, dict) else ""
        return Failure(
            letter=letter,
            function=str(context["functionArn"]),
            payload=record["requestPayload"],
            error=str(error or ""),
            at=str(record.get("timestamp") or ""),
            attempts=int(context.get("approximateInvokeCount") or 0),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Failure(letter=letter)


def redrive_failures(
    letters: DeadLetters, start: Callable[[str, Any], None], logical_id: Callable[[str], str], *, dry_run: bool
) -> Iterator[tuple[Failure, str]]:
    """Yield each failed invocation with the logical id of its function, or "" if it is left where it is: it is not a
    record of AWS's, or *logical_id* does not know the function's ARN.

    *start* runs it again before the dead letter is deleted: a crash in between runs it twice, but the decision is
    still made only once.
    """
    for letter in letters.letters():
        failure = read_failure(letter)
        function = logical_id(failure.function) if failure.function else ""
        if function and not dry_run:
            start(failure.function, failure.payload)
            letters.discard(letter)
        yield failure, function


def discard_failures(
    letters: DeadLetters, logical_id: Callable[[str], str], *, dry_run: bool
) -> Iterator[tuple[Failure, str]]:
    """Delete the letters that :func:`redrive_failures` leaves where they are, and yield each. The others stay."""
    for letter in letters.letters():
        failure = read_failure(letter)
        if not (failure.function and logical_id(failure.function)):
            if not dry_run:
                letters.discard(letter)
            yield failure, ""


def _redrive_failures(connection: Connection, *, discard: bool, dry_run: bool, as_json: bool) -> None:
    from email_handler.adapters.sqs import DeadLetterQueues  # noqa: PLC0415  (boto3, see cli.connection)

    functions = Functions(connection)
    letters = DeadLetterQueues(connection.session.client("sqs"), [resources(connection)["ProcessingFailures"]])
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
