"""Documents, most of them small, that take a reader's time, memory or life; and the few formats these are written in."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Literal

_OFFICE = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = b"http://schemas.openxmlformats.org/package/2006/relationships"
_SHEET = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORDS = b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(content: bytes, mode: Literal["w", "w:bz2"] = "w") -> bytes:
    """Return a tar file that holds *content*."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        entry = tarfile.TarInfo("a/b.bin")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _relation(kind: bytes, target: bytes) -> bytes:
    inner = b'<Relationship Id="rId1" Type="%s/%s" Target="%s"/>' % (_OFFICE, kind, target)
    return b'<Relationships xmlns="%s">%s</Relationships>' % (_PACKAGE, inner)


def _office(main: str, kind: bytes, entries: Mapping[str, bytes]) -> bytes:
    types = (
        b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        b'<Default Extension="xml" ContentType="application/xml"/>'
        b'<Override PartName="/%s" ContentType="application/vnd.openxmlformats-officedocument.%s.main+xml"/></Types>'
    ) % (main.encode(), kind)
    package = {"[Content_Types].xml": types, "_rels/.rels": _relation(b"officeDocument", main.encode())}
    return zipped({**package, **entries})


def docx(body: bytes, before: bytes = b"") -> bytes:
    """Return a Word document whose body is the XML *body*; *before* stands before the root element."""
    document = b'%s<w:document xmlns:w="%s"><w:body>%s</w:body></w:document>' % (before, _WORDS, body)
    return _office("word/document.xml", b"wordprocessingml.document", {"word/document.xml": document})


