"""The send queues and their dead letters on SQS."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import batched
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from email_handler.adapters.aws import code, translating
from email_handler.conversations.jobs import Job
from email_handler.errors import QueueUnavailable
from email_handler.ports import DeadLetter

_REASON_LENGTH = 1000  # characters of a reason that a dead letter carries
_HIDDEN = 600  # seconds for which a dead letter is hidden from others while it is looked at
_BATCH = 10  # messages that SQS returns or accepts at once


class SqsJobs:
    """Port Jobs. A sender knows its own two queues; a receiving function knows all three send queues."""

    def __init__(self, client: Any, queues: Mapping[str, str], dead_letters: Mapping[str, str]) -> None:
        """Use *client* (boto3, SQS). *queues* and *dead_letters* map kinds of job to queue URLs."""
        self._client = client
        self._queues = queues
        self._dead_letters = dead_letters

    def queue(self, jobs: Sequence[Job], delay: timedelta = timedelta()) -> None:
        """Put each job in the queue of its kind, to be delivered after *delay*. Raises QueueUnavailable: some may be
        queued by then, which is harmless, since the ledger lets only one send."""
        waits = {"DelaySeconds": math.ceil(delay.total_seconds())} if delay else {}
        for job in jobs:
            with translating(_unavailable):
                self._client.send_message(QueueUrl=self._queues[job.kind], MessageBody=job.to_json(), **waits)

    def dead_letter(self, job_body: str, kind: str, reason: str, attempts: int) -> None:
        """Send *job_body* as it is to the dead-letter queue of *kind*, with attributes ``Reason`` and ``Attempts``."""
        attributes = {
            "Reason": {"DataType": "String", "StringValue": reason[:_REASON_LENGTH] or "no reason given"},
            "Attempts": {"DataType": "Number", "StringValue": str(attempts)},
        }
        with translating(_unavailable):
            self._client.send_message(
                QueueUrl=self._dead_letters[kind], MessageBody=job_body, MessageAttributes=attributes
            )

    def change_visibility(self, queue_url: str, receipt_handle: str, seconds: int) -> None:
        """Hide a received message for *seconds* more (at most 12 h after its receive), then show it again."""
        with translating(_unavailable):
            self._client.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )


class DeadLetterQueues:
    """Port DeadLetters on any number of queues."""

    def __init__(self, client: Any, urls: Sequence[str]) -> None:
        """Use *client* (boto3, SQS) on the queues of *urls*."""
        self._client = client
        self._urls = urls
        self._kept: dict[str, DeadLetter] = {}  # by handle: looked at, not discarded

    def count(self) -> int:
        """Return the approximate number of letters."""
        total = 0
        for url in self._urls:
            response = self._call("get_queue_attributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            total += int(response["Attributes"]["ApproximateNumberOfMessages"])
        return total

    def letters(self) -> Iterator[DeadLetter]:
        """Yield every message once, until the queues are empty. Those not discarded by then become visible again at once.
        Raises QueueUnavailable."""
        seen: set[str] = set()
        try:
            for url in self._urls:
                while messages := self._receive(url):
                    for message in messages:
                        letter = _letter(url, message)
                        self._kept[letter.handle] = letter
                        if message["MessageId"] not in seen:
                            seen.add(message["MessageId"])
                            yield letter
        finally:
            self._show_again()

    def discard(self, letter: DeadLetter) -> None:
        """Delete *letter*. Raises QueueUnavailable."""
        self._call("delete_message", QueueUrl=letter.queue, ReceiptHandle=letter.handle)
        self._kept.pop(letter.handle, None)

    def _receive(self, url: str) -> list[dict[str, Any]]:
        response = self._call(
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN,
            WaitTimeSeconds=1,  # without waiting, SQS asks only some of its servers
            MessageAttributeNames=["Reason", "Attempts", "TARGET_ARN", "ERROR_CODE", "RETRY_ATTEMPTS"],
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        found: list[dict[str, Any]] = response.get("Messages", [])
        return found

    def _show_again(self) -> None:
        for url in self._urls:
            for batch in batched([kept for kept in self._kept.values() if kept.queue == url], _BATCH):
                entries = [
                    {"Id": str(number), "ReceiptHandle": letter.handle, "VisibilityTimeout": 0}
                    for number, letter in enumerate(batch)
                ]
                self._call("change_message_visibility_batch", QueueUrl=url, Entries=entries)
        self._kept.clear()

    def _call(self, operation: str, **request: Any) -> Any:
        with translating(_unavailable):
            return getattr(self._client, operation)(**request)


def _unavailable(error: ClientError | BotoCoreError) -> QueueUnavailable:
    return QueueUnavailable(f"SQS failed: {code(error)}")


def _letter(url: str, message: Mapping[str, Any]) -> DeadLetter:
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    received = message.get("Attributes", {}).get("ApproximateReceiveCount", "0")
    return DeadLetter(
        queue=url,
        handle=message["ReceiptHandle"],
        body=message["Body"],
        reason=attributes.get("Reason") or attributes.get("ERROR_CODE", ""),  # in capitals: EventBridge's own
        attempts=int(attributes.get("Attempts") or attributes.get("RETRY_ATTEMPTS") or received),
        target=attributes.get("TARGET_ARN", ""),
    )
