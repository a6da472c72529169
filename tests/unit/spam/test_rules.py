"""Reading rules: whatever is wrong is skipped and listed, and nothing can stall or stop the filter."""

import contextlib
import itertools

import pcre2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.errors import BadRules
from email_handler.spam import rules
from email_handler.spam.rules import Rule, builtin_rules, check, load_rules

GOOD = """
[[rule]]
id = "good"
field = "text"
weight = 5.5
purpose = "a rule that works"
pattern = 'cheap watches'
match = ["buy cheap watches"]
no_match = ["cheap clocks"]
"""
BUILTIN = builtin_rules()


def document(*lines: str, **changes: str) -> bytes:
    """Return a file of one good rule and one built from it with *changes* (TOML values) and further *lines*."""
    entry = {
        "id": '"odd"',
        "field": '"text"',
        "weight": "1.0",
        "purpose": '"an odd rule"',
        "pattern": "'odd'",
    } | changes
    return "\n".join([GOOD, "[[rule]]", *(f"{name} = {value}" for name, value in entry.items()), *lines]).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"pattern": "'(unclosed'"},
        {"pattern": "'a*'"},
        {"pattern": "''"},
        {"pattern": "5"},
        {"pattern": r"'a\Cb'"},
        {"pattern": "'(?C1)a'"},
        {"pattern": "'" + "a" * 5000 + "'"},
        {"field": '"body"'},
        {"field": '"header"'},
        {"field": "[1]"},
        {"weight": '"5"'},
        {"weight": "-1.0"},
        {"weight": "nan"},
        {"weight": "inf"},
        {"weight": "true"},
        {"weight": "1e300"},
        {"purpose": '""'},
        {"id": "7"},
        {"id": '"good"'},
        {"match": '"odd"'},
        {"no_match": "[1]"},
    ],
    ids=str,
)
def test_a_bad_rule_is_skipped_and_listed_and_the_rest_works(changes: dict[str, str]) -> None:
    loaded = load_rules(b"[thresholds]\nflag = 5\nhold = 10\n" + document(**changes), "v1")

    assert [rule.id for rule in loaded.rules] == ["good"]
    assert len(loaded.problems) == 1


@pytest.mark.parametrize(
    "name",
    [
        "List-Id",
        "list-unsubscribe",
        "Precedence",
        "Sender",
        "Delivered-To",
        "Received",
        "Date",
        "Message-ID",
        "X-Mailer",
    ],
)
def test_no_rule_reads_headers_about_how_a_message_was_sent(name: str) -> None:
    bad = document(field=f'"header {name}"')

    assert [rule.id for rule in load_rules(bad, "v1").rules] == ["good"]
    assert any("header" in finding.problem for finding in check(bad))
    assert not any(name.lower() in rule.field.split() for rule in BUILTIN.rules)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"# nothing\n",
        b"[[rule",
        b"\xff\xfe\x00",
        b"rule = 5",
        b"[rule]\nid = 'x'",
        b"rule = [1, 2]",
        document(weight="-1").replace(b"5.5", b"-5.5"),
        b"[" * 100_000,
        b"a=" + b"[" * 5_000,
        b"#" * 2_000_000,
    ],
    ids=range(11),
)
def test_a_file_without_one_usable_rule_is_refused_as_a_whole(bad: bytes) -> None:
    with pytest.raises(BadRules):
        load_rules(bad, "v1")
    assert check(bad)


@pytest.mark.parametrize(
    "thresholds",
    ["flag = 5\nhold = 9\nwords = 9", "flag = 0\nhold = 5", "flag = 9\nhold = 5", "flag = 'x'\nhold = 5", "flag = 5"],
)
def test_impossible_thresholds_are_replaced_and_listed(thresholds: str) -> None:
    loaded = load_rules(f"[thresholds]\n{thresholds}\n{GOOD}".encode(), "v1")

    assert (loaded.flag, loaded.hold, loaded.words) == (5.0, 10.0, 0.0)
    assert len(loaded.problems) == 1


def test_more_rules_than_the_bound_are_left_out() -> None:
    many = "".join(GOOD.replace('"good"', f'"good-{number}"') for number in range(1100)).encode()

    assert len(load_rules(many, "v1").rules) == 1000


@given(st.binary(max_size=300))
def test_any_bytes_give_a_rule_set_or_bad_rules(junk: bytes) -> None:
    with contextlib.suppress(BadRules):
        load_rules(GOOD.encode() + junk, "v1")


@given(st.text(max_size=40))
def test_any_pattern_is_compiled_or_skipped(pattern: str) -> None:
    quoted = pattern.encode("unicode_escape").decode().replace('"', '\\"').replace("\\x", "\\u00")

    assert load_rules(document(pattern=f'"{quoted}"'), "v1").rules[0].id == "good"


def test_check_finds_nothing_in_the_built_in_rules() -> None:
    ticks = itertools.count(step=0.0)

    assert check(rules._BUILTIN.read_bytes(), timer=ticks.__next__) == ()


def test_check_reports_examples_with_the_wrong_result() -> None:
    findings = check(document('match = ["even"]', 'no_match = ["odd"]'), timer=lambda: 0.0)

    assert [finding.rule for finding in findings] == ["", "odd", "odd"]  # the first: no thresholds


def test_check_refuses_a_pattern_that_takes_too_long_on_adversarial_text() -> None:
    findings = check(b"[thresholds]\nflag=5\nhold=10\n" + GOOD.encode(), timer=itertools.count(step=0.0021).__next__)

    assert [finding.problem for finding in findings] == ["takes more than 2 ms on adversarial text"]


def test_check_accepts_a_pattern_that_a_busy_machine_delays_sometimes() -> None:
    """One run in five is fast."""
    durations = itertools.cycle([0.0021, 0.0021, 0.0021, 0.0021, 0.0001])
    ticks = itertools.accumulate(itertools.chain.from_iterable((0.0, duration) for duration in durations))

    assert check(b"[thresholds]\nflag=5\nhold=10\n" + GOOD.encode(), timer=ticks.__next__) == ()


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(?:\w+\s+)+now", r"(?:a|aa)+b", r"^(?:(?:.*?,){11})P"])
def test_check_refuses_a_pattern_that_backtracks_without_bound(pattern: str) -> None:
    findings = check(document(f"match = ['aaaa now, {pattern}']", "no_match = ['x']", pattern=f"'{pattern}'"))

    assert any("adversarial" in finding.problem or "limit" in finding.problem for finding in findings)


@pytest.mark.parametrize("rule", BUILTIN.rules, ids=lambda rule: rule.id)
def test_each_rule_matches_its_examples_and_not_the_near_misses(rule: Rule) -> None:
    assert rule.match
    assert rule.no_match
    assert [text for text in rule.match if not rule.matches(text)] == []
    assert [text for text in rule.no_match if rule.matches(text)] == []


@pytest.mark.parametrize("rule", BUILTIN.rules, ids=lambda rule: rule.id)
def test_no_rule_reaches_a_limit_on_adversarial_texts_in_either_form(rule: Rule) -> None:
    """``check`` searches each text in one form of the pattern (see above); here is the other one for ASCII texts."""
    limits = 0
    for text in filter(str.isascii, rules.adversarial_texts(rule)):
        try:
            rule.search(text[:-1] + "é")
        except pcre2.LibraryError:
            limits += 1

    assert limits == 0
