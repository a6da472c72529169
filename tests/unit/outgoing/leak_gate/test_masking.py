"""Masking replaces what is private, however it is written, and leaves alone what only looks like it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress
from email_handler.outgoing.leak_gate import masking
from email_handler.outgoing.leak_gate.decodings import (
    ENTITY,
    ESCAPE,
    LETTERS,
    LINES,
    MARKUP,
    MIXED,
    PERCENT,
    QUOTED,
    UNSEEN,
)
from email_handler.outgoing.leak_gate.masking import found_in
from email_handler.outgoing.leak_gate.needles import Finding, Needles, domain_forms
from email_handler.outgoing.leak_gate.views import chains, view, windows
from tests.support.compositions import CONTACT, IDENTITY, NEEDLES, PUBLIC, THREAD
from tests.support.look_alikes import LOOK_ALIKES


def mask(text: str, needles: Needles, contact: str, *, markup: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return *text* masked, and the kinds of what was replaced, each once."""
    masked, replaced = masking.mask(text, needles, contact, markup=markup)
    return masked, tuple(dict.fromkeys(passage.what for passage in replaced))


@pytest.mark.parametrize("around", ["{}", "Write to {} today.", "<{}>", "({})", "> {}\n", '"{}",', "see:{};"])
def test_look_alikes_are_unchanged(around: str, subtests: pytest.Subtests) -> None:
    for text in LOOK_ALIKES:
        with subtests.test(text):
            written = around.format(text)

            assert (written, ()) == mask(written, NEEDLES, CONTACT)
            assert found_in(written, NEEDLES) == ()


PRIVATE = (
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
    "bounces+17-me+shop=private.example@lists.example",
    "SRS0=Ab=XY=private.example=me@forwarder.example",
    "SRS0=Ab=XY=private.example=me+shop@forwarder.example",
    "ME@PRIVATE.EXAMPLE,X",
    "me+" + "x" * 100 + "@private.example",
    "blue-door_lane",
    "me\ufe6bprivate.example",
    "&#37;6de&#37;40private.example",
    "%256de%2540private.example",
    "=6De=40priv\r\n ate.example",
    "&#109e@private.example",
    "".join(chr(ord(c) + 0xFEE0) for c in "me@private.example"),
    "\U0001d426\U0001d41e@private.example",
    "me@private\u3002example",
    "me@private\uff61example",
    *(f"me@pri{mark}vate{mark}.example" for mark in "\u061c\u180e\u200f\u202e\u2066\ufe0f\ufeff"),
    "Rumpelstiltskin",
    "RUMPELSTILTSKIN",
    "Blue Door Lane",
    "Blue\r\n> Door Lane",
)


@pytest.mark.parametrize(
    "around", ["{}", "Write to {}.", "<{}>", "mailto:{}?subject=x", "*{}*", "_{}_", "请写信到{}谢谢"]
)
def test_what_is_private_is_found_and_replaced(around: str, subtests: pytest.Subtests) -> None:
    for written in PRIVATE:
        with subtests.test(written):
            text = around.format(written)

            assert found_in(text, NEEDLES)
            assert found_in(mask(text, NEEDLES, CONTACT)[0], NEEDLES) == ()


@pytest.mark.parametrize(
    "following", [".", ", thanks", ".\r\nNext", ".Next", ".pdf", "-", "_", "/x", "…", "。", ".DOCX is", "'s"]
)
def test_an_address_is_found_whatever_follows_it(following: str) -> None:
    text, _ = mask("me@private.example" + following, NEEDLES, CONTACT)

    assert text == PUBLIC + following


def test_the_rest_of_the_text_is_unchanged() -> None:
    text = "Dear Jane,\r\n  write to me@private.example,\tor call.\r\n\r\n-- \r\nMe &amp; co 100%\r\n"

    masked, what = mask(text, NEEDLES, CONTACT)

    assert masked == text.replace("me@private.example", PUBLIC)
    assert what == ("private address",)


