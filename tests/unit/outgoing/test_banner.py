"""The banner: what it shows, and that none of it stays in a reply, however the owner's client quotes it."""

import html
import re
import textwrap
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.identifiers import ConversationId
from email_handler.mail.html import html_text
from email_handler.mail.parsing import parse
from email_handler.outgoing import banner, banner_removal
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.reply import compose_reply
from email_handler.outgoing.sentinels import BEGIN, END, SENTINEL
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import (
    CONTACT,
    EVERYONE,
    PRIVATE,
    THREAD,
    THREADING,
    changed,
    forward_context,
    reply_context,
)
from tests.support.links import first_link

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
    reasons=(Reason(stage="patterns", rule="seo-offer", weight=2.5),),
    source="project",
    reply_address="jane@elsewhere.example",
    reply_differs=True,
    earlier=(("c-aaaaaaaa", "An older question about something", datetime(2025, 12, 24, tzinfo=UTC)),),
    possible_duplicate=True,
)
FORWARDED = parse(compose_forward(RECEIVED, CONTEXT).raw)
SHOWN = [line.text for line in banner.lines(RECEIVED, CONTEXT)]
ATTRIBUTION = f"On Mon, 2 Mar 2026 at 09:00, Jane Doe (jane at customer.example) <{THREAD}> wrote:"
REPLY = "Yes, I can.\n"


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
    "flowed lines": f"{REPLY}\n{_quoted(FORWARDED.text).replace('this]', 'this] ')}",
    "CRLF": f"{REPLY}\n{_quoted(FORWARDED.text)}".replace("\n", "\r\n"),
    "upper case": f"{REPLY}\n{_quoted(FORWARDED.text.upper())}",
    "trimmed below": f"{REPLY}\n{_quoted(FORWARDED.text[: FORWARDED.text.index('Other recipients')])}",
    "trimmed above": f"{REPLY}\n\n{_quoted(FORWARDED.text[FORWARDED.text.index('Other recipients') :])}",
}


def _assert_no_banner_in(text: str) -> None:
    words = " ".join(text.replace(">", " ").replace("|", " ").split()).lower()
    assert "[email-" not in words
    for line in SHOWN:
        assert " ".join(line.split()).lower() not in words


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
    "Outlook, conditional": "<p>Yes, I can.</p>" + PAGE.replace("only you", "only<!--[if mso]>&nbsp;<![endif]--> you"),
    "Apple Mail": f'<html><body dir="auto">Yes, I can.<br><blockquote type="cite">{PAGE}</blockquote></body></html>',
    "one line": "<p>Yes, I can.</p>" + " ".join(PAGE.split()),
    "hard spaces": "<p>Yes, I can.</p>" + PAGE.replace("you see", "you&nbsp;see").replace("their message", "their&nbsp;message"),
    "wrapped source": "<p>Yes, I can.</p>" + "\r\n".join(textwrap.wrap(PAGE, 50, break_long_words=False)),
    "as preformatted text": f"<p>Yes, I can.</p><pre>{html.escape(_quoted(FORWARDED.text))}</pre>",
    "as lines with breaks": "<p>Yes, I can.</p>" + "<br>\n".join(map(html.escape, _quoted(FORWARDED.text).splitlines())),
    "in a table": f"<p>Yes, I can.</p><table><tr><td>{PAGE}</td></tr></table>",
    "words in spans": "<p>Yes, I can.</p>" + PAGE.replace("only you see", "<span>only</span> <i>you</i> see"),
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


def test_the_banners_box_is_removed_with_the_banner() -> None:
    page, _ = banner_removal.remove_from_html(PAGE)

    assert "border-left" not in page


@pytest.mark.parametrize("client", ["Gmail", "Apple Mail", "one line", "in a table", "hard spaces", "wrapped source"])
def test_a_contact_gets_their_words_back_without_the_frame(client: str) -> None:
    page, _ = banner_removal.remove_from_html(HTML_CLIENTS[client])

    assert "1px solid" not in page
    assert "max-width" not in page
    assert "help" in page


