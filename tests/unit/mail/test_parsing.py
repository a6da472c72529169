from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_handler.mail.filenames import MAX_NAME, safe_filename
from email_handler.mail.flowed import unflow
from email_handler.mail.message import Message
from email_handler.mail.parsing import MAX_DEPTH, MAX_PARTS, parse
from tests.support.builders import entity, mail, multipart

TEXT = entity([("Content-Type", "text/plain")], b"Hello")
HTML = entity([("Content-Type", "text/html")], b"<p>Hello <b>you</b></p>")
PDF = entity(
    [("Content-Type", 'application/pdf; name="a.pdf"'), ("Content-Transfer-Encoding", "base64")], b"JVBERg==\r\n"
)


def test_unencoded_header_text_is_decoded_by_the_charset_of_the_first_part() -> None:
    part = entity([("Content-Type", 'text/plain; charset="gb2312"')], "你好".encode("gb2312"))
    message = parse(b"Subject: " + "系统退信".encode("gb2312") + b"\r\n" + multipart("mixed", part))

    assert message.subject == "系统退信"


def names(message: Message) -> list[tuple[str, str, bytes]]:
    return [(a.name, a.content_type, a.payload) for a in message.attachments]


def test_an_ordinary_message_is_parsed() -> None:
    message = parse(
        mail(
            subject="Grüße",
            cc="a@b.example, c@d.example",
            reply_to="Jane <reply@customer.example>",
            in_reply_to="<one@example.com>",
            references="<zero@example.com> <one@example.com>",
            html="<p>Hello, this is Jane.</p>",
            attachments=[("ü.pdf", "application/pdf", b"%PDF")],
        )
    )

    assert message.subject == "Grüße"
    assert [(m.name, m.address) for m in message.from_] == [("Jane Doe", "jane@customer.example")]
    assert message.from_fields == 1
    assert [m.address for m in message.cc] == ["a@b.example", "c@d.example"]
    assert [m.address for m in message.reply_to] == ["reply@customer.example"]
    assert message.message_id == "first@customer.example"
    assert message.in_reply_to == ("one@example.com",)
    assert message.references == ("zero@example.com", "one@example.com")
    assert message.date == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert message.text.strip() == "Hello, this is Jane."
    assert message.html.strip() == "<p>Hello, this is Jane.</p>"
    assert names(message) == [("ü.pdf", "application/pdf", b"%PDF")]
    assert message.defects == ()


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message(raw: bytes) -> None:
    assert parse(raw).size == len(raw)


_PIECES = [
    *(b"From: a@b.example\n", b"Subject: =?utf-8?q?=0D=0A?=\n", b"Content-Type: multipart/mixed; boundary=b\n"),
    *(b"Content-Type: text/html; charset=utf-7\n", b"Content-Transfer-Encoding: base64\n", b"\n", b"\r", b"--b\n"),
    *(b"--b--\n", b"Content-Type: message/rfc822\n", b"Content-Disposition: attachment; filename*0*=x''%\n"),
    *(
        b"Content-Transfer-Encoding: x-uuencode\n",
        b"begin 644 x\nM\xff\n",
        b"<p>",
        b"\x00\xff",
        b" ",
        b"Date: Mon, 99\n",
    ),
]


@given(st.lists(st.sampled_from(_PIECES) | st.binary(max_size=8), max_size=30))
def test_any_mixture_of_message_fragments_is_a_message(pieces: list[bytes]) -> None:
    message = parse(b"".join(pieces))

    assert message.subject.isprintable()
    (message.text + message.html + "".join(h.raw + h.value for h in message.headers)).encode()


