"""What one message uses of AWS: a proxy that counts the calls of functions, and asks DynamoDB what each consumed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.processor_time.processor_time import FOLDER, HEADER
from cloud.cloud import LocalCloud
from cloud.http_server import Exchange, Response
from tests.support.proxy import Call, Proxy, lead_through


class Amounts(dict[str, float]):
    """How much of each, 0 of what is not there."""

    def __missing__(self, _: str) -> float:
        return 0.0

    def add(self, others: Mapping[str, float], times: float = 1.0) -> None:
        """Add *others*, so many times."""
        for name, amount in others.items():
            self[name] += amount * times


_WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


@dataclass
class Used:
    """What something used."""

    uses: Amounts = field(default_factory=Amounts)  # amounts, by the names of bench/prices.toml
    indexes: Amounts = field(default_factory=Amounts)  # write units by index; the table's own as ``table``
    invocations: Amounts = field(default_factory=Amounts)  # by function
    processor: Amounts = field(default_factory=Amounts)  # seconds, by function
    metrics: Amounts = field(default_factory=Amounts)  # values, by name and dimensions


class Meter(Proxy):
    """Counts what passes into :attr:`used`, which others may replace."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Stand between the functions of *cloud* and AWS."""
        self.used = Used()
        self.started = Amounts()  # seconds of processes that made their first call, by function
        self._clocks: dict[str, float] = {}  # of each process, at its last call
        super().__init__(cloud.endpoint, cloud.address.ses_endpoint)

    def forward(self, call: Call, exchange: Exchange) -> Response:
        """Send the request on, and count it."""
        self._clock(call.function, exchange.headers.get(HEADER, "0 0"))
        if call.service == "dynamodb":
            exchange.body = json.dumps(json.loads(exchange.body) | {"ReturnConsumedCapacity": "INDEXES"}).encode()
        response = super().forward(call, exchange)
        uses = self.used.uses
        match call.service, call.operation:
            case "dynamodb", operation:
                consumed = json.loads(response[2]).get("ConsumedCapacity", [])
                for one in consumed if isinstance(consumed, list) else [consumed]:
                    self._consumed(one, operation)
            case "s3", "GetObject" | "HeadObject":
                uses["s3-gets"] += 1
            case "s3", operation if operation != "DeleteObjectTagging":  # which is free
                uses["s3-puts"] += 1
            case "sqs", _:
                uses["sqs-requests"] += 1
            case "events", "PutEvents":
                uses["events"] += len(json.loads(exchange.body)["Entries"])
        return response

    def _consumed(self, capacity: dict[str, Any], operation: str) -> None:
        units = capacity["CapacityUnits"]
        if operation not in _WRITES:
            self.used.uses["dynamodb-reads"] += units
            return
        indexes = {name: one["CapacityUnits"] for name, one in capacity.get("GlobalSecondaryIndexes", {}).items()}
        self.used.uses["dynamodb-writes"] += units
        self.used.indexes.add(indexes | {"table": units - sum(indexes.values())})

    def _clock(self, function: str, stamp: str) -> None:
        process, seconds = stamp.split()
        if process not in self._clocks:
            self.started[function] += float(seconds)
        before = self._clocks.get(process, 0.0)
        self._clocks[process] = max(before, float(seconds))
        self.used.processor[function] += self._clocks[process] - before


@contextmanager
def metered(cloud: LocalCloud) -> Iterator[Meter]:
    """Yield the meter of the functions of *cloud*, whose processes start anew and tell their processor time."""
    with Meter(cloud) as meter:
        plugin = {"PYTHONPATH": FOLDER, "BOTOCORE_EXPERIMENTAL__PLUGINS": "processor_time=processor_time"}
        lead_through(meter, cloud, **plugin)
        yield meter
