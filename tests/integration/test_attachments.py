"""Which messages start the attachment function: those with files, and those of which nobody knows."""

import json
from typing import Any

import pytest

from cloud.cloud import LocalCloud
from tests.support.operator import arrive, person

pytestmark = pytest.mark.cloud


@pytest.mark.parametrize(
    ("attachments", "starts"),
    [({"attachments": 0}, False), ({"attachments": 1}, True), ({"attachments": 12}, True), ({}, True)],
)
def test_a_message_with_files_matches_the_rule_of_the_attachment_function(
    cloud: LocalCloud, attachments: dict[str, int], starts: bool
) -> None:
    events = cloud.clients.events
    rule = cloud.resources["AttachmentFunctionMessageReceived"].rpartition("|")[2]
    event: dict[str, Any] = {
        "id": "1",
        "account": "000000000000",
        "region": "us-east-1",
        "time": "2026-03-02T09:00:00Z",
        "resources": [],
        "source": "email-handler",
        "detail-type": "Message Received",
        "detail": {"version": 1, "receipt": "r1", "function": "inbound", **attachments},
    }
    pattern = events.describe_rule(Name=rule)["EventPattern"]

    assert events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))["Result"] is starts


def test_of_a_message_without_files_nothing_is_stored_a_second_time(cloud: LocalCloud) -> None:
    plain = arrive(cloud, person(), text="A garden shed.")
    with_file = arrive(cloud, person(), attachments=[("a.txt", "text/plain", b"A shed.")])
    cloud.settle()

    def texts(receipt: str) -> list[str]:
        pages = cloud.clients.s3.get_paginator("list_objects_v2").paginate(
            Bucket=cloud.resources["Archive"], Prefix="text/"
        )
        keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return [key.rpartition("/")[2] for key in keys if f"/{receipt}/" in key]

    assert sorted(texts(with_file)) == ["01.txt", "body.txt", "new.txt"]
    assert texts(plain) == []
