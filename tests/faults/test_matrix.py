"""The part of the fault matrix that every run of the suite looks at; `make faults` runs all of it."""

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
def test_undisturbed_everything_ends_as_it_should(rig: Rig, scenario: Scenario) -> None:
    _, audit = play(rig, scenario, None)

    assert (audit.lost, audit.doubled, audit.marked, audit.dead_lettered, audit.unknown) == ((), (), 0, 0, 0)


def test_a_process_killed_after_any_call_of_inbound_and_the_senders_loses_and_doubles_nothing(rig: Rig) -> None:
    first_contact = SCENARIOS[0]
    calls, _ = play(rig, first_contact, None)
    runs = [
        Run(scenario=name(first_contact), fault=fault, audit=play(rig, first_contact, fault)[1])
        for fault in faults(calls, kinds=("killed after",))
    ]

    assert {run.outcome for run in runs} <= ALLOWED
    # A second copy leaves only where SES's answer was lost: the process died between it and the record.
    marked = {run.fault.call for run in runs if run.outcome == "marked"}
    assert marked == {"sesv2.SendEmail"}


def test_an_answer_of_ses_that_is_lost_marks_a_forward_and_ends_an_acknowledgement(rig: Rig) -> None:
    first_contact = SCENARIOS[0]
    calls, _ = play(rig, first_contact, None)
    sends = {function: [c for c in labels if c.startswith("sesv2.")] for function, labels in calls.items()}
    outcomes = {
        fault.function: Run(scenario="", fault=fault, audit=play(rig, first_contact, fault)[1]).outcome
        for fault in faults(sends, kinds=("timeout after",))
    }

    assert outcomes == {"forward_sender": "marked", "ack_sender": "unknown"}
