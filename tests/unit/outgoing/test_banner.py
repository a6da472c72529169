"""The banner: what it shows, and that none of it stays in a reply, however the owner's client quotes it."""

import html
import re
import textwrap
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.mail.html import html_text
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.outgoing import banner, banner_removal
from email_handler.outgoing.actions import conversation_actions
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.pieces import Action
from email_handler.outgoing.reply import compose_reply
from email_handler.outgoing.sentinels import BEGIN, SENTINEL
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import (
    CONTACT,
    EVERYONE,
    IDENTITY,
    PRIVATE,
    THREAD,
    THREADING,
    changed,
    forward_context,
    reply_context,
)
from tests.support.records import conversation

RECEIVED = parse(
    mail(
        subject="Question",
        text="Hello, can you help me?\r\nJane\r\n",
        html="<html><head><title>x</title></head><body><p>Hello, can you <b>help</b> me?</p><p>Jane</p></body></html>",
        attachments=[("curriculum vitae of a very long name indeed.pdf", "application/pdf", b"%PDF-1.4")],
        cc="bob@other.example, carol@other.example",
    )
)
CONTEXT = forward_context(
    RECEIVED,
    number=3,
    outcome=Outcome.FLAG,
    score=2.5,
    reasons=(Reason(stage="patterns", rule="seo-offer", weight=2.5, detail="offers search engine optimisation"),),
    source="project",
    reply_address="jane@elsewhere.example",
    reply_differs=True,
    possible_duplicate=True,
)
FORWARDED = parse(compose_forward(RECEIVED, CONTEXT).raw)
SHOWN = banner.as_text(banner.banner(RECEIVED, CONTEXT)).splitlines()
FACTS = [  # what the banner says, in whichever form
    "Looks like spam", "It got no acknowledgement. Why: offers search engine optimisation.", "Your reply would go elsewhere",
    "Replies go to jane@elsewhere.example, not to jane@customer.example.", "You may have this already",
    "Also sent to bob@other.example, carol@other.example", "Reply to everyone", "verified · message 3 since 2 Mar 2026]",
]  # fmt: skip
ATTRIBUTION = f"On Mon, 2 Mar 2026 at 09:00, Jane Doe (jane at customer.example) <{THREAD}> wrote:"
REPLY = "Yes, I can.\n"
END = "verified · first message]"


def _quoted(text: str, mark: str = "> ") -> str:
    return "".join(mark + line + "\n" for line in text.splitlines())


def _wrapped(text: str, width: int = 72) -> str:
    lines = [piece for line in text.splitlines() for piece in (textwrap.wrap(line, width) or [""])]
    return "".join(f"> {line}\n" for line in lines)


TEXT_CLIENTS = {
    "Gmail": f"{REPLY}\n{ATTRIBUTION}\n\n{_quoted(FORWARDED.text)}",
    "Gmail, wrapped": f"{REPLY}\n{ATTRIBUTION}\n\n{_wrapped(FORWARDED.text, 40)}",
    "narrow": f"{REPLY}\n{ATTRIBUTION}\n\n{_wrapped(FORWARDED.text, 20)}",
    "Apple Mail": f"{REPLY}\n> On 2. Mar 2026, at 09:00, Jane Doe <{THREAD}> wrote:\n> \n{_quoted(FORWARDED.text)}",
    "Outlook": (
        f"{REPLY}\n-----Original Message-----\nFrom: Jane Doe (jane at customer.example) <{THREAD}>\n"
        f"Sent: Monday, 2 March 2026 09:00\nTo: contact@example.com\nSubject: Question\n\n{FORWARDED.text}"
    ),
    "Outlook, German": f"{REPLY}\n________________________________\nVon: Jane Doe <{THREAD}>\nGesendet: Montag\n\n{FORWARDED.text}",
    "Thunderbird": f"Am 02.03.26 um 09:00 schrieb Jane Doe (jane at customer.example):\n{_quoted(FORWARDED.text)}\n{REPLY}",
    "Yahoo": f"{REPLY}\n    On Monday, Jane Doe <{THREAD}> wrote:  \n \n {FORWARDED.text.replace(chr(10), chr(10) + ' ')}",
    "Proton": f"{REPLY}\n\n------- Original Message -------\nOn Monday, Jane Doe <{THREAD}> wrote:\n\n{_quoted(FORWARDED.text)}",
    "two levels": f"{REPLY}\n{_quoted(_quoted(FORWARDED.text))}",
    "bars": f"{REPLY}\n{_quoted(FORWARDED.text, '| ')}",
    "no line breaks": f"{REPLY}\n{ATTRIBUTION} {' '.join(FORWARDED.text.split())}",
    "flowed lines": f"{REPLY}\n{_quoted(FORWARDED.text).replace('this:', 'this: ')}",
    "Latin-1": f"{REPLY}\n{_quoted(FORWARDED.text.replace('·', '?'))}",
    "UTF-8 read as Latin-1": f"{REPLY}\n{_quoted(FORWARDED.text.replace('·', 'Â·'))}",
    "CRLF": f"{REPLY}\n{_quoted(FORWARDED.text)}".replace("\n", "\r\n"),
    "upper case": f"{REPLY}\n{_quoted(FORWARDED.text.upper())}",
    "trimmed below": f"{REPLY}\n{_quoted(FORWARDED.text[: FORWARDED.text.index('Also sent to')])}",
    "trimmed above": f"{REPLY}\n\n{_quoted(FORWARDED.text[FORWARDED.text.index('Also sent to') :])}",
}