WHOLE = mail(
    html="<p>x <img src='cid:i.png'></p>",
    inline=[("i.png", "image/png", b"\x89PNG")],
    attachments=[("a.txt", "text/plain", b"abc")],
)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_message_is_a_message(data: st.DataObject) -> None:
    raw = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parse(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_every_kind_of_line_end_is_accepted(line_end: bytes) -> None:
    message = parse(multipart("mixed", TEXT, PDF, headers=[("Subject", "x")]).replace(b"\r\n", line_end))

    assert message.subject == "x"
    assert message.text == "Hello"
    assert names(message) == [("a.pdf", "application/pdf", b"%PDF")]


def test_the_text_of_alternatives_appears_once() -> None:
    message = parse(multipart("alternative", TEXT, HTML))

    assert message.text == "Hello"
    assert message.html == "<p>Hello <b>you</b></p>"
    assert message.attachments == ()


def test_the_text_of_html_alone_is_its_visible_text() -> None:
    assert parse(HTML).text == "Hello you"


def test_text_and_html_in_sequence_both_appear() -> None:
    assert parse(multipart("mixed", HTML, TEXT)).text == "Hello you\n\nHello"


def test_html_replaces_an_empty_plain_alternative() -> None:
    assert parse(multipart("alternative", entity([], b" \r\n"), HTML)).text == "Hello you"


def test_attached_text_files_are_not_body_text() -> None:
    note = entity([("Content-Type", "text/plain"), ("Content-Disposition", "attachment; filename=n.txt")], b"note")
    message = parse(multipart("mixed", TEXT, note))

    assert message.text == "Hello"
    assert names(message) == [("n.txt", "text/plain", b"note")]


def test_a_message_that_is_only_an_attached_text_shows_that_text() -> None:
    note = entity([("Content-Type", "text/plain"), ("Content-Disposition", "attachment; filename=n.txt")], b"note")

    assert parse(note).text == "note"
    assert names(parse(note)) == [("n.txt", "text/plain", b"note")]


@pytest.mark.parametrize(
    "header",
    [
        "multipart/mixed",
        'multipart/mixed; boundary=""',
        "multipart/mixed; boundary=other",
        "multipart/alternative; boundary",
    ],
)
def test_a_multipart_without_a_usable_boundary_keeps_its_text(header: str) -> None:
    message = parse(entity([("Content-Type", header)], b"Hello Jane\r\n"))

    assert "Hello Jane" in message.text
    assert "multipart without a usable boundary" in message.defects


def test_a_boundary_other_than_the_declared_one_is_found() -> None:
    message = parse(multipart("mixed", TEXT, PDF).replace(b'"=-outer"', b'"other"'))

    assert message.text == "Hello"
    assert names(message) == [("a.pdf", "application/pdf", b"%PDF")]


def test_a_part_without_a_closing_delimiter_is_complete() -> None:
    raw = multipart("mixed", TEXT, PDF)
    message = parse(raw[: raw.rindex(b"--=-outer--")])

    assert names(message) == [("a.pdf", "application/pdf", b"%PDF")]
    assert "no closing delimiter" in message.defects


def test_payloads_are_decoded_byte_for_byte() -> None:
    payload = bytes(range(256)) * 3
    message = parse(mail(attachments=[("x.bin", "application/octet-stream", payload)]))

    assert message.attachments[0].payload == payload


def test_a_nested_message_is_one_attachment_with_its_exact_bytes() -> None:
    inner = mail(subject="Inner: 1/2", html="<p>x</p>", attachments=[("a.pdf", "application/pdf", b"%PDF")])
    message = parse(multipart("mixed", TEXT, entity([("Content-Type", "message/rfc822")], inner)))

    assert message.text == "Hello"
    assert names(message) == [("Inner_ 1_2.eml", "message/rfc822", inner)]


def test_a_message_that_is_only_a_nested_message_shows_that_text() -> None:
    message = parse(entity([("Content-Type", "message/rfc822")], mail(text="inner text")))

    assert message.text.strip() == "inner text"
    assert [a.content_type for a in message.attachments] == ["message/rfc822"]


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/ms-tnef", "winmail.dat"),
        ("text/calendar; method=REQUEST", "invitation.ics"),
        ("application/pkcs7-signature", "smime.p7s"),
        ("application/pkcs7-mime; smime-type=enveloped-data", "smime.p7m"),
        ("application/pgp-signature", "signature.asc"),
        ("message/delivery-status", "delivery-status.txt"),
        ("image/png", "image-1.png"),
        ("text/x-unheard-of", "text-1.txt"),
        ("application/x-unheard-of", "attachment-1.bin"),
    ],
)
def test_parts_without_a_name_are_named_after_their_type(content_type: str, name: str) -> None:
    part = entity([("Content-Type", content_type)], b"x")

    assert [a.name for a in parse(multipart("mixed", TEXT, part)).attachments] == [name]


