"""Calls side by side, with real threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from email_handler.errors import ArchiveUnavailable
from email_handler.usecases import side_by_side
from email_handler.usecases.side_by_side import SideBySide

SECONDS = 10  # after which a test fails


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(side_by_side, "pool", lambda: pool)
        yield pool


def test_calls_are_made_at_once() -> None:
    meeting = Barrier(2)
    with SideBySide() as beside:
        futures = [beside.begin(meeting.wait, SECONDS) for _ in range(2)]
        results = [future.result() for future in futures]

    assert sorted(results) == [0, 1]


def test_what_is_being_made_has_ended_when_the_block_is_left_whatever_ends_it() -> None:
    begun, let, ended = Event(), Event(), Event()

    def call() -> None:
        begun.set()
        let.wait(SECONDS)
        ended.set()

    def work() -> None:
        with SideBySide() as beside:
            beside.begin(call)
            begun.wait(SECONDS)
            beside.begin(let.set).result()
            raise ArchiveUnavailable("down")

    with pytest.raises(ArchiveUnavailable):
        work()

    assert ended.is_set()


def test_an_error_is_raised_where_the_result_is_asked_for_and_nowhere_else() -> None:
    def fail(text: str) -> None:
        raise ArchiveUnavailable(text)

    with SideBySide() as beside:
        beside.begin(fail, "never asked for").exception()
        second = beside.begin(fail, "second")
        with pytest.raises(ArchiveUnavailable, match="second"):
            second.result()


def test_what_is_not_begun_when_the_block_is_left_is_not_made(threads: ThreadPoolExecutor) -> None:
    busy = Event()
    for _ in range(2):
        threads.submit(busy.wait, SECONDS)
    made: list[int] = []
    with SideBySide() as beside:
        beside.begin(made.append, 1)
    busy.set()

    assert made == []