@pytest.mark.parametrize(
    "sign",
    ["%2Bshop%40", "=40", "&#64;", "&#x40;", "&commat;", "\\x40", "\\u0040", "\\'40", "\\40 ", " @ ", "\xa0@", "@\xa0"],
)  # fmt: skip
def test_a_file_that_is_read_only_as_it_stands_may_hold_an_encoded_sign(sign: str) -> None:
    assert [finding.what for finding in NEEDLES.find(f"me{sign}private.example")] == ["private address"]


def test_what_looks_encoded_and_means_itself_stays() -> None:
    assert mask("Tom &me@priv&#97;te.example", NEEDLES, CONTACT, markup=True)[0] == f"Tom &{PUBLIC}"


def test_tags_are_undone_only_in_a_page() -> None:
    text = "me<b>@</b>private.example"

    assert found_in(text, NEEDLES) == ()
    assert mask(text, NEEDLES, CONTACT) == (text, ())


@pytest.mark.parametrize(
    "page",
    [
        "me<b>@</b>priv\r\n> ate.example",
        "me<!-- <b> -->@private.example",
        "me<!-- > --><b>@</b>private.example",
        "me<b title=a<i>@private.example",
        "me<!-- <!-- -->@private.example",
        "me<!-- x --!>@private.example",
        "<iframe srcdoc='me<b>@</b>private.example'></iframe>",
        "<iframe srcdoc='me&lt;b&gt;@&lt;/b&gt;private.example'></iframe>",
        "<iframe src='data:text/html,me%3Cb%3E@%3C/b%3Eprivate.example'></iframe>",
        "<t><![CDATA[me]]>@<![CDATA[private.example]]></t>",
        "1 <b and me<i>@</i>private.example",
        "Blue<br>Door<div>Lane",
        "&#109;e<b>&commat;</b>private.example",
    ],
)
def test_what_a_page_shows_is_found(page: str) -> None:
    assert found_in(page, NEEDLES, markup=True)
    assert found_in(mask(page, NEEDLES, CONTACT, markup=True)[0], NEEDLES, markup=True) == ()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to me@priv\r\n ate.example.", f"to {PUBLIC}."),
        ("?u=%6d%65%40private.example", "?u=contact%40example.com"),
        ("".join(f"%{ord(c):02x}" for c in "me@private.example,me@private.example"), "contact%40example.com"),
        ("=6De=40private.example", "contact=40example.com"),
        ("me=40private.example", "contact=40example.com"),
        ("x%20me@private.example%20y", f"x%20{PUBLIC}%20y"),
        ("x=20me@private.example=20y", f"x=20{PUBLIC}=20y"),
        ("&#109;e+a%b@private.example", PUBLIC),
        ("&#109;e+a=b@private.example", PUBLIC),
        ("[Only you see this: me@private.example", f"[Only you see this: {PUBLIC}"),
    ],
)
def test_the_public_address_is_written_as_the_private_one_was(text: str, masked: str) -> None:
    assert mask(text, NEEDLES, CONTACT) == (masked, ("private address",))


def test_a_tag_within_a_term_stays() -> None:
    assert mask("at Blue<br><i>Door</i> Lane.", NEEDLES, CONTACT, markup=True) == (
        "at <br><i></i>.",
        ("hidden term",),
    )


def test_the_longest_term_is_removed_and_a_blank_one_is_ignored() -> None:
    needles = Needles(replace(IDENTITY, hidden_terms=("blue", " ", "blue door lane")))

    assert mask("at blue door lane.", needles, CONTACT) == ("at .", ("hidden term",))


def test_the_configured_addresses_may_be_in_any_case() -> None:
    identity = replace(
        IDENTITY, private_addresses=(EmailAddress("Me@Private.EXAMPLE"),), thread_domain="Thread.Example.COM"
    )

    assert found_in(f"me@private.example {THREAD}", Needles(identity)) == ("private address", "thread address")


def test_a_sentinel_is_found_in_any_case() -> None:
    assert found_in("[ONLY YOU SEE THIS:", NEEDLES) == ("banner",)