def _assert_no_banner_in(text: str) -> None:
    words = " ".join(text.replace(">", " ").replace("|", " ").split()).lower()
    assert "only you see" not in words
    for fact in FACTS:
        assert fact.lower() not in words


@pytest.mark.parametrize("client", TEXT_CLIENTS)
def test_a_quoted_banner_is_removed_from_text(client: str) -> None:
    text, found = banner_removal.remove_from_text(TEXT_CLIENTS[client])

    assert found
    _assert_no_banner_in(text)
    assert REPLY.strip() in text
    if "trimmed below" not in client:
        assert "help me?" in " ".join(text.replace(">", " ").lower().split())


@pytest.mark.parametrize("client", TEXT_CLIENTS)
def test_a_reply_is_sent_without_the_banner_it_quotes(client: str) -> None:
    owners = mail(sender=f"Me <{PRIVATE}>", subject="Re: Question", text=TEXT_CLIENTS[client].replace("\n", "\r\n"))

    composed = compose_reply(parse(owners), reply_context())

    assert not composed.held
    sent = parse(composed.raw).text
    _assert_no_banner_in(sent)
    assert THREAD not in composed.raw.decode().lower()
    assert EVERYONE not in composed.raw.decode().lower()


PAGE = FORWARDED.html
HTML_CLIENTS = {
    "Gmail": f'<div dir="ltr">Yes, I can.</div><br><div class="gmail_quote"><div class="gmail_attr">{html.escape(ATTRIBUTION)}</div><blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{PAGE}</blockquote></div>',
    "Gmail, without styles": "<div>Yes, I can.</div><blockquote>" + PAGE.replace(" style=", " data-x=") + "</blockquote>",
    "Outlook": "<html><body><p class=MsoNormal>Yes, I can.<o:p></o:p></p>" + PAGE.replace("<div", "<p class=MsoNormal><span").replace("</div>", "</span><o:p></o:p></p>") + "</body></html>",
    "Outlook, conditional": "<p>Yes, I can.</p>" + PAGE.replace("Only you", "Only<!--[if mso]>&nbsp;<![endif]--> you"),
    "Apple Mail": f'<html><body dir="auto">Yes, I can.<br><blockquote type="cite">{PAGE}</blockquote></body></html>',
    "one line": "<p>Yes, I can.</p>" + " ".join(PAGE.split()),
    "hard spaces": "<p>Yes, I can.</p>" + PAGE.replace("you see", "you&nbsp;see").replace("2 Mar", "2&nbsp;Mar"),
    "wrapped source": "<p>Yes, I can.</p>" + "\r\n".join(textwrap.wrap(PAGE, 50, break_long_words=False)),
    "as preformatted text": f"<p>Yes, I can.</p><pre>{html.escape(_quoted(FORWARDED.text))}</pre>",
    "as lines with breaks": "<p>Yes, I can.</p>" + "<br>\n".join(map(html.escape, _quoted(FORWARDED.text).splitlines())),
    "in a table": f"<p>Yes, I can.</p><table><tr><td>{PAGE}</td></tr></table>",
    "words in spans": "<p>Yes, I can.</p>" + PAGE.replace("Only you see", "<span>Only</span> <i>you</i> see").replace("message 3", "<b>message</b> 3"),
}  # fmt: skip


@pytest.mark.parametrize("client", HTML_CLIENTS)
def test_a_quoted_banner_is_removed_from_html(client: str) -> None:
    page, found = banner_removal.remove_from_html(HTML_CLIENTS[client])

    assert found
    shown = parse(mail(text=None, html=page)).text
    _assert_no_banner_in(shown)
    assert "Yes, I can." in shown
    assert "can you help me?" in " ".join(shown.replace(">", " ").split())


