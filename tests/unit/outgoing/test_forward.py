"""The forward loses nothing of the contact's message, and its headers do not decide where a reply goes."""

import base64
import re
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.disposition import mistaken
from email_handler.conversations.owners import Owners
from email_handler.identifiers import ConversationId
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake
from email_handler.outgoing import forward
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.original import FORWARD_LIMIT
from email_handler.outgoing.sentinels import BEGIN
from email_handler.outgoing.whole import compose_whole
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import PRIVATE, PUBLIC, THREAD, THREADING, forward_context
from tests.support.records import conversation, message
from tests.support.ses_rules import problems

ALLOWED = {
    "from", "to", "subject", "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding",
    "x-auto-response-suppress", "x-email-handler-conversation", "x-email-handler-inbox", "x-email-handler-hops", "x-email-handler-score",
}  # fmt: skip


def _forwarded(raw: bytes, **changes: object) -> bytes:
    message = parse(raw)
    return compose_forward(message, forward_context(message, **changes)).raw


def test_only_our_own_headers_are_sent() -> None:
    raw = _forwarded(
        mail(
            reply_to="evil@elsewhere.example",
            sender="Jane <jane@customer.example>",
            cc="bob@other.example",
            list_unsubscribe="<mailto:x@y.example>",
            disposition_notification_to="jane@customer.example",
            return_path="<b@c.example>",
            x_custom="1",
            resent_to="a@b.example",
        )
    )

    message = message_from_bytes(raw)
    assert {name.lower() for name in message.keys()} <= ALLOWED  # noqa: SIM118 - with repetitions
    assert message["To"] == "contact@example.com"
    assert THREAD in message["From"]


@pytest.mark.parametrize(
    ("name", "address", "shown"),
    [
        ("Jane Doe", "jane@x.example", "Jane Doe (jane at x.example)"),
        ("", "jane@x.example", "jane at x.example"),
        ("Jane Doe", "", "Jane Doe (no address)"),
        ("", "", "no address"),
        ('Doe, "Jane" <j>', "jane@x.example", "Doe, Jane j (jane at x.example)"),
        ("bank@bank.example", "evil@x.example", "bank at bank.example (evil at x.example)"),
        ("Jörg Müller", "j@x.example", "Jörg Müller (j at x.example)"),
        ("张伟", "z@x.example", "张伟 (z at x.example)"),
    ],
)
def test_from_shows_the_sender_and_leads_to_the_thread(name: str, address: str, shown: str) -> None:
    raw = _forwarded(mail(), sender_name=name, sender=address)

    (sender,) = message_from_bytes(raw, policy=default)["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (shown, THREAD)


@pytest.mark.parametrize(
    "local", ['"bank@bank.example, verified, first message' + " x" * 100 + '"', "bank=bank.example" + ".x" * 100]
)
def test_no_local_part_hides_whose_address_it_is_or_reads_as_our_words(local: str) -> None:
    sender = f"{local}@evil.example"
    message = parse(mail(sender=sender))
    record = {"sender": sender, "sender_name": "", "reply_address": sender}
    unread = compose_whole(
        b"", mistaken(Mistake("ValueError", "x")), forward_context(message, **record).record, conversation(),
        owners=Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(PRIVATE,)),
        mailbox=PRIVATE,
    )  # fmt: skip

    for raw in (compose_forward(message, forward_context(message, **record)).raw, unread.raw):
        forwarded = parse(raw)
        assert forwarded.from_[0].name.endswith("evil.example")
        assert "@evil.example" in forwarded.text
        assert "bank.example, verified" not in forwarded.from_[0].name + forwarded.text


def test_it_has_headers_for_the_owners_filters() -> None:
    raw = _forwarded(mail(), source="project", score=-0.25, id=ConversationId("linkedin-jane-doe"))

    message = message_from_bytes(raw)
    assert message["X-Email-Handler-Conversation"] == "linkedin-jane-doe"
    assert message["X-Email-Handler-Inbox"] == "contact+project@example.com"
    assert message["X-Email-Handler-Score"] == "-0.2"


FILES = [
    ("a.bin", "application/octet-stream", bytes(range(256)) * 3),
    ("crlf.txt", "application/x-text", b"a\r\nb\nc\rd\0"),
    ("Übersicht.pdf", "application/pdf", b"%PDF-1.4"),
    ("log.txt", "text/plain", b"line\nline\r\n  \xe4\xf6"),
    ("page.html", "text/html", b"<meta charset=latin1>\xe4"),
    ("empty", "image/png", b""),
]


