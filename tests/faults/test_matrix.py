"""The part of the fault matrix that every run of the suite includes; `make faults` runs all of it."""

from collections.abc import Iterator
from typing import cast

import pytest

from tests.faults import matrix
from tests.faults.matrix import ATTEMPTS, SCENARIOS, NeverStruck, Scenario, faults, name, play, strike
from tests.faults.rig import Audit, Fault, Rig

ALLOWED = {"ok", "marked", "unknown", "dead_lettered"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    running = Rig(tmp_path_factory.mktemp("faults"))
    yield running
    running.close()


@pytest.mark.cloud
@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
def test_without_faults_nothing_is_lost_doubled_or_dead_lettered(rig: Rig, scenario: Scenario) -> None:
    _, audit = play(rig, scenario, None)

    assert (audit.lost, audit.doubled, audit.marked, audit.dead_lettered, audit.unknown) == ((), (), 0, 0, 0)


@pytest.mark.cloud
def test_a_process_killed_after_any_call_of_inbound_or_a_sender_loses_and_doubles_nothing(rig: Rig) -> None:
    first_contact = SCENARIOS[0]
    calls, _ = play(rig, first_contact, None)
    runs = [strike(rig, first_contact, fault) for fault in faults(calls, kinds=("killed after",))]

    assert {run.outcome for run in runs} <= ALLOWED
    # A second copy is sent only if the process ended between SES's response and its record.
    possible_duplicates = {run.fault.call for run in runs if run.outcome == "marked"}
    assert possible_duplicates == {"sesv2.SendEmail"}


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("scenario", "lost"),
    [
        (SCENARIOS[0], {"forward_sender": "marked", "ack_sender": "unknown"}),
        (SCENARIOS[2], {"reply_sender": "marked"}),
        (SCENARIOS[3], {"forward_sender": "marked"}),  # a notice
    ],
    ids=["first contact", "reply", "notice"],
)
def test_a_throttled_send_leaves_later_and_a_lost_response_of_ses_makes_a_possible_duplicate(
    rig: Rig, scenario: Scenario, lost: dict[str, str]
) -> None:
    """Except acknowledgements: a second copy never leaves, and the first one's outcome stays unknown."""
    calls, _ = play(rig, scenario, None)
    sends = {function: [c for c in labels if c.startswith("sesv2.")] for function, labels in calls.items()}
    outcomes = {
        (fault.function, fault.kind): strike(rig, scenario, fault).outcome
        for fault in faults(sends, kinds=("throttled", "timeout after"))
    }

    assert {function: outcome for (function, kind), outcome in outcomes.items() if kind == "timeout after"} == lost
    assert {
        function: outcome for (function, kind), outcome in outcomes.items() if kind == "throttled"
    } == dict.fromkeys(lost, "ok")


@pytest.mark.parametrize("misses", [0, 1, ATTEMPTS - 1, ATTEMPTS])
def test_a_fault_that_did_not_occur_is_tried_again_and_then_reported(
    monkeypatch: pytest.MonkeyPatch, misses: int
) -> None:
    """On a busy machine a function may make its calls in another order."""
    audit = Audit(lost=(), doubled=(), marked=0, dead_lettered=0, unknown=0, sent=2)
    played: list[Fault | None] = []

    def busy(_: object, __: object, fault: Fault | None) -> tuple[dict[str, list[str]], Audit]:
        played.append(fault)
        if len(played) <= misses:
            raise NeverStruck(str(fault))
        return {}, audit

    monkeypatch.setattr(matrix, "play", busy)
    fault = Fault(function="inbound", call="s3.GetObject", kind="refused")
    run = strike(cast("Rig", None), SCENARIOS[0], fault)

    assert run.outcome == ("never struck" if misses == ATTEMPTS else "ok")
    assert played == [fault] * min(misses + 1, ATTEMPTS)