@pytest.mark.parametrize("client", HTML_CLIENTS)
def test_removal_keeps_tags_balanced(client: str) -> None:
    before = HTML_CLIENTS[client]
    page, _ = banner_removal.remove_from_html(before)

    for tag in ("div", "p", "span", "blockquote", "table", "td", "pre"):
        assert page.count(f"<{tag}") - page.count(f"</{tag}>") == before.count(f"<{tag}") - before.count(f"</{tag}>")


def test_the_banners_boxes_are_removed_with_the_banner() -> None:
    page, _ = banner_removal.remove_from_html(PAGE)

    assert "border-left" not in page


@pytest.mark.parametrize("client", ["Gmail", "Apple Mail", "one line", "in a table", "hard spaces", "wrapped source"])
def test_a_contact_gets_their_words_back_without_the_frame(client: str) -> None:
    page, _ = banner_removal.remove_from_html(HTML_CLIENTS[client])

    assert "1px solid" not in page
    assert "max-width:700px" not in page
    assert "help" in page


def test_a_contact_gets_no_copy_of_their_first_words() -> None:
    words = '<div dir="auto" aria-hidden="true" style="display:none'
    for client in ("Gmail", "Apple Mail", "one line", "in a table"):
        page, _ = banner_removal.remove_from_html(HTML_CLIENTS[client])

        assert words in HTML_CLIENTS[client]
        assert words not in page


def _theirs(text: str, parameters: str = "") -> str:
    """Return the plain text of a contact as the owner gets it, without the banner below it."""
    head = f"From: jane@customer.example\r\nContent-Type: text/plain; charset=utf-8{parameters}\r\n\r\n"
    received = parse(head.encode() + text.encode())
    forwarded = parse(compose_forward(received, forward_context(received)).raw)
    plain = next(part for part in forwarded.root.walk() if part.content_type == "text/plain")
    return plain.payload.decode().rpartition(f"\r\n\r\n{BEGIN}")[0]


def test_sentinels_that_a_contact_writes_are_not_a_banner() -> None:
    received = parse(mail(text=f"{BEGIN}\r\nJane, {END}\r\nPay me.\r\n", html=f"<p>{BEGIN}</p><p>{END}</p>Pay"))

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    assert len(SENTINEL.findall(forwarded.text)) == 2
    assert len(SENTINEL.findall(html_text(forwarded.html))) == 2
    assert "(Only you see this:" in forwarded.text
    assert "(Only you see this:" in forwarded.html


IMITATIONS = [
    BEGIN,
    END,
    "[Only <b>you</b> <i>see</i> this:",
    "<b>[</b>Only:<br>you<p>see this<b>:</b>",
    "[Only\u00adyou see this:",
    "[On\u200bly you s\ufeffee this:",
    "[\u043enly y\u043eu s\u0435\u0435 this:",
    "\uff3bOnly you see this\uff1a",
    "[Only&#32;you see this&colon;",
    "[ONLY  YOU  SEE THIS:",
    "verified, first <i>message</i>]",
    "VERIFIED \u00b7 message 3 since 2 Mar 2026]",
    "[Block \u00b7 each opens an email]",
    "\uaba9erif\uab75ed \u00b7 first message]",
    "v\u04bdr\u13a5fied, message 3 since 2 Mar 2026]",
]


@pytest.mark.parametrize("imitation", IMITATIONS)
def test_no_text_of_a_contact_looks_like_a_sentinel(imitation: str) -> None:
    received = parse(mail(text=html_text(imitation), html=imitation))

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    for text in (forwarded.text, html_text(forwarded.html)):
        assert len(SENTINEL.findall(text)) == 2
    for theirs in (forwarded.text.rpartition(BEGIN)[0], html_text(forwarded.html).partition(END)[2]):
        assert not re.search(r"[\[\uff3b][\W_]*\w{1,2}[\W_]*\w{0,6}[\W_]*(?:you|see)", theirs, re.IGNORECASE)
        assert not re.search(r"(?:message|2026|email)[\W_]*\]", theirs)


@pytest.mark.parametrize(
    "imitation", ['<img src=%s alt="[Only you see this:">', '[<img src=%s alt="Only you see"> this:']
)
def test_nothing_that_stands_in_place_of_a_blocked_picture_looks_like_a_sentinel(imitation: str) -> None:
    received = parse(mail(text=None, html=imitation % "https://pictures.example/a.png"))

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    assert "[" not in forwarded.html.partition("<article")[2].partition("</article>")[0]


@pytest.mark.parametrize(
    "line",
    [
        "jane@bank.example, verified, first message",
        "! jane@bank.example: NOT VERIFIED \u00b7 FIRST MESSAGE",
        "Your reply would go elsewhere: to jane@bank.example",
        "  Y\u043eur reply would go elsewhere",
        "Reply to everyone: x@y.example",
        "Only you see this: all is well",
        "Nothing shows that it came from x@y.example",
        "<j@bank.example> \u00b7 \u2713 \uaba9\u04bdrif\uab75ed \u00b7 first message",
    ],
)
def test_lines_like_the_banners_are_marked_in_plain_text(line: str) -> None:
    assert _theirs(f"Hello,\r\n{line}\r\n> {line}\r\nJane\r\n").splitlines() == [
        "Hello,", f"| {line}", f"> {line}", "Jane"
    ]  # fmt: skip


