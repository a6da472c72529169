"""Reading dead letters: each is listed once, deleted only on purpose, and otherwise visible to the next reader."""

from collections.abc import Callable

import pytest

from cloud.clients import Clients
from email_handler.adapters.sqs import DeadLetterQueues, SqsJobs
from email_handler.conversations.jobs import JobKind
from email_handler.errors import QueueUnavailable

pytestmark = pytest.mark.cloud


@pytest.fixture
def urls(clients: Clients, unique: Callable[[str], str]) -> list[str]:
    return [clients.sqs.create_queue(QueueName=unique(f"dead-{number}"))["QueueUrl"] for number in range(2)]


@pytest.fixture
def jobs(clients: Clients, urls: list[str]) -> SqsJobs:
    return SqsJobs(clients.sqs, {}, {JobKind.FORWARD: urls[0], JobKind.REPLY: urls[1]})


@pytest.fixture
def queues(clients: Clients, urls: list[str]) -> DeadLetterQueues:
    return DeadLetterQueues(clients.sqs, urls)


def test_every_letter_of_every_queue_is_listed_once_with_its_reason_and_attempts(
    queues: DeadLetterQueues, jobs: SqsJobs, urls: list[str]
) -> None:
    for number in range(23):
        jobs.dead_letter(f"job {number}", JobKind.FORWARD, "rejected", 7)
    jobs.dead_letter("answer", JobKind.REPLY, "too large", 1)

    letters = list(queues.letters())

    assert sorted(letter.body for letter in letters) == sorted([*(f"job {number}" for number in range(23)), "answer"])
    assert {(letter.queue, letter.reason, letter.attempts) for letter in letters} == {
        (urls[0], "rejected", 7),
        (urls[1], "too large", 1),
    }


def test_a_letter_of_eventbridge_says_what_it_could_not_deliver_to_and_why(
    queues: DeadLetterQueues, clients: Clients, urls: list[str]
) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html names these attributes."""
    target = "arn:aws:lambda:us-east-1:000000000000:function:InboundFunction-1"
    given = {"TARGET_ARN": target, "ERROR_CODE": "NO_PERMISSIONS", "RETRY_ATTEMPTS": "185", "RULE_ARN": "arn:rule"}
    clients.sqs.send_message(
        QueueUrl=urls[0],
        MessageBody="{}",
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in given.items()},
    )

    (letter,) = queues.letters()

    assert (letter.target, letter.reason, letter.attempts) == (target, "NO_PERMISSIONS", 185)


def test_a_letter_that_was_listed_and_not_discarded_is_visible_again_at_once(
    queues: DeadLetterQueues, jobs: SqsJobs
) -> None:
    for name in ("keep", "discard"):
        jobs.dead_letter(name, JobKind.FORWARD, "rejected", 1)
    for letter in queues.letters():
        if letter.body == "discard":
            queues.discard(letter)

    assert [letter.body for letter in queues.letters()] == ["keep"]
    assert queues.count() == 1


def test_letters_are_hidden_from_other_readers_while_they_are_listed(
    queues: DeadLetterQueues, jobs: SqsJobs, clients: Clients, urls: list[str]
) -> None:
    jobs.dead_letter("job", JobKind.FORWARD, "rejected", 1)
    letters = queues.letters()
    next(letters)

    assert list(DeadLetterQueues(clients.sqs, urls).letters()) == []
    assert list(letters) == []


def test_a_letter_moved_by_the_queues_redrive_policy_has_no_reason(
    queues: DeadLetterQueues, clients: Clients, urls: list[str]
) -> None:
    clients.sqs.send_message(QueueUrl=urls[0], MessageBody="job")

    ((reason, attempts),) = [(letter.reason, letter.attempts) for letter in queues.letters()]

    assert (reason, attempts) == ("", 1)


def test_a_missing_queue_raises_unavailable(clients: Clients) -> None:
    missing = DeadLetterQueues(clients.sqs, [f"{clients.endpoint}/000000000000/no-such-queue"])

    with pytest.raises(QueueUnavailable):
        list(missing.letters())