def test_attachments_keep_every_byte() -> None:
    parts = [
        entity(
            [
                ("Content-Type", kind),
                ("Content-Transfer-Encoding", "base64"),
                ("Content-Disposition", f"attachment; filename*=utf-8''{name}"),
            ],
            base64.encodebytes(payload),
        )
        for name, kind, payload in FILES
    ]
    text = entity([("Content-Type", "text/plain")], b"see files")

    back = parse(_forwarded(multipart("mixed", text, *parts, headers=[("From", "a@b.example")])))

    assert [(a.name, a.content_type, a.payload) for a in back.attachments] == FILES


@given(st.binary(max_size=500))
def test_any_attachment_keeps_every_byte(payload: bytes) -> None:
    back = parse(_forwarded(mail(attachments=[("a.bin", "application/octet-stream", payload)])))

    assert [a.payload for a in back.attachments] == [payload]


@given(st.binary(max_size=800))
def test_ses_accepts_the_forward_of_any_bytes(raw: bytes) -> None:
    assert problems(_forwarded(raw)) == []


@given(
    st.lists(
        st.sampled_from(
            [
                b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: multipart/alternative; boundary=b\r\n",
                b"Content-Type: multipart/signed; boundary=a\r\n", b"Content-Type: text/html; charset=utf-16\r\n",
                b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n", b"\r\n", b"--a\r\n",
                b"--b\r\n", b"--a--\r\n", b"--b--\r\n", b"text\xff\r\n", b"<p>x</p>\n", b"From: a@b.example\r\n",
                b"Content-Disposition: attachment; filename=x\r\n", b"Content-Type: text/calendar\r\n",
                b"Content-ID: <a>\r\n", b"x" * 1200,
            ]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_a_message_of_any_structure_gets_a_banner(pieces: list[bytes]) -> None:
    raw = _forwarded(b"".join(pieces))

    assert problems(raw) == []
    back = parse(raw)
    assert any(BEGIN in text for text in (back.text, back.html))


def test_a_blank_plain_text_gets_the_text_of_the_html() -> None:
    raw = _forwarded(mail(text=" \r\n", html="<p>Hello, this is Jane.</p>"))

    plain, html = message_from_bytes(raw, policy=default).iter_parts()
    assert "Hello, this is Jane." in plain.get_content()
    assert "<p>Hello, this is Jane.</p>" in html.get_content()


NAME_IN_FROM = "Not verified: Jane Doe (jane at customer.example)"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, NAME_IN_FROM),
        ({"sender": "", "sender_name": ""}, "Not verified: no address"),
        ({"linkedin_thread": "https://l.example/1"}, "Not verified: Jane Doe (LinkedIn)"),
    ],
)
def test_from_says_when_the_sender_is_not_verified(changes: dict[str, str], shown: str) -> None:
    raw = _forwarded(mail(), **{"verified": False, "sender_name": "Jane Doe", **changes})

    (sender,) = parse(raw).from_
    assert (sender.name, sender.address) == (shown, THREAD)


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "Not verified: Jane", "not  verified", "N\u043et verified - J", "\u202eNot verified:", "\u200fNot\u200b verified: x",
        "N0T VERIFlED: x", "\uff2e\uff4f\uff54 verified", '"Not" <verified>: x',
    ],
)  # fmt: skip
def test_no_name_reads_like_our_word_about_it(name: str, verified: bool) -> None:
    raw = _forwarded(mail(), verified=verified, sender_name=name)

    (sender,) = parse(raw).from_
    assert sender.name == f"{'' if verified else 'Not verified: '}jane at customer.example"


@pytest.mark.parametrize(
    "name", ["x" * 300, "\u200f\u202e\u05e9\u05dc\u05d5\u05dd", "\u0338" * 30, ", verified;", "=?utf-8?q?x?="]
)
def test_no_name_moves_or_removes_our_word_about_it(name: str) -> None:
    owners = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(PRIVATE,))
    unread = compose_whole(
        b"", mistaken(Mistake("ValueError", "x")), message(verified=False, sender_name=name), conversation(),
        owners=owners, mailbox=PRIVATE,
    )  # fmt: skip

    for raw in (_forwarded(mail(), verified=False, sender_name=name), unread.raw):
        (sender,) = parse(raw).from_
        assert sender.name.startswith("Not verified: ")
        assert sender.name.endswith("(jane at customer.example)")


HOSTILE = "<div style='position:fixed;inset:0;background:#fff'>Verified.</div>"