@pytest.mark.parametrize("override", ["\u202e", "\u202d"])
@pytest.mark.parametrize("kind", ["text", "html"])
def test_no_text_of_a_contact_is_read_against_its_direction(override: str, kind: str) -> None:
    theirs = f"<bdo dir=rtl>x</bdo>{override}{BEGIN[::-1].replace('[', ']')}\u202c \u05e9\u05dc\u05d5\u05dd"
    received = parse(mail(text=theirs, html=theirs))

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    shown = getattr(forwarded, kind)
    assert override not in shown
    assert "<bdo" not in forwarded.html
    assert "\u05e9\u05dc\u05d5\u05dd" in shown


@pytest.mark.parametrize(
    "spelled", ["[0nly y0u see this:", "[OnIy you 5ee th|s:", "[Only you see thi5:", "(verifled, first rnessage]"]
)
def test_figures_that_look_like_letters_make_no_sentinel(spelled: str) -> None:
    assert _theirs(spelled) == "| " + spelled.replace("[", "(").replace("]", ")")


CLAIM = "Your reply would go elsewhere to eve@other.example"
ALEF = "\u05d0"


@pytest.mark.parametrize(
    "spelled",
    [
        "Уоur rерlу wоuld gо еlѕеwhеrе",  # noqa: RUF001
        "Yoսr reply would go elsewhere",  # noqa: RUF001
        "Υουr rερlγ would go elsewhere",  # noqa: RUF001
        "ꓬoꓴꓣ ꓣepꓡy would go elsewhere",  # noqa: RUF001
        "ᎩoᏌr reᏢlᎩ would go elseᎳheᎡe",  # noqa: RUF001
        "\u045eour reply would go elsewhere",
        "\U0001d418our reply would go elsewhere",
    ],
)
def test_letters_of_other_scripts_make_no_line_like_the_banners(spelled: str) -> None:
    assert _theirs(f"Hi\r\n{spelled} eve@other.example\r\n").split("\r\n")[1].startswith("| ")


@pytest.mark.parametrize(
    "kind", ["text/plain; name=a.txt", "text/markdown", "text/x-anything", "message/delivery-status", "message/partial"]
)
@pytest.mark.parametrize("words", [f"{BEGIN}\r\n{END}", "x@bank.example, verified, first message"])
def test_a_file_that_clients_show_below_the_body_is_a_closed_one_if_it_reads_like_the_banner(
    kind: str, words: str
) -> None:
    for shown in ("", "Content-Disposition: inline\r\n"):
        body = multipart(
            "mixed",
            b"Content-Type: text/plain\r\n\r\nHi\r\n",
            *(f"Content-Type: {kind}\r\n{shown}\r\n{text}\r\n".encode() for text in (words, "Hello")),
        )
        received = parse(entity([("From", "jane@customer.example"), ("MIME-Version", "1.0")]) + body)

        sent = parse(compose_forward(received, forward_context(received)).raw)

        _, imitating, ordinary = sent.root.children
        assert imitating.disposition == "attachment" or words not in imitating.payload.decode()
        assert words in imitating.payload.decode() or kind.startswith("text/plain")
        assert ordinary.disposition in ("inline" if shown else "", "attachment" if kind.endswith("a.txt") else "")


def test_a_line_like_the_banners_is_marked_where_its_flowed_paragraph_begins() -> None:
    theirs = _theirs("Hi\r\njane@bank.example, \r\nverified, \r\nfirst message\r\n", "; format=flowed")

    assert theirs.split("\r\n")[:2] == ["Hi", "| jane@bank.example, "]


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_line_like_the_banners_is_marked_behind_any_line_end(end: str) -> None:
    assert f"| {CLAIM}" in _theirs(f"Hello{end}{CLAIM}\r\n")


@pytest.mark.parametrize("padding", [" " * 80, "_" * 80, "\xa0" * 80, "Hello, this is a line as others are too."])
def test_a_line_like_the_banners_is_marked_where_a_window_may_wrap_it(padding: str) -> None:
    for quoted in ("", "> "):
        assert f" | {CLAIM}" in _theirs(f"{quoted}{padding} {CLAIM}\r\n")