def test_sentinels_that_a_contact_writes_are_not_a_banner() -> None:
    received = parse(
        mail(text=f"{BEGIN}\r\nsender verified\r\n{END}\r\nPay me.\r\n", html=f"<p>{BEGIN}</p><p>{END}</p>Pay")
    )

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    assert len(SENTINEL.findall(forwarded.text)) == 2
    assert len(SENTINEL.findall(forwarded.html)) == 2
    assert "(email-handler: only you see this)" in forwarded.text


IMITATIONS = [
    BEGIN,
    END,
    "[email-<b>handler</b>: only <i>you</i> see this]",
    "<b>[</b>email-handler:<br>only you<p>see this<b>]</b>",
    "[email\u00adhandler: only you see this]",
    "[em\u200bail-handler: only you s\ufeffee this]",
    "[\u0435m\u0430il-h\u0430ndler: only you see this]",
    "\uff3bemail-handler: their message follows\uff3d",
    "[email&#45;handler&colon; only you see this]",
    "[EMAIL-HANDLER:  THEIR  MESSAGE FOLLOWS]",
    "[email-handler: only you see this",
]


@pytest.mark.parametrize("imitation", IMITATIONS)
def test_no_text_of_a_contact_looks_like_a_sentinel(imitation: str) -> None:
    received = parse(mail(text=html_text(imitation), html=imitation))

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    for text in (forwarded.text, html_text(forwarded.html)):
        assert len(SENTINEL.findall(text)) == 2
        theirs = text.partition(END)[2]
        assert not re.search(
            r"[\[\uff3b][\W_]*\w{1,6}[\W_]*\w{0,6}[\W_]*\w{1,8}[\W_]*(?:only|their)", theirs, re.IGNORECASE
        )


@pytest.mark.parametrize(
    "line",
    [
        "jane@bank.example, sender verified (dmarc pass)",
        "! jane@bank.example: SENDER NOT VERIFIED (x)",
        "Your reply goes to jane@bank.example",
        "  Y\u043eur reply goes to jane@bank.example",
        "To reply to everyone, write to x@y.example",
    ],
)
def test_lines_like_the_banners_are_marked_in_plain_text(line: str) -> None:
    received = parse(mail(text=f"Hello,\r\n{line}\r\n> {line}\r\nJane\r\n"))

    theirs = parse(compose_forward(received, forward_context(received)).raw).text.partition(END)[2]

    assert theirs.strip().splitlines() == ["Hello,", f"| {line}", f"> {line}", "Jane"]


@pytest.mark.parametrize("override", ["\u202e", "\u202d"])
@pytest.mark.parametrize("kind", ["text", "html"])
def test_no_text_of_a_contact_is_read_against_its_direction(override: str, kind: str) -> None:
    theirs = f"<bdo dir=rtl>x</bdo>{override}{BEGIN[::-1].translate(str.maketrans('[]', ']['))}\u202c \u05e9\u05dc\u05d5\u05dd"
    received = parse(mail(text=theirs, html=theirs))

    forwarded = parse(compose_forward(received, forward_context(received)).raw)

    shown = getattr(forwarded, kind)
    assert override not in shown
    assert "<bdo" not in forwarded.html
    assert "\u05e9\u05dc\u05d5\u05dd" in shown


@pytest.mark.parametrize(
    "spelled",
    ["[emai1-hand1er: 0nly y0u see this]", "[ernail-handler: only you see this]", "[emaiI-handIer: onIy you 5ee th|s]"],
)
def test_figures_that_look_like_letters_make_no_sentinel(spelled: str) -> None:
    received = parse(mail(text=spelled))

    theirs = parse(compose_forward(received, forward_context(received)).raw).text.partition(END)[2]

    assert theirs.strip() == f"({spelled[1:-1]})"


CLAIM = "Your reply goes to eve@other.example"
ALEF = "\u05d0"


def _theirs(text: str, parameters: str = "") -> str:
    head = f"From: jane@customer.example\r\nContent-Type: text/plain; charset=utf-8{parameters}\r\n\r\n"
    received = parse(head.encode() + text.encode())
    return parse(compose_forward(received, forward_context(received)).raw).root.payload.decode().partition(END)[2]


