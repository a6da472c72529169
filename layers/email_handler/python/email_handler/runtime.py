"""The Lambda edge: AWS's event shapes in, our values out; one log line per outcome; partial batches.

A cold start imports what its function's handler imports. What only one kind of event needs, is imported with it.
"""

import gc
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from email_handler.conversations.jobs import Job, SendResult
from email_handler.conversations.keys import raw_key
from email_handler.errors import EmailHandlerError, JobFailed, LeaseHeld, MalformedEvent, MalformedJob, RetryLater
from email_handler.identifiers import ArchiveKey, EmailAddress, FunctionName, ReceiptId
from email_handler.mistakes import Mistake, steps_end_within

if TYPE_CHECKING:
    from email_handler.conversations.records import Decision
    from email_handler.senders.authentication import SesReceipt
    from email_handler.usecases.context import Context
    from email_handler.usecases.passes import PassReport
    from email_handler.usecases.sending import Dispatch

logger = Logger(service="email-handler", location=None)
"""A line costs by its length: it says what happened in which invocation. Function and memory are those of the log group,
and Lambda's own lines report cold starts."""

TROUBLES = frozenset(
    {
        SendResult.DEAD_LETTERED,
        SendResult.UNKNOWN,
        SendResult.SENT_DESPITE_MISTAKE,
        "PutOff",
        "RecordFailed",
    }
)
"""Outcomes that are metrics too. A metric costs by the hours in which it has a value, and these have one only while
something is wrong; a query counts the others in the log (docs/runbook.md)."""

SHOWN = 100  # receipts and failures of one reconciliation in a log line and a response

type Event = dict[str, Any]
type Handler = Callable[[Event, LambdaContext], Any]


# Handlers


def event_handler(handle: Callable[[Event], Any]) -> Handler:
    """Wrap *handle* as the handler of an asynchronous function. It raises what *handle* raises: AWS retries, and the
    on-failure destination keeps what failed for good."""

    def handler(event: Event, _: LambdaContext) -> Any:
        return handle(event)

    return _observed(handler)


def receiving_handler(
    function: FunctionName,
    context: "Callable[[], Context]",
    *,
    receive: "Callable[[SesReceipt, ArchiveKey, Context], Decision]",
    hourly: "Callable[[Context], PassReport]",
    daily: "Callable[[Context], PassReport]",
) -> Handler:
    """Wrap a receiving function's use cases as its handler. Only here are the four kinds of event distinguished that
    invoke it: the operator's request, the two schedules, SES's feedback, and messages that SES received."""

    def run(event: Event, known: "Context") -> dict[str, Any] | None:
        match event:
            case {"operator": dict() as request}:
                from email_handler.usecases.operate import operate

                response = operate(request, known)
                log_outcome("operator's request", "OperatorRequest", answer=response)
                return response
            case {"reconcile": True | "hourly" as which}:
                report = daily(known) if which is True else hourly(known)
                response = _response(report)
                _log_report(report, response)
                return response
            case {"source": "aws.ses", "detail": dict() as detail}:
                from email_handler.usecases.feedback import record_feedback

                recorded = record_feedback(detail, known)
                if isinstance(recorded, str):
                    log_outcome("feedback", recorded)
                else:
                    log_decision(recorded)
            case _:
                for receipt in ses_receipts(event):
                    log_decision(receive(receipt, raw_key(function, receipt.id), known))
        return None

    def handle(event: Event) -> dict[str, Any] | None:
        known = context()
        try:
            return run(event, known)
        finally:
            known.configuration()  # waited for, whether or not it was needed: no read outlives the invocation

    return event_handler(handle)


def sqs_handler(
    send: "Callable[[Job, Dispatch], SendResult]",
    dispatch: "Callable[[], Dispatch]",
    *,
    dead_letter: Callable[[str, str, int], None],
    show_again: Callable[[str, int], None],
) -> Handler:
    """Wrap the use case *send* as the handler of a send queue that reports each failed record by itself.

    A message that is not a job goes to *dead_letter* (body, reason, receives) and delays no other. For a send that is
    put off, *show_again* (receipt handle, seconds) sets the visibility timeout before the record is reported failed.
    Whatever else a record raises fails the function at the end, once the other records are done: only a failed function
    sets off an alarm, and a batch is one record. A send that another worker has is no failure of the function.
    """

    def handle(record: dict[str, Any]) -> None:
        try:
            job = Job.from_json(record["body"])
        except MalformedJob as error:
            dead_letter(record["body"], str(error), int(record["attributes"]["ApproximateReceiveCount"]))
            log_outcome("job dead-lettered", SendResult.DEAD_LETTERED, reason=str(error))
            return
        ids = {"kind": job.kind.value, "conversation": job.conversation, "receipt": job.source, "ledger": job.ledger}
        try:
            result = send(job, dispatch())
        except RetryLater as error:
            show_again(record["receiptHandle"], error.delay)
            log_outcome("send put off", "PutOff", reason=str(error), seconds=error.delay, **ids)
            raise
        log_outcome("send ended", result, **ids)

    def handler(event: Event, _: LambdaContext) -> dict[str, Any]:
        failed: list[str] = []
        unexpected: list[str] = []  # what was raised
        for record in event["Records"]:
            try:
                handle(record)
            except RetryLater:
                failed.append(record["messageId"])
            except Exception as error:  # noqa: BLE001 - the queue delivers this record again, and the others shall leave
                # The text of an error of ours has no content; any other may quote the message.
                ours = isinstance(error, EmailHandlerError)
                shown = f"{type(error).__name__}: {error}" if ours else str(Mistake.of(error))
                log_outcome("record failed", "RecordFailed", record=record["messageId"], error=shown)
                if not isinstance(error, LeaseHeld):
                    unexpected.append(shown)
                failed.append(record["messageId"])
        if unexpected:
            raise JobFailed(unexpected[0])
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}

    return _observed(handler)