def test_no_text_is_shown_in_another_order_by_embeddings_or_isolates() -> None:
    words = CLAIM.split(" ")
    for before, after in (
        ("\u202b\u202a", "\u202c\u202c"),
        ("\u2067\u2066", "\u2069\u2069"),
        ("\u202e\u2068", "\u2069\u202c"),
    ):
        theirs = _theirs(before[0] + "".join(f"{before[1]}{word} {after[0]}" for word in reversed(words)) + after[1])

        assert re.search("[\u202a-\u202e\u2066-\u2069]", theirs) is None
    assert _theirs(f"{ALEF} \u202a+1 202 555\u202c {ALEF}") == f"{ALEF} \u200e+1 202 555 {ALEF}"


@pytest.mark.parametrize("line", [CLAIM, BEGIN, END])
@pytest.mark.parametrize("strong", ["\u200f", ALEF, "\u0645", "\U0001e900"])
def test_a_line_that_reads_like_the_banners_from_right_to_left_is_marked(line: str, strong: str) -> None:
    backwards = strong + f" {strong}".join(reversed(line.split(" ")))
    theirs = [_theirs(f"Hi\r\n{backwards}\r\n"), _theirs("Hi\r\n" + backwards.replace(" ", " \r\n"), "; format=flowed")]

    assert all(text.split("\r\n")[1].startswith(f"| {strong}") for text in theirs)


def test_hebrew_and_arabic_with_marks_and_other_words_stay_as_they_are() -> None:
    text = "\u05e9\u05dc\u05d5\u05dd Jane,\u200f your reply (C++\u200e) \u05e2\u05dc email-handler\r\n\u0645\u0631\u062d\u0628\u0627 \u200fonly you"

    assert _theirs(text) == text


def test_ordinary_text_is_not_marked() -> None:
    text = "Hello,\r\nis your email handler [beta] verified? Your reply helps.\r\n- one\r\nIt looks like spam to me.\r\nJane"

    assert _theirs(text + "\r\n") == text


NAMES = {
    "name and address": "Jane Doe (jane at elsewhere.example)",
    "address alone": "jane.doe at elsewhere.example",
    "LinkedIn": "Jane (Library) Doe (LinkedIn)",
    "nothing": "no address",
    "beyond ASCII": "Zo\u00eb: \u05e9\u05dc\u05d5\u05dd (jane at b\u00fccher.example)",
}
ATTRIBUTIONS = {
    "Gmail": "On Mon, 2 Mar 2026 at 09:00, Not verified: {} <{}> wrote:",
    "Apple Mail": "> On 2. Mar 2026, at 09:00, Not verified: {} <{}> wrote:",
    "Thunderbird": "On 3/2/26 09:00, Not verified: {} wrote:",
    "Thunderbird, German": "Am 02.03.26 um 09:00 schrieb Not verified: {}:",
    "Outlook": "From: Not verified: {} <{}>\r\nSent: Monday, 2 March 2026 09:00",
    "Outlook, name alone": "Von: Not verified: {}\r\nGesendet: Montag, 2. M\u00e4rz 2026 09:00",
    "quoted, with the address in brackets": 'From: "Not verified: {}" [mailto:{}]',
    "wrapped": "> > On Mon, 2 Mar 2026 at 09:00, Not\r\n> > verified: {}\r\n> > <{}> wrote:",
    "wrapped before the name": "> On Mon, 2 Mar 2026 at 09:00, Not verified:\r\n> {} <{}> wrote:",
}


@pytest.mark.parametrize("client", ATTRIBUTIONS)
def test_a_contact_never_reads_that_they_were_not_verified(client: str, subtests: pytest.Subtests) -> None:
    for kind, name in NAMES.items():
        with subtests.test(name=kind):
            quoted = ATTRIBUTIONS[client].format(name, THREAD)
            page = f"<p>Yes.</p><b>{html.escape(quoted).replace('Not verified', 'Not&nbsp;verified')}</b> Hi"
            owners = mail(sender=f"<{PRIVATE}>", text=f"Yes.\r\n\r\n{quoted}\r\n> Hi\r\n", html=page)

            sent = parse(compose_reply(parse(owners), reply_context()).raw)

            assert "verified" not in sent.text + sent.html
            assert name.split()[0] in sent.text
            assert "> Hi" in sent.text


@pytest.mark.parametrize(
    "words",
    ["Not verified: the licence (ask Bob at noon).", "Not verified: she comes (Monday at 10.30) <3", "Not verified:"],
)
def test_the_owner_may_write_that_something_is_not_verified(words: str) -> None:
    composed = compose_reply(parse(mail(sender=f"<{PRIVATE}>", text=f"{words}\r\n")), reply_context())

    assert parse(composed.raw).text.strip() == words


