"""Writing MIME: for any values, the output keeps SES's rules and parses back to them."""

from email import message_from_bytes
from email.message import Message
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail import writer
from tests.support.ses_rules import problems

ENDS = ("From", "a@b.example"), ("To", "c@d.example")


def _written(entity: writer.Entity, subject: str = "x") -> bytes:
    return writer.write((*ENDS, ("Subject", writer.unstructured(subject))), entity, b"seed")


def _leaf(raw: bytes) -> Message:
    return message_from_bytes(raw)


@given(st.text(max_size=3000))
def test_any_text_parses_back_with_crlf(content: str) -> None:
    raw = _written(writer.text(content))

    expected = content.encode("utf-8", "replace").replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert problems(raw) == []
    payload = _leaf(raw).get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload == expected


@given(
    st.binary(max_size=3000),
    st.text(max_size=300),
    st.text(max_size=300),
    st.sampled_from(["application/pdf", "message/rfc822", "multipart/mixed", "text/plain", "no type", "a/b; c=d"]),
)
def test_any_bytes_parse_back_unchanged(payload: bytes, name: str, content_id: str, kind: str) -> None:
    raw = _written(writer.multipart("mixed", [writer.binary(kind, payload, name=name, content_id=content_id)]))

    assert problems(raw) == []
    part = _leaf(raw).get_payload(0)
    assert isinstance(part, Message)
    read = part.get_payload(0).as_bytes() if part.is_multipart() else part.get_payload(decode=True)  # type: ignore[union-attr]
    if part.is_multipart():
        assert writer.fits_seven_bits(payload)  # written as a nested message
    else:
        assert read == payload


@given(st.text(max_size=2000))
def test_any_subject_is_one_field_and_parses_back(subject: str) -> None:
    raw = _written(writer.text("x"), subject)

    assert problems(raw) == []
    read = message_from_bytes(raw, policy=default)["Subject"]
    assert writer.one_line(subject).split() == str(read).split()


@given(st.text(max_size=400))
def test_any_display_name_keeps_the_address(name: str) -> None:
    raw = writer.write(
        (("From", writer.mailbox(name, "a@b.example")), ENDS[1], ("Subject", "x")), writer.text("x"), b""
    )

    assert problems(raw) == []
    (address,) = message_from_bytes(raw, policy=default)["From"].addresses
    assert address.addr_spec == "a@b.example"


# The standard library's reader takes a parameter in angle brackets without them.
@given(st.text(min_size=1, max_size=300).filter(lambda name: not writer.file_name(name).startswith("<")))
def test_any_file_name_parses_back_bounded(name: str) -> None:
    raw = _written(writer.multipart("mixed", [writer.binary("image/png", b"x", name=name)]))

    part = _leaf(raw).get_payload(0)
    assert isinstance(part, Message)
    assert problems(raw) == []
    assert (part.get_filename() or "").split() == writer.file_name(name).split()


def test_a_long_file_name_keeps_its_extension() -> None:
    assert writer.file_name("ж" * 500 + ".pdf").endswith("ж.pdf")
    assert len(writer.file_name("ж" * 500 + ".pdf")) <= writer.NAME_LIMIT


def test_message_ids_are_never_split() -> None:
    ids = [f"{'0100018f' * 8}-{n}@eu-west-1.amazonses.example" for n in range(12)]

    raw = writer.write((*ENDS, ("Subject", "x"), ("References", writer.message_ids(ids))), writer.text("x"), b"")

    assert all(f"<{id_}>".encode() in raw for id_ in ids)
    assert b"=?" not in raw
    assert problems(raw) == []


@pytest.mark.parametrize("odd", ["", "a b@c", "a@b>\r\nBcc: x@y.example", "ä@b.example", "x" * 600, "a<b@c"])
def test_an_unwritable_message_id_is_left_out(odd: str) -> None:
    assert writer.message_ids(["a@b.example", odd, "c@d.example"]) == "<a@b.example>\r\n <c@d.example>"


def test_a_line_break_in_a_value_adds_no_field() -> None:
    assert "\n" not in writer.unstructured("Hi\r\nBcc: x@y.example")
    assert "\n" not in writer.mailbox("Jane\r\nBcc: x", "a@b.example")


def test_a_non_ascii_domain_is_written_in_ascii() -> None:
    assert writer.mailbox("Jane", "jane@bücher.example") == '"Jane" <jane@xn--bcher-kva.example>'


def test_direction_overrides_are_removed_from_names() -> None:
    assert writer.file_name("invoice\u202efdp.exe") == "invoice fdp.exe"


def test_the_seed_determines_the_boundaries() -> None:
    entity = writer.multipart("mixed", [writer.text("a"), writer.text("b")])

    assert writer.write((), entity, b"one") == writer.write((), entity, b"one")
    assert writer.write((), entity, b"one") != writer.write((), entity, b"two")


def test_html_declares_the_charset_of_its_encoding() -> None:
    raw = writer.write((), writer.text('<meta http-equiv=x content="text/html; charset=koi8-r">', "html"), b"")

    assert b"charset=utf-8" in raw.partition(b"\r\n\r\n")[2]
