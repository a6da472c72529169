"""The sieve may keep a pattern that does not match; it must never drop one that does."""

import re

import pcre2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.spam import sieve
from email_handler.spam.rules import Rule, builtin_rules, views
from email_handler.spam.sieve import Sieve

RULES = builtin_rules().rules
SIEVES = {
    field: Sieve({rule.id: rule.source for rule in RULES if rule.field == field}) for field in ("text", "subject")
}
TEXT_RULES = [rule for rule in RULES if rule.field == "text"]

# Pieces of patterns and of texts that meet each other: letters of one and of several scripts, marks, signs and spaces.
PIECES = [
    *"abAk_~?!{ ", "\u017f", "\u212a", "é", "я", "Я", "ß", "“", "€", "\u0301", "\u00a0", "中", "😀", "२", "\n",
    "free ", "win", "42",
]  # fmt: skip
PATTERN_PIECES = [
    *(re.escape(piece) for piece in PIECES if piece != "\n"),
    r"\b", r"\B", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", ".", "^", "$", r"\A", r"\Z", r"\x41", r"\u044f", r"\.",
    "[ab]", "[^a]", "[^_]", "[^~é]", "[a-я]", "[!-~]", "[é“]", r"[\w.-]", r"[^\w ]", r"[^\s?]", r"[\d?]", r"[\W]", "[]a]",
    "[^]b]", "[ -@]", r"[\t-~]", "(?i)", "(?-i)", "(?=win)", "(?!a)", "(?<=b)", "(?<!é)", "(?:a|яb)?", "(free|я)", "(?>a+)", "(?P<x>b)",
]  # fmt: skip
QUANTIFIERS = ["", "", "", "?", "*", "+", "??", "*+", "++", "{2}", "{1,3}", "{0,2}?", "{2,}+"]


def sieved(pattern: str, text: str) -> bool:
    return bool(Sieve({"one": pattern}).may_match(text))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\bseo\b", "museo de arte"),
        (r"\bseo\b", "caséo"),
        (r"\bcheap (?:watches|pills)\b", "cheap clothes, pills"),
        ("[a-c]{3}", "ab1ca"),
        ("(?:free ){2}", "free and free"),
        ("люди", "Credit, naïve “quotes”, 50 €"),
        (r"\bлюди", "a text in ASCII"),
        ("发票", "é ü 中"),
        (r"^urgent", "not urgent"),
        ("win{2,3}er", "winer"),
        (r"[^a-z ]", "only letters and spaces"),
        ("€ ?5", "5 £"),
        (r"don.t", "done too"),
    ],
)
def test_a_pattern_is_dropped_where_it_cannot_match(pattern: str, text: str) -> None:
    assert not sieved(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\bsum\b", "the “sum” of"),
        (r"\bлюди", "тут (Люди) ли"),
        (r"\w+ loan", "новый loan"),
        ("spam", "\u017fpam"),
        ("kit", "a \u212ait"),
        ("\u017fpam", "spam"),
        ("[\u0100-\u2fff]", "K"),
        ("[a-z][\u0430\u0435][a-z]", "c\u0430sino"),
        (r"\d euro", "२ euro"),
        (r"a\sb", "a\u2003b"),
        ("[^_]x", "éx"),
        ("[^~]x", "“x"),
        ("why\\?", "why?"),
        ("é\\?", "é?"),
        ("(?-i)URGENT", "URGENT"),
        ("[^k-\u2fff]x", "\u017fx"),  # PCRE2 excludes neither
        ("[^k-\u2fff]x", "\u212ax"),
    ],
)
def test_a_pattern_is_kept_where_letters_outside_ascii_let_it_match(pattern: str, text: str) -> None:
    assert sieved(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"[\t-\r]x", "\x0bx"),
        (r"[\n-~]x", "Ax"),
        (r"[\b-~]x", "Ax"),
        (r"[\x00-\t]x", "\x07x"),
        (r"[^\t-\r]x", "Ax"),
    ],
)
def test_a_range_may_begin_and_end_with_a_control_character(pattern: str, text: str) -> None:
    assert pcre2.compile(pattern).search(text)
    assert sieved(pattern, text)


