"""The leak gate reads a finished message and trusts nothing that composed it."""

import base64
import binascii
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress
from email_handler.mail.documents import formats
from email_handler.mail.documents.reading import Budget
from email_handler.mail.parsing import MAX_DEPTH, parse
from email_handler.outgoing.composed import Place, Unchecked
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.masking import found_in
from email_handler.outgoing.leak_gate.needles import Needles
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import CONTACT, IDENTITY, NEEDLES, PRIVATE, THREAD
from tests.support.pdfs import flate, page, pdf, stream


def _places(raw: bytes) -> set[tuple[str, str, str]]:
    return _as_places(gate.check(raw, NEEDLES))


def _as_places(checked: tuple[tuple[Place, ...], tuple[Unchecked, ...]]) -> set[tuple[str, str, str]]:
    places, unchecked = checked
    held = {(place.where, place.action, place.what) for place in places}
    return held | {(part.where, "unchecked", "contents") for part in unchecked}


def _with_file(payload: bytes, content_type: str = "application/octet-stream", name: str = "a.bin") -> bytes:
    return mail(attachments=[(name, content_type, payload)])


def _zip(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def _patched(packed: bytes, after: bytes, changes: dict[int, int]) -> bytes:
    """Return *packed* with the bytes at these offsets from *after* changed."""
    patched, start = bytearray(packed), packed.index(after)
    for offset, value in changes.items():
        patched[start + offset] = value
    return bytes(patched)


def test_a_clean_message_has_no_places() -> None:
    assert gate.check(mail(html="<p>x</p>", attachments=[("a.txt", "text/plain", b"x")]), NEEDLES) == ((), ())


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (mail(subject=PRIVATE), "header Subject"),
        (mail(sender=f'"{PRIVATE}" <contact@example.com>'), "header From"),
        (mail(x_forwarded_for=PRIVATE), "header X-Forwarded-For"),
        (mail(message_id="<1@private.example>"), "header Message-ID"),
        (mail(text=f"to {PRIVATE}\r\n"), "text/plain part 1"),
        (mail(html=f"<i>{PRIVATE}</i>"), "text/html part 3"),
        (_with_file(PRIVATE.encode()), "attachment 1 (application/octet-stream)"),
        (_with_file(b"x", name=f"{PRIVATE}.pdf"), "attachment 1 (application/octet-stream) name"),
        (_with_file(b"x", name=PRIVATE), "attachment 1 (application/octet-stream) name"),
        (
            mail(inline=[(PRIVATE, "image/png", b"x")]).replace(b'filename="', b'title="'),
            "attachment 1 (image/png) name",
        ),
        (mail(subject=f"=?utf-8?Q?{PRIVATE[:9]}?= =?utf-8?Q?{PRIVATE[9:]}?="), "header Subject"),
        (PRIVATE.encode() + b": x\r\n" + mail(), f"header {PRIVATE}"),
        (mail(html="<p>me<b>@</b>private.example</p>"), "text/html part 3"),
        (_with_file(_zip(("word/document.xml", PRIVATE.encode()))), "attachment 1 (application/octet-stream)"),
        (multipart("mixed", b"\r\nx", headers=[("From", "a@b.example")]) + PRIVATE.encode(), "message"),
    ],
)
def test_it_reports_where(raw: bytes, where: str) -> None:
    assert (where, "held", "private address") in _places(raw)


def test_it_reports_each_place_once_and_by_its_most_exact_name() -> None:
    described = entity([("Content-Type", "image/png"), ("Content-Description", PRIVATE)], b"x")

    assert _places(mail(subject=PRIVATE)) == {("header Subject", "held", "private address")}
    assert _places(mail(text=f"{PRIVATE}\r\n")) == {("text/plain part 1", "held", "private address")}
    assert _places(multipart("mixed", described, headers=[("From", "a@b.example")])) == {
        ("attachment 1 (image/png) header Content-Description", "held", "private address")
    }


