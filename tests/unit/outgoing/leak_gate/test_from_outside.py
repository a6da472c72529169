"""The leak gate from outside: finished messages go in; what is found, what is unchecked and what leaves come out.

Nothing here knows how the gate reads, so that these tests stay when its readers change.
"""

import base64
import binascii
import io
import zipfile
import zlib
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
from tests.support.pdfs import flate, page, pdf

_IN_TWO = 'attachment; filename*0="me@priv"; filename*1="ate.example"'  # RFC 2231 §3
IN_TWO_PARTS = entity([("From", "a@b.example"), ("Content-Disposition", _IN_TWO)], b"x\r\n")
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


def _jpeg(packet: bytes) -> bytes:
    content = b"http://ns.adobe.com/xap/1.0/\0" + packet
    return b"\xff\xd8\xff\xe1" + (len(content) + 2).to_bytes(2) + content + b"\xff\xda\0\2x\xff\xd9"


def _looking_for(*private: str) -> Needles:
    return Needles(replace(IDENTITY, private_addresses=tuple(map(EmailAddress, private))))


def test_what_is_found_is_held_and_nothing_else_counts_as_unchecked() -> None:
    both = mail(subject=PRIVATE, attachments=[("a.gz", "application/gzip", b"\x1f\x8b\x08 packed")])

    assert gate.composed(mail(subject=PRIVATE), NEEDLES).unchecked == ()
    assert [part.where for part in gate.composed(both, NEEDLES).unchecked] == ["attachment 1 (application/gzip)"]


def test_every_level_of_nested_messages_up_to_the_limit_is_read() -> None:
    deepest = _nested(IN_TWO_PARTS, gate.MAX_DEPTH)

    assert _found(deepest) == {"held"}
    assert gate.reveals(parse(deepest).root, NEEDLES)
    assert _found(_nested(IN_TWO_PARTS, gate.MAX_DEPTH + 2)) == {"unchecked"}


def test_a_message_by_its_type_alone_is_read_as_one() -> None:
    only_disposition = entity([("Content-Disposition", _IN_TWO)], b"x\r\n")

    assert _found(_with_file(only_disposition, "message/rfc822")) == {"held"}


_LONG_TEXT = b" " + b"x" * 5000
_LONG_MESSAGE = (
    b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    + ENCODED_TWICE.encode()  # before the first part, where only a reader of the whole text sees it
    + _LONG_TEXT
    + b"\r\n--b\r\n\r\nx\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("outer", "content_type"),
    [
        (entity([("From", "a@b.example"), ("Content-Type", "message/rfc822")], _LONG_MESSAGE), "message/rfc822; charset=cp037"),
        (
            b"From: a@b.example\r\nX: \1\r\nContent-Type: message/rfc822\r\n\r\n" + _LONG_MESSAGE.replace(b"From", b"Date"),
            "application/octet-stream",
        ),
        (
            entity(
                [("From", "a@b.example"), ("Content-Type", "text/plain; charset=cp037")],
                f"{ENCODED_TWICE} ".encode("cp037") + _LONG_TEXT,
            ),
            "message/rfc822",
        ),
    ],
    ids=["in another charset", "in a file that is no text", "in a charset of its own"],
)  # fmt: skip
def test_what_stands_in_a_long_message_is_read_in_its_own_way(outer: bytes, content_type: str) -> None:
    """A message within a message is not read again as the text that it was read as already."""
    assert "held" in _found(_with_file(outer, content_type))


def _carried(content: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return base64.b64encode(deflater.compress(content) + deflater.flush())


@pytest.mark.parametrize(("times", "expected"), [(4, {"held"}), (5, {"unchecked"})])
def test_files_that_texts_carry_are_read_up_to_the_limit_of_levels(times: int, expected: set[str]) -> None:
    """Each is a file in a text, and a file in that."""
    carried = f"so many words around {PRIVATE} in this text".encode() * 2
    for _ in range(times):
        carried = _carried(carried)

    assert _found(_with_file(carried, "text/plain")) == expected


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
        (IN_TWO_PARTS, "application/octet-stream"),
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
    lines = "!1 LINE LONGER THAN IT SAYS\r\n" + binascii.b2a_uu(f"to {PRIVATE}".encode()).decode()

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
        ("x@", "from SRS==x@forwarder.example to thread.example.com"),
        ("nobody", "nobody@home.example, see thread.example.com"),
    ],
)
def test_half_an_address_of_an_owner_is_not_looked_for(private: str, text: str) -> None:
    assert _found(mail(text=f"{text}\r\n"), _looking_for(private)) == set()