def xlsx(rows: bytes) -> bytes:
    """Return a workbook with one sheet of the XML *rows*."""
    book = (
        b'<workbook xmlns="%s" xmlns:r="%s"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ) % (_SHEET, _OFFICE)
    sheet = b'<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (_SHEET, rows)
    entries = {
        "xl/workbook.xml": book,
        "xl/_rels/workbook.xml.rels": _relation(b"worksheet", b"worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": sheet,
    }
    return _office("xl/workbook.xml", b"spreadsheetml.sheet", entries)


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a PDF of *objects*, numbered from 1, the first of which is the catalog."""
    out, offsets = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        size, table, size, trailer, len(out),
    )  # fmt: skip


def page(content: bytes, *more: bytes, names: bytes = b"") -> bytes:
    """Return a PDF of one page: *content* is object 4, *more* follows from 5, *names* are the page's resources."""
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<<%s>>>>" % names,
        content,
        *more,
    )


def stream(entries: bytes, data: bytes) -> bytes:
    """Return a PDF stream object."""
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def form(content: bytes, number: int) -> bytes:
    """Return a PDF form that can draw object *number* as ``/F``."""
    entries = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F %d 0 R>>>>" % number
    return stream(entries, content)


def ole(root: Mapping[str, bytes]) -> bytes:
    """Return a compound file (MS-CFB) with the streams *root* at its root.

    Streams under 4,096 bytes lie in the mini stream. A stream's sectors follow each other.
    """
    mini = b"".join(data + bytes(-len(data) % 64) for data in root.values() if len(data) < 4096)
    mini_fat, fat, body = _chains([data for data in root.values() if len(data) < 4096], 64), [0xFFFFFFFD], b""
    places, used = {}, 0

    def place(data: bytes) -> int:
        nonlocal body
        start, count = len(fat), -(-len(data) // 512)
        fat.extend([*range(start + 1, start + count), 0xFFFFFFFE][: max(count, 0)])
        body += data + bytes(-len(data) % 512)
        return start if count else 0xFFFFFFFE

    for name, data in root.items():
        if len(data) < 4096:
            places[name] = used
            used += -(-len(data) // 64)
        else:
            places[name] = place(data)
    entries = [_entry("Root Entry", 5, 1 if root else 0xFFFFFFFF, place(mini), len(mini), 0xFFFFFFFF)]
    names = sorted(root, key=lambda name: (len(name), name.upper()))
    for number, name in enumerate(names, 2):  # each is the right sibling of the one before
        right = number if number <= len(names) else 0xFFFFFFFF
        entries.append(_entry(name, 2, 0xFFFFFFFF, places[name], len(root[name]), right))
    mini_table = struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    mini_start, mini_count = place(mini_table), -(-len(mini_table) // 512)
    directory = place(b"".join(entries))
    fat += [0xFFFFFFFF] * (128 - len(fat))  # all of this fits one sector of the table
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, directory, 0, 4096, mini_start, mini_count, 0xFFFFFFFE, 0)
    header += struct.pack("<109I", 0, *[0xFFFFFFFF] * 108)
    return header + struct.pack("<128I", *fat) + body


def _chains(streams: list[bytes], size: int) -> list[int]:
    table: list[int] = []
    for data in streams:
        count = -(-len(data) // size)
        if count:
            table += [*range(len(table) + 1, len(table) + count), 0xFFFFFFFE]
    return table + [0xFFFFFFFF] * (-len(table) % 128)


def _entry(name: str, kind: int, child: int, start: int, size: int, right: int) -> bytes:
    encoded = name.encode("utf-16-le")
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBB3I", len(encoded) + 2, kind, 1, 0xFFFFFFFF, right, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def outlook_message(subject: str, body: str) -> bytes:
    """Return an Outlook message file (MS-OXMSG) with a subject and a text body."""
    strings = {"001A": "IPM.Note", "0037": subject, "1000": body}
    encoded = {tag: text.encode("utf-16-le") for tag, text in strings.items()}
    properties = bytes(32)  # header of the top level (MS-OXMSG §2.4.1.1)
    for tag, data in encoded.items():
        properties += struct.pack("<HHIII", 0x001F, int(tag, 16), 6, len(data) + 2, 0)
    streams = {f"__substg1.0_{tag}001F": data for tag, data in encoded.items()}
    return ole({"__properties_version1.0": properties, **streams})


def _laughs() -> bytes:
    entities = b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    return b"<!DOCTYPE x [<!ENTITY a0 'ha'>" + entities + b"]>"


def _zip_in_zip() -> bytes:
    inner = b"x"
    for _ in range(400):
        inner = zipped({"a.zip": inner}, zipfile.ZIP_STORED)
    return inner


def _tar_of_zeros() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
        entry = tarfile.TarInfo("a.txt")
        entry.size = 50_000_000
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return file.getvalue()


def _forms_that_draw_the_next_one_twice() -> bytes:
    forms = [form(b"/F Do /F Do", number) for number in range(6, 40)]
    return page(stream(b"", b"/F Do"), *forms, form(b"", 40), names=b"/XObject<</F 5 0 R>>")


def _loop_of_sectors() -> bytes:
    """Return a compound file whose directory is its own next sector."""
    document = bytearray(ole({"WordDocument": b"x"}))
    directory = struct.unpack_from("<I", document, 48)[0]
    struct.pack_into("<I", document, 512 + 4 * directory, directory)
    return bytes(document)


_XML_HEADER = b"<?xml version='1.0'?>"
_EML = b"From: a@customer.example\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\n"

HOSTILE: dict[str, Callable[[], bytes]] = {
    "a PDF form that draws itself": lambda: page(
        stream(b"", b"/F Do"), form(b"/F Do /F Do", 5), names=b"/XObject<</F 5 0 R>>"
    ),
    "PDF forms that draw the next one twice": _forms_that_draw_the_next_one_twice,
    "a PDF font that is drawn by itself": lambda: page(
        stream(b"", b"BT /T 9 Tf (a) Tj ET"),
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/CharProcs<</a 6 0 R>>"
        b"/Encoding<</Differences[97/a]>>/FirstChar 97/LastChar 97/Widths[9]/Resources<</Font<</T 5 0 R>>>>>>",
        stream(b"", b"BT /T 9 Tf (aa) Tj ET"),
        names=b"/Font<</T 5 0 R>>",
    ),
    "a PDF page tree that contains itself": lambda: pdf(
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>"
    ),
    "a PDF of a billion pages": lambda: pdf(
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 1000000000>>"
    ),
    "a PDF whose cross references go in circles": lambda: pdf(b"<</Type/Catalog>>", trailer=b"/Prev 40"),
    "a PDF stream of 50 MB, compressed twice": lambda: page(
        stream(b"/Filter[/FlateDecode/FlateDecode]", zlib.compress(zlib.compress(bytes(50_000_000), 1)))
    ),
    "a PDF array 100,000 deep": lambda: pdf(b"<</Type/Catalog/X " + b"[" * 100_000 + b"]" * 100_000 + b">>"),
    "60 KB of nested SVG groups": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'>" + b"<g>" * 20_000,
    "a million nested XML elements": lambda: _XML_HEADER + b"<a>" * 1_000_000,
    "a billion laughs": lambda: _XML_HEADER + _laughs() + b"<x>&a11;</x>",
    "a billion laughs in a docx": lambda: docx(b"<w:p><w:r><w:t>&a11;</w:t></w:r></w:p>", _laughs()),
    "a docx of two million paragraphs": lambda: docx(b"<w:p><w:r><w:t>x</w:t></w:r></w:p>" * 2_000_000),
    "a docx of tables in tables": lambda: docx(b"<w:tbl><w:tr><w:tc>" * 20_000),
    "a workbook with one far cell": lambda: xlsx(
        b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    ),
    "0.5 MB of gzip zeros": lambda: gzip.compress(bytes(10_000_000)) * 50,
    "a compressed tar of zeros": _tar_of_zeros,
    "a ZIP of zeros": lambda: zipped({"a.txt": bytes(20_000_000)}),
    "a ZIP in a ZIP, 400 deep": _zip_in_zip,
    "a ZIP cut short": lambda: docx(b"<w:p/>")[:-30],
    "200,000 JSON arrays in each other": lambda: b"[" * 200_000 + b"]" * 200_000,
    "100,000 HTML elements in each other": lambda: b"<!DOCTYPE html><html><body>" + b"<div>" * 100_000 + b"x",
    "HTML formatting that is opened 10,000 times": lambda: b"<!DOCTYPE html><html>" + b"<b><p>" * 10_000 + b"x",
    "300,000 RTF groups in each other": lambda: rb"{\rtf1 " + b"{" * 300_000,
    "3,000 messages in each other": lambda: (_EML + b"Content-Type: message/rfc822\r\n\r\n") * 3_000,
    "an OLE directory that follows itself": _loop_of_sectors,
    "an OLE header and nothing else": lambda: bytes.fromhex("d0cf11e0a1b11ae1"),
    "a Word file without its table": lambda: ole({"WordDocument": b"\xec\xa5" + b"\xff" * 5_000}),
    "an Excel file of broken records": lambda: ole({"Workbook": b"\x09\x08\xff\xff" * 2_000}),
    "an Excel 4 sheet": lambda: bytes.fromhex("0904060000000010000000") + b"\xff" * 100,
    "a PowerPoint container in itself": lambda: ole({"PowerPoint Document": b"\x0f\x00\xe8\x03\xff\xff\xff\x7f" * 600}),
}
"""By what each is. Some are read to the end by a good reader; none may do harm."""
