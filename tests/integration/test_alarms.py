"""The ten alarms: each cause is made on the deployed stack, and the alarm goes off and reaches the topic.

What is seen and what is simulated. Seen: functions that raise on malformed events, jobs that a sender parks, and
invocations that fail three times and land in ProcessingFailures, all on the emulator; MiniStack counts ``Errors`` of
synchronous invocations itself. Simulated: MiniStack publishes no metrics of SQS, and looks at alarms only when a metric
is put, so the tests publish what SQS and Lambda would: a queue's real depth, and the function's error once more.
MiniStack also forgets the dimensions when it evaluates, so ALARM of one is ALARM of its siblings; that exactly one
alarm watches the function or queue is read from the deployed alarms' dimensions, as CloudWatch would match them.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloud.clients import Clients
from cloud.cloud import LocalCloud
from cloud.ses import Fault
from tests.support.builders import mail

pytestmark = pytest.mark.cloud

FUNCTIONS = ("Inbound", "Reply", "Attachment", "AckSender", "ForwardSender", "ReplySender")
DEAD_LETTER_QUEUES = (
    ("AckQueue", "AckDeadLetters"),
    ("ForwardQueue", "ForwardDeadLetters"),
    ("ReplyQueue", "ReplyDeadLetters"),
)
NOT_AN_EVENT = {"nothing": "of ours"}


class Alarms:
    """The stack's alarms, and what came to the topic."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.clients: Clients = cloud.clients
        self.cloudwatch = self.clients.client("cloudwatch")
        self.told = self.clients.sqs.create_queue(QueueName="alarms-told")["QueueUrl"]
        arn = self.clients.sqs.get_queue_attributes(QueueUrl=self.told, AttributeNames=["QueueArn"])
        self.clients.client("sns").subscribe(
            TopicArn=cloud.resources["AlarmTopic"], Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        self.names = [name for key, name in cloud.resources.items() if key.endswith(("Errors", "Alarm"))]

    def quiet(self) -> None:
        """Put every alarm back to OK and forget what was told."""
        for name in self.names:
            self.cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="the test begins")
        while self._told():
            pass

    def watching(self, namespace: str, metric: str, dimensions: list[dict[str, str]]) -> list[str]:
        """Return the alarms that CloudWatch would hold such a datum against."""
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
        """Put one datum as AWS does; return the name of the one alarm that watches it."""
        dimensions = [{"Name": dimension, "Value": whose}]
        (alarm,) = self.watching(namespace, metric, dimensions)
        datum = {"MetricName": metric, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
        self.cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])
        return alarm

    def went_off(self, alarm: str) -> bool:
        """Tell whether *alarm* is in ALARM and the topic was told so."""
        (found,) = [one for one in self.described() if one["AlarmName"] == alarm]
        told = self.cloud.wait_until(
            lambda: [one for one in self._told() if one["AlarmName"] == alarm], 10, "the topic's word"
        )
        return {found["StateValue"], told[0]["NewStateValue"]} == {"ALARM"}

    def _told(self) -> list[dict[str, Any]]:
        messages = self.clients.sqs.receive_message(QueueUrl=self.told, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.clients.sqs.delete_message(QueueUrl=self.told, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    def depth(self, queue: str) -> int:
        """Return how many messages a queue of the stack shows."""
        asked = self.clients.sqs.get_queue_attributes(
            QueueUrl=self.cloud.resources[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture(scope="module")
def made(cloud: LocalCloud) -> Alarms:
    return Alarms(cloud)


@pytest.fixture
def alarms(made: Alarms) -> Iterator[Alarms]:
    """All is quiet before, and what a test left in the dead letters is gone after."""
    made.quiet()
    yield made
    for queue in (*(letters for _, letters in DEAD_LETTER_QUEUES), "ProcessingFailures"):
        made.clients.sqs.purge_queue(QueueUrl=made.cloud.resources[queue])


def test_there_are_ten_and_all_tell_the_topic(made: Alarms) -> None:
    assert len(made.names) == 10
    assert {tuple(alarm["AlarmActions"]) for alarm in made.described()} == {(made.cloud.resources["AlarmTopic"],)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_raises_sets_off_its_own_alarm(alarms: Alarms, function: str) -> None:
    assert alarms.cloud.invoke(f"{function}Function", NOT_AN_EVENT).failed

    name = alarms.cloud.resources[f"{function}Function"]
    alarm = alarms.publish("AWS/Lambda", "Errors", "FunctionName", name, 1)

    assert alarm == alarms.cloud.resources[f"{function}Errors"]
    assert alarms.went_off(alarm)


@pytest.mark.parametrize(("queue", "letters"), DEAD_LETTER_QUEUES)
def test_a_parked_job_sets_off_its_queues_alarm(alarms: Alarms, queue: str, letters: str) -> None:
    alarms.clients.sqs.send_message(QueueUrl=alarms.cloud.resources[queue], MessageBody="not a job")
    alarms.cloud.wait_until(lambda: alarms.depth(letters), 30, "the sender to park it")

    name = alarms.cloud.resources[letters].rpartition("/")[2]
    alarm = alarms.publish("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, alarms.depth(letters))

    assert alarm == alarms.cloud.resources[f"{letters}Alarm"]
    assert alarms.went_off(alarm)


def invoke_inbound(cloud: LocalCloud) -> None:
    cloud.clients.lambda_.invoke(
        FunctionName=cloud.resources["InboundFunction"],
        InvocationType="Event",
        Payload=json.dumps(NOT_AN_EVENT).encode(),
    )


def publish_an_event_about_no_message(cloud: LocalCloud) -> None:
    detail = json.dumps({"receipt": "nobody-knows", "function": "inbound"})
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


def test_one_throttled_mail_is_the_cause_of_no_alarm(alarms: Alarms) -> None:
    """Nothing is parked, and it leaves at the next try: a record that fails is no error of its function."""
    cloud = alarms.cloud
    if cloud.ses is None:
        pytest.skip("SES takes faults from the process that runs it")
    jane = "jane@throttled.example"
    cloud.ses.fail_next(Fault(code="TooManyRequestsException", status=429, message="Maximum sending rate exceeded."))
    raw = mail(
        sender=jane, subject="Throttled", message_id="<throttled@throttled.example>", auto_submitted="auto-replied"
    )
    before = len(cloud.sent())

    cloud.send(raw, jane, ["contact@example.com"])
    cloud.wait_until(lambda: cloud.sent(after=before), 60, "the second try")

    assert [sent.recipients for sent in cloud.sent(after=before)] == [("owner@private.example",)]
    assert [alarms.depth(letters) for _, letters in DEAD_LETTER_QUEUES] == [0, 0, 0]
