"""What all tests of faults share."""

import pytest

from email_handler.usecases import side_by_side
from tests.support.in_turn import InTurn


@pytest.fixture(autouse=True)
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make calls side by side one after the other, in the order in which they are begun."""
    monkeypatch.setattr(side_by_side, "pool", InTurn)
