"""The sieve may keep a pattern that does not match; it must never drop one that does."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.spam.rules import Rule, builtin_rules, views
from email_handler.spam.sieve import Sieve, alternatives

BUILTIN = builtin_rules()
TEXT_RULES = [rule for rule in BUILTIN.rules if rule.field == "text"]


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        ("cheap watches", [[{"cheap"}, {"watches"}]]),
        (r"\b(?:seo|links?|guest posts?)\b", [[{"seo", "link"}], [{"guest"}, {"post"}]]),
        ("(?:seo|links) (?:services?|expert)", [[{"seo", "links"}, {"service", "expert"}]]),
        ("(?-i)URGENT", [[{"urgent"}]]),
        ("(?:abc)+x?", [[{"abc"}]]),
        ("toll-free24", [[{"toll"}, {"free"}]]),
        ("cheap[:;] watches", [[{"cheap"}, {"watches"}]]),
    ],
)
def test_what_a_match_needs_is_derived_from_the_pattern(pattern: str, needed: list[list[set[str]]]) -> None:
    assert [[set(clause) for clause in clauses] for clauses in alternatives(pattern)] == needed


@pytest.mark.parametrize("pattern", ["发票", r"[\u0430-\u044f]x", r"x[\u0430\u0435]{1,3}", "(?:é|ü)1"])
def test_a_pattern_of_other_scripts_is_not_searched_in_ascii(pattern: str) -> None:
    sieve = Sieve({"foreign": pattern})

    assert sieve.may_match("x1 invoice") == set()
    assert sieve.may_match("x é") == {"foreign"}


@pytest.mark.parametrize(("pattern", "text"), [("\u017f", "s"), ("[\u0100-\u2fff]", "K"), ("[\u212a\u0430]", "k")])
def test_letters_outside_ascii_that_match_ascii_letters_are_searched_anyway(pattern: str, text: str) -> None:
    assert Sieve({"odd": pattern}).may_match(text) == {"odd"}


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+",
        "ab|casino",
        "(?:casino)?",
        "[[:alpha:]]casino",
        "casino{,3}",
        "(?|a(casino))",
        r"\Qcasino",
        "(casino)(?1)",
        "(",
        "x(*ACCEPT)",
    ],
)
def test_a_pattern_that_python_reads_differently_or_that_needs_nothing_is_always_searched(pattern: str) -> None:
    assert alternatives(pattern) == ()
    assert Sieve({"odd": pattern}).may_match("") == {"odd"}


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.id)
def test_no_rule_is_dropped_for_its_own_examples(rule: Rule) -> None:
    seen = [view for text in rule.match for view in views("text", text) if rule.search(view)]

    assert seen
    assert [view for view in seen if rule.id not in BUILTIN.text_sieve.may_match(view)] == []


@given(st.data())
def test_no_rule_is_dropped_for_a_text_of_its_own_words(data: st.DataObject) -> None:
    rule = data.draw(st.sampled_from(TEXT_RULES))
    words = re.findall(r"\w+|[^\w\s]", " ".join((*rule.match, *rule.no_match)))
    text = " ".join(data.draw(st.lists(st.sampled_from(words), max_size=12)))

    assert rule.id in BUILTIN.text_sieve.may_match(text) or not rule.search(text)


@given(st.text(max_size=200))
def test_any_text_can_be_sieved(text: str) -> None:
    kept = {rule.id for rule in TEXT_RULES} - BUILTIN.text_sieve.may_match(text)

    assert not any(rule.search(text) for rule in TEXT_RULES if rule.id in kept)