def test_the_parts_of_an_encrypted_message_are_named() -> None:
    control = entity([("Content-Type", "application/pgp-encrypted")], b"Version: 1")
    secret = entity([("Content-Type", "application/octet-stream")], b"-----BEGIN PGP MESSAGE-----\r\n")

    assert [a.name for a in parse(multipart("encrypted", control, secret)).attachments] == [
        "pgp-version.asc",
        "encrypted.asc",
    ]


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("attachment; filename=../../etc/passwd", "_.._etc_passwd"),
        ('attachment; filename="C:\\temp\\a.pdf"', "a.pdf"),
        ("attachment; filename*=utf-8''x%E2%80%AEfdp.exe", "xfdp.exe"),
        ("attachment; filename==?utf-8?q?a=0D=0Ab.pdf?=", "a b.pdf"),
        ("attachment; filename*0=long; filename*1=er.pdf", "longer.pdf"),
    ],
)
def test_file_names_are_made_safe(disposition: str, expected: str) -> None:
    part = entity([("Content-Type", "application/pdf"), ("Content-Disposition", disposition)], b"x")

    assert [a.name for a in parse(multipart("mixed", TEXT, part)).attachments] == [expected]


def test_a_long_file_name_keeps_its_extension() -> None:
    name = safe_filename("x" * 500 + ".pdf")

    assert len(name) == MAX_NAME
    assert name.endswith("x.pdf")


def test_images_that_the_html_shows_are_inline() -> None:
    shown = entity([("Content-Type", "image/png"), ("Content-ID", "<a@x>")], b"1")
    other = entity([("Content-Type", "image/png"), ("Content-ID", "<b@x>")], b"2")
    html = entity([("Content-Type", "text/html")], b"<img src='cid:a%40x'>")
    message = parse(multipart("related", html, shown, other))

    assert [a.inline for a in message.attachments] == [True, False]


def test_several_from_fields_are_counted_and_parsed() -> None:
    message = parse(entity([("From", "a@b.example"), ("From", "c@d.example")], b""))

    assert message.from_fields == 2
    assert [m.address for m in message.from_] == ["a@b.example", "c@d.example"]


@pytest.mark.parametrize("sender", [None, "mailer-daemon", "<>", ""])
def test_a_from_field_without_an_address_has_no_mailbox(sender: str | None) -> None:
    assert parse(mail(sender=sender)).from_ == ()


def test_a_subject_with_encoded_line_breaks_is_one_line() -> None:
    raw = entity([("Subject", "=?utf-8?q?Hi=0D=0ABcc=3A_x=40y.example?=")], b"")

    assert parse(raw).subject == "Hi Bcc: x@y.example"
    assert parse(raw).header_all("bcc") == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Mon, 2 Mar 2026 10:00:00 +0100 (CET)", datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=1)))),
        ("Mon, 2 Mar 2026 10:00:00 -0000", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:00 -2300", None),
        ("Mon, 2 Mar 2026 99:00:00 +0100", None),
        ("tomorrow", None),
        ("1" * 10_000, None),
    ],
)
def test_dates_are_aware_or_none(value: str, expected: datetime | None) -> None:
    assert parse(mail(date=value)).date == expected


def test_an_unknown_charset_loses_no_text() -> None:
    message = parse(entity([("Content-Type", "text/plain; charset=x-klingon")], "Grüße".encode()))

    assert message.text == "Grüße"
    assert message.defects == ("unknown charset",)


