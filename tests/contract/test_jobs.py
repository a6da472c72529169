"""The queues: a job arrives unchanged, and a dead letter has its reason."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from cloud.clients import Clients
from email_handler.adapters.sqs import SqsJobs
from email_handler.conversations.jobs import Job, JobKind
from email_handler.errors import QueueUnavailable
from email_handler.ports import Jobs
from tests.contract.conftest import BOTH
from tests.support.fakes import DeadLettered, FakeJobs
from tests.support.records import acknowledgement, forward


@dataclass(frozen=True)
class Queues:
    """The port, and the contents of its queues."""

    jobs: Jobs
    queued: Callable[[], list[Job]]
    dead_lettered: Callable[[], list[DeadLettered]]


@dataclass(frozen=True)
class Urls:
    """Every queue of a deployment. Notices share the forward queue."""

    queues: dict[str, str]
    dead_letters: dict[str, str]


@pytest.fixture
def urls(clients: Clients, unique: Callable[[str], str]) -> Urls:
    def create(name: str) -> str:
        return str(clients.sqs.create_queue(QueueName=unique(name))["QueueUrl"])

    kinds = (JobKind.ACKNOWLEDGEMENT, JobKind.FORWARD, JobKind.REPLY)
    queues: dict[str, str] = {kind: create(kind) for kind in kinds}
    dead: dict[str, str] = {kind: create(f"{kind}-dead") for kind in kinds}
    return Urls(
        queues=queues | {JobKind.NOTICE: queues[JobKind.FORWARD]},
        dead_letters=dead | {JobKind.NOTICE: dead[JobKind.FORWARD]},
    )


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Receive all messages of a queue."""
    messages: list[dict[str, Any]] = []
    while found := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=60
    ).get("Messages"):
        messages += found
    return messages


@pytest.fixture(params=BOTH)
def queues(request: pytest.FixtureRequest) -> Queues:
    if request.param == "fake":
        fake = FakeJobs()
        return Queues(jobs=fake, queued=lambda: fake.queued, dead_lettered=lambda: fake.dead_lettered)
    urls: Urls = request.getfixturevalue("urls")
    sqs = request.getfixturevalue("clients").sqs

    def queued() -> list[Job]:
        return [Job.from_json(m["Body"]) for url in dict.fromkeys(urls.queues.values()) for m in received(sqs, url)]

    def dead_lettered() -> list[DeadLettered]:
        return [
            DeadLettered(
                body=found["Body"],
                kind=kind,
                reason=found["MessageAttributes"]["Reason"]["StringValue"],
                attempts=int(found["MessageAttributes"]["Attempts"]["StringValue"]),
            )
            for kind, url in urls.dead_letters.items()
            for found in received(sqs, url)
        ]

    return Queues(jobs=SqsJobs(sqs, urls.queues, urls.dead_letters), queued=queued, dead_lettered=dead_lettered)


def test_each_job_arrives_once_and_unchanged(queues: Queues) -> None:
    jobs = [acknowledgement().job, forward().job, forward("receipt-2").job]
    queues.jobs.queue(jobs)

    assert sorted(queues.queued(), key=str) == sorted(jobs, key=str)


def test_a_job_is_delivered_after_its_delay(queues: Queues) -> None:
    queues.jobs.queue([forward().job], timedelta(seconds=0.5))  # SQS counts in whole seconds

    deadline = time.monotonic() + 20
    found: list[Job] = []
    while not found and time.monotonic() < deadline:
        found = queues.queued()
    assert found == [forward().job]


@pytest.mark.cloud
def test_a_job_is_not_delivered_before_its_delay(clients: Clients, urls: Urls) -> None:
    SqsJobs(clients.sqs, urls.queues, urls.dead_letters).queue([forward().job], timedelta(minutes=15))

    url = urls.queues[JobKind.FORWARD]
    attributes = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert received(clients.sqs, url) == []
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "1"


def test_queuing_no_jobs_does_nothing(queues: Queues) -> None:
    queues.jobs.queue([])

    assert queues.queued() == []


def test_a_dead_letter_has_its_reason_and_number_of_attempts(queues: Queues) -> None:
    queues.jobs.dead_letter("no job at all {", JobKind.REPLY, "not a job of ours: JSONDecodeError", 3)

    assert queues.dead_lettered() == [
        DeadLettered(body="no job at all {", kind="reply", reason="not a job of ours: JSONDecodeError", attempts=3)
    ]
    assert queues.queued() == []


@pytest.mark.cloud
def test_each_kind_has_its_queue_and_notices_share_the_forward_queue(clients: Clients, urls: Urls) -> None:
    SqsJobs(clients.sqs, urls.queues, urls.dead_letters).queue(
        [acknowledgement().job, forward().job, forward("receipt-2", kind=JobKind.NOTICE).job]
    )

    counts = {kind: len(received(clients.sqs, url)) for kind, url in urls.queues.items() if kind != JobKind.NOTICE}
    assert counts == {"acknowledgement": 1, "forward": 2, "reply": 0}


@pytest.mark.cloud
def test_a_job_with_a_very_long_or_empty_reason_is_still_dead_lettered(clients: Clients, urls: Urls) -> None:
    jobs = SqsJobs(clients.sqs, urls.queues, urls.dead_letters)
    jobs.dead_letter("{}", JobKind.FORWARD, "", 1)
    jobs.dead_letter("{}", JobKind.FORWARD, "x" * 300_000, 1)

    found = received(clients.sqs, urls.dead_letters[JobKind.FORWARD])
    reasons = sorted(message["MessageAttributes"]["Reason"]["StringValue"] for message in found)
    assert reasons == ["no reason given", "x" * 1000]


@pytest.mark.cloud
def test_a_message_can_be_made_visible_again_at_once(clients: Clients, urls: Urls) -> None:
    jobs, url = SqsJobs(clients.sqs, urls.queues, urls.dead_letters), urls.queues[JobKind.FORWARD]
    jobs.queue([forward().job])
    (first,) = received(clients.sqs, url)
    assert received(clients.sqs, url) == []

    jobs.change_visibility(url, first["ReceiptHandle"], 0)

    (again,) = received(clients.sqs, url)
    assert again["MessageId"] == first["MessageId"]


@pytest.mark.cloud
def test_a_missing_queue_raises_unavailable(clients: Clients) -> None:
    url = f"{clients.endpoint}/000000000000/no-such-queue"
    jobs = SqsJobs(clients.sqs, dict.fromkeys(JobKind, url), dict.fromkeys(JobKind, url))

    with pytest.raises(QueueUnavailable):
        jobs.queue([forward().job])
    with pytest.raises(QueueUnavailable):
        jobs.dead_letter("{}", JobKind.FORWARD, "reason", 1)
    with pytest.raises(QueueUnavailable):
        jobs.change_visibility(url, "handle", 0)
