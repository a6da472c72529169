"""Reasons in words: what a person understands, whatever the rule."""

import re
from itertools import product

import pytest

from email_handler.conversations.disposition import Reason
from email_handler.outgoing.reasons import words
from email_handler.spam.rules import builtin_rules
from email_handler.spam.stages import _RULES

BUILTIN = {
    **{rule.id: (rule.weight, rule.purpose) for rule in builtin_rules().rules},
    **{signal.id: (signal.weight, signal.purpose) for signal in builtin_rules().signals.values()},
}


@pytest.mark.parametrize("rule", BUILTIN)
def test_every_rule_and_signal_of_the_builtin_set_is_told_in_words(rule: str) -> None:
    weight, purpose = BUILTIN[rule]

    told = words([Reason(stage="patterns", rule=rule, weight=abs(weight) or 1, detail=purpose)])

    assert told == (purpose,)
    assert re.fullmatch(r"[a-z].*[^.]", purpose), "a phrase, to stand in a list"
    assert "-" not in rule or rule not in purpose


@pytest.mark.parametrize(("stage", "rule"), _RULES)
def test_no_other_reason_shows_an_id_or_a_name_of_ours(stage: str, rule: str) -> None:
    told = "; ".join(words([Reason(stage=stage, rule=rule, detail=_RULES[stage, rule][1])]))

    assert not re.search(r"\bSES\b|DMARC|the operator|[a-z]:[a-z]", told)


def test_the_weightiest_come_first_and_what_speaks_for_a_message_is_left_out() -> None:
    reasons = (
        Reason(stage="list", rule="allowed-but-unverified", detail="x"),
        Reason(stage="patterns", rule="a", weight=1, detail="light"),
        Reason(stage="patterns", rule="b", weight=-3, detail="good"),
        Reason(stage="patterns", rule="c", weight=2, detail="heavy"),
        Reason(stage="verdicts", rule="virus"),
        Reason(stage="patterns", rule="d", weight=0.5, detail="light"),
    )

    assert words(reasons) == ("the virus scan found a virus", "heavy", "light")


def test_a_rule_of_the_operators_own_is_told_by_what_it_is_for() -> None:
    assert words([Reason(stage="patterns", rule="my-rule", weight=1, detail="mentions our competitor")]) == (
        "mentions our competitor",
    )
    assert words([Reason(stage="patterns", rule="my-old-rule", weight=1)]) == ("my old rule",)


def test_searches_that_reached_a_limit_are_told_once() -> None:
    limits = [Reason(stage="limit", rule=rule, detail=f"{rule} x") for rule, _ in product(("a", "html-tags"), range(2))]

    assert words(limits) == ("it is built so that the filter could not read all of it",)
