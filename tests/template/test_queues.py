"""Queues, dead letters and alarms: what fails is retried, or dead-lettered with an alarm."""

from typing import Any

import pytest

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
def test_a_job_outlives_four_days_of_waiting_and_dead_letters_outlive_the_job(name: str) -> None:
    """A dead-letter queue counts from the first enqueuing, so it must keep jobs longer than the source."""
    kept = QUEUES[name]["MessageRetentionPeriod"]
    dead_letters = name_of(QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"])

    assert 4 * 86400 < kept < QUEUES[dead_letters]["MessageRetentionPeriod"]


def test_max_receive_count_is_above_what_a_sender_needs_before_it_dead_letters_by_age() -> None:
    """Backoff reaches an hour: 4 days are about 100 receives."""
    assert {200} == {QUEUES[name]["RedrivePolicy"]["maxReceiveCount"] for name in SEND_QUEUES}


def test_ten_alarms_watch_six_functions_and_four_dead_letter_queues() -> None:
    assert sorted(FUNCTIONS) == sorted(watched("Errors"))
    assert sorted(DEAD_LETTER_QUEUES) == sorted(watched("ApproximateNumberOfMessagesVisible"))
    assert len(ALARMS) == 10


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_goes_to_the_topic_at_the_first_failure(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_an_alarm_on_dead_letters_is_not_silenced_by_a_queue_that_stopped_reporting() -> None:
    """SQS reports nothing for a queue that has been quiet for six hours."""
    silent = {alarm["TreatMissingData"] for alarm in watched("ApproximateNumberOfMessagesVisible").values()}

    assert {"ignore"} == silent


def test_cloudwatch_can_publish_to_the_topic() -> None:
    """It cannot if the topic is encrypted with alias/aws/sns."""
    assert "KmsMasterKeyId" not in TEMPLATE["Resources"]["AlarmTopic"]["Properties"]