def test_it_reports_what() -> None:
    found = {what for _, _, what in _places(mail(text=f"{PRIVATE} {THREAD} Rumpelstiltskin [Only you see this:"))}

    assert found == {"private address", "thread address", "hidden term", "banner"}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"PK\x03\x04 broken", "application/zip"),
        (b"\x1f\x8b\x08 packed", "application/gzip"),
        (b"7z\xbc\xaf packed", "application/x-7z-compressed"),
        (b"Rar! packed", "application/vnd.rar"),
        (b"\xfd7zXZ packed", "application/x-xz"),
        (b"BZh9 packed", "application/x-bzip2"),
        (b"\x78\x9f\x3e\x22 packed", "application/ms-tnef"),
        (_zip(("inner.gz", b"\x1f\x8b\x08 packed")), "application/zip"),
        (b"MZ\0\1", "application/x-dosexec"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 a", "application/msword"),
        (_patched(_zip(("a.txt", b"a" * 1000)), b"", {38: 0xFF}), "application/zip"),
        (_patched(_zip(("a.txt", b"x")), b"PK\x01\x02", {10: 99}), "application/zip"),
        (b"%PDF-1.6 trailer << /Encrypt 5 0 R >>", "application/pdf"),
        (b"0\x80enveloped", "application/pkcs7-mime"),
        (b"0\x80enveloped", "application/x-pkcs7-mime"),
        (b"Version: 1", "application/pgp-encrypted"),
        ("Smith;me@here.example;Berlin\n".encode("cp037"), "text/plain"),  # EBCDIC that nothing declares
        (bytes(range(1, 7)), "text/plain"),
        (bytes(range(0xF0, 0xF6)), "text/plain"),
    ],
)
def test_what_it_cannot_open_is_unchecked(payload: bytes, kind: str) -> None:
    assert _places(_with_file(payload, kind)) == {(f"attachment 1 ({kind})", "unchecked", "contents")}


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (
            "\u041f\u0440\u0438\u0432\u0435\u0442 \u0432\u0441\u0435\u043c".encode("koi8-r"),
            "text/plain",
        ),  # "@" stands for itself
        ("\u041f\u0440\u0438\u0432\u0435\u0442".encode(), "text/plain"),
        (b"Words", "text/plain; charset=x-unheard-of"),
        (b"\xff\xfc\xfb\xfa\xf9" * 9, "text/plain"),  # too few different bytes for any address
        ("\u0101\u0102".encode("utf-16-be"), "text/plain; charset=utf-16-be"),  # control characters in no other
        (gzip.compress(b"", mtime=0), "text/plain; charset=x-unheard-of"),
    ],
)
def test_what_it_can_read_is_checked(payload: bytes, kind: str) -> None:
    assert _places(_with_file(payload, kind)) == set()


def test_an_unchecked_part_does_not_hold_the_message() -> None:
    composed = gate.composed(_with_file(b"\x1f\x8b\x08 packed", "application/gzip"), NEEDLES)

    assert not composed.held
    assert [part.where for part in composed.unchecked] == ["attachment 1 (application/gzip)"]
    assert composed.places == ()


def test_a_held_message_lists_what_was_changed_before_and_what_holds_it() -> None:
    removed = Place(where="text/plain", action="removed", what="signature")

    composed = gate.composed(mail(subject=PRIVATE), NEEDLES, (removed,))

    assert composed.held
    assert composed.places == (removed, Place(where="header Subject", action="held", what="private address"))


def test_a_part_that_cannot_be_opened_reveals_nothing() -> None:
    (packed,) = parse(_with_file(b"\x1f\x8b\x08 packed", "application/gzip")).attachments

    assert not gate.reveals(packed.part, NEEDLES)


