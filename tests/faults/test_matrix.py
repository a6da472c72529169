"""The part of the fault matrix that every run of the suite includes; `make faults` runs all of it."""

import random
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from tests.faults import matrix
from tests.faults.handler_mutants import MUTANTS
from tests.faults.matrix import ATTEMPTS, PAIRED, Calls, NotStruck, Plan, allowed, faults, pairs, play, strike
from tests.faults.oracle import Judgement
from tests.faults.rig import Delivery, Fault, Rig
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.truths import Allowed

GOOD = {"ok", "marked", "unknown"}
LATER = tuple(delivery for delivery in Delivery if delivery is not Delivery.PROMPT)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    running = Rig(tmp_path_factory.mktemp("faults"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def faultless(rig: Rig) -> Callable[[str], tuple[Calls, Judgement]]:
    """Return a function that plays a scenario without faults, once."""
    played: dict[str, tuple[Calls, Judgement]] = {}

    def found(name: str) -> tuple[Calls, Judgement]:
        if name not in played:
            played[name] = play(rig, SCENARIOS[name])
        return played[name]

    return found


type Faultless = Callable[[str], tuple[Calls, Judgement]]


def _sample(name: str) -> random.Random:
    """Return what draws the same sample in every run of the suite."""
    return random.Random(name)


@pytest.mark.cloud
@pytest.mark.parametrize("name", SCENARIOS)
def test_without_faults_all_is_as_it_must_be(faultless: Faultless, name: str) -> None:
    assert faultless(name)[1] == Judgement()


@pytest.mark.cloud
@pytest.mark.parametrize("delivery", LATER)
def test_events_and_jobs_that_come_twice_late_or_to_other_clocks_change_nothing(rig: Rig, delivery: Delivery) -> None:
    assert play(rig, SCENARIOS["first contact"], delivery=delivery)[1] == Judgement()


@pytest.mark.cloud
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_oracle_finds_a_defect_of_the_handlers_by_what_it_does(rig: Rig, mutant: str) -> None:
    """A mutant that makes a function fail would be found as well, and would show nothing."""
    found = play(rig, SCENARIOS[MUTANTS[mutant].scenario], mutant=mutant)[1]
    lines = (*found.lost, *found.doubled)

    assert any(MUTANTS[mutant].finding in line for line in lines), lines
    assert not any("gave up" in line for line in lines)


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("name", "kind"),
    [("first contact", "killed after"), ("owner reply", "overtaken"), ("owner starts", "killed after")],
)
def test_a_process_killed_after_a_call_or_overtaken_before_it_loses_and_doubles_nothing(
    rig: Rig, faultless: Faultless, name: str, kind: str
) -> None:
    for fault in _sample(name).sample(list(faults(faultless(name)[0], kinds=(kind,))), 4):
        run = strike(rig, Plan(scenario=name, faults=(fault,)))
        assert run.outcome in GOOD, f"{run.plan}: {run.judgement}"


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("first contact", {"forward_sender": "marked", "ack_sender": "unknown"}),
        ("owner reply", {"reply_sender": "marked"}),
        ("owner starts", {"reply_sender": "marked", "forward_sender": "marked"}),
        ("forged reply", {"forward_sender": "marked"}),  # a notice
    ],
)
def test_a_throttled_send_leaves_later_and_a_lost_response_of_ses_makes_a_possible_duplicate(
    rig: Rig, faultless: Faultless, name: str, lost: dict[str, str]
) -> None:
    """Except acknowledgements: a second copy never leaves, and the first one's outcome stays unknown."""
    calls = faultless(name)[0]
    sends = {function: [c for c in labels if c.startswith("sesv2.")] for function, labels in calls.items()}
    outcomes = {
        (fault.function, fault.kind): strike(rig, Plan(scenario=name, faults=(fault,))).outcome
        for fault in faults(sends, kinds=("throttled", "timeout after"))
    }

    assert {function: outcome for (function, kind), outcome in outcomes.items() if kind == "timeout after"} == lost
    assert {
        function: outcome for (function, kind), outcome in outcomes.items() if kind == "throttled"
    } == dict.fromkeys(lost, "ok")