@pytest.mark.parametrize(
    "spelled",
    [
        "Уоur rерlу gоеѕ tо",  # noqa: RUF001
        "Yoսr reply goes to",  # noqa: RUF001
        "Υουr rερlγ goes to",  # noqa: RUF001
        "ꓬoꓴꓣ ꓣepꓡy goes to",  # noqa: RUF001
        "ᎩoᏌr reᏢlᎩ goeᏚ to",  # noqa: RUF001
        "\u045eour reply goes to",
        "\U0001d418our reply goes to",
    ],
)
def test_letters_of_other_scripts_make_no_line_like_the_banners(spelled: str) -> None:
    assert _theirs(f"Hi\r\n{spelled} eve@other.example\r\n").split("\r\n")[3].startswith("| ")


@pytest.mark.parametrize(
    "kind", ["text/plain; name=a.txt", "text/markdown", "text/x-anything", "message/delivery-status", "message/partial"]
)
@pytest.mark.parametrize("words", [f"{BEGIN}\r\n{END}", "x@bank.example, sender verified (dmarc pass)"])
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
    head = b"From: jane@customer.example\r\nMessage-ID: <f@customer.example>\r\nContent-Type: text/plain; format=flowed\r\n\r\n"
    received = parse(head + b"Hi\r\njane@bank.example, \r\nsender \r\nverified (dmarc pass)\r\n")

    theirs = parse(compose_forward(received, forward_context(received)).raw).root.payload.decode().partition(END)[2]

    assert theirs.split("\r\n")[2:4] == ["Hi", "| jane@bank.example, "]


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
    assert _theirs(f"{ALEF} \u202a+1 202 555\u202c {ALEF}").strip() == f"{ALEF} \u200e+1 202 555 {ALEF}"


@pytest.mark.parametrize("line", [CLAIM, BEGIN, END])
@pytest.mark.parametrize("strong", ["\u200f", ALEF, "\u0645", "\U0001e900"])
def test_a_line_that_reads_like_the_banners_from_right_to_left_is_marked(line: str, strong: str) -> None:
    backwards = strong + f" {strong}".join(reversed(line.split(" ")))
    theirs = [_theirs(f"Hi\r\n{backwards}\r\n"), _theirs("Hi\r\n" + backwards.replace(" ", " \r\n"), "; format=flowed")]

    assert all(text.split("\r\n")[3].startswith(f"| {strong}") for text in theirs)


def test_hebrew_and_arabic_with_marks_and_other_words_stay_as_they_are() -> None:
    text = "\u05e9\u05dc\u05d5\u05dd Jane,\u200f your reply (C++\u200e) \u05e2\u05dc email-handler\r\n\u0645\u0631\u062d\u0628\u0627 \u200fonly you\r\n"

    assert _theirs(text).strip() == text.strip()


def test_ordinary_text_is_not_marked() -> None:
    text = "Hello,\r\nis your email handler [beta] ready? Your reply helps.\r\n- one\r\nAttachments: none\r\n"
    received = parse(mail(text=text))

    theirs = parse(compose_forward(received, forward_context(received)).raw).text.partition(END)[2]

    assert theirs.strip() == text.replace("\r\n", "\n").strip()


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


def test_a_sentinel_in_an_earlier_subject_does_not_end_the_banner() -> None:
    received = parse(mail())
    earlier = ((ConversationId("c-00000001"), END.upper(), datetime(2026, 3, 1, tzinfo=UTC)),)
    text = banner.as_text(banner.lines(received, forward_context(received, earlier=earlier)))

    assert banner_removal.remove_from_text(text)[0].strip() == ""


def test_earlier_subjects_and_tags_are_no_links_in_the_banner() -> None:
    received = parse(mail())
    earlier = ((ConversationId("c-0"), "Log in at https://pay.example", datetime(2026, 3, 1, tzinfo=UTC)),)
    shown = banner.lines(received, forward_context(received, earlier=earlier, source="pay.example"))

    ours = [line.text for line in shown if line.text.startswith(("Earlier", "c-"))]
    assert ["pay[.]example" in line for line in ours] == [True, True]
    assert first_link(ours[1]) == ""


