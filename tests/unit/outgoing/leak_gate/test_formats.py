"""A private address is found wherever a reader's program shows it, or the part is unchecked; what resembles it passes."""

import base64
import binascii
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from itertools import product
from pathlib import Path

import pytest

from email_handler.identifiers import EmailAddress
from email_handler.mail.ignorable import RANGES
from email_handler.outgoing.composed import Unchecked
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.masking import found_in
from email_handler.outgoing.leak_gate.needles import Needles
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import IDENTITY, NEEDLES, PRIVATE
from tests.support.hostile_documents import tarred, zipped
from tests.support.look_alikes import BY_LETTERS, LOOK_ALIKES
from tests.support.pdfs import flate, page, pdf, stream

type Format = Callable[[Sequence[str]], bytes]

PIECES = (
    (PRIVATE,),
    ("me", "@private.example"),
    ("m", "e@pri", "vate.exam", "ple"),
    ("Smith", PRIVATE, "Berlin"),
    ("Smith", "me@", "private.example", "Berlin"),
    ("write to ", "ME", "@Private.", "EXAMPLE", ", thanks"),
)
"""Texts as runs: a boundary of the format stands between two of them."""

ELEMENTS = ("b", "span", "wbr", "td", "div", "article", "dialog", "figcaption", "legend", "option", "x-cell", "center")
_XML = '<?xml version="1.0"?>\n'


def _joined(before: str, after: str, runs: Sequence[str]) -> str:
    return "".join(before + escape(run) + after for run in runs)


def _html(name: str) -> Format:
    return lambda runs: f"<html><body>{_joined(f'<{name} class=x>', f'</{name}>', runs)}</body></html>".encode()


def _docx(runs: Sequence[str]) -> bytes:
    text = _joined("<w:r><w:rPr><w:b/></w:rPr><w:t>", "</w:t></w:r>", runs)
    return zipped({"word/document.xml": f"{_XML}<w:document><w:body><w:p>{text}</w:p></w:body></w:document>".encode()})


def _docx_cells(runs: Sequence[str]) -> bytes:
    text = _joined("<w:tc><w:p><w:r><w:t>", "</w:t></w:r></w:p></w:tc>", runs)
    return zipped({"word/document.xml": f"{_XML}<w:document><w:tbl><w:tr>{text}</w:tr></w:tbl></w:document>".encode()})


def _xlsx(runs: Sequence[str]) -> bytes:
    return zipped({"xl/sharedStrings.xml": f"{_XML}<sst><si>{_joined('<r><t>', '</t></r>', runs)}</si></sst>".encode()})


def _docx_symbols(runs: Sequence[str]) -> bytes:
    text = "".join(f'<w:r><w:sym w:font="Symbol" w:char="F{ord(c):03X}"/></w:r>' for c in "".join(runs))
    return zipped({"word/document.xml": f"{_XML}<w:document><w:p>{text}</w:p></w:document>".encode()})


def _xlsx_header(runs: Sequence[str]) -> bytes:
    codes = ("&L", '&"Arial,Bold"', "&B", "&K00FF00", "&12", "&K01+000", "&X&X", '&"-,Regular"')
    text = "".join(code + run for code, run in zip(codes, runs, strict=False))
    text += "".join("&R" + run for run in runs[len(codes) :])
    header = f"<headerFooter><oddHeader>{escape(text, quote=False)}</oddHeader></headerFooter>"
    return zipped({"xl/worksheets/sheet1.xml": f"{_XML}<worksheet><sheetData/>{header}</worksheet>".encode()})


def _odt(runs: Sequence[str]) -> bytes:
    text = _joined('<text:span text:style-name="T1">', "</text:span>", runs)
    return zipped({"content.xml": f"{_XML}<office:text><text:p>{text}</text:p></office:text>".encode("utf-16")})


def _svg(runs: Sequence[str]) -> bytes:
    return f"<svg><text>{_joined('<tspan x="1">', '</tspan>', runs)}</text></svg>".encode()


def _rtf(runs: Sequence[str]) -> bytes:
    return ("{\\rtf1\\ansi " + "".join(f"{{\\b\\f1 {run}}}\r\n" for run in runs) + "}").encode()


def _rtf_escaped(runs: Sequence[str]) -> bytes:
    return ("{\\rtf1 " + "\\b0 ".join("".join(f"\\'{ord(c):02x}" for c in run) for run in runs) + "}").encode()


def _rtf_unicode(runs: Sequence[str]) -> bytes:
    return ("{\\rtf1\\uc1 " + "\\par ".join("".join(f"\\u{ord(c)}?" for c in run) for run in runs) + "}").encode()


def _literal(text: str) -> bytes:
    return text.encode("latin-1").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def _pdf_operators(runs: Sequence[str]) -> bytes:
    drawn = b"".join(b"(%s) Tj 0 -12 Td " % _literal(run) for run in runs)
    return page(b"BT /F1 12 Tf " + drawn + b"ET", FONT, fonts=b"/F1 3 0 R")


def _pdf_hex(runs: Sequence[str]) -> bytes:
    drawn = b"".join(b"<%s> Tj T* " % run.encode().hex(" ").encode() for run in runs)
    return page(b"q BT /F1 12 Tf ET Q BT /F1 9 Tf " + drawn + b"ET", FONT, fonts=b"/F1 3 0 R")


