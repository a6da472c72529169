"""Texts as the index holds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.texts import BREAK, has_words, prepare, readable, searchable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ﬁle №\uff11", "file No1"),
        ("gar\u00adden\u200b shed", "garden shed"),
        ("a\x00b\x1bc\ud800", "a b c "),
        ("z\u0336a\u0336l", "zal"),
        ("شُكْرًا", "شكرا"),
    ],
    ids=["compatible forms", "what nobody sees", "control characters", "accents of no letter", "vowel points"],
)
def test_texts_come_in_one_form(text: str, expected: str) -> None:
    assert prepare(text) == expected


@pytest.mark.parametrize(("text", "characters"), [("東京", 2), ("กิน", 2), ("한국", 2), ("がっこう", 4), ("garden", 0)])
def test_each_character_of_a_script_without_spaces_is_a_word(text: str, characters: int) -> None:
    prepared = prepare(text)

    assert prepared.count(BREAK) == 2 * characters
    assert readable(prepared) == text


def test_letters_without_an_accent_to_remove_are_spelled_in_plain_ones_as_well() -> None:
    text = searchable("Straße nach Łódź, STRAẞE")

    assert "Strasse Lódź STRASSE" in text
    assert readable(text) == "Straße nach Łódź, STRAẞE"


@given(st.text())
def test_preparing_twice_changes_nothing_that_a_reader_sees(text: str) -> None:
    prepared = prepare(text)

    assert readable(prepare(prepared)) == readable(prepared)


def test_punctuation_is_no_word() -> None:
    assert not has_words("--- !?")
    assert has_words("- a")
