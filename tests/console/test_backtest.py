"""A back-test on its thread."""

import threading

import pytest

from console import backtest
from console.backtest import Backtest
from operations.documents import RULES, builtin
from tests.support.console import connection_to
from tests.support.world import World

SECRET = "The plans of our garden"


def test_a_mistake_of_ours_quotes_nothing_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_given: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(backtest, "stored_since", fails)
    monkeypatch.setattr("threading.excepthook", threading.__excepthook__)
    world = World()
    running = Backtest(connection_to(world), builtin(RULES), world.now)
    running._thread.join(20)

    assert running.problem == "an error of ours, ValueError"
    assert SECRET not in "".join(capsys.readouterr())
