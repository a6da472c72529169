"""The event bus: every event is published unchanged, or an error is raised."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from email_handler.adapters.eventbridge import EventBridgeEvents
from email_handler.conversations.records import PendingEvent
from email_handler.errors import QueueUnavailable
from email_handler.ports import Events
from tests.contract.conftest import BOTH
from tests.contract.test_jobs import received
from tests.support.fakes import FakeEvents
from tests.support.records import event


@dataclass(frozen=True)
class Bus:
    """The port, and the events that a consumer receives: detail type and detail by event id."""

    events: Events
    seen: Callable[[], dict[str, tuple[str, dict[str, Any]]]]


@pytest.fixture(params=BOTH)
def bus(request: pytest.FixtureRequest) -> Bus:
    if request.param == "fake":
        fake = FakeEvents()
        return Bus(events=fake, seen=lambda: {e.id: (e.detail_type, e.detail) for e in fake.published})
    clients, name = request.getfixturevalue("clients"), request.getfixturevalue("unique")("bus")
    clients.events.create_event_bus(Name=name)
    clients.events.put_rule(
        Name="all", EventBusName=name, EventPattern=json.dumps({"source": ["email-handler"]}), State="ENABLED"
    )
    url = clients.sqs.create_queue(QueueName=f"{name}-consumer")["QueueUrl"]
    arn = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    clients.events.put_targets(Rule="all", EventBusName=name, Targets=[{"Id": "consumer", "Arn": arn}])

    def seen() -> dict[str, tuple[str, dict[str, Any]]]:
        bodies = [json.loads(message["Body"]) for message in received(clients.sqs, url)]
        return {body["detail"].pop("id"): (body["detail-type"], body["detail"]) for body in bodies}

    return Bus(events=EventBridgeEvents(clients.events, name), seen=seen)


def test_every_event_reaches_a_consumer_unchanged(bus: Bus) -> None:
    events = [event(f"event-{number}") for number in range(23)]
    bus.events.publish(events)

    assert bus.seen() == {each.id: (each.detail_type, each.detail) for each in events}


def test_publishing_no_events_does_nothing(bus: Bus) -> None:
    bus.events.publish([])

    assert bus.seen() == {}


def test_a_failed_entry_raises_unavailable() -> None:
    client = boto3.client("events", region_name="us-east-1")
    failed = {"ErrorCode": "ThrottlingException", "ErrorMessage": "jane@customer.example"}
    with Stubber(client) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, failed]})

        with pytest.raises(QueueUnavailable, match=r"only some events: ThrottlingException$"):
            EventBridgeEvents(client).publish([event("1"), event("2")])


def test_a_bus_that_fails_raises_unavailable() -> None:
    client = boto3.client("events", region_name="us-east-1")
    with Stubber(client) as stubber:
        stubber.add_client_error("put_events", "InternalException", "about jane@customer.example")

        with pytest.raises(QueueUnavailable, match=r"^EventBridge failed: InternalException$"):
            EventBridgeEvents(client).publish([PendingEvent(id="1", detail_type="Test", detail={}, at=event().at)])
