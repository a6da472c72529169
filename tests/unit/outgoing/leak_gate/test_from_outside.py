"""The leak gate from outside: finished messages go in; what is found, what is unchecked and what leaves come out.

Nothing here knows how the gate reads, so that these tests stay when its readers change.
"""

import base64
import binascii
import io
import zipfile
from dataclasses import replace

import pytest

from email_handler.identifiers import EmailAddress
from email_handler.mail.documents.reading import Budget
from email_handler.mail.parsing import parse
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.needles import Needles
from email_handler.outgoing.reply import compose_reply
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import IDENTITY, NEEDLES, PRIVATE, PUBLIC, THREAD, reply_context

IN_TWO_WORDS = mail(subject="=?utf-8?Q?me=40priv?= =?utf-8?Q?ate.example?=", text="x\r\n")
"""Reveals the address to whoever reads it as a message, and nothing to others."""
ENCODED_TWICE = "me%2540private.example"
"""Is the address to whoever reads it as text, and nothing in bytes."""


def _found(raw: bytes, needles: Needles = NEEDLES) -> set[str]:
    """Return "held", "unchecked", both or neither."""
    places, unchecked = gate.check(raw, needles)
    return {place.action for place in places} | {"unchecked" for _ in unchecked}


def _with_file(payload: bytes, content_type: str = "application/octet-stream") -> bytes:
    part = entity(
        [("Content-Type", content_type), ("Content-Transfer-Encoding", "base64")], base64.encodebytes(payload)
    )
    return multipart("mixed", part, headers=[("From", "a@b.example")])


def _zip(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def _nested(raw: bytes, levels: int) -> bytes:
    for _ in range(levels):
        raw = entity([("From", "a@b.example"), ("Content-Type", "message/rfc822")], raw)
    return raw


def _digits(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _looking_for(*private: str) -> Needles:
    return Needles(replace(IDENTITY, private_addresses=tuple(map(EmailAddress, private))))


def test_what_is_found_is_held_and_nothing_else_counts_as_unchecked() -> None:
    both = mail(subject=PRIVATE, attachments=[("a.gz", "application/gzip", b"\x1f\x8b\x08 packed")])

    assert gate.composed(mail(subject=PRIVATE), NEEDLES).unchecked == ()
    assert [part.where for part in gate.composed(both, NEEDLES).unchecked] == ["attachment 1 (application/gzip)"]


def test_every_level_of_nested_messages_up_to_the_limit_is_read() -> None:
    deepest = _nested(IN_TWO_WORDS, gate.MAX_DEPTH)

    assert _found(deepest) == {"held"}
    assert gate.reveals(parse(deepest).root, NEEDLES)
    assert _found(_nested(IN_TWO_WORDS, gate.MAX_DEPTH + 2)) == {"unchecked"}


def test_an_archive_reveals_what_is_beside_a_member_that_cannot_be_opened() -> None:
    packed = _with_file(_zip(("a.gz", b"\x1f\x8b\x08 packed"), ("b.txt", PRIVATE.encode())))
    (attachment,) = parse(packed).attachments

    assert _found(packed) == {"unchecked", "held"}
    assert gate.reveals(attachment.part, NEEDLES)


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        # A string behind a NUL, with a byte behind it that looks like a letter of the address.
        (f"key\0{PRIVATE}X".encode(), "text/plain"),
        # Text for as long as a program looks before it decides that a file is text.
        (ENCODED_TWICE.encode().ljust(4096) + b"\0", "application/octet-stream"),
        (IN_TWO_WORDS, "application/octet-stream"),
        # A string behind its length, as in certificates, likewise with a letter behind it.
        (b"\x16" + bytes([len(PRIVATE)]) + PRIVATE.encode() + b"1\x1d", "application/x-x509-user-cert"),
        (_zip(("a.txt", ENCODED_TWICE.encode())), "application/zip"),
    ],
)
def test_a_file_is_held_for_what_any_program_finds_in_it(payload: bytes, content_type: str) -> None:
    assert "held" in _found(_with_file(payload, content_type))


def test_a_file_of_exactly_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_BYTES", len(ENCODED_TWICE))

    assert _found(_with_file(ENCODED_TWICE.encode())) == {"held"}


@pytest.mark.parametrize(
    "raw",
    [
        mail(text="About the format:\r\n" * 100 + "%PDF-1.6 trailer << /Encrypt 5 0 R >>\r\n"),
        mail(subject="me<b>@</b>private.example"),  # nobody reads a subject as a page
    ],
)
def test_what_only_looks_like_another_format_is_neither_held_nor_unchecked(raw: bytes) -> None:
    assert _found(raw) == set()


LONG = 99_999  # digits of base64, a multiple of three
WITHIN = _digits(f"to {PRIVATE}")


@pytest.mark.parametrize(
    "text",
    [
        WITHIN + "x",  # one digit more than whole bytes
        "x" + WITHIN + "A" * (LONG - len(WITHIN)),  # the longest run that is read at every alignment
        WITHIN + "A" * LONG,  # a longer one is read from its beginning
    ],
)
def test_an_address_in_a_run_of_base64_is_found(text: str) -> None:
    assert _found(mail(text=f"see {text}\r\n")) == {"held"}


def test_a_damaged_line_of_a_uuencoded_file_hides_no_other_line() -> None:
    lines = "!LONGER THAN IT SAYS\r\n" + binascii.b2a_uu(f"to {PRIVATE}".encode()).decode()

    assert _found(mail(text=f"see\r\nbegin 644 a.txt\r\n{lines}`\r\nend\r\n")) == {"held"}


@pytest.mark.parametrize("text", ["ME@PRIVATE.EXAMPLE", "ME@PRIVATE.EXAMPLE.", "WRITE TO ME@PRIVATE.EXAMPLE. Thanks."])
def test_an_address_in_capitals_is_found_at_the_end_of_a_sentence(text: str) -> None:
    assert _found(mail(text=f"{text}\r\n")) == {"held"}


def test_an_address_whose_domain_begins_with_another_owners_is_found_in_capitals_too() -> None:
    needles = _looking_for("me@home.example", "you@home.example.net")

    assert _found(mail(text="YOU@HOME.EXAMPLE.NET\r\n"), needles) == {"held"}
    assert _found(mail(text="ME@HOME.EXAMPLE.ORG\r\n"), needles) == set()


@pytest.mark.parametrize(
    ("private", "text"),
    [
        ("@home.example", "we are (@home.example)"),
        ("@gmail.com", "we are (@gmail.com)"),
        ("x@", "from a+x=@forwarder.example to thread.example.com"),
        ("nobody", "nobody@home.example, see thread.example.com"),
    ],
)
def test_half_an_address_of_an_owner_is_not_looked_for(private: str, text: str) -> None:
    assert _found(mail(text=f"{text}\r\n"), _looking_for(private)) == set()


def test_a_term_and_a_banner_that_touch_are_both_found() -> None:
    places, _ = gate.check(mail(text="Rumpelstiltskin[email-handler: only you see this]\r\n"), NEEDLES)

    assert {place.what for place in places} == {"hidden term", "banner"}


def test_an_address_is_replaced_as_it_was_written_whatever_encoding_is_around_it() -> None:
    text = "See ?u=a%40b.example, write to me@private.example, not to ?v=c%40d.example\r\n"

    reply = compose_reply(parse(mail(sender=PRIVATE, to=THREAD, text=text)), reply_context())

    assert not reply.held
    assert text.replace(PRIVATE, PUBLIC) in reply.raw.decode()