def _pdf_array(runs: Sequence[str]) -> bytes:
    kerned = b" -250 ".join(b" 12 ".join(b"(%s)" % _literal(c) for c in run) for run in runs)
    return page(b"BT /F1 12 Tf [" + kerned + b"] TJ ET", FONT, fonts=b"/F1 3 0 R")


def _pdf_differences(runs: Sequence[str]) -> bytes:
    characters = sorted({*"".join(runs)})
    named = {"@": "at", ".": "period", " ": "space", ",": "comma"}
    names = " ".join(f"/{named.get(c, c)}" for c in characters)
    codes = b" ".join(b"<%s> Tj" % bytes(characters.index(c) + 1 for c in run).hex().encode() for run in runs)
    font = f"<< /Type /Font /Subtype /Type1 /Encoding << /Differences [1 {names}] >> >>".encode()
    return page(b"BT /F1 12 Tf " + codes + b" ET", font, fonts=b"/F1 3 0 R")


def _pdf_mapped(runs: Sequence[str]) -> bytes:
    characters = sorted({*"".join(runs)})
    pairs = "\n".join(f"<{n + 3:04x}> <{ord(c):04x}>" for n, c in enumerate(characters))
    cmap = f"1 begincodespacerange <0000> <ffff> endcodespacerange {len(characters)} beginbfchar\n{pairs}\nendbfchar"
    codes = b" ".join(b"[<%s>] TJ 1 0 Td" % b"".join(b"%04x" % (characters.index(c) + 3) for c in run) for run in runs)
    font = b"<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 4 0 R >>"
    return page(b"/F1 7 Tf BT " + codes + b" ET", font, flate(cmap.encode()), fonts=b"/F1 3 0 R")


FORMATS: dict[str, Format] = {
    **{f"html {name}": _html(name) for name in ELEMENTS},
    "docx runs": _docx,
    "docx cells": _docx_cells,
    "xlsx": _xlsx,
    "xlsx header": _xlsx_header,
    "odt in UTF-16": _odt,
    "svg": _svg,
    "rtf": _rtf,
    "rtf escapes": _rtf_escaped,
    "rtf unicode": _rtf_unicode,
    "pdf operators": _pdf_operators,
    "pdf hex strings": _pdf_hex,
    "pdf kerned": _pdf_array,
    "pdf differences": _pdf_differences,
    "pdf character map": _pdf_mapped,
}

SPELLINGS: dict[str, Callable[[str], str]] = {
    "percent": lambda a: "".join(f"%{ord(c):02x}" for c in a),
    "percent twice": lambda a: a.replace("@", "%2540"),
    "percent five times": lambda a: a.replace("@", "%2525252540"),
    "percent of unicode": lambda a: a.replace("@", "%u0040"),
    "quoted-printable": lambda a: "".join(f"={ord(c):02X}" for c in a),
    "soft breaks": "=\r\n".join,
    "entities": lambda a: "".join(f"&#{ord(c)};" for c in a),
    "entities without semicolon": lambda a: a.replace("@", "&#64").replace(".", "&#46"),
    "entities twice": lambda a: a.replace("@", "&amp;#64;"),
    "an escaped line break before it": "Hello\\n{}".format,
    "an escaped tab before it": "Smith\\t{}\\tBerlin".format,
    "Exchange's address in an address": lambda a: (
        f"IMCEASMTP-{a.replace('@', '+40').replace('.', '+2E')}@customer.example"
    ),
    "Proofpoint's link": lambda a: (
        f"https://urldefense.proofpoint.com/v2/url?u=https-3A__x.example_-3Fm-3D{a.replace('@', '-40')}-26x&d=x"
    ),
    "entities thrice": lambda a: a.replace("@", "&amp;amp;commat;"),
    "entity of percent": lambda a: a.replace("@", "&#37;40"),
    "percent of entity": lambda a: a.replace("@", "%26%2364;"),
    "quoted-printable of percent": lambda a: a.replace("@", "=2540"),
    "minus 40": lambda a: a.replace("@", "-40"),
    "plus 40": lambda a: a.replace("@", "+40"),
    "equals 40": lambda a: a.replace("@", "=40"),
    "script escapes": lambda a: "".join(f"\\u{ord(c):04x}" for c in a),
    "style escapes": lambda a: a.replace("@", "\\40 ").replace(".", "\\2e "),
    "backslashes": lambda a: a.replace("@", "\\@").replace(".", "\\."),
    "utf-7": lambda a: a.replace("@", "+AEA-"),
    "hex": lambda a: a.encode().hex(),
    "hex in capitals": lambda a: a.encode().hex().upper(),
    "base64": lambda a: base64.b64encode(a.encode()).decode(),
    "base64 without padding": lambda a: base64.b64encode(a.encode()).decode().rstrip("="),
    "base64 in a link": lambda a: "https://x.example/u/" + base64.urlsafe_b64encode(f"??{a}".encode()).decode(),
    "base64 of UTF-16": lambda a: base64.b64encode(a.encode("utf-16-le")).decode(),
    "base64 of UTF-16, big-endian": lambda a: base64.b64encode(a.encode("utf-16")).decode(),
    "encoded word": lambda a: f"=?utf-8?B?{base64.b64encode(a.encode()).decode()}?=",
    "two encoded words": lambda a: f"=?utf-8?Q?{a[:3].replace('@', '=40')}?=\r\n =?utf-8?q?{a[3:]}?=",
    "two encoded words in base64": lambda a: " ".join(
        f"=?us-ascii?B?{base64.b64encode(part.encode()).decode()}?=" for part in (a[:1], a[1:])
    ),
    "a terminal's colours": lambda a: "".join(f"\x1b[1;3{n % 8}m{c}\x1b[0m" for n, c in enumerate(a)),
    "a terminal's link": lambda a: f"\x1b]8;;https://x.example\x1b\\{a[:2]}\x1b]8;;\x07{a[2:]}",
    "overstrikes": lambda a: "".join(f"{c}\b{c}" for c in a),
    "underlined by overstrikes": lambda a: "".join(f"_\b{c}" for c in a),
    "underlined behind each letter": lambda a: "".join(f"{c}\b_" for c in a),
    "an escape of OOXML, its sign as an entity": lambda a: a.replace("@", "&#95;x0040_"),
    "a continued line": lambda a: a[:7] + "\\\r\n    " + a[7:],
    "escapes of OOXML": lambda a: a.replace("@", "_x0040_").replace(".", "_x002E_"),
    "a guest of a directory": lambda a: f"{a.replace('@', '_')}#EXT#@tenant.example",
    "a guest of a directory, in percent": lambda a: f"x?u={a.replace('@', '_')}%23EXT%23%40tenant.example",
    "a directory's personal folder": lambda a: (
        f"https://tenant-my.sharepoint.example/personal/{a.replace('@', '_').replace('.', '_')}/Documents"
    ),
    "capitals": str.upper,
    "full-width": lambda a: "".join(chr(ord(c) + 0xFEE0) for c in a),
    "mathematical": lambda a: "\U0001d426\U0001d41e" + a[2:],
    "ideographic stop": lambda a: a.replace(".", "\u3002"),
    "a file's name": lambda a: f"CV-{a}.pdf",
    "a file's name with underscores": lambda a: f"notes_{a}.txt",
    "a path": lambda a: f"https://shop.example/id-{a}/orders",
    "a path, in percent": lambda a: f"https://shop.example/id-{urllib.parse.quote(a)}",
    "a broken line": lambda a: a[:7] + "\r\n" + a[7:],
    "a broken quotation": lambda a: a[:7] + "\r\n> > " + a[7:],
    "flowed": lambda a: a[:7] + " \r\n> " + a[7:],
    "a tag's boundary and an entity": lambda a: a.replace("@", "<b>&#64;</b>"),
    "encoded markup": lambda a: escape(f"me<b>@</b>{a[3:]}"),
}
"""Ways of writing that readers and mail systems undo."""


