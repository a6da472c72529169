"""Queues, dead letters and alarms: what fails is retried, or dead-lettered with an alarm."""

import re
from datetime import timedelta
from typing import Any

import pytest

from email_handler.usecases.retries import LONGEST, PATIENCE_IN_ALL
from tests.permissions.calls import arn
from tests.permissions.stack import Stack, transformed
from tests.support.loads import MAX_RECEIVES, RETENTION
from tests.support.stack import ALARMS, FUNCTIONS, QUEUES, TEMPLATE, name_of, timeout

SENDERS = {
    name: event["Properties"]
    for name, properties in FUNCTIONS.items()
    for event in properties.get("Events", {}).values()
    if event["Type"] == "SQS"
}
SEND_QUEUES = [name_of(event["Queue"]) for event in SENDERS.values()]
DEAD_LETTER_QUEUES = sorted(QUEUES.keys() - set(SEND_QUEUES))


def watched(metric: str) -> dict[str, dict[str, Any]]:
    """Return the alarms on *metric* by what they watch."""
    return {
        name_of(dimension["Value"]): alarm
        for alarm in ALARMS.values()
        if alarm["MetricName"] == metric
        for dimension in alarm["Dimensions"]
    }


def test_each_sender_has_a_queue_and_each_queue_dead_letters() -> None:
    assert SEND_QUEUES == ["AckQueue", "ForwardQueue", "ReplyQueue"]
    assert {*(name.replace("Queue", "DeadLetters") for name in SEND_QUEUES), "ProcessingFailures"} == set(
        DEAD_LETTER_QUEUES
    )
    for name in SEND_QUEUES:
        dead_letters = name_of(QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"])

        assert name.replace("Queue", "DeadLetters") == dead_letters


@pytest.mark.parametrize("function", SENDERS)
def test_a_failed_record_returns_alone(function: str) -> None:
    """Without ReportBatchItemFailures, a handler's result is ignored and every job counts as done."""
    event = SENDERS[function]

    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert event["BatchSize"] == 1


@pytest.mark.parametrize("function", SENDERS)
def test_idle_queues_are_polled_by_two_pollers_not_five(function: str) -> None:
    assert "ScalingConfig" not in SENDERS[function]
    assert "ProvisionedPollerConfig" not in SENDERS[function]


@pytest.mark.parametrize("function", SENDERS)
def test_a_job_stays_hidden_for_six_times_the_functions_timeout(function: str) -> None:
    queue = QUEUES[name_of(SENDERS[function]["Queue"])]

    assert queue["VisibilityTimeout"] >= 6 * timeout(function)


@pytest.mark.parametrize("name", SEND_QUEUES)
def test_a_job_outlives_the_patience_of_its_sender_and_dead_letters_outlive_the_job(name: str) -> None:
    """A dead-letter queue counts from the first enqueuing, so it must keep jobs longer than the source."""
    kept = timedelta(seconds=QUEUES[name]["MessageRetentionPeriod"])
    dead_letters = name_of(QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"])

    assert PATIENCE_IN_ALL < kept < timedelta(seconds=QUEUES[dead_letters]["MessageRetentionPeriod"])
    assert kept == RETENTION


def test_max_receive_count_is_above_what_a_sender_needs_before_it_gives_up() -> None:
    """A pause of an hour is at least half of one, and Lambda may receive a job twice for one attempt."""
    assert {QUEUES[name]["RedrivePolicy"]["maxReceiveCount"] for name in SEND_QUEUES} == {MAX_RECEIVES}
    assert PATIENCE_IN_ALL / (LONGEST / 2) < MAX_RECEIVES


def test_five_alarms_watch_inbound_the_senders_and_what_failed_for_good() -> None:
    """The hourly pass reports the rest: dead letters of sends, jobs that nothing takes, passes of reply that stopped."""
    assert sorted(watched("Errors")) == sorted([*SENDERS, "InboundFunction"])
    assert list(watched("ApproximateNumberOfMessagesVisible")) == ["ProcessingFailures"]
    assert len(ALARMS) == 5


def test_a_function_without_an_alarm_of_its_own_leaves_what_failed_to_a_queue_with_one() -> None:
    for name in FUNCTIONS.keys() - watched("Errors").keys():
        destination = FUNCTIONS[name]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]

        assert name_of(destination) in watched("ApproximateNumberOfMessagesVisible")


def test_the_passes_count_the_letters_of_every_dead_letter_queue() -> None:
    counted = FUNCTIONS["InboundFunction"]["Environment"]["Variables"]["DEAD_LETTER_QUEUE_URLS"]

    assert sorted(re.findall(r"\w+", counted["Fn::Sub"])) == DEAD_LETTER_QUEUES


def test_the_pass_that_watches_is_watched() -> None:
    """Lambda reports errors, of which there may be none, for each invocation: two hours without a number are two passes
    that did not run."""
    alarm = watched("Errors")["InboundFunction"]
    schedules = [
        event["Properties"]["ScheduleExpression"]
        for event in FUNCTIONS["InboundFunction"]["Events"].values()
        if event["Type"] == "ScheduleV2"
    ]

    assert (alarm["Period"], alarm["TreatMissingData"]) == (2 * 3600, "breaching")
    assert "cron(2 * * * ? *)" in schedules


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_goes_to_the_topic_at_the_first_failure(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["EvaluationPeriods"] == 1
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["Threshold"] == 1


@pytest.mark.parametrize("function", SENDERS)
def test_the_alarm_of_a_sender_lasts_until_a_job_that_fails_every_time_fails_again(function: str) -> None:
    """Else it would be sent anew every time: the job is hidden in between for longer than the other alarms' period."""
    hidden = QUEUES[name_of(SENDERS[function]["Queue"])]["VisibilityTimeout"]

    assert watched("Errors")[function]["Period"] >= 2 * hidden


def test_what_a_rule_cannot_deliver_is_kept_and_only_our_rules_may_keep_it() -> None:
    stack = Stack(transformed())
    rules = stack.of_type("AWS::Events::Rule")
    failures = arn("sqs", "ProcessingFailures")

    assert {name: [target["DeadLetterConfig"] for target in rule["Targets"]] for name, rule in rules.items()} == {
        name: [{"Arn": failures}]
        for name in ("AttachmentFunctionMessageReceived", "InboundFunctionFeedback", "SendingDisabled")
    }
    (policy,) = stack.of_type("AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (policy["Queues"], statement["Resource"]) == (["ProcessingFailures"], failures)
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert sorted(statement["Condition"]["ArnLike"]["aws:SourceArn"]) == [
        arn("events", f"rule/{name}") for name in sorted(rules)
    ]


def test_an_alarm_on_dead_letters_is_not_silenced_by_a_queue_that_stopped_reporting() -> None:
    """SQS reports nothing for a queue that has been quiet for six hours."""
    silent = {alarm["TreatMissingData"] for alarm in watched("ApproximateNumberOfMessagesVisible").values()}

    assert {"ignore"} == silent


def test_cloudwatch_can_publish_to_the_topic() -> None:
    """It cannot if the topic is encrypted with alias/aws/sns."""
    assert "KmsMasterKeyId" not in TEMPLATE["Resources"]["AlarmTopic"]["Properties"]