# Logs: one line per outcome, and a metric for what somebody should look at


def _observed(handler: Handler) -> Handler:
    """Return *handler* with Lambda's request id in its log lines, and with no step that takes so long that Lambda would end
    the run."""

    def observed(event: Event, context: LambdaContext) -> Any:
        logger.structure_logs(function_request_id=context.aws_request_id)  # and no keys of the invocation before
        with steps_end_within(lambda: context.get_remaining_time_in_millis() / 1000):
            return handler(event, context)

    if not gc.isenabled():  # all is imported
        gc.freeze()  # it stays: no collection needs to look at it
        gc.enable()
    return observed


def log_outcome(message: str, outcome: str, **keys: Any) -> None:
    """Log one *outcome*: *message* is a constant, the data (ids, counts) goes into *keys*."""
    logger.info(message, extra={"outcome": outcome, **keys})
    if outcome in TROUBLES:
        _count(outcome)
    if keys.get("mistake") or outcome == SendResult.SENT_DESPITE_MISTAKE:
        _count("Mistakes")


def _count(metric: str, value: int = 1) -> None:
    """Write one value of a metric, in a line of its own."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric  # few runs need it

    with single_metric(name=metric, unit=MetricUnit.Count, value=value, namespace="EmailHandler") as written:
        written.add_dimension("service", "email-handler")


def log_decision(decision: "Decision") -> None:
    """Log what was decided about a receipt (``Deliver``, ``Hold``, …)."""
    log_outcome(
        "decision",
        decision.outcome.value.capitalize(),
        receipt=decision.receipt,
        function=decision.decider,
        conversation=decision.conversation,
        jobs=[job.ledger for job in decision.jobs],
        **({"mistake": decision.mistake} if decision.mistake else {}),
    )


def log_problems(problems: tuple[str, ...]) -> None:
    """Log what is wrong with rules or routes: one warning, one metric, however many."""
    if problems:
        _count("ConfigurationProblems", len(problems))
        logger.warning("configuration problems", extra={"problems": list(problems[:20])})


def _log_report(report: "PassReport", response: dict[str, Any]) -> None:
    if report.reconciled.taken_up:
        _count("TakenUp", len(report.reconciled.taken_up))
    log_outcome("reconciled", "Reconciled", **response)
    if report.digest is not None:
        log_decision(report.digest)


def _response(report: "PassReport") -> dict[str, Any]:
    done = report.reconciled
    return {
        **asdict(done),
        "taken_up": list(done.taken_up[:SHOWN]),
        "failed": dict(islice(done.failed.items(), SHOWN)),
        "conditions": list(report.conditions),
        "learned": report.learned,
    }


# Event shapes


def recorded_message(event: Event) -> tuple[ReceiptId, FunctionName]:
    """Return receipt and function of the message that one of our own events is about. Raises MalformedEvent."""
    match event:
        case {"detail": {"receipt": str(receipt), "function": "inbound" | "reply" as function}} if receipt:
            return ReceiptId(receipt), function
    raise MalformedEvent("not an event of ours about a recorded message")


def ses_receipts(event: Event) -> "list[SesReceipt]":
    """Return the receipts of an SES receiving event (one in practice; its shape is a list).

    Raises MalformedEvent if a record has no messageId: without it nothing can be found again.
    """
    try:
        return [_receipt(record["ses"]) for record in event["Records"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedEvent(f"not an SES receiving event with a messageId: {type(error).__name__}") from error


def _receipt(ses: dict[str, Any]) -> "SesReceipt":
    from email_handler.senders.authentication import SesReceipt

    mail, receipt = ses["mail"], ses.get("receipt") or {}

    def status(name: str) -> str:
        verdict = receipt.get(name)
        return str(verdict.get("status") or "").upper() if isinstance(verdict, dict) else ""

    message_id = mail["messageId"]
    if not isinstance(message_id, str) or not message_id:
        raise KeyError("messageId")
    return SesReceipt(
        id=ReceiptId(message_id),
        envelope_sender=str(mail.get("source") or "").lower(),
        recipients=tuple(EmailAddress(str(address).lower()) for address in receipt.get("recipients") or ()),
        spam=status("spamVerdict"),
        virus=status("virusVerdict"),
        spf=status("spfVerdict"),
        dkim=status("dkimVerdict"),
        dmarc=status("dmarcVerdict"),
        dmarc_policy=str(receipt.get("dmarcPolicy") or "").lower(),
        headers=_headers(mail),
    )


def _headers(mail: dict[str, Any]) -> bytes:
    """Return the header section that SES's event repeats; b"" if it ends early, or is no list of names and values."""
    match mail:
        case {"headersTruncated": False, "headers": list() as headers} if all(
            isinstance(header, dict) and isinstance(header.get("name"), str) and isinstance(header.get("value"), str)
            for header in headers
        ):
            lines = (f"{header['name']}: {header['value']}\r\n" for header in headers)
            return "".join(lines).encode("utf-8", "backslashreplace")
    return b""
