"""The part of the fault matrix that every run of the suite includes; `make faults` runs all of it."""

from collections.abc import Iterator

import pytest

from tests.faults.matrix import SCENARIOS, Run, Scenario, faults, name, play
from tests.faults.rig import Rig

pytestmark = pytest.mark.cloud
ALLOWED = {"ok", "marked", "unknown", "dead_lettered"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    running = Rig(tmp_path_factory.mktemp("faults"))
    yield running
    running.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
def test_without_faults_nothing_is_lost_doubled_or_dead_lettered(rig: Rig, scenario: Scenario) -> None:
    _, audit = play(rig, scenario, None)

    assert (audit.lost, audit.doubled, audit.marked, audit.dead_lettered, audit.unknown) == ((), (), 0, 0, 0)


def test_a_process_killed_after_any_call_of_inbound_or_a_sender_loses_and_doubles_nothing(rig: Rig) -> None:
    first_contact = SCENARIOS[0]
    calls, _ = play(rig, first_contact, None)
    runs = [
        Run(scenario=name(first_contact), fault=fault, audit=play(rig, first_contact, fault)[1])
        for fault in faults(calls, kinds=("killed after",))
    ]

    assert {run.outcome for run in runs} <= ALLOWED
    # A second copy is sent only if the process ended between SES's response and its record.
    possible_duplicates = {run.fault.call for run in runs if run.outcome == "marked"}
    assert possible_duplicates == {"sesv2.SendEmail"}


def test_a_lost_response_of_ses_makes_a_forward_a_possible_duplicate_and_an_acknowledgement_unknown(rig: Rig) -> None:
    first_contact = SCENARIOS[0]
    calls, _ = play(rig, first_contact, None)
    sends = {function: [c for c in labels if c.startswith("sesv2.")] for function, labels in calls.items()}
    outcomes = {
        fault.function: Run(scenario="", fault=fault, audit=play(rig, first_contact, fault)[1]).outcome
        for fault in faults(sends, kinds=("timeout after",))
    }

    assert outcomes == {"forward_sender": "marked", "ack_sender": "unknown"}