BINARY = "application/octet-stream"


def _message_of(*payloads: bytes, name: str = "file.bin", content_type: str = BINARY) -> bytes:
    """Return a message with an attachment for each of *payloads*."""
    head = [
        ("Content-Type", content_type),
        ("Content-Transfer-Encoding", "base64"),
        ("Content-Disposition", f'attachment; filename="{name}"'),
    ]
    files = (entity(head, base64.encodebytes(payload)) for payload in payloads)
    return multipart("mixed", entity([], b"See the files."), *files, headers=[("From", "jane@customer.example")])


def _held(raw: bytes, needles: Needles = NEEDLES) -> bool:
    return "private address" in {place.what for place in gate.check(raw, needles)[0]}


def _missed(cases: Mapping[str, bytes], content_type: str = BINARY) -> list[str]:
    """Attach all *cases* to one message, and return the names of those in which no address is found."""
    places, _ = gate.check(_message_of(*cases.values(), content_type=content_type), NEEDLES)
    held = {place.where.partition(" (")[0] for place in places if place.what == "private address"}
    return [name for number, name in enumerate(cases, 1) if f"attachment {number}" not in held]


@pytest.mark.parametrize("name", FORMATS)
def test_an_address_may_be_parted_by_boundaries_and_ends_at_them(name: str) -> None:
    assert _missed({"|".join(pieces): FORMATS[name](pieces) for pieces in PIECES}) == []


@pytest.mark.parametrize("name", FORMATS)
def test_what_resembles_an_address_passes_in_every_format(name: str) -> None:
    runs = [run for alike in LOOK_ALIKES for run in (alike, "Berlin")]

    places, unchecked = gate.check(_message_of(FORMATS[name](runs)), NEEDLES)

    assert not unchecked
    if places:
        assert [alike for alike in LOOK_ALIKES if gate.check(_message_of(FORMATS[name]((alike,))), NEEDLES)[0]] == []
    assert not places


@pytest.mark.parametrize("name", ["html td", "docx runs", "xlsx header", "svg", "rtf unicode"])
def test_a_letter_beyond_ascii_belongs_to_an_address_where_bytes_are_text(name: str) -> None:
    runs = [run for alike in BY_LETTERS for run in (alike, "Berlin")]

    assert gate.check(_message_of(FORMATS[name](runs)), NEEDLES) == ((), ())
    assert not _held(mail(text="\r\n".join(BY_LETTERS)))
    assert all(_held(mail(text=f"{word}me@private.example")) for word in ("\u8bf7", "\u043a", "d'", "l\u2019"))


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        "Write to {} please",
        "<p>{}</p>",
        '<a href="{}">x</a>',
        "X-Data: {}\r\n",
        '{{"mail": "{}"}}',
        "a=1&b={}&c=2",
    ],
)
def test_an_address_is_found_however_it_is_written(frame: str) -> None:
    written = {name: frame.format(spell(PRIVATE)) for name, spell in SPELLINGS.items()}
    cases = {
        name: text.encode()
        for name, text in written.items()
        if "href" not in frame or not ("<b>" in text or "&lt;" in text)  # an attribute has no tags
    }

    assert _missed(cases, "text/html; charset=utf-8") == []
    assert _missed(cases) == []