def test_html_without_a_declared_charset_is_decoded_by_its_meta_element() -> None:
    html = "<meta charset=koi8-r><p>привет</p>".encode("koi8-r")

    assert parse(entity([("Content-Type", "text/html")], html)).text == "привет"


def test_plain_text_labelled_base64_stays_text() -> None:
    raw = entity([("Content-Type", "text/plain"), ("Content-Transfer-Encoding", "base64")], b"Hello dear Jane Doe!\r\n")

    assert parse(raw).text == "Hello dear Jane Doe!\n"


def test_uuencoded_parts_are_decoded() -> None:
    raw = entity([("Content-Transfer-Encoding", "x-uuencode")], b"begin 644 a.txt\r\n%2&5L;&\\\r\n`\r\nend\r\n")

    assert parse(raw).text == "Hello"


@pytest.mark.parametrize("surplus", [b"X", b"XY", b"XYZ"])
def test_surplus_characters_of_a_uuencoded_line_are_ignored(surplus: bytes) -> None:
    lines = (b"begin 644 a.txt", b"%2&5L;&\\" + surplus, b"#(%EO" + surplus, b"`", b"end")
    raw = entity([("Content-Transfer-Encoding", "x-uuencode")], b"\r\n".join(lines))

    assert parse(raw).text == "Hello Yo"


def test_nul_bytes_are_removed() -> None:
    assert parse(b"Subject: a\x00b\r\n\r\nx\x00y").text == "xy"


def test_flowed_text_is_joined() -> None:
    raw = entity(
        [("Content-Type", "text/plain; format=flowed; delsp=yes")], b"one \r\ntwo\r\n> q \r\n> r\r\n-- \r\nJane"
    )

    assert parse(raw).text == "onetwo\n> qr\n-- \nJane"


@pytest.mark.parametrize(
    ("flowed", "text"),
    [
        ("a \nb\nc", "a b\nc"),
        (">> a \n>> b\n> c", ">> a b\n> c"),
        (" >not quoted\n From here", ">not quoted\nFrom here"),
        ("a \n> b", "a \n> b"),
        ("a \n-- \nsig", "a \n-- \nsig"),
        ("", ""),
    ],
)
def test_flowed_paragraphs_follow_rfc_3676(flowed: str, text: str) -> None:
    assert unflow(flowed, delsp=False) == text


def test_text_nested_two_thousand_multiparts_deep_is_kept() -> None:
    raw = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2000))
    message = parse(raw + b"\nHello at the bottom\n")

    assert "Hello at the bottom" in message.text
    assert "nested too deep" in message.defects
    assert len(list(message.root.walk())) == MAX_DEPTH + 1


def test_parts_beyond_the_limit_stay_in_the_last_one() -> None:
    raw = multipart("mixed", *[entity([], b"part %d" % number) for number in range(MAX_PARTS + 100)])
    message = parse(raw)

    assert len(list(message.root.walk())) <= MAX_PARTS + 1
    assert b"part %d" % (MAX_PARTS + 99) in list(message.root.walk())[-1].payload
    assert "too many parts" in message.defects


@pytest.mark.parametrize(
    "unit",
    [
        b"--b\n",
        b"--bx\n",
        b"--b--\n",
        b"\n",
        b"a:b\n",
        b"a\n",
        b"\r",
        b"--b\na:b\n\nx\n",
        b"=",
        b"From: (\n",
        b"--c\nContent-a:b\n",
    ],
)
@pytest.mark.parametrize("head", [b"", b"Content-Type: multipart/mixed; boundary=b\n\n"])
def test_text_after_a_million_hostile_bytes_is_found(head: bytes, unit: bytes) -> None:
    """With more than linear time, this test would take minutes."""
    message = parse(head + unit * (1_000_000 // len(unit)) + b"\n\nHello\n")

    assert message.text.rstrip().endswith("Hello")


def test_a_thousand_opening_parentheses_are_a_message() -> None:
    assert parse(mail(sender="(" * 1000 + "a@b.example")).from_ == ()