def test_a_reply_with_a_lone_sentinel_among_other_words_is_held() -> None:
    owners = mail(sender=f"<{PRIVATE}>", text=f"What does\r\n{END}\r\nmean?\r\n")

    composed = compose_reply(parse(owners), reply_context())

    assert composed.held
    assert {place.what for place in composed.places} == {"banner"}


@given(
    st.lists(st.sampled_from([BEGIN, END, "\n", "> ", "word", "Spam score 1", "<p>", "</p>", "&nbsp;"]), max_size=30)
)
def test_removal_keeps_everything_outside_the_sentinels(pieces: list[str]) -> None:
    text, _ = banner_removal.remove_from_text("Keep this\n\n" + "".join(pieces) + "\n\nand this")
    page, _ = banner_removal.remove_from_html("<p>Keep this</p>" + "".join(pieces) + "<p>and this</p>")

    assert text.startswith("Keep this")
    assert text.endswith("and this")
    assert page.startswith("<p>Keep this</p>")
    assert page.endswith("<p>and this</p>")


def test_the_banner_shows_what_the_owner_should_know() -> None:
    assert [
        "This may be a second copy: SES's response to the first was lost.",
        "Looks like spam. No acknowledgement was sent.",
        "jane@customer.example, sender verified (dmarc pass)",
        "Your reply goes to jane@elsewhere.example: not the sender's domain",
        "Other recipients: bob@other.example, carol@other.example",
        f"To reply to everyone, write to {EVERYONE}",
        "Attachments: curriculum vitae of a very long name indeed.pdf (8 B)",
        "c-7k2m9qxd: message 3 since 2 Mar 2026, to contact@example.com, tag project",
        "Earlier: c-aaaaaaaa “An older question about something” (24 Dec 2025)",
        "Spam score 2.5: seo-offer +2.5",
    ] == SHOWN


def test_the_first_message_of_a_verified_sender_needs_four_lines() -> None:
    received = parse(mail())

    shown = [line.text for line in banner.lines(received, forward_context(received))]

    assert shown == [
        f"{CONTACT}, sender verified (dmarc pass)",
        f"Your reply goes to {CONTACT}",
        "c-7k2m9qxd: first message, to contact@example.com",
        "Spam score 0.5",
    ]


def test_an_unverified_sender_gets_a_warning_and_no_offer_to_reply_to_everyone() -> None:
    context = forward_context(RECEIVED, verified=False, verification="spf aligned with another domain")

    shown = banner.lines(RECEIVED, context)

    assert shown[0] == banner.Line(f"{CONTACT}: sender NOT verified (spf aligned with another domain)", warning=True)
    assert not any("everyone" in line.text for line in shown)


def test_a_hundred_recipients_and_files_make_a_short_banner() -> None:
    received = parse(
        mail(
            cc=", ".join(f"p{n}@other.example" for n in range(100)),
            attachments=[(f"{n}.pdf", "application/pdf", b"x") for n in range(100)],
        )
    )

    shown = "\n".join(line.text for line in banner.lines(received, forward_context(received)))

    assert "p9@other.example and 90 more" in shown
    assert "10.pdf" not in shown
    assert len(shown) < 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"verified": False, "reply_address": "", "number": 1, "linkedin_thread": "https://l.example/t/1"},
        {"reasons": (Reason(stage="verdicts", rule="spam-gray"),), "reply_differs": False, "possible_duplicate": True},
    ],
)
def test_every_line_of_a_trimmed_banner_is_recognised(changes: dict[str, Any]) -> None:
    shown = banner.as_text(banner.lines(RECEIVED, changed(CONTEXT, **changes), ("01 film.mp4 (20 MB)",)))

    text, found = banner_removal.remove_from_text("Yes.\n\n" + _quoted(shown.partition("\n" + END)[0]))

    assert found
    assert text.replace(">", "").strip() == "Yes."
