"""Events for workflows on EventBridge."""

import json
from collections.abc import Sequence
from itertools import batched
from typing import Any

from email_handler.adapters.aws import FAILURES, code
from email_handler.conversations.records import PendingEvent
from email_handler.errors import QueueUnavailable

SOURCE = "email-handler"
_BATCH = 10  # entries that PutEvents accepts


class EventBridgeEvents:
    """Port Events on one bus."""

    def __init__(self, client: Any, bus: str = "default") -> None:
        """Use *client* (boto3, events) on *bus*."""
        self._client = client
        self._bus = bus

    def publish(self, events: Sequence[PendingEvent]) -> None:
        """Publish *events*, each detail with the event's ``id``. Raises QueueUnavailable, also if only some failed:
        the next try publishes all again under the same ids."""
        for batch in batched(events, _BATCH):
            entries = [
                {
                    "EventBusName": self._bus,
                    "Source": SOURCE,
                    "DetailType": event.detail_type,
                    "Detail": json.dumps({"id": event.id, **event.detail}),
                    "Time": event.at,
                }
                for event in batch
            ]
            try:
                response = self._client.put_events(Entries=entries)
            except FAILURES as error:
                raise QueueUnavailable(f"EventBridge failed: {code(error)}") from error
            if response["FailedEntryCount"]:
                codes = sorted({entry["ErrorCode"] for entry in response["Entries"] if "ErrorCode" in entry})
                raise QueueUnavailable(f"EventBridge accepted only some events: {', '.join(codes)}")
