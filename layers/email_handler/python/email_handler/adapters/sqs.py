"""The send queues and their dead letters on SQS."""

from collections.abc import Mapping, Sequence
from typing import Any

from email_handler.adapters.aws import FAILURES, code
from email_handler.domain.jobs import Job
from email_handler.errors import QueueUnavailable

_REASON_LENGTH = 1000  # characters of a reason that a dead letter carries


class SqsJobs:
    """Port Jobs. A sender knows its own two queues; those who receive mail know all three queues."""

    def __init__(self, client: Any, queues: Mapping[str, str], dead_letters: Mapping[str, str]) -> None:
        """Use *client* (boto3, SQS). *queues* and *dead_letters* map kinds of job to queue URLs."""
        self._client = client
        self._queues = queues
        self._dead_letters = dead_letters

    def queue(self, jobs: Sequence[Job]) -> None:
        """Put each job in the queue of its kind. Raises QueueUnavailable: some may be queued by then, which is
        harmless, since the ledger lets only one send."""
        for job in jobs:
            self._send(QueueUrl=self._queues[job.kind], MessageBody=job.to_json())

    def park(self, job_body: str, kind: str, reason: str, attempts: int) -> None:
        """Send *job_body* as it is to the dead-letter queue of *kind*, with attributes ``Reason`` and ``Attempts``."""
        self._send(
            QueueUrl=self._dead_letters[kind],
            MessageBody=job_body,
            MessageAttributes={
                "Reason": {"DataType": "String", "StringValue": reason[:_REASON_LENGTH] or "no reason given"},
                "Attempts": {"DataType": "Number", "StringValue": str(attempts)},
            },
        )

    def change_visibility(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        """Hide a received message for *seconds* more (at most 12 h after its receive), then show it again."""
        try:
            self._client.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )
        except FAILURES as error:
            raise QueueUnavailable(f"SQS failed: {code(error)}") from error

    def _send(self, **message: Any) -> None:
        try:
            self._client.send_message(**message)
        except FAILURES as error:
            raise QueueUnavailable(f"SQS failed: {code(error)}") from error