@pytest.mark.parametrize("pattern", ["(?-i)[^a-z]{3}", "(?s-i:[^a-z]{3})", "a|(?:(?-i)b|[^a-z]{3})"])
def test_what_excludes_letters_of_one_case_matches_those_of_the_other(pattern: str) -> None:
    assert pcre2.compile(pattern, pcre2.IGNORECASE).search("WIN")
    assert sieved(pattern, "WIN")


@pytest.mark.parametrize(
    "pattern",
    [
        "[[:alpha:]]casino",
        "casino{,3}",
        "(?|a(casino))",
        r"\Qcasino",
        "(casino)(?1)",
        r"(casino)\1",
        "(",
        "casino)",
        "x(*ACCEPT)",
        r"\pLcasino",
        "(?:a[^b]{1,900}){9}casino",
        "(?x) c a s i n o",
        "[a",
        "(?:" * 2000,
    ],
)
def test_a_pattern_that_cannot_be_relaxed_is_always_searched(pattern: str) -> None:
    assert sieved(pattern, "")


def test_all_patterns_are_searched_if_together_they_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "_MEMORY", 1 << 14)
    patterns = {f"rule {number}": f"word{number} [a-z]{{1,60}}end" for number in range(20)}

    assert Sieve(patterns).may_match("é or not") == set(patterns)


def test_all_patterns_are_searched_in_a_text_that_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "_MEMORY", 1 << 17)
    patterns = {f"rule {number}": f"[a-z]{{{number + 1}}} [b-y]{{{number}}}z" for number in range(20)}

    assert set(patterns) == Sieve(patterns).may_match("the quick brown fox jumps over the lazy dog " * 20)


def test_a_set_without_patterns_keeps_none() -> None:
    assert Sieve({}).may_match("any text, é") == set()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.field in SIEVES], ids=lambda rule: rule.id)
def test_no_rule_is_dropped_for_its_own_examples(rule: Rule) -> None:
    seen = [view for text in rule.match for view in views(rule.field, text) if rule.search(view)]

    assert seen
    assert [view for view in seen if rule.id not in SIEVES[rule.field].may_match(view)] == []


@given(st.data())
def test_no_rule_is_dropped_for_a_text_of_its_own_words(data: st.DataObject) -> None:
    rule = data.draw(st.sampled_from(TEXT_RULES))
    words = re.findall(r"\w+|[^\w\s]", " ".join((*rule.match, *rule.no_match)))
    text = " ".join(data.draw(st.lists(st.sampled_from([*words, "é", "“", "я"]), max_size=12)))

    assert rule.id in SIEVES["text"].may_match(text) or not rule.search(text)


@given(st.text(max_size=200))
def test_any_text_can_be_sieved(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    dropped = {rule.id for rule in TEXT_RULES} - SIEVES["text"].may_match(text)

    assert not any(rule.search(text) for rule in TEXT_RULES if rule.id in dropped)


@given(
    st.lists(st.tuples(st.sampled_from([*PATTERN_PIECES, "|"]), st.sampled_from(QUANTIFIERS)), min_size=1, max_size=6),
    st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), min_size=4, max_size=4),
)
def test_no_pattern_that_matches_is_dropped(pieces: list[tuple[str, str]], texts: list[str]) -> None:
    pattern = "".join(piece + ("" if piece == "|" else quantifier) for piece, quantifier in pieces)
    try:
        compiled = pcre2.compile(pattern, pcre2.IGNORECASE)
    except (pcre2.PatternError, pcre2.LibraryError):
        return
    sieve = Sieve({"one": pattern})

    assert [text for text in texts if compiled.search(text) and not sieve.may_match(text)] == []
