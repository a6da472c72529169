"""Whatever arrives, reading it raises nothing, reveals no address, and takes linear time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bounces import EXIM, QMAIL, feedback, notice, report

PIECES = [
    EXIM,
    QMAIL,
    "Final-Recipient: rfc822; ",
    "Action: failed\n",
    "\n\n",
    " a@b.example",
    "550 5.1.1 ",
    "\x00",
    "{",
    "é\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.binary(max_size=40))
def test_no_report_raises_and_no_diagnostic_has_an_address(pieces: list[str], junk: bytes) -> None:
    for raw in (report("".join(pieces)), notice("".join(pieces).replace("\x00", "")), junk):
        found = feedback(raw)

        assert found is None or "@" not in found.diagnostic


@pytest.mark.parametrize(
    "piece",
    [
        "a" * 100,
        "a@",
        "Final-Recipient: rfc822; a@b.example\n",
        "deliver",
        "5.1.",
        "550 ",
        "<",
        "> ",
        "\n",
        "Received: x\n",
        '{"',
        "-- original message ",
    ],
)
def test_a_million_hostile_characters_give_the_same_as_a_few(piece: str) -> None:
    """Anything slower than linear would take minutes here."""

    def summary(text: str) -> list[tuple[Any, ...]]:
        found = [feedback(report(text)), feedback(notice("could not be delivered\n" + text))]
        return [(one.kind, one.recipients, one.status) for one in found if one]

    assert summary(piece * (1_000_000 // len(piece))) == summary(piece * 3)