def test_the_owner_can_reply_to_a_contact_whose_name_and_subject_are_sentinels() -> None:
    context = reply_context(contact_name=BEGIN, threading=replace(THREADING, subject=f"Re: {END}"))

    assert not compose_reply(parse(mail(sender=f"<{PRIVATE}>", text="Yes.\r\n")), context).held


def test_a_reply_with_a_lone_sentinel_among_other_words_is_held() -> None:
    owners = mail(sender=f"<{PRIVATE}>", text=f"What does\r\n{END}\r\nmean?\r\n")

    composed = compose_reply(parse(owners), reply_context())

    assert composed.held
    assert {place.what for place in composed.places} == {"banner"}


@given(
    st.lists(
        st.sampled_from(
            [BEGIN, END, "\n", "> ", "word", "Also sent to a@b.example", "<a@b.example> · ", "<p>", "</p>", "&nbsp;"]
        ),
        max_size=30,
    )
)
def test_removal_keeps_everything_outside_the_sentinels(pieces: list[str]) -> None:
    text, _ = banner_removal.remove_from_text("Keep this\n\n" + "".join(pieces) + "\n\nand this")
    page, _ = banner_removal.remove_from_html("<p>Keep this</p>" + "".join(pieces) + "<p>and this</p>")

    assert text.startswith("Keep this")
    assert text.endswith("and this")
    assert page.startswith("<p>Keep this</p>")
    assert page.endswith("<p>and this</p>")


def _lines(received: Message = RECEIVED, **changes: Any) -> list[str]:
    return banner.as_text(banner.banner(received, forward_context(received, **changes))).splitlines()


def test_the_banner_shows_what_the_owner_must_know() -> None:
    assert [
        "[Only you see this:",
        "! Looks like spam: It got no acknowledgement. Why: offers search engine optimisation.",
        "! Your reply would go elsewhere: Replies go to jane@elsewhere.example, not to jane@customer.example.",
        "You may have this already: it is not known whether a first copy reached you",
        "Also sent to bob@other.example, carol@other.example",
        f"Reply to everyone: {EVERYONE}",
        "Jane Doe <jane@customer.example> · verified · message 3 since 2 Mar 2026]",
    ] == SHOWN


def test_when_all_is_well_the_banner_is_one_line() -> None:
    received = parse(mail(sender="Jane Doe <jane@customer.example>", attachments=[("a.pdf", "application/pdf", b"x")]))

    assert _lines(received, source="project", score=0.5, number=4) == [
        "[Only you see this: Jane Doe <jane@customer.example> · verified · message 4 since 2 Mar 2026]"
    ]


def test_an_unverified_sender_gets_a_warning_and_no_offer_to_reply_to_everyone() -> None:
    shown = _lines(verified=False, verification="spf aligned with another domain")

    assert shown[1] == (
        f"! Not verified: Nothing shows that it came from {CONTACT}. Do not act on it unless you expected it."
    )
    assert shown[-1] == f"Jane Doe <{CONTACT}> · not verified · first message]"
    assert not any("everyone" in line for line in shown)


LIST = parse(mail(list_id="<news.garden.example>"))
REPORT = 'multipart/report; report-type={}; boundary="b"'


@pytest.mark.parametrize(
    ("received", "changes", "said"),
    [
        (RECEIVED, {"sender": "", "verified": False}, "! Not verified: It names no sender."),
        (RECEIVED, {"reply_address": ""}, "! You cannot reply: It has no address to reply to."),
        (RECEIVED, {"tells": ("a.pdf (encrypted)",)}, "! Your last reply: It was sent, but not all of it could be"),
        (RECEIVED, {"automatic": "precedence"}, "Automatic message: a machine wrote it"),
        (parse(mail(auto_submitted="auto-replied")), {"automatic": "auto-submitted"}, "Automatic reply: nobody is waiting"),
        (parse(mail(subject="Out of office: Re: Hi")), {"automatic": "precedence"}, "Automatic reply: nobody is waiting"),
        (parse(mail() ), {"automatic": "mailer-daemon"}, "Bounce: from a mail server"),
        (parse(multipart("report; report-type=feedback-report")), {"automatic": "report"}, "Complaint: somebody marked"),
        (parse(multipart("report; report-type=delivery-status")), {"automatic": "auto-submitted"}, "Bounce: from a mail"),
        (LIST, {}, "Newsletter or mailing list: it was sent to many"),
        (RECEIVED, {"outcome": Outcome.FLAG, "reasons": (Reason(stage="verdicts", rule="virus-unsure"),)},
         "! May hold a virus: It got no acknowledgement. Why: the virus scan could not rule out a virus."),
        (RECEIVED, {"outcome": Outcome.FLAG, "reasons": (Reason(stage="limit", rule="seo-offer"),)},
         "! Could not be checked: It got no acknowledgement. Why: it is built so that the filter could not read all of it."),
    ],
)  # fmt: skip
def test_each_thing_that_the_owner_must_know_is_said_in_words(
    received: Message, changes: dict[str, Any], said: str
) -> None:
    assert [line for line in _lines(received, **changes) if line.startswith(said)] != []


