"""Text that a document cuts, turns around or maps to codes, in PDF, pictures and XPS."""

import base64

import pytest

from email_handler.outgoing.leak_gate import gate
from tests.support.builders import entity, multipart
from tests.support.compositions import NEEDLES, PRIVATE
from tests.support.hostile_documents import zipped
from tests.support.pdfs import flate, page, pdf, stream

OTHER = "some.me@private.example"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def _checked(payload: bytes) -> str:
    """Return "held", "unchecked" or "" for a message with the file *payload*."""
    head = [("Content-Type", "application/octet-stream"), ("Content-Transfer-Encoding", "base64")]
    parts = (entity([], b"See."), entity(head, base64.encodebytes(payload)))
    places, unchecked = gate.check(multipart("mixed", *parts, headers=[("From", "jane@customer.example")]), NEEDLES)
    return "held" if places else "unchecked" if unchecked else ""


def _literal(content: bytes) -> bytes:
    for sign in (b"\\", b"(", b")"):
        content = content.replace(sign, b"\\" + sign)
    return b"(" + content.replace(b"\r", b"\\r") + b")"


@pytest.mark.parametrize("language", ["en", "enUS", "de-DE", "jaJP"])
@pytest.mark.parametrize(
    ("mark", "codec"), [(b"\xfe\xff", "utf-16-be"), (b"\xff\xfe", "utf-16-le"), (b"\xef\xbb\xbf", "utf-8")]
)
def test_a_mark_of_the_language_may_stand_anywhere_in_a_string(mark: bytes, codec: str, language: str) -> None:
    escape = f"\x1b{language}\x1b"
    for text in (f"{escape}{PRIVATE}", f"me{escape}@private.example", f"to {escape}me@priv{escape}ate{escape}.example"):
        content = mark + text.encode(codec)
        for written in (_literal(content), b"<%s>" % content.hex().encode()):
            assert _checked(pdf(b"<< /Author %s >>" % written)) == "held"
        marked = b"/Span << /ActualText %s >> BDC BT /F1 9 Tf (x) Tj ET EMC" % _literal(content)
        assert _checked(page(marked, FONT, fonts=b"/F1 3 0 R")) == "held"
    other = mark + f"so{escape}me@private.example, some.{escape}me@private.example".encode(codec)
    assert codec == "utf-8" or _checked(pdf(b"<< /Author %s >>" % _literal(other))) == ""


def _mapped(ranges: str, codes: dict[str, str], text: str, encoding: bytes = b"/Identity-H", **further: bytes) -> bytes:
    spaces = f"{ranges.count('> <') or 1} begincodespacerange {ranges} endcodespacerange"
    pairs = "\n".join(f"<{code}> <{ord(character):04x}>" for character, code in codes.items())
    cmap = f"{spaces} {len(codes)} beginbfchar\n{pairs}\nendbfchar".encode()
    font = b"<< /Type /Font /Subtype /Type0 /Encoding %s /ToUnicode 4 0 R >>" % encoding
    shown = "".join(codes[character] for character in text).encode()
    return page(b"BT /F1 9 Tf <%s> Tj ET" % shown, font, flate(cmap), *map(flate, further.values()), fonts=b"/F1 3 0 R")


CHARACTERS = sorted({*OTHER})
TWO = {c: f"{0x20 + n:02x}" if n % 2 else f"{0x8140 + n:04x}" for n, c in enumerate(CHARACTERS)}
THREE = {c: (f"{0x20 + n:02x}", f"{0x8140 + n:04x}", f"{0xE00000 + n:06x}")[n % 3] for n, c in enumerate(CHARACTERS)}


@pytest.mark.parametrize(
    ("ranges", "codes"),
    [
        ("<00> <80> <8100> <9fff>", TWO),
        ("<8100> <9fff> <00> <80>", TWO),
        ("<00> <80> <8140> <9ffc> <a0> <df> <e040> <fcfc>", TWO),
        ("<00> <7f> endcodespacerange 1 begincodespacerange <8140> <8fff>", TWO),
        ("<00> <7f> <8140> <9fff> <e00000> <efffff>", THREE),
    ],
)
@pytest.mark.parametrize("encoding", [b"/Identity-H", b"/90ms-RKSJ-H", b"5 0 R"])
def test_codes_of_several_widths_are_read(ranges: str, codes: dict[str, str], encoding: bytes) -> None:
    own = b"/CMapName /X def 9 begincodespacerange %s endcodespacerange" % ranges.encode()

    assert _checked(_mapped(ranges, codes, PRIVATE, encoding, own=own)) == "held"
    assert _checked(_mapped(ranges, codes, OTHER, encoding, own=own)) == ""


def test_codes_that_no_map_cuts_clearly_are_unchecked() -> None:
    one = {character: f"{ord(character):02x}" for character in CHARACTERS}
    unclear = _mapped("<00> <ff> <0000> <ffff>", one | {"\u4e00": "736f"}, "so")
    clear = _mapped("<00> <7f> <8140> <9fff>", one, "some.example")

    assert _checked(unclear) == "unchecked"
    assert _checked(clear) == ""


@pytest.mark.parametrize(
    "begin", [b"/ReversedChars BMC", b"/ReversedChars << /MCID 0 >> BDC", b"/ReversedChars /MC0 BDC", b"/P BMC /ReversedChars BMC"]
)  # fmt: skip
@pytest.mark.parametrize("cut", [0, 2, 5, 12])
def test_reversed_characters_are_read_from_behind(begin: bytes, cut: int) -> None:
    def drawn(text: str) -> set[str]:
        first, second = (_literal(part[::-1].encode()) for part in (text[:cut], text[cut:]))
        shown = (
            b"%s Tj %s Tj" % (first, second),  # each by itself, as ISO 32000-1 has it
            b"%s Tj %s Tj" % (second, first),
            b"[%s 20 %s] TJ" % (second, first),
        )
        contents = (b"BT /F1 9 Tf %s %s EMC ET" % (begin, show) for show in shown)
        return {_checked(page(content, FONT, fonts=b"/F1 3 0 R")) for content in contents}

    assert drawn(PRIVATE) == {"held"}
    assert drawn("you@public.example") == {""}