@pytest.mark.parametrize("kept", ["look-alike", "other"])
def test_what_is_written_so_and_is_not_private_passes(kept: str) -> None:
    """A dot keeps "some.me" apart even where words are joined."""
    address = {"look-alike": "some.me@private.example", "other": "you@public.example"}[kept]
    written = [spell(address).encode() for spell in SPELLINGS.values()]

    assert gate.check(_message_of(*written), NEEDLES) == ((), ())


def test_no_ignorable_character_hides_an_address() -> None:
    marks = {mark for first, last in RANGES for mark in (chr(first), chr((first + last) // 2), chr(last))}
    frames = (
        "to me{0}@priv{0}{0}ate.example",
        f"Smith {{0}}{PRIVATE}{{0}} Berlin",
        f"Smith:{{0}}{PRIVATE}{{0}}, Berlin",
    )
    texts = [frame.format(mark) for mark in marks for frame in frames]

    assert _missed({ascii(text): text.encode() for text in texts}, "text/plain; charset=utf-8") == []


def _png(content: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 99 + content))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + text + chunk(b"IEND", b"")


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "zip": lambda c: zipped({"a.bin": c}),
    "zip, stored": lambda c: zipped({"a.bin": c}, zipfile.ZIP_STORED),
    "zip, bzip2": lambda c: zipped({"a.bin": c}, zipfile.ZIP_BZIP2),
    "zip, LZMA": lambda c: zipped({"a.bin": c}, zipfile.ZIP_LZMA),
    "tar": tarred,
    "gzip": gzip.compress,
    "gzip, two members": lambda c: gzip.compress(b"") + gzip.compress(c),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda c: lzma.compress(c, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "message": _message_of,
    "pdf, attached": lambda c: pdf(flate(c, b"/Type /EmbeddedFile")),
    "base64": base64.encodebytes,
    "data: link": lambda c: b'<img src="data:application/pdf;base64,' + base64.b64encode(c) + b'">',
    "hex": lambda c: c.hex().encode(),
}
INNER = {
    "html": FORMATS["html td"](PIECES[3]),
    "docx": FORMATS["docx runs"](PIECES[2]),
    "pdf": FORMATS["pdf character map"](PIECES[1]),
    "rtf": FORMATS["rtf escapes"](PIECES[0]),
    "gzip of text": gzip.compress(f"so many words around {PRIVATE} in this".encode()),
}


MIDDLE = {f"docx in {name}": pack(INNER["docx"]) for name, pack in CONTAINERS.items()}


@pytest.mark.parametrize("outer", CONTAINERS)
def test_an_address_is_found_in_containers_within_containers(outer: str) -> None:
    assert _missed({name: CONTAINERS[outer](content) for name, content in (INNER | MIDDLE).items()}) == []


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("where", ["uname", "gname", "linkname"])
def test_the_owners_of_an_archives_members_are_read(where: str, form: int) -> None:
    """A domain's users are named by their addresses; digits stand before the name in the file."""

    def archive(name: str) -> bytes:
        file, entry = io.BytesIO(), tarfile.TarInfo("a.txt")
        entry.type = tarfile.SYMTYPE
        setattr(entry, where, name)
        with tarfile.open(fileobj=file, mode="w", format=form) as opened:
            opened.addfile(entry)
        return file.getvalue()

    assert _missed({"tar": archive(PRIVATE), "tar.gz": gzip.compress(archive(PRIVATE))}) == []
    assert _missed({"tar": archive("some.me@private.example")}) == ["tar"]


def _filtered(content: bytes) -> Iterator[tuple[str, bytes]]:
    def run_lengths(data: bytes) -> bytes:
        blocks = (data[at : at + 128] for at in range(0, len(data), 128))
        return b"".join(bytes([len(block) - 1]) + block for block in blocks) + b"\x80"

    def lzw(data: bytes) -> bytes:  # nothing but single bytes, each after a clear of the table
        bits = "".join(f"{256:09b}{byte:09b}" for byte in data) + f"{257:09b}"
        return bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))

    rows = [content[at : at + 10].ljust(10) for at in range(0, len(content), 10)]
    up = b"".join(
        b"\2" + bytes((byte - before) & 255 for byte, before in zip(row, above, strict=True))
        for row, above in zip(rows, (bytes(10), *rows), strict=False)
    )
    sub = b"".join(b"\1" + bytes((row[n] - (row[n - 1] if n else 0)) & 255 for n in range(10)) for row in rows)
    tiff = b"".join(bytes((row[n] - (row[n - 1] if n else 0)) & 255 for n in range(10)) for row in rows)
    parms = b"/DecodeParms << /Predictor %d /Columns 10 >>"
    yield "none", stream(content)
    yield "Flate", flate(content)
    yield "abbreviated", stream(zlib.compress(content), b"/F /Fl")
    yield "ASCIIHex", stream(content.hex().encode() + b">", b"/Filter /ASCIIHexDecode")
    yield "ASCII85", stream(base64.a85encode(content) + b"~>", b"/Filter [/ASCII85Decode]")
    yield "RunLength", stream(run_lengths(content), b"/Filter /RunLengthDecode")
    yield "LZW", stream(lzw(content), b"/Filter /LZWDecode")
    yield (
        "ASCII85 of Flate",
        stream(base64.a85encode(zlib.compress(content)) + b"~>", b"/Filter [/ASCII85Decode /FlateDecode]"),
    )
    yield "PNG up", flate(up, parms % 12)
    yield "PNG sub", flate(sub, parms % 11)
    yield "TIFF", flate(tiff, parms % 2)
    yield "filter by reference", stream(zlib.compress(content), b"/Filter 9 0 R") + b"\nendobj\n9 0 obj /FlateDecode"