def test_an_address_ends_where_its_domain_ends_whatever_sign_follows() -> None:
    assert NEEDLES.find("me+a%40private.example=@private.example") == [Finding(0, 22, "private address")]


def test_a_page_is_read_as_lines_of_text() -> None:
    page = "a<br>b<i>c</i>\r\nd&amp;e\u200bf&#8203;g<!-- <p> --><DIV class='x'>h</DIV><spanner>i</span>"

    assert LINES.whole(page) == "a\nbc d&efg\nh\ni"


def test_a_sentinel_whose_words_are_parted_is_the_whole_passage() -> None:
    text = "see [On\0ly yo\0u see this:"

    assert NEEDLES.find(text) == [Finding(0, len(text), "banner")]


@pytest.mark.parametrize(
    ("domain", "forms"),
    [
        ("Stra\xdfe.example", {"stra\xdfe.example", "xn--strae-oqa.example", "strasse.example"}),
        ("xn--strae-oqa.example.", {"xn--strae-oqa.example", "stra\xdfe.example"}),
        (
            "\u03c3\u03b1\u03c2.example",
            {"\u03c3\u03b1\u03c2.example", "\u03c3\u03b1\u03c3.example", "xn--mxa8ab.example", "xn--mxa9ab.example"},
        ),
    ],
)
def test_a_domain_is_looked_for_in_each_of_its_spellings(domain: str, forms: set[str]) -> None:
    assert set(domain_forms(domain)) == forms


def test_a_thread_domain_without_a_local_part_is_found() -> None:
    assert mask("@thread.example.com", NEEDLES, CONTACT) == (CONTACT, ("thread address",))


@pytest.mark.parametrize("term", ["me", "private", "example"])
def test_a_term_within_an_address_is_a_part_of_it(term: str) -> None:
    needles = Needles(replace(IDENTITY, hidden_terms=(term,)))

    assert needles.find("to me@private.example") == [Finding(3, 21, "private address")]


def test_a_thread_address_becomes_the_contacts_address() -> None:
    text = f"On Monday, Jane Doe <{THREAD}> wrote:\r\n> and cc {THREAD.replace('@', '+all@')}"

    masked, what = mask(text, NEEDLES, CONTACT)

    assert masked == f"On Monday, Jane Doe <{CONTACT}> wrote:\r\n> and cc {CONTACT}"
    assert what == ("thread address",)


def test_it_reports_what_was_replaced_decoded_on_one_line_and_not_too_long() -> None:
    text = f"to me%40priv\r\n ate.example at blue\r\ndoor lane, {THREAD}, me+{'x' * 250}@private.example"

    assert masking.mask(text, NEEDLES, CONTACT)[1] == (
        ("private address", "me%40private.example", PUBLIC),
        ("hidden term", "bluedoor lane", ""),
        ("thread address", THREAD, CONTACT),
        ("private address", "me+" + "x" * 197, PUBLIC),
    )


def test_tags_are_ordinary_text_unless_the_text_is_a_page() -> None:
    text = "me<b>@</b>private.example"

    assert masking.mask(text, NEEDLES, CONTACT) == (text, ())


def test_an_address_far_from_a_banner_is_replaced() -> None:
    text = "[Only you see this:" + " and so on" * 2000

    assert mask(f"{text} me@private.example", NEEDLES, CONTACT)[0] == f"{text} {PUBLIC}"


TWO_TERMS = Needles(replace(IDENTITY, hidden_terms=("sixsix", "fives")))


def test_terms_in_the_bytes_of_no_text_are_found_if_they_are_long() -> None:
    assert [finding.start for finding in TWO_TERMS.find("\2sixsix\2fives\2")] == [1, 8]
    assert [finding.start for finding in TWO_TERMS.find("\2sixsix\2fives\2", strings=True)] == [1]


@pytest.mark.parametrize(
    "text", ["me-40private-2Eexample", r"me\100private.example", "IMCEASMTP-me+40private+2Eexample"]
)
def test_an_encoding_of_one_program_is_undone(text: str) -> None:
    assert found_in(text, NEEDLES) == ("private address",)