def test_no_more_than_the_limit_of_a_bomb_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_BYTES", 1_000_000)
    zeros = bytes(Budget.MAX_BYTES // 4)
    bomb = _zip(*[(f"{n}.xml", zeros) for n in range(6)])
    stream = b"stream\n" + zlib.compress(zeros) + b"\nendstream\n"

    for payload in (bomb, b"%PDF-1.4\n" + stream * 400):
        assert any(action == "unchecked" for _, action, _ in _places(_with_file(payload)))


def test_a_member_that_lies_about_its_size_is_unchecked() -> None:
    honest = _zip(("a.txt", b"a" * 1000))
    lying = honest.replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little"))

    assert {action for _, action, _ in _places(_with_file(lying))} <= {"unchecked"}


@pytest.mark.parametrize(
    "name",
    [
        *(f"{PRIVATE}.dwg", f"plan of {PRIVATE}.x"),
        *(f"{PRIVATE}.{endings}" for endings in ("tar.gz", "pdf.p7m", "v2.dwg", "2026.11.29.dwg", "TAR.xyz", "b.dwg")),
    ],
)
def test_an_address_before_any_file_type_is_found_in_a_files_name(name: str) -> None:
    assert ("attachment 1 (application/octet-stream) name", "held", "private address") in _places(
        _with_file(b"x", name=name)
    )


@pytest.mark.parametrize("content_id", ["<logo@private.example>", "<logo@PRIVATE.example>", "<private.example>"])
def test_the_host_of_a_content_id_is_found(content_id: str) -> None:
    image = entity([("Content-Type", "image/png"), ("Content-ID", content_id)], b"x")

    assert _places(multipart("related", image, headers=[("From", "a@b.example")])) == {
        ("attachment 1 (image/png) header Content-ID", "held", "private address")
    }


def test_an_id_of_the_public_domain_is_fine_though_an_owner_has_an_address_there() -> None:
    owner_there = replace(IDENTITY, private_addresses=(EmailAddress("boss@example.com"),))

    assert gate.check(mail(message_id="<1@example.com>"), Needles(owner_there)) == ((), ())


@pytest.mark.parametrize("place", ["comment", "name of a member", "comment of a member"])
def test_names_and_comments_in_an_archive_are_read_as_text(place: str) -> None:
    text = base64.b64encode(f"made by {PRIVATE}".encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        member = zipfile.ZipInfo(text.decode() if place == "name of a member" else "a.txt")
        if place == "comment":
            archive.comment = text
        elif place == "comment of a member":
            member.comment = text
        archive.writestr(member, b"x")

    assert {action for _, action, _ in _places(_with_file(packed.getvalue()))} == {"held"}


def test_an_archive_of_too_many_members_is_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_MEMBERS", 3)
    enough, too_many = (
        _zip(*((f"{n}.txt", b"x") for n in range(count)), ("last.txt", PRIVATE.encode())) for count in (2, 3)
    )

    assert {action for _, action, _ in _places(_with_file(enough))} == {"held"}
    assert {action for _, action, _ in _places(_with_file(too_many))} == {"unchecked"}


def test_members_beside_one_that_cannot_be_opened_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_BYTES", 1500)
    address = ("b.txt", PRIVATE.encode())
    too_large = _zip(("a.txt", b"a" * 2000), address)
    encrypted = _patched(_patched(_zip(("a.txt", b"a"), address), b"", {6: 1}), b"PK\x01\x02", {8: 1})

    for packed in (too_large, encrypted):
        assert {action for _, action, _ in _places(_with_file(packed))} == {"unchecked", "held"}


@pytest.mark.parametrize(
    ("payload", "limit"),
    [(_zip(("a.txt", b"a" * 90_000)), 190_000), (pdf(flate(b"a" * 90_000)), 190_000)],
)
def test_all_documents_of_a_message_share_one_limit(
    payload: bytes, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Budget, "MAX_BYTES", limit)
    raw = mail(attachments=[("1", "application/x-1", payload), ("2", "application/x-2", payload)])

    assert _places(raw) == {("attachment 2 (application/x-2)", "unchecked", "contents")}


def test_all_files_of_a_message_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_BYTES", 100)
    raw = mail(attachments=[("1", "application/x-1", b"a" * 60), ("2", "application/x-2", b"a" * 60)])

    assert _places(raw) == {("attachment 2 (application/x-2)", "unchecked", "contents")}


def test_messages_within_messages_are_read_up_to_a_limit() -> None:
    raw = mail(text=base64.b64encode(PRIVATE.encode()).decode() + "\r\n")
    for _ in range(gate.MAX_DEPTH):
        raw = entity([("From", "a@b.example"), ("Content-Type", "message/rfc822")], raw)

    assert ("held", "private address") in {place[1:] for place in _places(raw)}
    deeper = entity([("From", "a@b.example"), ("Content-Type", "message/rfc822")], raw)
    assert ("unchecked", "contents") in {place[1:] for place in _places(deeper)}


def test_messages_within_messages_are_read_no_more_than_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as the text of the outermost, and once as what each part holds: not again at each level."""
    raw = mail(text="A line of no interest.\r\n" * 200)
    for _ in range(gate.MAX_DEPTH):
        raw = entity([("From", "a@b.example"), ("Content-Type", "message/rfc822")], raw)
    searched = Mock(wraps=found_in)
    monkeypatch.setattr(gate, "found_in", searched)

    assert gate.check(raw, NEEDLES) == ((), ())
    assert sum(len(call.args[0]) for call in searched.call_args_list) < 3 * len(raw)


@pytest.mark.parametrize("charset", ["", "; charset=utf-8"])
def test_what_stands_between_the_parts_of_a_message_within_others_is_found(charset: str) -> None:
    words = "A line of no interest.\r\n" * 200
    preamble = f"{words}me@priv\r\n> ate.example\r\n--b\r\n\r\nx\r\n--b--\r\n".encode()
    raw = entity([("From", "a@b.example"), ("Content-Type", "multipart/mixed; boundary=b")], preamble)
    for _ in range(3):
        raw = entity([("From", "a@b.example"), ("Content-Type", f"message/rfc822{charset}")], raw)
    assert {what for _, _, what in _places(raw)} == {"private address"}


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + base64.b64encode(b"key of " + PRIVATE.encode()), "application/x-key"),
        (b"\0" + base64.b64encode(b"to " + PRIVATE.encode()), "message/delivery-status"),
        (f"to {PRIVATE}".encode("cp037"), "text/plain; charset=cp037"),
        (f"to {PRIVATE}".encode("utf-16-le"), "text/plain; charset=us-ascii"),
        (b"\xff\xfe" + "me%2540private.example".encode("utf-16-le"), "application/x-text"),
        (b"\xfe\xff" + "me%2540private.example".encode("utf-16-be"), "application/x-text"),
        (b"<a>me<b/>@private.example</a>", "application/xml"),
        (b"junk\n" + pdf(flate(PRIVATE.encode())), "application/pdf"),
    ],
)  # fmt: skip
def test_a_file_is_read_as_every_program_could_read_it(payload: bytes, content_type: str) -> None:
    head = [("Content-Type", content_type), ("Content-Transfer-Encoding", "base64")]
    part = entity(head, base64.encodebytes(payload))

    assert {action for _, action, _ in _places(multipart("mixed", part, headers=[("From", "a@b.example")]))} == {"held"}


def test_an_archive_behind_a_program_may_have_a_long_comment() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", PRIVATE)
        archive.comment = b"x" * 60_000

    assert {action for _, action, _ in _places(_with_file(b"MZ\0" + packed.getvalue()))} == {"held"}


def test_the_base64_of_a_short_address_is_read() -> None:
    short = Needles(replace(IDENTITY, private_addresses=(EmailAddress("ab@c.example"),)))

    assert gate.check(mail(text=base64.b64encode(b"ab@c.example").decode() + "\r\n"), short)[0]


def test_base64_for_links_is_read() -> None:
    encoded = base64.urlsafe_b64encode(f"~~~???>>> {PRIVATE}".encode()).decode()

    assert "-" in encoded
    assert {action for _, action, _ in _places(mail(text=f"https://x.example/?q={encoded}\r\n"))} == {"held"}


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz", "/a/b-c_", "x" * 2001])
def test_base64_is_read_at_every_alignment(before: str) -> None:
    encoded = base64.b64encode(f"from {PRIVATE} to you".encode()).decode().rstrip("=")

    assert {action for _, action, _ in _places(mail(text=f"see {before}{encoded}\r\n"))} == {"held"}


def test_an_owner_who_writes_to_themselves_may_see_their_address() -> None:
    alone = gate.for_recipients(IDENTITY, (EmailAddress("Me@Private.example"),))

    assert gate.check(mail(to=PRIVATE), Needles(alone)) == ((), ())
    assert gate.for_recipients(IDENTITY, (PRIVATE, CONTACT)) == IDENTITY


def test_terms_beyond_ascii_are_found_in_binary_files() -> None:
    identity = replace(IDENTITY, hidden_terms=("Schloßallee",))

    assert gate.check(_with_file("\x01 Schloßallee 1".encode()), Needles(identity))[0]


def test_many_owners_addresses_are_found() -> None:
    many = replace(IDENTITY, private_addresses=tuple(EmailAddress(f"o{n}@h{n}.example") for n in range(50)))

    assert gate.check(mail(text="o49@h49.example\r\n"), Needles(many))[0]
    assert gate.check(mail(text="o48@h49.example\r\n"), Needles(many)) == ((), ())


@given(st.binary(max_size=2000))
def test_any_bytes_are_checked_without_an_error(raw: bytes) -> None:
    files = (pdf(raw, stream(raw), flate(raw)), b"PK\x03\x04" + raw)
    encoded = (entity([("Content-Transfer-Encoding", "base64")], base64.encodebytes(file)) for file in files)

    gate.check(raw, NEEDLES)
    gate.check(multipart("mixed", *encoded), NEEDLES)


@pytest.mark.parametrize(
    "cmap",
    [
        ["1 beginbfrange", "<0001> <0060> <0021>", "endbfrange"],
        [f"{len(PRIVATE)} beginbfchar", *(f"<{ord(c) - 32:04x}> <{ord(c):04X}>" for c in PRIVATE), "endbfchar"],
        ["1 beginbfrange", f"<0001> <0060> [{' '.join(f'<{n:04x}>' for n in range(0x21, 0x81))}]", "endbfrange"],
    ],
)
def test_a_pdf_is_read_through_the_glyph_numbers_of_its_fonts(cmap: list[str]) -> None:
    glyphs = "".join(f"{ord(c) - 32:04x}" for c in PRIVATE)
    drawn = f"BT /F1 9 Tf [<{glyphs[:8]}> -12 <{glyphs[8:]}>] TJ ET".encode()
    font = b"<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 4 0 R >>"

    document = page(drawn, font, flate("\n".join(cmap).encode()), fonts=b"/F1 3 0 R")

    assert {action for _, action, _ in _places(_with_file(document))} == {"held"}


def test_a_pdf_without_a_character_map_is_unchecked() -> None:
    font = b"<< /Type /Font /Subtype /Type0 /Encoding /Identity-H >>"
    document = page(b"BT /F1 9 Tf <00010002> Tj ET", font, fonts=b"/F1 3 0 R")

    assert {action for _, action, _ in _places(_with_file(document))} == {"unchecked"}


@pytest.mark.parametrize(
    "written",
    [
        b"/Author (\\376\\377" + b"".join(b"\\000" + bytes([byte]) for byte in PRIVATE.encode()) + b")",
        b"/Author <FEFF" + PRIVATE.encode("utf-16-be").hex().encode() + b">",
        b"/Author (me\\100private.example)",
        b"/Author (me\\\n@private.example)",
        b"/Author (m\\e@private.example)",
        b"/me#40private.example true",
    ],
)
def test_a_pdfs_strings_are_decoded(written: bytes) -> None:
    assert {action for _, action, _ in _places(_with_file(pdf(b"<< " + written + b" >>")))} == {"held"}


def test_a_uuencoded_file_in_the_text_is_read() -> None:
    lines = binascii.b2a_uu(f"to {PRIVATE}".encode()).decode()

    assert {action for _, action, _ in _places(mail(text=f"see\r\nbegin 644 a.txt\r\n{lines}`\r\nend\r\n"))} == {"held"}


@pytest.mark.parametrize(
    "content",
    [
        b"beginbfchar " * 50_000,
        b"beginbfrange " + b"<0000><ffff><0000>" * 25_000 + b"endbf",
        b"beginbfrange " + b"<00><00>[" * 50_000 + b"endbf",
        b"(" * 500_000,
        b"(\\" * 250_000,
        b"<aa" * 125_000,
    ],
)
def test_an_address_beside_hostile_pdf_streams_is_found(content: bytes) -> None:
    """Anything slower than linear would take minutes here."""
    document = pdf(flate(content), flate(f"BT ({PRIVATE}) Tj ET".encode()), stream(content))

    assert ("attachment 1 (application/octet-stream)", "held", "private address") in _places(_with_file(document))


@pytest.mark.parametrize("name", ["CV-{}", "CV-{}.dwg", "notes_{}.dwg"])
def test_the_words_of_a_files_name_may_be_joined(name: str) -> None:
    written = name.format(PRIVATE)

    assert ("attachment 1 (application/octet-stream) name", "held", "private address") in _places(
        _with_file(b"x", name=written)
    )
    assert ("attachment 1 (application/octet-stream)", "held", "private address") in _places(
        _with_file(_zip((written, b"x")))
    )


CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "message": lambda c: entity(
        [("From", "x@y.example"), ("Content-Transfer-Encoding", "base64")], base64.encodebytes(c)
    ),
    "member": lambda c: _zip(("a.txt", c)),
    "uuencoded": lambda c: b"begin 644 a.txt\n" + binascii.b2a_uu(c) + b"`\nend\n",
    "base64": lambda c: base64.b64encode(c.ljust(99)),
}
"""Each packs a file so that only a reader of it finds an encoded address."""


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_a_file_carries_is_one_level_deeper(carrier: str) -> None:
    packed = CARRIERS[carrier](b"me%2540private.example")
    for _ in range(gate.MAX_DEPTH - 1):
        packed = gzip.compress(packed)

    places, unchecked = gate.check(_with_file(packed), NEEDLES)
    assert places
    assert not unchecked
    places, unchecked = gate.check(_with_file(gzip.compress(packed)), NEEDLES)
    assert not places
    assert {part.reason for part in unchecked} == {"nested too deep"}


def test_a_part_is_read_to_the_same_depth_alone() -> None:
    packed = b"me%2540private.example"
    for _ in range(gate.MAX_DEPTH):
        packed = gzip.compress(packed)
    (attachment,) = parse(_with_file(packed)).attachments

    assert gate.reveals(attachment.part, NEEDLES)


def test_a_message_that_could_not_be_parsed_in_full_is_unchecked() -> None:
    deep = b"\r\nx"
    for number in range(MAX_DEPTH + 2):
        deep = multipart("mixed", deep, boundary=f"b{number}")
    attached = entity([("Content-Type", "message/rfc822")], b"From: a@b.example\r\n" + deep)

    assert _places(b"From: a@b.example\r\n" + deep) == {("message", "unchecked", "contents")}
    assert _places(multipart("mixed", attached, boundary="outer")) == {
        ("attachment 1 (message/rfc822)", "unchecked", "contents")
    }


def test_the_hosts_of_other_messages_ids_are_fine() -> None:
    assert _places(mail(in_reply_to="<2@private.example>")) == set()


@pytest.mark.parametrize("first", [b"Odd: x\r\nSubject", b"Odd"])
def test_an_attached_message_may_begin_with_any_header(first: bytes) -> None:
    content = first + b": =?utf-8?Q?me=40priv?= =?utf-8?Q?ate.example?=\r\n\r\nx"
    attached = entity([("Content-Type", "message/rfc822")], content)

    assert {action for _, action, _ in _places(multipart("mixed", attached))} == {"held"}


def test_each_message_of_a_mailbox_is_read() -> None:
    second = b"From y Mon\nSubject: =?utf-8?Q?me=40priv?= =?utf-8?Q?ate.example?=\n\nx\n"

    assert {action for _, action, _ in _places(_with_file(b"From x Mon\nSubject: a\n\nb\n\n" + second))} == {"held"}


def test_a_file_in_a_documents_text_is_read() -> None:
    digits = base64.b64encode(b"me%2540private.example".ljust(90))

    assert "held" in {action for _, action, _ in _places(_with_file(pdf(flate(b"BT (" + digits + b") Tj ET"))))}


@pytest.mark.parametrize("size", [1, 10_000])
def test_digits_of_deflated_bytes_without_a_header_are_read(size: int) -> None:
    """As a diagram has its drawing, and a link a SAML request."""
    deflated = zlib.compress(b" ".join(map(b"%d".__mod__, range(size))) + b" me@private.example")[2:-4]

    assert {what for _, _, what in _places(mail(text=base64.b64encode(deflated).decode()))} == {"private address"}


def test_deflated_bytes_of_more_than_any_text_are_unchecked() -> None:
    deflated = zlib.compress(b"x" * 100_000)[2:-4]

    assert {what for _, _, what in _places(mail(text=base64.b64encode(deflated).decode()))} == {"contents"}


@pytest.mark.parametrize("limit", [1500, 2500])  # the file and its source, its text
def test_a_documents_text_counts_towards_the_limit(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "MAX_BYTES", limit)

    assert {part.reason for part in gate.check(_with_file(b"{\\rtf1 " + b"x" * 1000 + b"}"), NEEDLES)[1]} == {
        "too large"
    }


def test_a_binary_file_that_begins_like_a_message_is_unchecked() -> None:
    assert {action for _, action, _ in _places(_with_file(b"Subject: \0\1\2"))} == {"unchecked"}


def test_a_document_sent_as_encrypted_is_read_as_what_it_is() -> None:
    assert _places(_with_file(_zip(("a.txt", b"x")), "application/pkcs7-mime")) == set()


def test_a_reader_that_fails_leaves_its_file_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Mock(side_effect=AssertionError)
    monkeypatch.setattr(formats, "readers_of", Mock(return_value=[reader]))

    assert {part.reason for part in gate.check(_with_file(b"x"), NEEDLES)[1]} == {"damaged or cut"}


def test_a_document_is_also_searched_for_strings_behind_their_length() -> None:
    address = EmailAddress("somebody.me@private.example")
    needles = Needles(replace(IDENTITY, private_addresses=(address,)))

    assert chr(len(address)) == "\x1b"  # which text may hold
    assert gate.check(_with_file(b"%PDF-1.4 \x1b" + address.encode() + b"X"), needles)[0]


@pytest.mark.parametrize("before", [b"\1\2", b"\1\2\3"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le", "utf-16-be"])
def test_an_address_beyond_ascii_is_found_at_any_place_of_a_binary_file(before: bytes, charset: str) -> None:
    needles = Needles(replace(IDENTITY, private_addresses=(EmailAddress("m\xfcller@private.example"),)))

    assert gate.check(_with_file(before + "m\xfcller@private.example".encode(charset) + b"\1\2"), needles)[0]


def test_the_name_of_an_unchecked_file_is_on_one_line_and_short() -> None:
    (part,) = gate.check(_with_file(_zip(("a\nb" + "x" * 300, b"\0\1")), name="a.zip"), NEEDLES)[1]

    assert part.name == ("a.zip/a b" + "x" * 300)[:200]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("gap", ["", "\n"])
def test_what_is_appended_in_ascii_to_two_byte_text_is_read(codec: str, gap: str) -> None:
    log = "A line of the log.\r\n".encode(codec) + f"{gap}{PRIVATE}\r\n".encode()

    assert ("attachment 1 (text/plain)", "held", "private address") in _places(_with_file(log, "text/plain"))


def test_only_a_clear_majority_of_zeros_makes_text_of_a_binary_file() -> None:
    assert {action for _, action, _ in _places(_with_file(b"a\0bc" * 9))} == {"unchecked"}
    assert _places(_with_file("Hello, this is a text.".encode("utf-16-le"))) == set()
    assert _places(_with_file("Hello, this is a text.".encode("utf-16-be"))) == set()