def test_a_pdfs_stream_is_read_through_every_filter() -> None:
    drawn = f"BT /F1 9 Tf [(m) 9 (e@private) -9 (.example)] TJ ET /Do {'x' * 40}".encode()
    page_of = b"<< /Type /Page /Contents 2 0 R >>"

    assert _missed({name: pdf(page_of, packed, FONT) for name, packed in _filtered(drawn)}) == []


BOLD = b"Subject: x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(
    b"me<b>@</b>private.example"
)


@pytest.mark.parametrize(
    "payload",
    [
        rb"{\rtf1\uc0 \u109\u101\u64 private.example}",
        rb"{\rtf1\uc2 me\u64 ??private.example}",
        rb"{\rtf1 me{\*\bkmkstart _GoBack}@private.example}",
        b"{\\rtf1{\\object\\objdata " + (b"\1\5\0\0" + bytes(60) + _docx(("me", "@private.example"))).hex().encode() + b"}}",
        _docx_symbols((PRIVATE,)),
        b'<x:Header x:Data="&amp;Lme&amp;B@private.example"/>',
        f"\u201c{PRIVATE}\u201d \u2026 ".encode() + b"\xff\xe9",
        zipped({"word/document.xml": f"{_XML}<w:p><w:t>me@private.</w:t><w:t>exam</w:t><w:t>ple</w:t></w:p>".encode("utf-16")}),
        zipped({"customXml/item1.xml": f'<?xml version="1.0" encoding="cp037"?><a>{PRIVATE}</a>'.encode("cp037")}),
        b"\xef\xbb\xbf" + BOLD,
        b"\r\n" + BOLD,
        b"Reply-To: a@b.example\r\nPriority: high\r\n" + BOLD,
        b"From a Mon\nFrom: a@b.example\n\nx\n\nFrom b Mon\n" + BOLD,
        b'<img src="data:text/html;base64,' + base64.b64encode(b"me<b>@</b>private.example") + b'">',
        base64.b64encode(base64.b64encode(b"mail=me@private.example")),
        pdf(b"<< /Type /Filespec /EF << /F 2 0 R >> >>", flate(_docx(("me", "@private.example")))),
    ],
    ids=[
        "RTF without stand-ins", "RTF with two stand-ins", "RTF bookmark", "RTF object", "DOCX of symbols",
        "header of SpreadsheetML", "quotes in damaged UTF-8",
        "DOCX in UTF-16", "XML in EBCDIC", "message behind a mark",
        "message behind a blank line", "message with other fields first", "second message of a mailbox",
        "short page in base64", "base64 twice", "PDF file without a type",
    ],
)  # fmt: skip
def test_an_address_is_found_where_only_the_formats_own_rules_lead(payload: bytes) -> None:
    assert _held(_message_of(payload))


def test_a_message_that_quotes_a_mailbox_is_read_as_one() -> None:
    quoted = b"\r\nFrom a Mon\nFrom: a@b.example\n\nx"

    assert _held(_message_of(multipart("mixed", quoted, BOLD, headers=[("From", "a@b.example")])))


def test_objects_in_object_streams_are_read() -> None:
    objects = b"1 0 2 20 <</Author (x)     ><</URI (mailto:me\\100private.example) >>"
    document = pdf(flate(objects, b"/Type /ObjStm /N 2 /First 9"))

    assert _held(_message_of(document))


DOCUMENTS = Path(__file__).parents[3] / "data" / "documents"


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*-private.*")), ids=lambda path: path.name)
def test_an_address_in_a_document_of_a_real_program_is_found_or_the_document_is_unchecked(path: Path) -> None:
    places, unchecked = gate.check(_message_of(path.read_bytes(), name=path.name), NEEDLES)

    assert places or {part.reason for part in unchecked} == {"encrypted"}


@pytest.mark.parametrize("path", sorted(DOCUMENTS.glob("*-alike.*")), ids=lambda path: path.name)
def test_a_look_alike_in_a_document_of_a_real_program_passes(path: Path) -> None:
    places, unchecked = gate.check(_message_of(path.read_bytes(), name=path.name), NEEDLES)

    assert not places
    assert bool(unchecked) == (
        path.name in {"qpdf-encrypted-alike.pdf", "libreoffice-alike.doc", "latex-hyperref-alike.pdf"}
    )