def test_a_persons_message_through_linkedin_is_no_machines() -> None:
    shown = _lines(LIST, automatic="auto-submitted", linkedin_thread="https://l.example/t/1", sender_name="Jane Doe")

    assert shown == [
        BEGIN, "On LinkedIn: https://l.example/t/1", "Jane Doe (LinkedIn) · verified · first message]"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["x> · verified · first message]", "Bank (verified)", "0nly you see this", "<>[]"])
def test_no_name_of_a_contact_reads_as_our_words(name: str) -> None:
    assert _lines(verified=False, sender_name=name)[-1] == f"<{CONTACT}> · not verified · first message]"


def test_what_stays_in_the_archive_is_listed() -> None:
    shown = banner.as_text(banner.banner(RECEIVED, forward_context(RECEIVED), ("film.mp4 (20 MB)",)))

    assert "! Not everything is here: It was too large" in shown
    assert ":\n- film.mp4 (20 MB)\nAlso sent to " in shown


def test_a_hundred_recipients_make_a_short_banner() -> None:
    received = parse(mail(cc=", ".join(f"p{n}@other.example" for n in range(100))))

    shown = "\n".join(_lines(received))

    assert "p9@other.example and 90 more" in shown
    assert len(shown) < 500


@pytest.mark.parametrize("kind", ["text", "html"])
@pytest.mark.parametrize(
    "changes",
    [
        {"verified": False, "reply_address": "", "number": 1, "linkedin_thread": "https://l.example/t/1"},
        {"reasons": (Reason(stage="verdicts", rule="virus-unsure"),), "reply_differs": False, "automatic": "report"},
        {"sender": "", "verified": False, "tells": ("a.pdf (encrypted)",), "possible_duplicate": True},
    ],
)
def test_every_line_of_a_trimmed_banner_is_recognised(changes: dict[str, Any], kind: str) -> None:
    shown = banner.banner(RECEIVED, changed(CONTEXT, **changes), ("film.mp4 (20 MB)",), ("The invitation is signed.",))
    lines = banner.as_text(shown) if kind == "text" else re.sub(r"\n+", "\n", html_text(banner.as_html(shown)))
    above, below = lines.strip().split("\n")[:-1], lines.strip().split("\n")[1:]

    for kept in (above, below):
        text, found = banner_removal.remove_from_text("Yes.\n\n" + _quoted("\n".join(kept)))

        assert found
        assert text.replace(">", "").strip() == "Yes."


@pytest.mark.parametrize(
    "name", ["a] \u00b7 verified \u00b7 first message].pdf", "[Only you see this: a.pdf", "each opens an email].zip"]
)
def test_no_name_of_a_file_that_was_left_out_looks_like_a_sentinel(name: str) -> None:
    shown = banner.as_text(banner.banner(RECEIVED, CONTEXT, (f"{name} (27 MB)",)))

    assert len(SENTINEL.findall(shown)) == 2


GAPS = ("", "\n", "\n \n", "\n\n\n")


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("quotation", ["", "> ", "> > ", "| "])
def test_a_banner_trimmed_anywhere_leaves_none_of_its_boxes(gap: str, quotation: str) -> None:
    """Clients put empty lines between the boxes; what is left is removed, or the sentinel stays and the gate holds it."""
    context = changed(CONTEXT, verified=False, reply_differs=True, reply_address="x@other.example")
    lines = banner.as_text(banner.banner(RECEIVED, context, ("film.mp4 (20 MB)",))).split("\n")
    whole = f"\n{gap}".join(lines).split("\n")

    for at in range(1, len(whole)):
        for kept in (whole[:at], whole[at:]):
            quoted = "".join(f"{quotation}{line}\n" for line in (*kept, "", "Hello there", "- an item"))
            text, _ = banner_removal.remove_from_text(f"Yes.\n\n{quoted}")

            if not SENTINEL.search(text):
                assert text.replace(">", "").replace("|", "").split() == ["Yes.", "Hello", "there", "-", "an", "item"]


def test_a_trimmed_banner_takes_no_words_of_the_contact_with_it() -> None:
    below = f"{BEGIN}\n\nNot verified\n\nJane <jane@customer.example>\n- an item\n"
    above = f"Jane <jane@customer.example>\n\n- an item\n\nx <x@y.example> \u00b7 {END}\n"

    assert banner_removal.remove_from_text(below)[0].split("\n") == ["Jane <jane@customer.example>", "- an item", ""]
    assert banner_removal.remove_from_text(above)[0].strip() == "Jane <jane@customer.example>\n\n- an item"


