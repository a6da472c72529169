"""A stranger's words in a form that no mail client turns into a link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.outgoing.unlinked import unlinked
from tests.support.links import first_link


def test_what_could_be_a_link_is_marked_and_stays_legible(subtests: pytest.Subtests) -> None:
    cases = {
        "pay.example": "pay[.]example",
        "jane@customer.example": "jane at customer[.]example",
        "https://pay.example:8080/x": "https[:][//]pay[.]example[:]8080/x",
        "http://localhost/": "http[:][//]localhost/",
        "mailto:jane": "mailto[:]jane",
        "tel:+4990": "tel[:]+4990",
        "//pay.example": "[//]pay[.]example",
        "\\\\server\\share": "[\\\\]server\\share",
        "192.0.2.1": "192[.]0[.]2[.]1",
        "例え。テスト": "例え[。]テスト",
        "pay\u2024example": "pay[\u2024]example",
        "pay\ufe52example": "pay[\ufe52]example",
        "jane\ufe6bpay": "jane at pay",
        "mailto\ufe55jane": "mailto[\ufe55]jane",
        "pay.example.": "pay[.]example.",
        "Call +1 202 555 0123": "Call +1 20[2] 555 [0]123",
        "(0900) 123-456": "(090[0]) 123-[4]56",
        "0900/1234567 or 2026-11-28": "090[0]/123[4]567 or 202[6]-11-2[8]",
        "\u0661\u0662\u0663\u0664\u0665\u0666\u0667": "\u0661\u0662\u0663[\u0664]\u0665\u0666\u0667",
        "0900\u200b123\u00ad456": "090[0]\u200b123\u00ad[4]56",
        "555.0123 or 0900*123\u2212456": "555.[0]123 or 090[0]*123\u2212[4]56",
    }
    for text, shown in cases.items():
        with subtests.test(text):
            assert unlinked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Hello, you. And you?",
        "Re: your offer",
        "12.99 EUR at 12:30",
        "Wait ... what",
        "Wait .\u3002a",
        "Call @jane",
        "a/b",
        "Invoice 123456 of 2026",
        "(see 3.5.)",
        "Status 5.1.1, version 2.10.3",
        "1,234,567 EUR",
        "",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert unlinked(text) == text


@given(st.text(st.sampled_from("aB1.@:/\\ -_\u3002\uff0e\uff61\uff20\uff1aé"), max_size=40))
def test_no_text_has_anything_left_that_a_client_could_link(text: str) -> None:
    shown = unlinked(text)

    assert first_link(shown) == ""