def test_a_term_and_a_banner_that_touch_are_both_found() -> None:
    places, _ = gate.check(mail(text="Rumpelstiltskin[Only you see this:\r\n"), NEEDLES)

    assert {place.what for place in places} == {"hidden term", "banner"}


def test_an_address_is_replaced_as_it_was_written_whatever_encoding_is_around_it() -> None:
    text = "See ?u=a%40b.example, write to me@private.example, not to ?v=c%40d.example\r\n"

    reply = compose_reply(parse(mail(sender=PRIVATE, to=THREAD, text=text)), reply_context())

    assert not reply.held
    assert text.replace(PRIVATE, PUBLIC) in reply.raw.decode()


def _each(form: str, between: str = "") -> str:
    """Return the owner's address with each byte written as *form* says."""
    return between.join(form % byte for byte in PRIVATE.encode())


WRITTEN = (
    *(_each("%02x", between) for between in ("", ":", " ", "-", ", ", "\t", "\r\n", "\r\n> ")),
    *(_each("%02X", between) for between in (":", " ")),
    *(_each("0x%02x", between) for between in (",", ", ", " ", ",\r\n  ")),
    *(_each(r"\x%02x", between) for between in ("", "','")),
    *(_each(form) for form in (r"\%03o", r"\u%04x", r"\u{%x}", r"\U%08X", r"\x{%02x}", "%%u%04x", "&#%d;", "&#x%x;")),
    *(PRIVATE.replace("@", sign) for sign in (r"\100", r"\U00000040", r"\x{40}", r"\\u0040", "%u0040")),
    *(base64.b32encode(f"{before}{PRIVATE}".encode()).decode() for before in ("", " ", "  ", "   ", "    ")),
    "x" + base64.b32encode(PRIVATE.encode()).decode().lower().rstrip("="),
    *(before + _digits(PRIVATE) for before in ("/", "//", "///")),
    _digits(f"Gr\u00fc\u00dfe {ENCODED_TWICE}"),
    "\r\n".join(base64.b32encode(f"a text for {PRIVATE}".encode()).decode()[at : at + 20] for at in range(0, 60, 20)),
    *(PRIVATE.replace("@", f"{space}@{space}") for space in (" ", "\t", "     ", "\u2003", "\u1680", "\u2028", "\r\n")),
    *("{}me{}@{}private.example{}".format(*marks * 2) for marks in ('""', "''", "()", "[]", "<>", "{}", "**", "__", "``")),
    "\u201cme\u201d@\u201cprivate.example\u201d", "**me**@**private.example**", '"me"@private.example',
    *(PRIVATE.replace("@", f"@{mark}") for mark in "[(<{\"'"),
    "me%private.example@relay.example", "bounce+me=private.example@relay.example", "me=private.example@relay.example",
    "bounce-me+tag=private.example@relay.example", "private.example!me", "relay!private.example!me+x and",
)  # fmt: skip
"""Ways of writing the address in a text."""


def test_an_address_is_found_in_a_text_however_it_is_written(subtests: pytest.Subtests) -> None:
    for written in WRITTEN:
        with subtests.test(written):
            assert _found(mail(text=f"see {written} .\r\n")) == {"held"}


@pytest.mark.parametrize(
    "address",
    ["j%private.example@relay.example", "x.me%private.example@relay.example", "private.example!me2",
     "notme=private.example@relay.example", "x*me*@private.example", "_me@my.private.example", "me*@private.example",
     "100%private.example", "me%private.example"],
)  # fmt: skip
def test_what_only_looks_like_an_address_on_a_route_or_in_quotes_passes(address: str) -> None:
    assert _found(mail(text=f"see {address} .\r\n")) == set()