def test_what_follows_reversed_characters_is_read_as_it_stands() -> None:
    drawn = b"BT /F1 9 Tf /ReversedChars BMC (zyx) Tj EMC [(me@priv) 20 (ate.example)] TJ ET"

    assert _checked(page(drawn, FONT, fonts=b"/F1 3 0 R")) == "held"


FORM = "<xdp:xdp><template><field><text>{}</text></field></template></xdp:xdp>"


@pytest.mark.parametrize("written", [PRIVATE, "me&#64;private.example", "me<b/>@private.example"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_a_form_in_several_streams_is_read_as_one(written: str, codec: str) -> None:
    def read(text: str) -> set[str]:
        form = FORM.format(text).encode(codec)
        at = len(FORM.split("{}", maxsplit=1)[0].encode(codec))
        found = set()
        for cut in (at + 3, at + 8, at + 24):
            first, second = form[:cut], form[cut:]
            for pack in (flate, stream):
                found |= {
                    _checked(pdf(b"<< /AcroForm 2 0 R >>", b"<< /XFA [ (a) 3 0 R (b) 4 0 R ] >>", pack(first), pack(second))),
                    _checked(pdf(b"<< /AcroForm << /XFA [4 0 R 3 0 R] >> >>", b"<< >>", pack(second), pack(first))),
                    _checked(pdf(b"<< /AcroForm << /XFA 2 0 R >> >>", b"[ (a) 4 0 R (b) 3 0 R ]", pack(second), pack(first))),
                }  # fmt: skip
        return found

    assert read(written) == {"held"}
    assert read(written.replace("me", "you", 1)) == {""}


def _jpeg(*segments: bytes, kind: int = 0xE1) -> bytes:
    written = (bytes([0xFF, kind]) + (len(content) + 2).to_bytes(2) + content for content in segments)
    return b"\xff\xd8" + b"".join(written) + b"\xff\xda\0\2x\xff\xd9"


PACKET = "<x:xmpmeta><dc:creator>{}</dc:creator></x:xmpmeta>"
HEADER = b"http://ns.adobe.com/xap/1.0/\0"


def _extended(packet: bytes, cut: int, name: bytes = b"0" * 32) -> list[bytes]:
    head = b"http://ns.adobe.com/xmp/extension/\0" + name + len(packet).to_bytes(4)
    return [head + (0).to_bytes(4) + packet[:cut], head + cut.to_bytes(4) + packet[cut:]]


@pytest.mark.parametrize("written", [PRIVATE, "me&#64;private.example"])
@pytest.mark.parametrize("cut", [25, 29, 33])
def test_metadata_in_two_segments_are_read_as_one(written: str, cut: int) -> None:
    def read(text: str) -> list[str]:
        packet = PACKET.format(text).encode()
        first, second = _extended(packet, cut)
        other = _extended(b"<x>nothing of interest here</x>" * 2, 20, b"1" * 32)
        pictures = (
            _jpeg(HEADER + packet[:cut], HEADER + packet[cut:]),
            _jpeg(HEADER + packet[:cut], packet[cut:]),
            _jpeg(HEADER, first, second),
            _jpeg(HEADER, second, first),
            _jpeg(HEADER, second, *other, first),
        )
        return [*map(_checked, pictures)]

    assert read(written) == ["held"] * 5
    assert read(written.replace("me", "some.me")) == [""] * 5


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (0xE2, b"ICC_PROFILE\0\1\2"),
        (0xED, b"Photoshop 3.0\0"),
        (0xFE, b""),
        (0xEB, b"JP\0\1\0\0\0\1\0\0\0\x50jumb"),
    ],
    ids=["profile", "Photoshop", "comment", "JUMBF"],
)
def test_what_stands_in_two_segments_of_any_kind_is_read_as_one(kind: int, head: bytes) -> None:
    assert _checked(_jpeg(head + b"to me@priv", head + b"ate.example!", kind=kind)) == "held"
    assert _checked(_jpeg(head + b"some.me@priv", head + b"ate.example!", kind=kind)) == ""


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "drawn",
    [
        '<Glyphs UnicodeString="me@private.example"/>',
        '<Glyphs OriginX="1" UnicodeString="me" Indices="1;2"/><Glyphs OriginX="9" UnicodeString="@private.example"/>',
        "<Glyphs UnicodeString='me&#64;'/>\r\n<Path/><Glyphs UnicodeString='private.example' FontUri='x'/>",
        '<x:Glyphs UnicodeString="{}me@private."></x:Glyphs><x:Glyphs UnicodeString="example"></x:Glyphs>',
        '<Glyphs UnicodeString="Smith"/><Glyphs UnicodeString="me@private.example"/><Glyphs UnicodeString="Berlin"/>',
        '<Glyphs BidiLevel="1" UnicodeString="elpmaxe.etavirp@em"/>',
    ],
)
def test_the_text_of_xps_is_read(drawn: str, codec: str) -> None:
    sheet = f"<FixedPage>{drawn}</FixedPage>".encode(codec)
    public = sheet.decode(codec).replace("private", "public").replace("etavirp", "cilbup").encode(codec)

    for content, expected in ((sheet, "held"), (public, "")):
        assert _checked(zipped({"Documents/1/Pages/1.fpage": content})) == expected
        assert _checked(content) == expected
