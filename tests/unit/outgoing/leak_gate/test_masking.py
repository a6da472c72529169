"""Masking: what is the owner's is replaced however it is written; what only looks like it is left alone."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress
from email_handler.outgoing.leak_gate.needles import (
    ENTITY,
    MARKUP,
    PERCENT,
    QUOTED,
    WRAPPED,
    decode,
    mask,
    places,
    view,
)
from tests.support.compositions import CONTACT, IDENTITY, PUBLIC, THREAD
from tests.support.look_alikes import LOOK_ALIKES


@pytest.mark.parametrize("around", ["{}", "Write to {} today.", "<{}>", "({})", "> {}\n", '"{}",', "see:{};"])
def test_what_only_looks_alike_is_left_as_it_is(around: str, subtests: pytest.Subtests) -> None:
    for text in LOOK_ALIKES:
        with subtests.test(text):
            written = around.format(text)

            assert (written, ()) == mask(written, IDENTITY, CONTACT)
            assert places(written, IDENTITY) == ()


OWNERS = (
    "me@private.example",
    "ME@Private.Example",
    "me+shop@private.example",
    "me+a-b.c_d=1@private.example",
    "alias@home.example",
    "alias+other@home.example",
    '"me"@private.example',
    "me%40private.example",
    "%6d%65%40private.example",
    "me%2540private.example",
    "me%2Bshop%40private.example",
    "me=40private.example",
    "=6De=40private.example",
    "me@priv=\r\nate.example",
    "me&#64;private.example",
    "me&#x40;private.example",
    "me&commat;private.example",
    "&#109;&#101;&#64;private&#46;example",
    "me&#37;40private.example",
    "me@priv \r\nate.example",
    "me@priv\r\n ate.example",
    "me@priv\r\n> > ate.example",
    "me\u200b@private\u00ad.example",
    "me\uff20private.example",
    "me\\u0040private.example",
    "bounces+17-me=private.example@lists.example",
    "Rumpelstiltskin",
    "RUMPELSTILTSKIN",
    "Blue Door Lane",
    "Blue\r\n> Door Lane",
)


@pytest.mark.parametrize(
    "around", ["{}", "Write to {}.", "<{}>", "mailto:{}?subject=x", "*{}*", "_{}_", "请写信到{}谢谢"]
)
def test_what_is_the_owners_is_found_and_replaced(around: str, subtests: pytest.Subtests) -> None:
    for written in OWNERS:
        with subtests.test(written):
            text = around.format(written)

            assert places(text, IDENTITY)
            assert places(mask(text, IDENTITY, CONTACT)[0], IDENTITY) == ()


@pytest.mark.parametrize(
    "following", [".", ", thanks", ".\r\nNext", ".Next", ".pdf", "-", "_", "/x", "…", "。", ".DOCX is", "'s"]
)
def test_what_follows_an_address_does_not_hide_it(following: str) -> None:
    text, _ = mask("me@private.example" + following, IDENTITY, CONTACT)

    assert text == PUBLIC + following


def test_the_rest_of_the_text_stays_character_by_character() -> None:
    text = "Dear Jane,\r\n  write to me@private.example,\tor call.\r\n\r\n-- \r\nMe &amp; co 100%\r\n"

    masked, what = mask(text, IDENTITY, CONTACT)

    assert masked == text.replace("me@private.example", PUBLIC)
    assert what == ("private address",)


def test_a_thread_address_becomes_the_contacts_own() -> None:
    text = f"On Monday, Jane Doe <{THREAD}> wrote:\r\n> and cc {THREAD.replace('@', '+all@')}"

    masked, what = mask(text, IDENTITY, CONTACT)

    assert masked == f"On Monday, Jane Doe <{CONTACT}> wrote:\r\n> and cc {CONTACT}"
    assert what == ("thread address",)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="mailto:me@private.example">me@private.example</a>', f'<a href="mailto:{PUBLIC}">{PUBLIC}</a>'),
        ('<a href="https://x.example/?u=me%40private.example&amp;y=1">x</a>', '<a href="https://x.example/?u=contact%40example.com&amp;y=1">x</a>'),
        ("<p>me<b>@</b>private<wbr>.example</p>", "<p>contact@example.com<b></b><wbr></p>"),
        ("<p>me&#64;private&#46;example</p>", f"<p>{PUBLIC}</p>"),
        ("<p>me<!-- x -->@private.example</p>", f"<p>{PUBLIC}<!-- x --></p>"),
        ("<!-- me@private.example -->", f"<!-- {PUBLIC} -->"),
        ('<img alt="me&#x40;private.example" title=me@private.example>', f'<img alt="{PUBLIC}" title={PUBLIC}>'),
        ("<p>Rumpel<i>stiltskin</i> here</p>", "<p><i></i> here</p>"),
    ],
)  # fmt: skip
def test_html_keeps_its_tags(page: str, expected: str) -> None:
    assert mask(page, IDENTITY, CONTACT, markup=True)[0] == expected


def test_many_addresses_and_no_at_all_take_time_in_proportion() -> None:
    hostile = ("me+" * 50 + "@private.example ") * 2000 + "<" * 50_000 + "a" * 200_000 + "&#" * 50_000 + "%" * 50_000

    masked, _ = mask(hostile, IDENTITY, CONTACT, markup=True)

    assert "@private.example" not in masked


@given(st.text(alphabet="ab%4=026;&#x<>\r\n @.", max_size=60))
def test_a_view_shows_what_decoding_shows_and_maps_back(text: str) -> None:
    for chain in ((PERCENT,), (ENTITY, PERCENT), (MARKUP,), (WRAPPED,), (QUOTED, WRAPPED)):
        seen = view(text, chain)

        for start in range(len(seen.text)):
            for source, end in seen.sources(start, start + 1):
                assert 0 <= source < end <= len(text)
        if chain in ((PERCENT,), (WRAPPED,)):
            decoded = decode(text, chain)
            assert seen.text == (text if decoded is None else decoded)


@given(
    st.text(max_size=200),
    st.sampled_from(["me@private.example", "me%40private.example", THREAD]),
    st.text(max_size=200),
)
def test_whatever_stands_around_it_masking_leaves_nothing_to_find(before: str, address: str, after: str) -> None:
    masked, _ = mask(before + " " + address + " " + after, IDENTITY, CONTACT)

    assert places(masked, IDENTITY) == ()
    assert not re.search("me@private.example(?![a-z.-])", masked)


@pytest.mark.parametrize(
    ("text", "is_theirs"),
    [
        ("first.last@gmail.com", True),
        ("firstlast@gmail.com", True),
        ("F.i.rst.Last+x@GoogleMail.com", True),
        ("first.lasting@gmail.com", False),
        ("my.first.last@gmail.com", False),
        ("first..last@gmail.com", False),
    ],
)
def test_gmail_has_one_mailbox_for_many_spellings(text: str, is_theirs: bool) -> None:
    identity = replace(IDENTITY, private_addresses=(EmailAddress("first.last@gmail.com"),))

    assert bool(places(text, identity)) == is_theirs