FONT = b"<< /Type /Font /Subtype /Type1 /Encoding /WinAnsiEncoding >>"
KERNED = b"[(me@pri) 20 (vate.example)] TJ"
PACKET = "<?xpacket begin=''?><x:xmpmeta><dc:creator>me<b/>@private.example</dc:creator></x:xmpmeta>"
LETTER = "From: a@b.example\r\nSubject: =?utf-8?Q?me=40priv?= =?utf-8?Q?ate.example?=\r\n\r\nx"
IMAGE = b"BI /W 1 /H 1 ID ((\xff EI "
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
GLYPH = b"<< /Type /Font /Subtype /Type3 /CharProcs << /a 2 0 R >> /Resources << /Font << /F1 3 0 R >> >> >>"
FILES = {
    "shown outside a text object": page(b"/F1 9 Tf " + KERNED, FONT, fonts=b"/F1 3 0 R"),
    "shown behind a text object": page(b"BT /F1 9 Tf (x) Tj ET 0 0 m 9 9 l S " + KERNED, FONT, fonts=b"/F1 3 0 R"),
    "shown in a saved state": page(b"/F1 9 Tf q /F2 9 Tf Q Q " + KERNED, FONT, fonts=b"/F1 3 0 R"),
    "shown behind an inline image": page(IMAGE + b"/F1 9 Tf " + KERNED, FONT, fonts=b"/F1 3 0 R"),
    "shown behind what is no inline image": page(b"BI /F1 9 Tf " + KERNED + b" ID x EI", FONT, fonts=b"/F1 3 0 R"),
    "shown by a form": pdf(flate(b"/F1 9 Tf " + KERNED, b"/Subtype /Form /Resources << /Font << /F1 2 0 R >> >>"), FONT),
    "shown by a pattern": pdf(flate(KERNED, b"/PatternType 1")),
    "shown by a glyph": pdf(GLYPH, flate(b"/F1 9 Tf " + KERNED), FONT),
    "shown by a stream of no known use": pdf(flate(b"BT " + KERNED)),
    "a script": pdf(flate(b"x = 'me%2540private.example'")),
    **{f"metadata in {codec}": pdf(flate(PACKET.encode(codec), b"/Type /Metadata")) for codec in ("utf-8", *WIDE)},
    **{f"metadata of a picture in {codec}": _jpeg(PACKET.replace("<b/>@", "&#64;").encode(codec)) for codec in WIDE[:3]},
    **{f"a message in {codec}": LETTER.encode(codec) for codec in WIDE},
    "a message whose address has comments": b"From: me(I)@(my)private .example\r\nSubject: x\r\n\r\nx",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_an_address_is_found_where_readers_see_it(name: str) -> None:
    assert "held" in _found(_with_file(FILES[name]))


@pytest.mark.parametrize(
    "file",
    [
        b"\xa1\x65email\x72" + PRIVATE.encode(),  # CBOR
        b"\xd9\xd9\xf7\x82\x72" + PRIVATE.encode() + b"\x63abc",
        b"\x81\x7f\x67me@priv\x6bate.example\xff",
        b"\x92\xb2" + PRIVATE.encode() + b"a",  # MessagePack
        b"\x81\xa5email\xb2" + PRIVATE.encode(),
        b"Hello\r\n=ybegin line=128 size=18 name=a.txt\r\n" + bytes(byte + 42 for byte in PRIVATE.encode()) + b"\r\n=yend",
    ],
)  # fmt: skip
def test_a_file_whose_strings_may_be_missed_is_unchecked(file: bytes) -> None:
    assert "unchecked" in _found(_with_file(file))


@pytest.mark.parametrize("text", ["x marks the spot", "h\x81", "\u201cquoted\u201d", "=ybegin my day"])
def test_a_text_that_begins_like_a_format_is_no_file(text: str) -> None:
    assert _found(mail(text=f"{text}\r\n")) == set()


def test_what_a_text_carries_counts_as_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_MEMBERS", 2)
    file = "begin 644 a.txt\r\n#" + "0V%T\r\n`\r\nend\r\n"
    message = b"From x\nSubject: a\n\nb\n"

    assert _found(mail(text=file * 2)) == _found(_with_file(message * 2)) == set()
    assert _found(mail(text=file * 3)) == _found(_with_file(message * 3)) == {"unchecked"}


def test_a_message_in_the_digits_of_a_text_is_read_as_one() -> None:
    text = f"{_digits('some other text before')} {base64.b64encode(IN_TWO_PARTS).decode()}\r\n"

    assert _found(mail(text=text)) == {"held"}


def test_many_short_runs_of_digits_are_read_as_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_MEMBERS", 1)

    assert _found(mail(text=f"{_digits('nothing of interest ')} " * 99 + _digits("me%2540private.example "))) == {
        "held"
    }