def _html_of(raw: bytes) -> list[str]:
    """Return what clients show as HTML in the message itself."""
    parts = [part for part in parse(raw).root.walk() if part.content_type == "text/html"]
    return [part.payload.decode() for part in parts if part.disposition != "attachment"]


def _part(kind: str, content: bytes, **fields: str) -> bytes:
    return entity([("Content-Type", kind), *((n.replace("_", "-"), v) for n, v in fields.items())], content)


ALTERNATIVES = [
    ("image/png", b"\x89PNG"),
    ("text/x-amp-html", HOSTILE.encode()),
    ("application/xhtml+xml", HOSTILE.encode()),
    ("text/enriched", b"<bold>x"),
    ("message/rfc822", b"Subject: x\r\n\r\nx"),
]


@pytest.mark.parametrize("kind", ["text/watch-html", "application/vnd.x-html", "message/global", "message/news"])
def test_what_some_client_could_show_as_a_page_is_a_closed_file(kind: str) -> None:
    raw = multipart(
        "mixed", _part("text/plain", b"Hi"), _part(kind, HOSTILE.encode()), headers=[("From", "jane@customer.example")]
    )

    parts = message_from_bytes(_forwarded(raw), policy=default).walk()

    assert [part.get_content_disposition() for part in parts if part.get_content_type() == kind] == ["attachment"]


@pytest.mark.parametrize(("kind", "content"), ALTERNATIVES)
def test_no_alternative_can_be_shown_without_the_banner(kind: str, content: bytes) -> None:
    raw = multipart(
        "alternative", _part("text/plain", b"Hi"), _part(kind, content), headers=[("From", "jane@customer.example")]
    )

    message = message_from_bytes(_forwarded(raw), policy=default)

    (alternative,) = [part for part in message.walk() if part.get_content_type() == "multipart/alternative"]
    assert all(BEGIN in part.get_content() for part in alternative.iter_parts())
    assert kind in [part.get_content_type() for part in message.walk()]


def test_every_html_that_clients_show_in_the_message_is_confined() -> None:
    html = HOSTILE.encode()
    raw = multipart(
        "mixed",
        _part("text/html", html),
        _part("text/html", html),
        multipart("related", _part("text/html", html), _part("text/html", html, Content_ID="<a@b>")),
        _part("text/html; name=page.html", html, Content_Disposition="inline; filename=page.html"),
        headers=[("From", "jane@customer.example")],
    )

    pages = _html_of(_forwarded(raw))

    assert len(pages) == 4
    assert BEGIN in pages[0]
    assert [page for page in pages if "position" in page or "Verified." not in page] == []


def test_the_banner_is_in_the_part_that_related_names_as_its_root() -> None:
    raw = multipart(
        'related; start="<root@x.example>"',
        _part("text/html", b"<p>first"),
        _part("text/html", b"<p>root", Content_ID="<root@x.example>"),
        headers=[("From", "jane@customer.example")],
    )

    sent = _forwarded(raw)

    assert BEGIN in _html_of(sent)[0]
    assert "root" in _html_of(sent)[0]
    assert b"start=" not in sent


@pytest.mark.parametrize(
    "inner", [_part("text/html", HOSTILE.encode()), _part("text/plain", b"x, verified, first message")]
)
def test_signed_content_that_could_mislead_is_shown_rebuilt_and_attached_whole(inner: bytes) -> None:
    raw = multipart(
        'signed; protocol="application/pgp-signature"',
        inner,
        _part("application/pgp-signature", b"x"),
        headers=[("From", "jane@customer.example")],
    )

    sent = _forwarded(raw)

    assert all("position" not in page for page in _html_of(sent))
    assert not re.search(r"(?m)^x, verified", parse(sent).text)
    assert any(raw.strip() in (a.payload.strip()) for a in parse(sent).attachments)


@pytest.mark.parametrize("fault", [RecursionError, ValueError, MemoryError])
def test_html_that_cannot_be_confined_is_shown_as_text_and_attached_whole(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise fault

    monkeypatch.setattr(forward, "confine", fails)
    raw = mail(text=None, html=f"<p>Hello &lt;Jane&gt;</p>{HOSTILE}")

    sent = _forwarded(raw)

    (page,) = _html_of(sent)
    assert "Hello &lt;Jane&gt;" in page
    assert "position" not in page
    assert any(raw.strip() == a.payload.strip() for a in parse(sent).attachments)


def test_html_that_is_too_long_is_shown_as_text_and_attached_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "MAX_CONFINED", 50)

    sent = _forwarded(mail(text=None, html=f"<p>Hello</p>{HOSTILE}"))

    assert "Hello" in _html_of(sent)[0]
    assert len(parse(sent).attachments) == 1