@pytest.mark.parametrize(
    ("owner", "written"),
    [
        ("me@bücher.example", "me@bücher.example"),
        ("me@bücher.example", "me@xn--bcher-kva.example"),
        ("me@bücher.example", "me@BÜCHER.example"),
        ("me@bücher.example", "me@bu\u0308cher.example"),
        ("me@bücher.example", "me%40b%C3%BCcher.example"),
        ("me@bücher.example", "me=40b=C3=BCcher.example"),
        ("me@xn--bcher-kva.example", "me@bücher.example"),
        ("me@xn--bcher-kva.example", "ME@XN--BCHER-KVA.EXAMPLE"),
        ("me@straße.example", "me@strasse.example"),
        ("me@straße.example", "me@xn--strae-oqa.example"),
        ("müller@private.example", "müller@private.example"),
    ],
)
def test_hosts_are_compared_in_every_idna_form(owner: str, written: str) -> None:
    needles = Needles(replace(IDENTITY, private_addresses=(EmailAddress(owner),)))

    assert _held(mail(text=f"to {written}.\r\n"), needles)
    assert "40" in written or _held(_message_of(f"\0\1\2 {written} \3".encode()), needles)
    assert not _held(mail(text=f"to x{written} or {written}.test\r\n"), needles)


def _word(body: str) -> bytes:
    return zipped({"word/document.xml": f"{_XML}<w:p>{body}</w:p>".encode()})


HIDDEN_IN_WORD = (
    "<w:del><w:r><w:delText>exmaple</w:delText></w:r></w:del>",
    "<w:moveFrom w:id='1'><w:r><w:t>x</w:t></w:r></w:moveFrom>",
    '<w:instrText xml:space="preserve">HYPERLINK "http://x.example"</w:instrText>',
    "<wp:posOffset>12</wp:posOffset>",
    "<mc:Fallback><w:t>x</w:t></mc:Fallback>",
    "<rPh sb='0'><t>x</t></rPh>",
    "<office:annotation><dc:creator>Jane</dc:creator><text:p>n</text:p></office:annotation>",
    "<text:note><text:p>1</text:p></text:note>",
)
HIDDEN_IN_HTML = tuple(
    f"<{name}>x</{name}>"
    for name in ("style", "script", "template", "title", "noscript", "iframe", "object", "rp", "STYLE")
)
HIDDEN_IN_RTF = (
    r"{\field{\*\fldinst{HYPERLINK x}}{\fldrslt }}", r"{\deleted x}", r"{\v x}", r"{\*\xe {\v x}}", r"{\footnote n}",
    r"{\*\annotation{\*\atndate 1}n}", r"{\pict 0102}", r"\htmlrtf x\htmlrtf0 ",
)  # fmt: skip


def test_what_a_reader_does_not_show_may_stand_within_an_address() -> None:
    cases = {
        **{hidden: _word(f"<w:t>me@priv</w:t>{hidden}<w:t>ate.example</w:t>") for hidden in HIDDEN_IN_WORD},
        **{hidden: f"<p>me{hidden}@private.example".encode() for hidden in HIDDEN_IN_HTML},
        **{hidden: f"{{\\rtf1 me{hidden}@private.example}}".encode() for hidden in HIDDEN_IN_RTF},
    }

    assert _missed(cases) == []


def test_what_only_the_rules_of_a_format_reveal_is_found() -> None:
    wide = PRIVATE.encode("utf-16-le")
    cases = {
        "a tab in a link": b'<a href="mailto:me@pri&Tab;vate.example">x</a>',
        "blanks before a quotation mark": b'me<b x=            ">">@private.example</b>',
        "two letters struck over": b"mxy\b\be@private.example",
        "a terminal's strings": b"m\xc2\x9d0;x\xc2\x9ce\x1bOA@private.example",
        "Exchange's RFC 822": b"IMCEARFC822-me+40private+2Eexample@x.example",
        "UTF-16 behind a string": b"\0\1\2\3UNICODE\0" + wide,
        "RTF behind a blank line": b"\r\n{\\rtf1 me\\b0 @private.example}",
        "RTF with four stand-ins": rb"{\rtf1\uc4 me\u64????private.example}",
        "uuencoded with another mode": b"begin 100644 a.txt\n"
        + binascii.b2a_uu(f"to {PRIVATE}".encode())
        + b"`\nend\n",
        "a page's own charset": "<meta charset=shift_jis><p>\uff4d\uff45@private.example".encode("cp932"),
        "XML's own charset": "<?xml version='1.0' encoding='shift_jis'?><p>\uff4d\uff45@private.example</p>".encode(
            "cp932"
        ),
    }

    assert _missed(cases) == []


@pytest.mark.parametrize("sender", ['"m\\e"@private.example', "me(a(b)c)@private.example"])
def test_an_address_is_found_however_a_header_writes_it(sender: str) -> None:
    assert _held(_message_of(mail(sender=sender), content_type="message/rfc822"))


