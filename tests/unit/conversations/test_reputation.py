"""What is too much of what comes back."""

import pytest

from email_handler.conversations.reputation import Returns


@pytest.mark.parametrize(
    ("sent", "bounced", "complained", "excessive"),
    [
        (0, 0, 0, False),
        (10, 1, 0, False),
        (10, 4, 0, False),  # few, whatever their share
        (10, 5, 0, True),
        (166, 5, 0, True),
        (167, 5, 0, False),
        (200, 6, 0, False),  # 3 % exactly
        (199, 6, 0, True),
        (10, 0, 1, False),
        (1999, 0, 2, True),
        (2000, 0, 2, False),  # 0.1 % exactly
        (100, 3, 2, True),
        (100, 4, 1, False),
        (0, 5, 0, True),  # the archive was emptied
    ],
)
def test_returns_are_excessive_past_a_share_unless_they_are_few(
    sent: int, bounced: int, complained: int, excessive: bool
) -> None:
    assert Returns(sent=sent, bounced=bounced, complained=complained).excessive is excessive