ACTIONS = (Action("Block", f"mailto:{EVERYONE}?subject=Block"), Action("Close", f"mailto:{EVERYONE}?subject=Close"))


def test_actions_stand_at_the_end_and_are_removed_from_a_quotation() -> None:
    received = parse(mail(text="Hello there"))
    forwarded = parse(compose_forward(received, forward_context(received, actions=ACTIONS)).raw)

    assert forwarded.text.index("Hello there") < forwarded.text.index("Block: mailto:")
    assert forwarded.html.index("Hello there") < forwarded.html.index(
        'mailto:c-7k2m9qxd.abcdefghjk+all@thread.example.com?subject=Block"'
    )
    text, _ = banner_removal.remove_from_text(f"Yes.\n\n{_quoted(forwarded.text)}")
    page, _ = banner_removal.remove_from_html(f"<p>Yes.</p><blockquote>{forwarded.html}</blockquote>")
    for kept in (text, page):
        assert "Block" not in kept
        assert "Only you" not in kept
        assert "Hello there" in kept


@pytest.mark.parametrize(
    "written",
    [
        "- {label}: {url}", "> - {label}: {url}", "{label}: <{url}>", "   1. {url}", "[2]: {url}", "> > [3] {url}", "<{url}>",
        "{bare}", "* {label}: {bare}",
    ],
)  # fmt: skip
def test_a_line_with_an_action_alone_is_removed(written: str) -> None:
    for action in conversation_actions(
        conversation(verified=True, contact="jane@customer.example"), IDENTITY.thread_domain
    ):
        line = written.format(label=action.label, url=action.url, bare=action.url.removeprefix("mailto:"))

        assert banner_removal.remove_from_text(f"Yes.\n{line}\nHello\n") == ("Yes.\nHello\n", True)
        assert banner_removal.remove_from_text(f"Yes.\n{line}") == ("Yes.\n", True)


@pytest.mark.parametrize(
    "written",
    ["<a href='{url}'>{label}</a>", "<p>see {url} there</p>", "<p>{bare}</p>", "<p>x<b>{bare}</b></p>"],
)
def test_a_reply_with_an_action_elsewhere_is_held(written: str) -> None:
    for action in conversation_actions(
        conversation(verified=True, contact="jane@customer.example"), IDENTITY.thread_domain
    ):
        bare = action.url.removeprefix("mailto:")
        page = written.format(label=action.label, url=action.url.replace("&", "&amp;"), bare=bare.replace("&", "&amp;"))

        assert compose_reply(parse(mail(text=None, html=f"<p>Yes.</p>{page}")), reply_context()).held


@pytest.mark.parametrize("tag", ["check", "cancel", "snooze", "snooze-3d", "all"])
def test_a_thread_address_in_a_quoted_header_is_masked_whatever_its_tag(tag: str) -> None:
    address = THREAD.replace("@", f"+{tag}@")

    composed = compose_reply(parse(mail(text=f"Yes.\r\n\r\nTo: Jane <{address}>\r\n")), reply_context())

    assert not composed.held
    assert f"To: Jane <{CONTACT}>" in parse(composed.raw).text


def test_without_actions_nothing_stands_at_the_end() -> None:
    received = parse(mail(text="Hello there"))

    assert not banner.actions_as_html(banner.banner(received, forward_context(received)))


@pytest.mark.parametrize(
    ("kind", "quoted"),
    [
        ("text", f"> {BEGIN} x\r\n> y\r\n\r\nMy own words.\r\n\r\n> z, {END}\r\n"),
        ("text", f"JD> {BEGIN}\r\n \r\n\r\n  My own words.\r\n> {END}\r\n"),
        ("html", f"<blockquote>{BEGIN} x</blockquote>My own words.<blockquote>z, {END}</blockquote>"),
        ("html", f"<blockquote>{BEGIN} x<BR></BLOCKQUOTE><p>My own words.</p>{END}"),
    ],
)
def test_the_owners_own_words_between_two_quoted_sentinels_are_not_removed(kind: str, quoted: str) -> None:
    remove = banner_removal.remove_from_html if kind == "html" else banner_removal.remove_from_text

    assert remove(quoted) == (quoted, False)
    reply = mail(text=None, html=quoted) if kind == "html" else mail(text=quoted)
    assert compose_reply(parse(reply), reply_context()).held


def test_a_quoted_banner_is_removed_though_a_client_broke_its_lines() -> None:
    quoted = f"> {BEGIN} Jane\r\nDoe jane@customer.example,\r\n> {END}\r\n> Hello\r\n"

    assert banner_removal.remove_from_text(quoted) == ("> Hello\r\n", True)
