import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.charsets import codec_name, decode
from email_handler.mail.encodings import decode_base64
from email_handler.mail.headers import (
    MAX_FIELDS,
    MAX_SECTION,
    MAX_VALUE,
    decode_header,
    message_ids,
    parse_parameters,
    split_fields,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?ISO-8859-1?q?a_b=E9?= c", "a bé c"),
        ("a =?utf-8?q?b?= =?utf-8?q?c?= d", "a bc d"),
        ("=?utf-8?q?=C3?=\t=?utf-8?q?=BC?=", "ü"),
        ("=?utf-8*de?q?=C3=BC?=", "ü"),
        ("=?x-unknown?q?=C3=BC?=", "ü"),
        ("=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
        ("=?utf-8?q?=3Dx?=", "=x"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        ("=?utf-8?x?what?=", "=?utf-8?x?what?="),
        (" folded\n\tvalue ", "folded value"),
    ],
)
def test_encoded_words_are_decoded(value: str, expected: str) -> None:
    assert decode_header(value) == expected


def test_an_encoded_word_with_line_breaks_adds_no_line() -> None:
    assert decode_header("=?utf-8?q?Hello=0D=0ABcc=3A_eve=40evil.example?=") == "Hello Bcc: eve@evil.example"
    assert decode_header("=?utf-8?b?" + base64.b64encode("a\u2028b\x85c\x00d".encode()).decode() + "?=") == "a b cd"


@given(st.text(alphabet=st.sampled_from("=?utf-8bqQB_ \t\r\n\x00é\u2028\x85AZ"), max_size=200) | st.text())
def test_any_value_becomes_one_encodable_line(value: str) -> None:
    decoded = decode_header(value.encode("utf-8", "ignore").decode())

    assert len(decoded.splitlines()) <= 1
    decoded.encode()


def test_fields_are_unfolded_and_kept_in_order() -> None:
    fields, rest, cut = split_fields(b"Subject: a\r\n b\r\nX: 1\r\nX : 2\r\n")

    assert fields == [("Subject", "a b"), ("X", "1"), ("X", "2")]
    assert (rest, cut) == (None, False)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_every_kind_of_line_end_ends_a_field(line_end: bytes) -> None:
    fields, _, _ = split_fields(line_end.join([b"From: a@b.example", b"Subject: x", b""]))

    assert [name for name, _ in fields] == ["From", "Subject"]


def test_a_bare_carriage_return_hides_no_second_from() -> None:
    fields, _, _ = split_fields(b"From: a@b.example\r\nX: y\rFrom: c@d.example\r\n")

    assert [name for name, _ in fields] == ["From", "X", "From"]


def test_a_line_that_lost_its_indentation_hides_no_field_after_it() -> None:
    fields, rest, _ = split_fields(b"Received: by a.example\nwith SMTP\nFrom: a@b.example\n")

    assert fields == [("Received", "by a.example with SMTP"), ("From", "a@b.example")]
    assert rest is None


@pytest.mark.parametrize("charset", [b"utf-16", b"utf-7", b"cp037", b"unknown"])
def test_a_charset_that_does_not_extend_ascii_hides_no_field(charset: bytes) -> None:
    section = b"Subject: \xe9 +AGA-\r\nFrom: a@b.example\r\nContent-Type: text/plain; charset=" + charset + b"\r\n"
    for fields, _, _ in (split_fields(section), split_fields(section[:40], section[40:])):
        assert dict(fields)["From"] == "a@b.example"
        assert dict(fields)["Subject"] == "é +AGA-"


def test_a_body_without_a_preceding_blank_line_is_found() -> None:
    section = b"Subject: a\n b\nHello Jane\nhow are you?\n"
    fields, rest, _ = split_fields(section)

    assert fields == [("Subject", "a b")]
    assert rest is not None
    assert section[rest:] == b"Hello Jane\nhow are you?\n"


def test_an_mbox_separator_is_neither_a_field_nor_the_body() -> None:
    assert split_fields(b"From jane Mon Mar  2 09:00:00 2026\nSubject: x\n")[:2] == ([("Subject", "x")], None)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        ("привет".encode("koi8-r") + b"\nContent-Type: text/plain; charset=koi8-r", "привет"),
    ],
)
def test_unencoded_eight_bit_values_are_decoded(data: bytes, expected: str) -> None:
    assert split_fields(b"Subject: " + data)[0][0] == ("Subject", expected)


def test_the_sizes_of_sections_fields_and_values_are_limited() -> None:
    assert split_fields(b"X: " + b"a" * (MAX_VALUE + 5))[0] == [("X", "a" * MAX_VALUE)]
    assert split_fields(b"X: " + b"a" * (MAX_VALUE + 5))[2]
    assert len(split_fields(b"X: a\n" * (MAX_FIELDS + 5))[0]) == MAX_FIELDS
    assert split_fields(b"X: a\n" * MAX_SECTION)[2]