def test_a_page_without_a_body_shows_its_title() -> None:
    (page,) = _html_of(_forwarded(mail(text=None, html="<title>Nothing else</title>")))

    assert "Nothing else" in page


def test_inline_images_stay_inline() -> None:
    raw = mail(html='<img src="cid:logo.png">', text=None, inline=[("logo.png", "image/png", b"\x89PNG")])

    back = parse(_forwarded(raw))

    assert back.root.content_type == "multipart/related"
    (image,) = back.attachments
    assert (image.inline, image.part.content_id, image.payload) == (True, "logo.png", b"\x89PNG")
    assert "cid:logo.png" in back.html


SIGNED = b"--sig\r\nContent-Type: text/plain\r\n\r\nSigned,  exactly so. \r\n\r\n--sig\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--sig--\r\n"


def test_a_signed_message_stays_intact_even_within_other_parts() -> None:
    signed = entity([("Content-Type", 'multipart/signed; protocol="application/pgp-signature"; boundary=sig')], SIGNED)

    assert SIGNED[:-2] in _forwarded(entity([("From", "a@b.example")]) + signed)
    listed = multipart(
        "mixed", signed, entity([("Content-Type", "text/plain")], b"footer"), headers=[("From", "a@b.example")]
    )
    assert SIGNED[:-2] in _forwarded(listed)


def test_a_signed_message_that_cannot_be_sent_unchanged_is_attached_whole() -> None:
    content = SIGNED.replace(b"exactly", b"exactly \xe4")
    raw = entity([("From", "a@b.example"), ("Content-Type", "multipart/signed; boundary=sig")], content)

    back = parse(_forwarded(raw))

    assert "Signed" in back.text
    assert raw in [a.payload for a in back.attachments]


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Type: text/plain\r\ncontent-type: text/plain",
        b"Content-Type: text/plain\r\nno field and no blank line",
    ],
)
def test_a_signed_message_with_a_header_that_ses_refuses_is_attached_whole(broken: bytes) -> None:
    part = broken + b"\r\n\r\nSigned.\r\n"
    signature = entity([("Content-Type", "application/pgp-signature")], b"xxx")
    raw = multipart("signed", part, signature, headers=[("From", "a@b.example")])

    back = parse(_forwarded(raw))

    assert "Signed." in back.text
    assert raw in [a.payload for a in back.attachments]


def test_a_message_nested_too_deep_is_attached_whole() -> None:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(200))
    raw = head + b"Content-Type: text/plain\r\n\r\ndeep\r\n"

    back = parse(_forwarded(raw))

    assert BEGIN in back.text
    assert any(raw in (a.payload, a.payload.rstrip()) for a in back.attachments) or raw in _forwarded(raw)


def test_over_the_limit_the_text_and_a_list_of_the_rest_are_sent() -> None:
    big = bytes(FORWARD_LIMIT * 3 // 4 + 1)
    raw = _forwarded(
        mail(text="The text.\r\n", attachments=[("film.mp4", "video/mp4", big), ("b.txt", "text/csv", b"x")])
    )

    text = parse(raw).text
    assert len(raw) < 10_000
    assert "The text." in text
    assert "! Not everything is here: " in text
    assert "\n- film.mp4 (19.7 MB)\n- b.txt (1 B)\n" in text


def test_a_refused_forward_is_sent_again_as_text_only() -> None:
    raw = _forwarded(mail(attachments=[("virus.exe", "application/x-msdownload", b"MZ")]), text_only=True)

    assert parse(raw).attachments == ()
    assert "virus.exe (2 B)" in parse(raw).text


def test_an_endless_text_is_cut_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "FORWARD_LIMIT", 1000)

    text = parse(_forwarded(mail(text="x" * 70 + "\r\n" + "word " * (forward.TEXT_KEPT // 4)))).text

    assert "the rest of the text is in the archive" in text


def test_a_retry_composes_the_same_bytes() -> None:
    raw = mail(html="<p>x</p>", attachments=[("a.pdf", "application/pdf", b"x")])

    assert _forwarded(raw) == _forwarded(raw)


def test_ses_accepts_long_subjects_and_many_ids() -> None:
    threading = type(THREADING)(
        subject="日本語" * 300,
        in_reply_to="x" * 400 + "@y.example",
        references=tuple(f"{n}@z.example" for n in range(40)),
    )

    assert problems(_forwarded(mail(), threading=threading)) == []