@pytest.mark.cloud
@pytest.mark.parametrize("name", ["owner reply", "owner starts"])
def test_a_reply_that_ses_rejects_is_dead_lettered_and_its_writer_gets_one_notice(rig: Rig, name: str) -> None:
    fault = Fault(function="reply_sender", call=SES, kind="rejected")

    assert strike(rig, Plan(scenario=name, faults=(fault,))).judgement == Judgement(dead_lettered=1)


@pytest.mark.cloud
@pytest.mark.parametrize("name", ["first contact", "owner reply"])
def test_a_second_fault_while_the_first_is_made_good_loses_and_doubles_nothing(
    rig: Rig, faultless: Faultless, name: str
) -> None:
    sample = _sample(name)
    for first in sample.sample(list(faults(faultless(name)[0], PAIRED)), 2):
        run = strike(rig, sample.choice(pairs([strike(rig, Plan(scenario=name, faults=(first,)))])))
        assert run.outcome in GOOD, f"{run.plan}: {run.judgement}"


SES = "sesv2.SendEmail"


@pytest.mark.parametrize(
    ("struck", "delivery", "excused"),
    [
        ([], Delivery.SKEWED, Allowed()),
        ([("inbound", "s3.GetObject", "killed after")], Delivery.PROMPT, Allowed()),
        ([("forward_sender", SES, "timeout before")], Delivery.PROMPT, Allowed()),
        ([("forward_sender", SES, "timeout after")], Delivery.PROMPT, Allowed(copies=1)),
        ([("reply_sender", SES, "timeout after")] * 2, Delivery.PROMPT, Allowed(copies=2, unknown=1)),
        ([("forward_sender", SES, "overtaken")], Delivery.PROMPT, Allowed()),
        ([("forward_sender", SES, "overtaken")], Delivery.SKEWED, Allowed(copies=1)),
        ([("forward_sender", SES, "rejected")], Delivery.PROMPT, Allowed(failed=1)),
        ([("ack_sender", "dynamodb.UpdateItem", "killed after")], Delivery.PROMPT, Allowed(unknown=1)),
        ([("reply_sender", "dynamodb.TransactWriteItems", "refused")], Delivery.PROMPT, Allowed()),
        (
            [("reply_sender", "dynamodb.TransactWriteItems", "refused"), ("reply_sender", "s3.PutObject", "refused")],
            Delivery.PROMPT,
            Allowed(copies=1),
        ),
    ],
)
def test_faults_excuse_what_they_can_cause_and_nothing_else(
    struck: list[tuple[str, str, str]], delivery: Delivery, excused: Allowed
) -> None:
    assert allowed([Fault(function=f, call=c, kind=k) for f, c, k in struck], delivery) == excused


@pytest.mark.parametrize("misses", [0, 1, ATTEMPTS - 1, ATTEMPTS])
def test_a_fault_that_did_not_occur_is_tried_again_and_then_reported(
    monkeypatch: pytest.MonkeyPatch, misses: int
) -> None:
    """On a busy machine a function may make its calls in another order."""
    played: list[Fault] = []

    def busy(_: Rig, __: Scenario, fault: Fault, *, delivery: Delivery) -> tuple[Calls, Judgement]:
        assert delivery is Delivery.PROMPT
        played.append(fault)
        if len(played) <= misses:
            raise NotStruck(str(fault))
        return {}, Judgement()

    monkeypatch.setattr(matrix, "play", busy)
    fault = Fault(function="inbound", call="s3.GetObject", kind="refused")
    run = strike(cast("Rig", None), Plan(scenario="spam", faults=(fault,)))

    assert run.outcome == ("not struck" if misses == ATTEMPTS else "ok")
    assert played == [fault] * min(misses + 1, ATTEMPTS)