def test_the_bytes_of_one_character_are_decoded_together() -> None:
    assert QUOTED.whole("b=C3=BCcher") == PERCENT.whole("b%C3%BCcher") == "b\u00fccher"


def test_several_encodings_are_undone_at_once_each_as_far_as_characters_go() -> None:
    assert MIXED.whole("&#109;%65") == "me"
    assert ESCAPE.whole(r"\u{FFFFFF}") == "\U0010ffff"


def test_a_fold_within_an_escape_is_undone_in_a_calendar_alone() -> None:
    folded = "EMAIL:%6\r\n d%65@private.example"

    assert found_in(f"BEGIN:VCARD\r\n{folded}", NEEDLES) == ("private address",)
    assert found_in(f"Hello\r\nBEGIN:VCARD\r\n{folded}", NEEDLES) == ("private address",)
    assert found_in(f"see {folded}", NEEDLES) == ()


def test_no_way_of_reading_a_text_is_tried_twice() -> None:
    readings = [text for _, text in chains("a%2540b &#64; =40 <b> &lt;i&gt;", markup=True)]

    assert len(readings) == len({*readings}) > 5


def test_an_attribute_ends_where_it_ended_before_it_was_decoded() -> None:
    assert [text for _, text in chains("<a b=&gt;x>y", markup=True)] == ["<a b=&gt;x>y", "<a b=>x>y", "\0y"]


def test_a_long_text_is_read_in_windows_that_overlap_and_begin_where_a_word_does() -> None:
    assert list(windows("a" * 10, 8, 2)) == ["a" * 10]
    assert list(windows("a" * 11, 8, 2)) == ["a" * 10, "x\1aaa"]
    assert list(windows("abcdefghijklmnopqrstuvwx", 8, 2)) == ["abcdefghij", "x\1ijklmnopqr", "x\1qrstuvwx"]
    assert list(windows("aaaaaaa bcd", 8, 2)) == ["aaaaaaa bc", " bcd"]
    assert list(windows("aaaa bb\nc ddddddd", 8, 6)) == ["aaaa bb\nc dddd", "\nc ddddddd"]
    assert list(windows("aaaa b c\nddddddddddd eeeee", 9, 4)) == ["aaaa b c\ndddd", "\nddddddddddd ", "x\1ddd eeeee"]


def test_what_is_not_seen_is_no_part_of_what_a_view_shows() -> None:
    assert view("m\u200be", (UNSEEN,)).shown(0, 3) == [(0, 1), (2, 3)]


def test_a_term_of_six_letters_is_long() -> None:
    assert Needles(replace(IDENTITY, hidden_terms=("sixsix",))).find("\2sixsix", strings=True)


def test_encoded_tags_are_undone_only_in_a_page() -> None:
    text = "me&lt;b&gt;@&lt;/b&gt;private.example"

    assert found_in(text, NEEDLES) == ()
    assert found_in(text, NEEDLES, markup=True) == ("private address",)


@pytest.mark.parametrize(
    ("address", "terms", "thread_domain", "least"),
    [
        ("ab@c.example", (), "thread.example.com", 12),
        ("someone@private.example", ("sixsix", "fives"), "thread.example.com", 6),
        ("someone@private.example", (), "t.example.com", 13),
        ("someone@private.example" + "x" * 40, (), "x" * 50, 40),
    ],
)
def test_the_length_of_the_shortest_needle_is_known(
    address: str, terms: tuple[str, ...], thread_domain: str, least: int
) -> None:
    identity = replace(
        IDENTITY, private_addresses=(EmailAddress(address),), hidden_terms=terms, thread_domain=thread_domain
    )

    assert Needles(identity).least == least


@pytest.mark.parametrize(
    "written",
    [
        "\u03b4\u03cc\u03c2",
        "\u0394\u038c\u03a3",
        "\u03b4\u03cc\u03c3",
        "\u03b4\u03bf\u0301\u03c2",
        "\u03b4\u200b\u03cc\u03c2",
    ],
    ids=["as it is", "in capitals", "with the other small sigma", "taken apart", "with a character that is not shown"],
)
def test_a_term_is_found_in_each_form_of_its_letters(written: str) -> None:
    needles = Needles(replace(IDENTITY, hidden_terms=("\u0394\u03cc\u03c2",)))

    for before in ("", "\xe9" * 150 + " ", "\u0301\u0323" * 70 + " "):
        assert found_in(f"{before}{written}", needles) == ("hidden term",)


