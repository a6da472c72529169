"""Conditions of SES and the dead-letter queues, as sentences for the operator."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from email_handler.adapters.health import AwsHealth

HEALTHY = {
    "SendingEnabled": True,
    "ProductionAccessEnabled": True,
    "EnforcementStatus": "HEALTHY",
    "SendQuota": {"Max24HourSend": 50000.0, "SentLast24Hours": 10.0, "MaxSendRate": 14.0},
}
VERIFIED = {"VerifiedForSendingStatus": True, "MailFromAttributes": {"MailFromDomainStatus": "SUCCESS"}}
QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/stack-AckDeadLetters-1"


def conditions_for(
    *,
    account: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
    suppressed: bool = False,
    dead: int = 0,
    active: dict[str, Any] | None = None,
) -> tuple[str, ...]:
    """Return the conditions for these responses of AWS."""
    ses = boto3.client("sesv2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    sqs = boto3.client("sqs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(ses) as of_ses, Stubber(sqs) as of_sqs:
        of_ses.add_response("get_account", {**HEALTHY, **(account or {})})
        mail_from = {"MailFromDomain": "bounce.example.com", "BehaviorOnMxFailure": "REJECT_MESSAGE"}
        stored = {**VERIFIED, **(identity or {})}
        stored["MailFromAttributes"] = {**mail_from, **stored["MailFromAttributes"]}
        of_ses.add_response("get_email_identity", stored)
        if suppressed:
            destination = {"EmailAddress": "owner@private.example", "Reason": "BOUNCE", "LastUpdateTime": 0}
            of_ses.add_response("get_suppressed_destination", {"SuppressedDestination": destination})
        else:
            of_ses.add_client_error("get_suppressed_destination", "NotFoundException")
        of_sqs.add_response("get_queue_attributes", {"Attributes": {"ApproximateNumberOfMessages": str(dead)}})
        health = AwsHealth(
            ses,
            sqs,
            domain="example.com",
            mailboxes=["owner@private.example"],
            dead_letter_queue_urls=[QUEUE],
            rule_set="ours",
            active_rule_set=lambda: {"Metadata": {"Name": "ours"}} if active is None else active,
        )
        return health.conditions()


def test_a_healthy_deployment_has_no_conditions() -> None:
    assert conditions_for() == ()


@pytest.mark.parametrize(
    ("responses", "words"),
    [
        ({"account": {"SendingEnabled": False}}, "paused sending"),
        ({"account": {"ProductionAccessEnabled": False}}, "sandbox"),
        ({"account": {"EnforcementStatus": "PROBATION"}}, "PROBATION"),
        ({"account": {"SendQuota": {"Max24HourSend": 200.0, "SentLast24Hours": 190.0}}}, "190 of 200"),
        ({"identity": {"VerifiedForSendingStatus": False}}, "not verified"),
        ({"identity": {"MailFromAttributes": {"MailFromDomainStatus": "PENDING"}}}, "MAIL FROM is PENDING"),
        ({"suppressed": True}, "Mailbox 1 of ForwardTo"),
        ({"active": {"Metadata": {"Name": "desk"}}}, "The rule set desk is active, not ours: email-handler activate"),
        ({"active": {}}, "No rule set is active, so SES refuses all email: email-handler activate"),
        ({"dead": 3}, "3 still in stack-AckDeadLetters-1"),
    ],
)
def test_each_condition_is_a_sentence_without_addresses(responses: dict[str, Any], words: str) -> None:
    (condition,) = conditions_for(**responses)

    assert words in condition
    assert condition.endswith(".")
    assert "@" not in condition


def test_a_deployment_without_receipt_rules_asks_for_none() -> None:
    def asked() -> dict[str, Any]:
        raise AssertionError("nothing is to be asked")

    ses = boto3.client("sesv2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(ses) as of_ses:
        of_ses.add_response("get_account", HEALTHY)
        of_ses.add_response("get_email_identity", {"VerifiedForSendingStatus": True})
        health = AwsHealth(
            ses, None, domain="example.com", mailboxes=[], dead_letter_queue_urls=[], active_rule_set=asked
        )
        assert health.conditions() == ()


def test_a_request_that_is_denied_is_reported_as_a_condition() -> None:
    ses = boto3.client("sesv2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(ses) as of_ses:
        of_ses.add_client_error("get_account", "AccessDeniedException", "arn of somebody@example.com")
        of_ses.add_client_error("get_email_identity", "AccessDeniedException")
        found = AwsHealth(ses, None, domain="example.com", mailboxes=[], dead_letter_queue_urls=[]).conditions()

    assert found == ("Could not ask account: AccessDeniedException.", "Could not ask identity: AccessDeniedException.")