@pytest.mark.parametrize(
    ("value", "main", "parameters"),
    [
        ("Text/HTML; charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ('a/b; name="x;y.pdf"', "a/b", {"name": "x;y.pdf"}),
        ('a/b; name="a \\"b\\".pdf"', "a/b", {"name": 'a "b".pdf'}),
        ("a/b; name=my file.pdf", "a/b", {"name": "my file.pdf"}),
        ("a/b; name=", "a/b", {"name": ""}),
        ("attachment; filename*=utf-8''na%C3%AFve.pdf", "attachment", {"filename": "naïve.pdf"}),
        ("a; filename*0*=utf-8''na%C3; filename*1*=%AFve; filename*2=.pdf", "a", {"filename": "naïve.pdf"}),
        ("a; filename*1=b.pdf; filename*0=a", "a", {"filename": "ab.pdf"}),
        ("a; filename=plain.pdf; filename*=utf-8''b%C3%BC.pdf", "a", {"filename": "bü.pdf"}),
        ("a; filename==?utf-8?q?b=C3=BC?=.pdf", "a", {"filename": "bü.pdf"}),
        ("a; filename*=x.pdf", "a", {"filename": "x.pdf"}),
        ("; ; ;", "", {}),
        ("", "", {}),
    ],
)
def test_parameters_are_parsed(value: str, main: str, parameters: dict[str, str]) -> None:
    assert parse_parameters(value) == (main, parameters)


@given(st.text(alphabet=st.sampled_from(";=\"\\*'%a0C3 \t"), max_size=120))
def test_any_parameters_become_values_on_one_line(value: str) -> None:
    for text in parse_parameters(value)[1].values():
        assert len(text.splitlines()) <= 1


def test_message_ids_are_parsed() -> None:
    assert list(message_ids("<a@b.example> (comment) <c\n d@e.example>")) == ["a@b.example", "cd@e.example"]
    assert list(message_ids("a@b.example c@d.example none")) == ["a@b.example", "c@d.example"]
    assert list(message_ids("<a@b.example")) == ["a@b.example"]
    assert list(message_ids("<local-only>")) == ["local-only"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"SGVsbG8=", (b"Hello", 0)),
        (b"SGVs\r\nbG8=\r\n", (b"Hello", 0)),
        (b"SGVsbG8", (b"Hello", 2)),
        (b"SGVsbG8gV29ybGQhA", (b"Hello World!", 3)),
        (b"", (b"", 0)),
    ],
)
def test_incomplete_base64_is_decoded_as_far_as_possible(data: bytes, expected: tuple[bytes, int]) -> None:
    assert decode_base64(data) == expected


@pytest.mark.parametrize(
    ("charset", "data", "expected"),
    [
        ("utf-8", "ü".encode(), "ü"),
        ("utf8", "ü".encode(), "ü"),
        ('"utf-8"', "ü".encode(), "ü"),
        ("us-ascii", "ü".encode(), "ü"),
        ("us-ascii", "ü".encode("latin-1"), "ü"),
        ("utf-8", "grün".encode("latin-1"), "grün"),
        ("iso-8859-1", b"\x93x\x94", "“x”"),
        ("x-no-such-charset", "ü".encode(), "ü"),
        ("gb2312", "漢字€".encode("gb18030"), "漢字€"),
        ("ks_c_5601-1987", "한국어".encode("cp949"), "한국어"),
        ("x-sjis", "日本語".encode("cp932"), "日本語"),
        ("iso-8859-8-i", "שלום".encode("iso8859_8"), "שלום"),
        ("unicode-1-1-utf-7", b"+AOQ-", "ä"),
        ("utf-16", "hé".encode("utf-16"), "hé"),
        ("cp-850", "é".encode("cp850"), "é"),
        ("windows-1251", "привет".encode("cp1251"), "привет"),
        ("utf-8", b"\xef\xbb\xbfx\x00y", "xy"),
        ("", "ü".encode(), "ü"),
    ],
)
def test_text_is_decoded_by_the_charset_that_senders_mean(charset: str, data: bytes, expected: str) -> None:
    assert decode(data, charset) == expected


def test_a_few_invalid_bytes_leave_the_rest_of_a_long_text_intact() -> None:
    assert decode("привет".encode() * 10 + b"\xd0", "utf-8") == "привет" * 10 + "\ufffd"


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "undefined", "hex", "zlib", "rot13", "\0"])
def test_codecs_that_are_not_charsets_are_unknown(charset: str) -> None:
    assert codec_name(charset) == ""


@given(
    st.binary(max_size=80),
    st.sampled_from(
        ["utf-7", "utf-16", "utf-32", "iso-2022-jp", "hz", "gb18030", "big5", "euc-kr", "cp037", "shift_jis"]
    )
    | st.text(max_size=20),
)
def test_any_bytes_in_any_charset_become_encodable_text(data: bytes, charset: str) -> None:
    decode(data, charset).encode()


@pytest.mark.parametrize("unit", ["=?a?q?", "=?", "; ", '"\\"', "(", '<"\\"', " ", ";a=", "=?a?q?x?= "])
def test_hostile_values_are_decoded_to_their_own_characters(unit: str) -> None:
    """With more than linear time, this test would take minutes."""
    value = (unit * MAX_VALUE)[:MAX_VALUE]
    first, parameters = parse_parameters(value)

    assert set(decode_header(value)) <= set(value)
    assert set(first) <= set(value)
    assert set(parameters) <= {"a"}
