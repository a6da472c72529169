"""Send again what was dead-lettered, and run failed invocations again.

The ledger decides what is sent, so that nothing is sent twice, whatever the queues hold.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from email_handler.conversations.jobs import JobKind
from email_handler.ports import DeadLetter, DeadLetters
from email_handler.usecases.redrive import Redrive, Redriven
from email_handler.usecases.redrive import discard as discard_sends
from email_handler.usecases.redrive import redrive as redrive_sends
from operations.connection import Connection, resources

if TYPE_CHECKING:
    from email_handler.adapters.sqs import DeadLetterQueues

SENT_BY = {"ack": (JobKind.ACKNOWLEDGEMENT,), "forward": (JobKind.FORWARD, JobKind.NOTICE), "reply": (JobKind.REPLY,)}
"""The kinds of job that each send queue holds."""


def redrive(
    connection: Connection, chosen: Sequence[str], *, discard: bool, resend: bool, dry_run: bool
) -> Iterator[Redrive]:
    """Yield what happens to each dead letter of the queues *chosen* (names of SENT_BY), and to each failed send without
    one (see ``usecases.redrive``). Raises CommandError."""
    from email_handler.adapters.sqs import DeadLetterQueues, SqsJobs  # noqa: PLC0415  (boto3, see operations.connection)

    urls = resources(connection)
    sqs = connection.session.client("sqs")
    queues = {kind.value: urls[f"{name.capitalize()}Queue"] for name, kinds in SENT_BY.items() for kind in kinds}
    letters = DeadLetterQueues(sqs, [urls[f"{name.capitalize()}DeadLetters"] for name in chosen])
    kinds = [kind for name in chosen for kind in SENT_BY[name]]
    if discard:
        return discard_sends(
            letters=letters, records=connection.records, ledger=connection.ledger, kinds=kinds, dry_run=dry_run
        )
    return redrive_sends(
        letters=letters,
        records=connection.records,
        ledger=connection.ledger,
        jobs=SqsJobs(sqs, queues, {}),
        clock=lambda: datetime.now(UTC),
        kinds=kinds,
        resend=resend,
        dry_run=dry_run,
    )


def describe(line: Redrive, *, dry_run: bool) -> str:
    """Return in a few words what happened to a dead letter, or would."""
    return {
        Redriven.QUEUED: "would be queued again" if dry_run else "queued again",
        Redriven.ENDED: "has ended already" + ("" if dry_run else ": dead letter deleted"),
        Redriven.LEFT: "left: not one of our jobs, or its records are gone (--discard deletes it)",
        Redriven.UNDECIDED: "left: it may have been sent already (--resend sends it once more, --discard leaves it unsent)",
        Redriven.DISCARDED: "would be deleted" if dry_run else "deleted",
    }[line.what]


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


def failures(connection: Connection) -> "DeadLetterQueues":
    """Return the dead letters of invocations. Raises CommandError."""
    from email_handler.adapters.sqs import DeadLetterQueues  # noqa: PLC0415  (boto3, see operations.connection)

    return DeadLetterQueues(connection.session.client("sqs"), [resources(connection)["ProcessingFailures"]])


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
