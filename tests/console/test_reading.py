"""The index is read behind the pages: one reading at a time, and no more of them than there is a reason for."""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.reading import WAIT, Progress, Reading
from email_handler.errors import RecordsUnavailable
from index.store import SearchIndex

LIMIT = 10  # seconds


class Deployment:
    """Reads as slowly as a test lets it."""

    def __init__(self) -> None:
        self.readings = 0
        self.begun = threading.Event()
        self.lists = threading.Event()
        self.end = threading.Event()
        self.error: Exception | None = None

    def catch_up(self, progress: Callable[[int, int | None], None]) -> None:
        self.readings += 1
        self.begun.set()
        assert self.lists.wait(LIMIT)
        progress(1, 7)
        assert self.end.wait(LIMIT)
        if self.error:
            raise self.error


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


@pytest.fixture
def reading(deployment: Deployment, tmp_path: Path) -> Reading:
    return Reading(SearchIndex.open(tmp_path / "index.sqlite", "a stack"), deployment.catch_up)


def finish(reading: Reading, deployment: Deployment) -> None:
    deployment.lists.set()
    deployment.end.set()
    reading._thread.join(LIMIT)  # type: ignore[union-attr]


def test_a_page_waits_for_lists_and_not_for_texts(reading: Reading, deployment: Deployment) -> None:
    deployment.lists.set()
    reading.refresh()

    assert reading.progress == Progress(1, 7)
    reading.refresh(after=0)
    assert deployment.readings == 1, "one at a time"
    finish(reading, deployment)
    assert reading.progress is None


def test_a_page_does_not_wait_for_a_deployment_that_is_slow(reading: Reading, deployment: Deployment) -> None:
    for wait in (WAIT, 0):
        began = time.monotonic()
        reading.refresh(wait=wait)
        assert time.monotonic() - began < wait + 0.5

    assert reading.progress == Progress(0, None)
    finish(reading, deployment)


def test_nothing_is_asked_twice_in_a_moment_unless_an_act_has_changed_something(
    reading: Reading, deployment: Deployment
) -> None:
    reading.refresh()
    finish(reading, deployment)
    reading.refresh()
    reading.refresh(after=math.inf)
    assert deployment.readings == 1

    reading.expect()
    reading.refresh(after=math.inf)
    finish(reading, deployment)
    reading.refresh(after=math.inf)
    assert deployment.readings == 2


def test_what_cannot_be_read_is_said_until_it_can(reading: Reading, deployment: Deployment) -> None:
    deployment.error = RecordsUnavailable("DynamoDB failed: ThrottlingException")
    reading.refresh()
    finish(reading, deployment)
    assert reading.problem == "DynamoDB failed: ThrottlingException"

    deployment.error = None
    reading.expect()
    reading.refresh()
    finish(reading, deployment)
    assert reading.problem == ""
