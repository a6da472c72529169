"""The five alarms: each is triggered on the deployed stack, and its notification reaches the topic. So does what the
hourly pass reports.

Real, on the emulator: functions that raise on malformed events, jobs that a sender dead-letters, and invocations that
fail three times and end in ProcessingFailures. Simulated: MiniStack publishes no metrics of SQS and evaluates alarms
only when a metric is put, so the tests put what SQS and Lambda would: a queue's real depth, and the function's error
once more. MiniStack also ignores dimensions when it evaluates, so that similar alarms go off together. The tests read
the dimensions of the deployed alarms to check that exactly one alarm watches each function or queue.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloud.clients import Clients
from cloud.cloud import LocalCloud
from cloud.ses import Fault
from email_handler.conversations.jobs import Job, JobKind
from email_handler.identifiers import ArchiveKey, LedgerId, ReceiptId
from tests.support.builders import mail

pytestmark = pytest.mark.cloud

FUNCTIONS = ("Inbound", "AckSender", "ForwardSender", "ReplySender")
DEAD_LETTER_QUEUES = (
    ("AckQueue", "AckDeadLetters"),
    ("ForwardQueue", "ForwardDeadLetters"),
    ("ReplyQueue", "ReplyDeadLetters"),
)
NOT_AN_EVENT = {"nothing": "of ours"}


class Alarms:
    """The stack's alarms, and the notifications of their topic."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.clients: Clients = cloud.clients
        self.cloudwatch = self.clients.client("cloudwatch")
        self.notifications = self.clients.sqs.create_queue(QueueName="alarm-notifications")["QueueUrl"]
        arn = self.clients.sqs.get_queue_attributes(QueueUrl=self.notifications, AttributeNames=["QueueArn"])
        self.clients.client("sns").subscribe(
            TopicArn=cloud.resources["AlarmTopic"], Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        self.names = [name for key, name in cloud.resources.items() if key.endswith(("Errors", "Alarm"))]

    def reset(self) -> None:
        """Set every alarm to OK and discard all notifications."""
        for name in self.names:
            self.cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="the test begins")
        while self.take_notifications():
            pass

    def watching(self, namespace: str, metric: str, dimensions: list[dict[str, str]]) -> list[str]:
        """Return the alarms that CloudWatch would evaluate for such a metric."""
        return [
            alarm["AlarmName"]
            for alarm in self.described()
            if (alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]) == (namespace, metric, dimensions)
        ]

    def described(self) -> list[dict[str, Any]]:
        """Return the stack's alarms as they are now."""
        found: list[dict[str, Any]] = self.cloudwatch.describe_alarms(AlarmNames=self.names)["MetricAlarms"]
        return found

    def publish(self, namespace: str, metric: str, dimension: str, whose: str, value: float) -> str:
        """Put one value of a metric as AWS does; return the name of the one alarm that watches it."""
        dimensions = [{"Name": dimension, "Value": whose}]
        (alarm,) = self.watching(namespace, metric, dimensions)
        datum = {"MetricName": metric, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
        self.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])
        return alarm

    def went_off(self, alarm: str) -> bool:
        """Return whether *alarm* is in ALARM and its notification has reached the topic."""
        (found,) = [one for one in self.described() if one.get("AlarmName") == alarm]
        received = self.cloud.wait_until(
            lambda: [one for one in self.take_notifications() if isinstance(one, dict) and one["AlarmName"] == alarm],
            10,
            "the notification",
        )
        return {found["StateValue"], received[0]["NewStateValue"]} == {"ALARM"}

    def take_notifications(self) -> list[Any]:
        """Return what has reached the topic since the last call: objects of alarms, texts of other sources."""
        messages = self.clients.sqs.receive_message(QueueUrl=self.notifications, MaxNumberOfMessages=10).get(
            "Messages", []
        )
        for message in messages:
            self.clients.sqs.delete_message(QueueUrl=self.notifications, ReceiptHandle=message["ReceiptHandle"])
        texts = [json.loads(message["Body"])["Message"] for message in messages]
        return [json.loads(text) if text[:1] in {"{", '"'} else text for text in texts]

    def depth(self, queue: str) -> int:
        """Return the number of visible messages in a queue of the stack."""
        response = self.clients.sqs.get_queue_attributes(
            QueueUrl=self.cloud.resources[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(response["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture(scope="module")
def stack_alarms(cloud: LocalCloud) -> Alarms:
    return Alarms(cloud)


@pytest.fixture
def alarms(stack_alarms: Alarms) -> Iterator[Alarms]:
    """Reset the alarms before each test, and empty the dead-letter queues after it."""
    stack_alarms.reset()
    yield stack_alarms
    for queue in (*(letters for _, letters in DEAD_LETTER_QUEUES), "ProcessingFailures"):
        stack_alarms.clients.sqs.purge_queue(QueueUrl=stack_alarms.cloud.resources[queue])


def test_five_alarms_notify_the_topic(stack_alarms: Alarms) -> None:
    assert len(stack_alarms.names) == 5
    assert {tuple(alarm["AlarmActions"]) for alarm in stack_alarms.described()} == {
        (stack_alarms.cloud.resources["AlarmTopic"],)
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_raises_sets_off_its_own_alarm(alarms: Alarms, function: str) -> None:
    assert alarms.cloud.invoke(f"{function}Function", NOT_AN_EVENT).failed

    name = alarms.cloud.resources[f"{function}Function"]
    alarm = alarms.publish("AWS/Lambda", "Errors", "FunctionName", name, 1)

    assert alarm == alarms.cloud.resources[f"{function}Errors"]
    assert alarms.went_off(alarm)


@pytest.fixture
def unreadable(alarms: Alarms) -> Iterator[Job]:
    """Return the job of a send that can be claimed but not read."""
    job = Job(
        kind=JobKind.FORWARD,
        ledger=LedgerId("forward-unreadable"),
        conversation="",
        source=ReceiptId("unreadable"),
        archive_key=ArchiveKey("raw/inbound/unreadable"),
    )
    table, key = alarms.cloud.resources["Records"], {"pk": {"S": f"SEND#{job.ledger}"}, "sk": {"S": "SEND"}}
    alarms.clients.dynamodb.put_item(
        TableName=table, Item={**key, "state": {"S": "queued"}, "attempt": {"N": "0"}, "id": {"S": job.ledger}}
    )
    yield job
    alarms.clients.dynamodb.delete_item(TableName=table, Key=key)


def test_a_send_that_always_fails_its_claim_sets_off_the_alarm_of_its_sender(alarms: Alarms, unreadable: Job) -> None:
    record = {"messageId": "m", "receiptHandle": "h", "body": unreadable.to_json(), "attributes": {}}
    run = alarms.cloud.invoke("ForwardSenderFunction", {"Records": [record]})
    assert run.failed
    assert "JobFailed" in str(run)

    name = alarms.cloud.resources["ForwardSenderFunction"]
    assert alarms.went_off(alarms.publish("AWS/Lambda", "Errors", "FunctionName", name, 1))


@pytest.mark.parametrize(("queue", "letters"), DEAD_LETTER_QUEUES)
def test_the_next_hourly_pass_reports_a_dead_lettered_job(alarms: Alarms, queue: str, letters: str) -> None:
    alarms.clients.sqs.send_message(QueueUrl=alarms.cloud.resources[queue], MessageBody="not a job")
    alarms.cloud.wait_until(lambda: alarms.depth(letters), 30, "the dead letter")
    assert not alarms.cloud.invoke("InboundFunction", {"reconcile": "hourly"}).failed

    (text,) = alarms.cloud.wait_until(alarms.take_notifications, 10, "the notification")

    name = alarms.cloud.resources[letters].rpartition("/")[2]
    assert f"{alarms.depth(letters)} still in {name}: email-handler redrive." in text


def invoke_inbound(cloud: LocalCloud) -> None:
    cloud.clients.lambda_.invoke(
        FunctionName=cloud.resources["InboundFunction"],
        InvocationType="Event",
        Payload=json.dumps(NOT_AN_EVENT).encode(),
    )


def publish_an_event_about_no_message(cloud: LocalCloud) -> None:
    detail = json.dumps({"receipt": "unknown", "function": "inbound"})
    entry = {"Source": "email-handler", "DetailType": "Message Received", "Detail": detail}
    assert cloud.clients.events.put_events(Entries=[entry])["FailedEntryCount"] == 0


@pytest.mark.parametrize("cause", [invoke_inbound, publish_an_event_about_no_message])
def test_an_invocation_that_fails_three_times_sets_off_the_alarm_of_processing_failures(
    alarms: Alarms, cause: Callable[[LocalCloud], None]
) -> None:
    cause(alarms.cloud)
    alarms.cloud.wait_until(lambda: alarms.depth("ProcessingFailures"), 60, "three failures")

    name = alarms.cloud.resources["ProcessingFailures"].rpartition("/")[2]
    depth = alarms.depth("ProcessingFailures")
    alarm = alarms.publish("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, depth)

    assert alarm == alarms.cloud.resources["ProcessingFailuresAlarm"]
    assert alarms.went_off(alarm)


@pytest.fixture
def sendable(alarms: Alarms) -> Iterator[str]:
    """Let the rule about SES's sending status match another source, and return it: only AWS may send as ``aws.ses``."""
    events, name = alarms.clients.events, alarms.cloud.resources["SendingDisabled"].rpartition("|")[2]
    pattern = events.describe_rule(Name=name)["EventPattern"]
    events.put_rule(Name=name, EventPattern=pattern.replace("aws.ses", "sample.ses"))
    yield "sample.ses"
    events.put_rule(Name=name, EventPattern=pattern)


def test_an_event_that_ses_has_disabled_sending_reaches_the_topic(alarms: Alarms, sendable: str) -> None:
    detail = json.dumps({"version": "1.0.0", "data": {"record": {"status": "DISABLED", "cause": "a sample"}}})
    entries = [
        {"Source": sendable, "DetailType": f"Sending Status {status}", "Detail": detail}
        for status in ("Enabled", "Disabled")
    ]
    assert alarms.clients.events.put_events(Entries=entries)["FailedEntryCount"] == 0

    received = alarms.cloud.wait_until(alarms.take_notifications, 10, "the notification")

    assert ["SES has disabled sending" in one for one in received] == [True]


def test_one_throttled_message_sets_off_no_alarm(alarms: Alarms) -> None:
    """The message is sent at the next attempt. A failed record is not an error of its function."""
    cloud = alarms.cloud
    if cloud.ses is None:
        pytest.skip("faults can be set only in the process that runs SES")
    jane = "jane@throttled.example"
    cloud.ses.fail_next(Fault(code="TooManyRequestsException", status=429, message="Maximum sending rate exceeded."))
    raw = mail(
        sender=jane, subject="Throttled", message_id="<throttled@throttled.example>", auto_submitted="auto-replied"
    )
    before = len(cloud.sent())

    cloud.send(raw, jane, ["contact@example.com"])
    cloud.wait_until(lambda: cloud.sent(after=before), 60, "the second attempt")

    assert [sent.recipients for sent in cloud.sent(after=before)] == [("owner@private.example",)]
    assert [alarms.depth(letters) for _, letters in DEAD_LETTER_QUEUES] == [0, 0, 0]
