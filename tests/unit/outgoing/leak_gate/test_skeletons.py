"""The fast look at a text overlooks nothing that a closer one would find."""

import re
import sys
import unicodedata

import pytest

from email_handler.outgoing.leak_gate import gate, skeletons
from email_handler.outgoing.leak_gate.needles import Needles
from email_handler.outgoing.leak_gate.views import normal
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import NEEDLES, PRIVATE


def test_every_character_that_means_one_in_ascii_is_known() -> None:
    of_latin = "\xaa\xb2\xb3\xb9\xba\xbc\xbd\xbe"
    characters = map(chr, (*range(0x80, 0xD800), *range(0xE000, sys.maxunicode + 1)))
    meaning = [c for c in characters if re.search("[!-~]", unicodedata.normalize("NFKC", c))]

    assert [c for c in meaning if c not in of_latin and not skeletons.MEANS_ASCII.match(c)] == []
    assert {*of_latin} <= {*meaning}


@pytest.mark.parametrize(
    "letter", ["\u0131", "\u0130", "\u017f", "\u212a", "\xaa", "\u24d0", "\uff41", "\U0001d41a", "\u3002", "\uff0e"]
)
def test_a_word_is_not_overlooked_for_any_form_of_its_letters(letter: str) -> None:
    means = {"\u0131": "i", "\u0130": "i", "\u3002": "."}.get(letter, unicodedata.normalize("NFKC", letter).lower())
    words = skeletons.Words([f"pr{means}vate"])

    for around in ("", "\xe9" * 99, "\u0301", "\u4e2d"):
        assert words.may_be_in(f"{around}PR{letter}V\u200bA\r\n> TE{around}")
        assert not words.may_be_in(f"{around}PR{letter}VE{around}")


@pytest.mark.parametrize("word", ["stra\xdfe", "caf\xe9", "\u03b4\u03cc\u03c2"])
def test_a_word_beyond_ascii_is_not_overlooked(word: str) -> None:
    words = skeletons.Words([word])

    for written in (word, unicodedata.normalize("NFD", word), word.upper(), f"{word[:2]}\u200b{word[2:]}"):
        assert words.may_be_in(f"\xe4 {written}")
    assert not words.may_be_in("Only ASCII, and \xe9\xe8.")


def test_an_address_among_many_harmless_headers_is_found_at_its_place() -> None:
    fields = [("From", "a@b.example"), *((f"X-Field-{number}", f"some value {number}") for number in range(50))]
    for value in (
        PRIVATE,
        "=?utf-8?Q?me=40private.example?=",
        "me(I)@(my)private .example",
        "to \x1b[1mme@private.example",
    ):
        places, _ = gate.check(entity([*fields, ("X-Last", value)], b"x"), NEEDLES)

        assert {place.where for place in places} == {"header X-Last"}


def test_the_ends_of_two_headers_are_no_address_together() -> None:
    raw = b"X-A: me\r\nX-B: @private.example\r\nX-C: me=\r\nX-D: 40private.example\r\n"

    assert gate.check(raw + mail(), NEEDLES) == ((), ())


def test_a_header_that_is_harmless_in_one_message_is_looked_at_once() -> None:
    looked_at: list[str] = []

    class Watched(Needles):
        def find(self, text: str, *, name: bool = False, strings: bool = False):  # type: ignore[no-untyped-def]  # noqa: ANN202
            looked_at.append(normal(text))
            return super().find(text, name=name, strings=strings)

    fields = [("From", "a@b.example"), *((f"X-{n}", "private.example") for n in range(9))]
    attached = entity([("Content-Type", "message/rfc822")], entity(fields) + b"x")

    gate.check(multipart("mixed", *[attached] * 50), Watched(NEEDLES.identity))

    assert len([text for text in looked_at if text == "private.example"]) <= 9
