"""What reads hostile text gives a result for every text: the calls of the library that raise are wrapped once each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.charsets import codec_name, decode, extends_ascii
from email_handler.mail.dates import read_date
from email_handler.mail.encodings import decode_base64, decode_uuencoded, decode_uuencoded_line
from email_handler.mail.entities import unescape
from email_handler.mail.parsing import parse

MANY = 5000  # digits: more than int() reads


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("&#" + "1" * MANY + ";", "\ufffd"),
        ("&#x" + "f" * MANY + ";", "\ufffd"),
        ("&#" + "0" * MANY + "64;", "@"),
        ("&#X" + "0" * MANY + "40;", "@"),
        ("a&#0000000064b", "a@b"),
        ("&#12345678abc", "\ufffdabc"),
        ("&#xd800;", "\ufffd"),
        ("&amp;#64;", "&#64;"),
        ("no reference", "no reference"),
    ],
)
def test_references_are_decoded_however_many_digits_they_have(written: str, read: str) -> None:
    assert unescape(written) == read


@pytest.mark.parametrize(
    "field",
    [
        "Subject: {}",
        "From: {} <a@b.example>",
        "Content-Type: text/html\r\n\r\n<p>{}</p>",
        'Content-Type: text/html\r\n\r\n<a href="{}">x</a>',
        "Content-Type: text/html\r\n\r\n<a href=x style=color:{}>x</a>",
        "Content-Type: text/html\r\n\r\n" + "x " * 20_000 + "{}" + " y" * 20_000,
        "Content-Type: text/plain; charset={}\r\n\r\nx",
        "Content-Type: text/plain; name*{}=x\r\n\r\nx",
        "Date: Mon, {} Mar 2026 09:00:00 +0000",
        "Date: Mon, 02 Mar {} 09:00:00 +{}",
        "X: =?{}?q?x?=",
    ],
)
@pytest.mark.parametrize("number", ["&#" + "9" * MANY + ";", "9" * MANY, "\u0663" * MANY])
def test_a_number_of_5000_digits_is_read_wherever_it_stands(field: str, number: str) -> None:
    assert parse(field.replace("{}", number).encode()).size > MANY


DATES = [
    "",
    "Mon, 02 Mar 2026 09:00:00 +9999",
    "Mon, 02 Mar 2026 09:00:00 -99999999999999999",
    "Fri, 31 Dec 9999 23:59:59 -1200",
    "Mon, 01 Jan 0000 00:00:00 +0000",
    "Sat, 01 Jan 0001 00:00:00 +1400",
    "Mon, 02 Mar 99999999999 09:00:00 +0000",
    "Mon, 99 Foo 2026 99:99:99 XXX",
    ",",
    " ",
    "Mon, 02 Mar 2026 09:00",
    "\u0663 Mar 2026 09:00:00 +0000",
]


@pytest.mark.parametrize("value", DATES)
def test_an_odd_date_is_a_date_or_none(value: str) -> None:
    date = read_date(value)

    assert date is None or date.utcoffset() is not None


CHARSETS = [
    "rot13", "hex", "zip", "bz2", "base64", "uu", "quopri", "idna", "punycode", "unknown-8bit", "undefined", "mbcs",
    "unicode_escape", "raw_unicode_escape", "utf-7", "utf-16", "utf-32", "cp65001", "..", "os.path", "\0", "x" * 9999,
    "aliases", "__init__", "charmap", "string-escape", "\u0130",
]  # fmt: skip


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("payload", [b"", b"\xff\xfe\x00\xd8", b"+2AA-", b"plain", bytes(range(256))])
def test_any_charset_decodes_any_bytes_to_text_that_can_be_written(charset: str, payload: bytes) -> None:
    text = decode(payload, charset)

    text.encode()
    assert isinstance(codec_name(charset), str)
    assert isinstance(extends_ascii(charset), bool)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_as_base64_and_uuencode(data: bytes) -> None:
    decoded, missing = decode_base64(data)

    assert len(decoded) <= len(data)
    assert 0 <= missing <= 3
    decode_uuencoded(b"begin 644 x\n" + data)
    decode_uuencoded_line(data)


@given(st.text())
def test_any_text_is_read_as_a_date_as_a_charset_and_as_html_text(text: str) -> None:
    assert read_date(text) is None or read_date(text)
    codec_name(text)
    unescape(text)