def test_the_short_form_of_gmail_in_links_of_calendars_is_found() -> None:
    needles = Needles(replace(IDENTITY, private_addresses=(EmailAddress("john.doe@gmail.com"),)))
    event = base64.urlsafe_b64encode(b"6k3v9h2l1m4n5o6p7q8r john.doe@m").decode().rstrip("=")
    another = base64.urlsafe_b64encode(b"6k3v9h2l1m4n5o6p7q8r jane.doe@m").decode().rstrip("=")

    assert _held(mail(text=f"https://calendar.google.com/calendar/event?eid={event}\r\n"), needles)
    assert not _held(mail(text=f"https://calendar.google.com/calendar/event?eid={another}\r\n"), needles)
    assert not _held(mail(text="john.doe@mail.example, john.doe@m.example\r\n"), needles)


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (b"\0\0\0\x18ftypheic" + b"\1" * 30, "text/plain"),
        (b"%!\n(me) show (@private.example) show", BINARY),
        (b"\x1b%-12345X@PJL ENTER LANGUAGE=POSTSCRIPT\n%!PS", BINARY),
        (b"From: a@b.example\r\n\r\nx", "message/partial"),
        ("write to somebody".encode("cp037"), "text/plain; charset=IBM1047"),
    ],
    ids=["a picture as text", "PostScript", "a printer's job", "part of a message", "an unknown charset"],
)
def test_what_no_reader_here_knows_is_unchecked(payload: bytes, content_type: str) -> None:
    _, unchecked = gate.check(_message_of(payload, content_type=content_type), NEEDLES)

    assert {part.reason for part in unchecked} == {"a format that is not read"}


@pytest.mark.parametrize(
    "line", ["some.\r\n me@private.example", "not\r\n me@private.example", "me@private.example\r\n .test"]
)
def test_somebody_elses_address_may_be_folded_in_a_calendar(line: str) -> None:
    calendar = f"BEGIN:VCALENDAR\r\nATTENDEE:mailto:{line}\r\nEND:VCALENDAR\r\n".encode()

    assert gate.check(_message_of(calendar, content_type="text/calendar"), NEEDLES) == ((), ())


@pytest.mark.parametrize(
    ("between", "is_apart"),
    [("\x1b[1m", False), ("\x9b1m", False), ("\x1b[5C", True), ("\x1bPx\x1b\\", True)],
    ids=["colour", "colour in 8 bits", "movement", "device control"],
)
def test_what_a_terminal_does_not_show_parts_words_only_if_it_moves_them(between: str, is_apart: bool) -> None:
    assert bool(found_in(f"not{between}me@private.example", NEEDLES)) is is_apart


def test_symbols_and_hyphens_of_office_are_characters() -> None:
    needles = Needles(replace(IDENTITY, private_addresses=(EmailAddress("m-e@private.example"),)))
    parted = '<w:t>m</w:t><w:noBreakHyphen/><w:t>e</w:t><w:sym w:font="x" w:char="{}"/><w:t>private.example</w:t>'

    assert all(_held(_message_of(parted.format(code).encode()), needles) for code in ("F040", "0040", "40"))
    assert not any(_held(_message_of(parted.format(code).encode()), needles) for code in ("F140", "FFFFFF", "41"))


def test_what_directories_make_of_an_address_is_found() -> None:
    needles = Needles(replace(IDENTITY, private_addresses=(EmailAddress("jane.o-doe@mail.private.example"),)))
    none = Needles(replace(IDENTITY, private_addresses=()))

    for name in ("personal/jane_o_doe_mail_private_example", "jane.o-doe_mail.private.example#EXT#@x.example"):
        assert _held(mail(text=f"https://x.example/{name}/Documents\r\n"), needles)
        assert not _held(mail(text=f"https://thread.example.com/{name}/Documents\r\n"), none)
        assert not _held(mail(text=f"https://x.example/{name.replace('jane', 'my_jane')}/Documents\r\n"), needles)


@pytest.mark.parametrize("address", ["ab@c.example", "a@b.example"])
def test_a_short_address_is_found_in_base64_and_hexadecimal(address: str) -> None:
    needles = Needles(replace(IDENTITY, private_addresses=(EmailAddress(address),)))

    for encoded in (
        base64.b64encode(address.encode()),
        base64.b64encode(address.encode("utf-16-le")),
        address.encode().hex().encode(),
    ):
        assert _held(mail(text=f"x {encoded.decode()} y\r\n"), needles)


def _third_party(host: str) -> bytes:
    return mail(
        sender=f"Jane <jane@{host}>",
        to="you@public.example",
        message_id=f"<CAF1@mail.{host}>",
        in_reply_to=f"<2@{host}>",
    )


PATCH = (
    b"From 0123456789abcdef Mon Sep 17 00:00:00 2001\nFrom: Colleague <dev@private.example>\nDate: x\n"
    b"Message-Id: <1@private.example>\nSubject: [PATCH] x\n\n---\n a | 2 +-\n\ndiff --git a/a b/a\n--- a/a\n+++ b/a\n"
    b"@@ -1 +1 @@\n-me\n+them@private.example\n-- \n2.39\n"
)


