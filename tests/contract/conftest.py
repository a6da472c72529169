"""The same tests for both versions of a port: the fake, and the adapter on the emulator."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Protocol, cast

import pytest

from cloud.clients import Clients
from email_handler.ports import Records, SendLedger
from tests.support.fakes import NOW, FakeRecords
from tests.support.table import DynamoTable, create_table

BOTH = ["fake", pytest.param("aws", marks=pytest.mark.cloud)]
_numbers = count(1)


class Table(Records, SendLedger, Protocol):
    """The two ports of one table."""


@dataclass
class MovableClock:
    """Time stands still unless a test sets `now`."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Return names for a test's own resources in the emulator that all tests share."""
    return lambda kind: f"{kind}-{os.getpid()}-{next(_numbers)}"  # `make mutants` forks


@pytest.fixture
def table_name(clients: Clients, unique: Callable[[str], str]) -> Iterator[str]:
    name = unique("table")
    create_table(clients.dynamodb, name)
    yield name
    clients.dynamodb.delete_table(TableName=name)


@pytest.fixture
def dynamo(clients: Clients, table_name: str, clock: MovableClock) -> DynamoTable:
    return DynamoTable(clients.dynamodb, table_name, clock)


@pytest.fixture(params=BOTH)
def table(request: pytest.FixtureRequest, clock: MovableClock) -> Table:
    if request.param == "fake":
        return FakeRecords(clock)
    return cast(Table, request.getfixturevalue("dynamo"))