def test_most_texts_are_known_to_hold_nothing_without_a_closer_look() -> None:
    assert not NEEDLES.may_be_in("See you on Monday at noon.")
    assert NEEDLES.may_be_in("me@priv\r\n> ate.ex\u200bampl\uff45")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="mailto:me@private.example">me@private.example</a>', f'<a href="mailto:{PUBLIC}">{PUBLIC}</a>'),
        ('<a href="https://x.example/?u=me%40private.example&amp;y=1">x</a>', '<a href="https://x.example/?u=contact%40example.com&amp;y=1">x</a>'),
        ("<p>me<b>@</b>private<wbr>.example</p>", "<p>contact@example.com<b></b><wbr></p>"),
        ("<p>m\u200be<b>@</b>private.example</p>", "<p>contact@example.com\u200b<b></b></p>"),
        ("<p>me&#64;private&#46;example</p>", f"<p>{PUBLIC}</p>"),
        ("<p>me<!-- x -->@private.example</p>", f"<p>{PUBLIC}<!-- x --></p>"),
        ("<!-- me@private.example -->", f"<!-- {PUBLIC} -->"),
        ('<img alt="me&#x40;private.example" title=me@private.example>', f'<img alt="{PUBLIC}" title={PUBLIC}>'),
        ("<p>Rumpel<i>stiltskin</i> here</p>", "<p><i></i> here</p>"),
    ],
)  # fmt: skip
def test_html_keeps_its_tags(page: str, expected: str) -> None:
    assert mask(page, NEEDLES, CONTACT, markup=True)[0] == expected


def test_masking_takes_linear_time() -> None:
    hostile = ("me+" * 50 + "@private.example ") * 2000 + "<" * 50_000 + "a" * 200_000 + "&#" * 50_000 + "%" * 50_000

    masked, _ = mask(hostile, NEEDLES, CONTACT, markup=True)

    assert "@private.example" not in masked


@given(st.text(alphabet="ab%4=026;&#x<>\r\n @.\u0301\uff41\xad\u3002", max_size=60))
def test_a_view_has_the_decoded_text_and_maps_it_back(text: str) -> None:
    for chain in ((PERCENT,), (ENTITY, PERCENT), (MARKUP,), (LETTERS, UNSEEN), (QUOTED, UNSEEN)):
        seen = view(text, chain)

        for start in range(len(seen.text)):
            for source, end in seen.sources(start, start + 1):
                assert 0 <= source < end <= len(text)
        decoded = text
        for decoding in chain:
            decoded = decoding.whole(decoded)
        assert seen.text == decoded


@given(
    st.text(max_size=200),
    st.sampled_from(["me@private.example", "me%40private.example", THREAD]),
    st.text(max_size=200),
)
def test_masking_leaves_nothing_to_find_whatever_is_around_it(before: str, address: str, after: str) -> None:
    masked, _ = mask(before + " " + address + " " + after, NEEDLES, CONTACT)

    assert found_in(masked, NEEDLES) == ()
    assert not re.search("me@private.example(?![a-z.-])", masked)


@pytest.mark.parametrize(
    ("text", "is_private"),
    [
        ("first.last@gmail.com", True),
        ("firstlast@gmail.com", True),
        ("F.i.rst.Last+x@GoogleMail.com", True),
        ("first.lasting@gmail.com", False),
        ("my.first.last@gmail.com", False),
        ("first..last@gmail.com", False),
    ],
)
def test_gmail_has_one_mailbox_for_many_spellings(text: str, is_private: bool) -> None:
    identity = replace(IDENTITY, private_addresses=(EmailAddress("first.last@gmail.com"),))

    assert bool(found_in(text, Needles(identity))) == is_private
