"""Ports Health and Alerts: the state of SES and of the dead-letter queues, and the alarm topic.

SES v2 ``GetAccount``, ``GetEmailIdentity``, ``GetSuppressedDestination``; SES v1 ``DescribeActiveReceiptRuleSet``; SQS
``GetQueueAttributes``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from email_handler.adapters.aws import FAILURES, code, translating
from email_handler.adapters.ses_state import account_conditions, receiving_condition
from email_handler.errors import HealthUnknown


class AwsHealth:
    """Asks SES and SQS. A question that cannot be asked (no permission, an emulator) is itself a condition."""

    def __init__(
        self,
        ses: Any,
        sqs: Any,
        *,
        domain: str,
        mailboxes: Sequence[str],
        dead_letter_queue_urls: Sequence[str],
        rule_set: str = "",
        active_rule_set: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Use the clients *ses* (sesv2) and *sqs*; *mailboxes* are the owner's, asked for suppression.

        *rule_set* is our receipt rule set, "" if this deployment has none; *active_rule_set* is SES v1's
        ``describe_active_receipt_rule_set``.
        """
        self._ses = ses
        self._sqs = sqs
        self._rule_set = rule_set
        self._active_rule_set = active_rule_set
        self._domain = domain
        self._mailboxes = mailboxes
        self._dead_letter_queue_urls = dead_letter_queue_urls

    def conditions(self) -> tuple[str, ...]:
        """Return what is wrong now, a sentence each."""
        return self._found(self._account, self._receiving, self._identity, self._suppression, self._dead_letters)

    def dead_letters(self) -> tuple[str, ...]:
        """Return a sentence about each queue that holds dead letters."""
        return self._found(self._dead_letters)

    def _found(self, *questions: Callable[[], Iterator[str]]) -> tuple[str, ...]:
        found: list[str] = []
        for question in questions:
            try:
                found.extend(question())
            except FAILURES as error:
                found.append(f"Could not ask {question.__name__.strip('_')}: {code(error)}.")
        return tuple(found)

    def _account(self) -> Iterator[str]:
        yield from map(str, account_conditions(self._ses.get_account()))

    def _receiving(self) -> Iterator[str]:
        if self._rule_set and (condition := receiving_condition(self._rule_set, self._active_rule_set())):
            yield f"{condition}."

    def _identity(self) -> Iterator[str]:
        identity = self._ses.get_email_identity(EmailIdentity=self._domain)
        if identity.get("VerifiedForSendingStatus") is False:
            yield "The domain is not verified: set the DKIM records that the stack's outputs name."
        mail_from = (identity.get("MailFromAttributes") or {}).get("MailFromDomainStatus", "SUCCESS")
        if mail_from != "SUCCESS":
            yield f"MAIL FROM is {mail_from}: set its MX and SPF records; sends wait up to four days for them."

    def _suppression(self) -> Iterator[str]:
        for number, mailbox in enumerate(self._mailboxes, start=1):
            try:
                self._ses.get_suppressed_destination(EmailAddress=mailbox)
            except ClientError as error:
                if code(error) == "NotFoundException":
                    continue
                raise
            yield f"Mailbox {number} of ForwardTo is on the account's suppression list: remove it in the SES console."

    def _dead_letters(self) -> Iterator[str]:
        for url in self._dead_letter_queue_urls:
            attributes = self._sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            ).get("Attributes", {})
            if count := int(attributes.get("ApproximateNumberOfMessages", 0)):
                yield f"{count} still in {url.rpartition('/')[2]}: email-handler redrive."


class SnsAlerts:
    """Port Alerts on one SNS topic."""

    def __init__(self, client: Any, topic_arn: str) -> None:
        """Use *client* (boto3, SNS) and publish to *topic_arn*."""
        self._client = client
        self._topic_arn = topic_arn

    def publish(self, subject: str, text: str) -> None:
        """Send *text* under *subject*. Raises HealthUnknown."""
        with translating(lambda error: HealthUnknown(f"SNS failed: {code(error)}")):
            self._client.publish(TopicArn=self._topic_arn, Subject=subject[:100], Message=text)