@pytest.mark.parametrize(
    "payload",
    [
        _third_party("private.example"),
        zipped({"a.eml": _third_party("private.example")}),
        PATCH,
        b"Contact our colleague at some.me@private.example or desk@private.example.",
        b"\0\1al\2 AL \x03\xffzq\0 al\x00" * 50,
    ],
    ids=["message", "zipped message", "git patch", "colleague", "short terms in binary data"],
)  # fmt: skip
def test_what_belongs_to_somebody_else_passes(payload: bytes) -> None:
    needles = Needles(replace(IDENTITY, hidden_terms=("al", "zq")))

    for content_type in ("application/octet-stream", "message/rfc822"):
        if content_type == "message/rfc822" and b"Message-I" not in payload:
            continue
        assert gate.check(_message_of(payload, name="a.bin", content_type=content_type), needles)[0] == ()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (gzip.compress(b"x" * 999)[:-12], "damaged or cut"),
        (zipped({"a.txt": b"x" * 999})[:-30], "damaged or cut"),
        (pdf(b"<< /Length 9 >>\nstream\nabc"), "damaged or cut"),
        (page(b"BT /F1 9 Tf (x) Tj ET", FONT, fonts=b"/F1 3 0 R")[:-8], "damaged or cut"),
        (pdf(flate(b"x" * 999).replace(b"endstream", b"")[:-10] + b"endstream"), "damaged or cut"),
        (pdf(b"<< >>", trailer=b"/Encrypt 5 0 R"), "encrypted"),
        (pdf(stream(b"x", b"/Filter /JBIG9Decode")), "a format that is not read"),
        (page(b"BT /F1 9 Tf (x) Tj ET", b"<< /Type /Font /Subtype /Type3 /Encoding << /Differences [120 /g7] >> >>", fonts=b"/F1 3 0 R"), "a font without a character map"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA0\n-----END PGP MESSAGE-----\n", "encrypted"),
        (b"<!DOCTYPE a [<!ENTITY p 'private'>]><a>me@&p;.example</a>", "declares entities of its own"),
        (b"(This file must be converted with BinHex 4.0)\r\n\r\n:$f*TEQKPH#edE0", "a format that is not read"),
        *(
            (f'<?xml version="1.0" encoding="{declared}"?><a>x</a>'.encode("cp037"), "a format that is not read")
            for declared in ("cp9999", "UTF-8", "windows-1252")
        ),
        (b"\0\1\2\3 unheard-of", "a format that is not read"),
        (b"\x28\xb5\x2f\xfd zstd", "a format that is not read"),
        (b"\x89PNG\r\n\x1a\n\0\0\xff\0IDATx", "damaged or cut"),
        (b"\xff\xd8\xff\xe1\0\x08Exif", "damaged or cut"),
    ],
    ids=[
        "cut gzip", "cut ZIP", "cut PDF stream", "cut PDF", "cut deflate", "encrypted PDF", "unknown filter",
        "unmapped font", "armoured", "entities", "BinHex", "unknown EBCDIC", "EBCDIC as UTF-8", "EBCDIC as windows-1252", "unknown format", "zstd", "cut PNG", "cut JPEG",
    ],
)  # fmt: skip
def test_what_was_not_read_in_full_is_unchecked_with_its_reason(payload: bytes, reason: str) -> None:
    _, unchecked = gate.check(_message_of(payload, name="plan.bin"), NEEDLES)

    assert unchecked == (Unchecked(where="attachment 1 (application/octet-stream)", name="plan.bin", reason=reason),)


@pytest.mark.parametrize(
    ("payload", "charset"),
    [
        ("\u4e00\u4e0c\u4e09\u4e01".encode("utf-16-le") * 9, "utf-16le"),
        (b"Nobody knows what it is, and anybody can read it.", "x-nobody-knows"),
        (b"\xe4\xe5\xe61234567", "x-nobody-knows"),
    ],
    ids=["control characters in its charset", "unknown, in ASCII", "unknown, mostly in ASCII"],
)
def test_text_that_can_be_read_is_checked_whatever_its_charset(payload: bytes, charset: str) -> None:
    assert gate.check(_message_of(payload, content_type=f"text/plain; charset={charset}"), NEEDLES) == ((), ())


def test_a_font_that_does_not_say_what_all_shown_codes_mean_is_unchecked() -> None:
    letters = b"1 begincodespacerange <0000> <ffff> endcodespacerange 1 beginbfrange <0061> <007a> <0061>\nendbfrange"
    font = b"<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /ToUnicode 4 0 R >>"

    def unchecked(text: str) -> set[str]:
        codes = text.encode("utf-16-be").hex().encode()
        drawn = page(b"BT /F1 9 Tf <" + codes + b"> Tj ET", font, flate(letters), fonts=b"/F1 3 0 R")
        return {part.reason for part in gate.check(_message_of(drawn), NEEDLES)[1]}

    assert unchecked(PRIVATE) == {"a font without a character map"}
    assert unchecked("letters") == set()


def test_a_file_within_a_file_is_named_by_its_path() -> None:
    packed = zipped({"in/b.zip": zipped({"c.bin": b"\0\1\2"})})

    assert [part.name for part in gate.check(_message_of(packed, name="a.zip"), NEEDLES)[1]] == ["a.zip/in/b.zip/c.bin"]


def test_files_nested_deeper_than_the_limit_are_unchecked() -> None:
    packed = b"\0\1 x"
    for _ in range(gate.MAX_DEPTH + 1):
        packed = gzip.compress(packed)

    assert {part.reason for part in gate.check(_message_of(packed), NEEDLES)[1]} == {"nested too deep"}


def test_a_pdf_of_many_small_streams_is_read_once_each() -> None:
    """5,000 streams took 16 seconds when each was copied to the end of the file."""
    document = pdf(*(flate(b"BT (x) Tj ET") for _ in range(5000)), flate(f"BT ({PRIVATE}) Tj ET".encode()))

    assert _held(_message_of(document))


def test_there_are_enough_cases() -> None:
    cases = len(FORMATS) * len(PIECES) + 7 * len(SPELLINGS) + len(CONTAINERS) * (len(INNER) + len(CONTAINERS))

    assert cases + len([*DOCUMENTS.iterdir()]) >= 300
    assert len([*product(FORMATS, LOOK_ALIKES)]) >= 100
