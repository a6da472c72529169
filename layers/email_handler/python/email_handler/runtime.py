"""The Lambda edge: AWS's event shapes in, our values out; one log line, one metric; partial batches."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from email_handler.conversations.jobs import Job
from email_handler.conversations.records import Decision
from email_handler.errors import MalformedEvent, MalformedJob, RetryLater
from email_handler.identifiers import EmailAddress, FunctionName, ReceiptId
from email_handler.senders.authentication import SesReceipt
from email_handler.usecases.reconcile import Reconciled
from email_handler.usecases.sending import SendResult

logger = Logger(service="email-handler")
metrics = Metrics(namespace="EmailHandler", service="email-handler")

type Event = dict[str, Any]
type Handler = Callable[[Event, LambdaContext], Any]


def event_handler(handle: Callable[[Event], Any]) -> Handler:
    """Wrap *handle* as the handler of an asynchronous function. What it raises is raised: AWS retries, and the
    on-failure destination keeps what failed for good."""

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics(capture_cold_start_metric=True)
    def handler(event: Event, context: LambdaContext) -> Any:
        del context
        metrics.add_metric(name="Invocations", unit=MetricUnit.Count, value=1)  # one at least, or Powertools warns
        return handle(event)

    wrapped: Handler = handler  # the decorators above are untyped
    return wrapped


def sqs_handler(
    send: Callable[[Job], SendResult],
    *,
    dead_letter: Callable[[str, str, int], None],
    show_again: Callable[[str, int], None],
) -> Handler:
    """Wrap *send* as the handler of a send queue that reports each failed record by itself.

    A job that is not ours is parked with *park* (body, reason, receives) and delays no other. For one that is put
    off, *show_again* (receipt handle, seconds) sets the visibility timeout before the record is reported failed.
    """
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle_record(record: SQSRecord) -> None:
        try:
            job = Job.from_json(record.body)
        except MalformedJob as error:
            dead_letter(record.body, str(error), int(record.attributes.approximate_receive_count))
            _outcome("job parked", SendResult.DEAD_LETTERED, reason=str(error))
            return
        ids = {"kind": job.kind.value, "conversation": job.conversation, "receipt": job.source, "ledger": job.ledger}
        try:
            result = send(job)
        except RetryLater as error:
            show_again(record.receipt_handle, error.delay)
            _outcome("send put off", "PutOff", reason=str(error), seconds=error.delay, **ids)
            raise
        _outcome("send ended", result, **ids)

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics(capture_cold_start_metric=True)
    def handler(event: Event, context: LambdaContext) -> Any:
        metrics.add_metric(name="Records", unit=MetricUnit.Count, value=len(event["Records"]))
        return dict(process_partial_response(event, handle_record, processor, context))

    wrapped: Handler = handler  # the decorators above are untyped
    return wrapped


def _outcome(message: str, metric: str, **keys: Any) -> None:
    metrics.add_metric(name=metric, unit=MetricUnit.Count, value=1)
    logger.info(message, extra={"outcome": metric, **keys})


def log_decision(decision: Decision) -> None:
    """Say once what became of a receipt: one line, one metric (``Deliver``, ``Hold``, …)."""
    _outcome(
        "decision",
        decision.outcome.value.capitalize(),
        receipt=decision.receipt,
        function=decision.function,
        conversation=decision.conversation,
        jobs=[job.ledger for job in decision.jobs],
    )


def log_problems(problems: tuple[str, ...]) -> None:
    """Say what is wrong with rules or routes: one warning, one metric, however many."""
    if problems:
        metrics.add_metric(name="ConfigurationProblems", unit=MetricUnit.Count, value=len(problems))
        logger.warning("configuration problems", extra={"problems": list(problems[:20])})


def log_conditions(conditions: tuple[str, ...]) -> None:
    """Say what was told to the alarm topic."""
    metrics.add_metric(name="Conditions", unit=MetricUnit.Count, value=len(conditions))
    logger.info("conditions reported", extra={"conditions": list(conditions)})


def log_outcome(message: str, metric: str, **keys: Any) -> None:
    """Say once what an invocation came to: *message* is a constant, the data goes into *keys* (ids, counts)."""
    _outcome(message, metric, **keys)


def log_request(answer: dict[str, Any]) -> dict[str, Any]:
    """Say once what the operator asked for came to, and return it: it is the invocation's answer."""
    _outcome("operator's request", "OperatorRequest", answer=answer)
    return answer


def log_reconciliation(done: Reconciled) -> dict[str, Any]:
    """Say once what a pass of the reconciler came to, and return it: it is the invocation's answer. What it had to
    take up is a metric of its own."""
    told = {
        "seen": done.seen,
        "taken_up": list(done.taken_up[:100]),
        "finished": done.finished,
        "queued": done.queued,
        "failed": dict(islice(done.failed.items(), 100)),
    }
    metrics.add_metric(name="TakenUp", unit=MetricUnit.Count, value=len(done.taken_up))
    _outcome("reconciled", "Reconciled", **told)
    return told


def left_over(told: dict[str, Any]) -> tuple[str, ...]:
    """Return what the daily report says of a pass that could not take up everything."""
    failed = len(told["failed"])
    return (
        (f"{failed} stored mails could not be taken up or finished: email-handler reconcile names them.",)
        if failed
        else ()
    )


def is_reconciliation(event: Event) -> bool:
    """Tell whether the reconciler's schedule invoked us."""
    return event.get("reconcile") is True


def operator_request(event: Event) -> dict[str, Any] | None:
    """Return what the operator's command asks for, None for any other event."""
    request = event.get("operator")
    return request if isinstance(request, dict) else None


def feedback_detail(event: Event) -> dict[str, Any] | None:
    """Return the detail of an EventBridge event of SES, None for any other event."""
    detail = event.get("detail")
    return detail if event.get("source") == "aws.ses" and isinstance(detail, dict) else None


def recorded_message(event: Event) -> tuple[ReceiptId, FunctionName]:
    """Return receipt and function of the message that one of our own events is about. Raises MalformedEvent."""
    detail = event.get("detail")
    receipt, function = (detail.get("receipt"), detail.get("function")) if isinstance(detail, dict) else (None, None)
    if not isinstance(receipt, str) or not receipt or function not in ("inbound", "reply"):
        raise MalformedEvent("not an event of ours about a recorded message")
    return ReceiptId(receipt), function


def ses_receipts(event: Event) -> list[SesReceipt]:
    """Return the receipts of an SES receiving event (one in practice; a list in its shape).

    Raises MalformedEvent where a record has no messageId: without it nothing can be found again.
    """
    try:
        return [_receipt(record["ses"]) for record in event["Records"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedEvent(f"not an SES receiving event with a messageId: {type(error).__name__}") from error


def _receipt(ses: dict[str, Any]) -> SesReceipt:
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
    )
