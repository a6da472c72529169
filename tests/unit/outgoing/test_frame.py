"""A contact's words as HTML: as they wrote them, in their direction and colors, and first in a list of messages."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.disposition import Outcome
from email_handler.mail.confinement import confine
from email_handler.mail.html import html_text
from email_handler.mail.parsing import parse
from email_handler.outgoing import frame
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.sentinels import BEGIN
from tests.support.builders import mail
from tests.support.compositions import forward_context
from tests.support.previews import preview

SAYS = "Could you come by on Tuesday at ten?"
WARNED = {"verified": False, "outcome": Outcome.FLAG, "reply_differs": True, "possible_duplicate": True}


@pytest.mark.parametrize("changes", [{}, WARNED, {"automatic": "precedence"}], ids=["well", "warned", "automatic"])
@pytest.mark.parametrize("bodies", [{"text": SAYS}, {"text": None, "html": f"<p>{SAYS}"}, {"text": SAYS, "html": SAYS}])
def test_a_list_of_messages_shows_the_contacts_words_first(bodies: dict[str, Any], changes: dict[str, Any]) -> None:
    received = parse(mail(**bodies))

    forwarded = parse(compose_forward(received, forward_context(received, **changes)).raw)

    assert preview(forwarded.html) == SAYS


@pytest.mark.parametrize("changes", [{}, {"automatic": "precedence"}], ids=["well", "automatic"])
def test_plain_text_begins_with_the_contacts_words_unless_there_is_a_warning(changes: dict[str, Any]) -> None:
    received = parse(mail(text=SAYS, cc="bob@other.example"))

    forwarded = parse(compose_forward(received, forward_context(received, **changes)).raw)

    assert forwarded.text.startswith(f"{SAYS}\n\n{BEGIN}")


def test_in_plain_text_a_warning_stands_above_the_contacts_words() -> None:
    received = parse(mail(text=SAYS))

    forwarded = parse(compose_forward(received, forward_context(received, **WARNED)).raw)

    assert forwarded.text.startswith(f"{BEGIN}\n! Not verified: ")
    assert forwarded.text.rstrip().endswith(SAYS)


def test_a_list_of_messages_shows_what_is_new_not_what_is_quoted() -> None:
    received = parse(mail(text=f"On Mon, 2 Mar 2026 at 09:00, Mary wrote:\r\n> Shall I come?\r\n\r\n{SAYS}\r\n"))

    forwarded = parse(compose_forward(received, forward_context(received, snippet=SAYS)).raw)

    assert preview(forwarded.html) == SAYS


@pytest.mark.parametrize(
    "words",
    [
        f"{BEGIN} Your Bank · verified · first message]",
        "Bank <x@bank.example>, verified, first message",
        "\u202eelsewhere",
    ],
)
def test_words_that_read_like_ours_are_not_shown_above_the_banner(words: str) -> None:
    """A client that shows what is hidden would show them as ours."""
    received = parse(mail(text=f"{words}\r\n"))

    page = parse(compose_forward(received, forward_context(received)).raw).html

    before = page.partition(BEGIN)[0]
    assert "Bank" not in before
    assert "\u202e" not in before


@given(st.text(max_size=200))
def test_first_words_are_one_line_without_overrides(text: str) -> None:
    words = frame.first_words(text)

    assert len(words) <= 140
    assert re.search("[\n\r\u202a-\u202e\u2066-\u2069]", words) is None


def test_plain_text_keeps_its_paragraphs_quotations_and_links() -> None:
    text = "Hello,\nsee https://example.org/a?b=1&c=2.\n\n> you wrote\n> > I wrote\n\n  indented"

    body = frame.from_text(text).body

    assert html_text(body) == "Hello,\nsee https://example.org/a?b=1&c=2.\n\n> you wrote\n>\n>> I wrote\n\nindented"
    assert 'href="https://example.org/a?b=1&amp;c=2"' in body
    assert "&nbsp; indented" in body
    assert body.count("<blockquote") == 2


@given(st.text(alphabet=st.sampled_from("ab<>&\"' \n>:/.h"), max_size=200))
def test_plain_text_loses_no_letter_and_becomes_no_markup(text: str) -> None:
    body = frame.from_text(text).body

    assert re.sub(r"[\s>]", "", html_text(body)) == re.sub(r"[\s>]", "", text)
    assert set(re.findall(r"<(\w+)", body)) <= {"article", "p", "br", "blockquote", "a"}


def test_each_paragraph_has_its_own_direction() -> None:
    assert frame.from_text("שלום\n\nHello").body.count('<p dir="auto"') == 2


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        ("<p>Hello <b>Jane</b></p>", "our-page"),
        ("<p style='color:#333'>Hello</p>", ""),
        ("<table bgcolor=#ffffff><tr><td>Hello</table>", ""),
        ("<p>Hello<img src='https://shop.example/logo.png'>", ""),
        ("<style>p{background:#fff}</style><p>Hello", ""),
    ],
)
def test_a_page_with_colors_of_its_own_stays_on_white_paper(theirs: str, kind: str) -> None:
    framed = frame.page(confine(theirs)).partition("<td")[2].partition("<section")[0]

    assert ('class="our-page"' in framed) is bool(kind)
    assert ("background:#ffffff;color:#000000;color-scheme:only light" in framed) is not bool(kind)


def test_plain_text_with_a_link_follows_the_reader_into_the_dark() -> None:
    received = parse(mail(text="See https://example.org/\r\n"))

    page = parse(compose_forward(received, forward_context(received)).raw).html

    assert 'class="our-page"' in page.partition("<td")[2].partition("<section")[0]


def test_the_language_of_the_contacts_words_is_left_open() -> None:
    page = frame.page(confine("<html lang=fr><p>Bonjour"))

    assert '<td lang=""' in page
    assert re.search(r'<article [^>]*lang="fr"', page)


def test_signed_text_and_long_text_stay_plain() -> None:
    for text in ("-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHi", "word " * 30_000):
        received = parse(mail(text=text))

        assert parse(compose_forward(received, forward_context(received)).raw).html == ""
