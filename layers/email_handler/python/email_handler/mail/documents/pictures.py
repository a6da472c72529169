"""What pictures hold beside their pixels: PNG's text chunks, JPEG's and WebP's segments (EXIF, XMP, comments)."""

import re
import zlib
from collections.abc import Iterator

from email_handler.mail.documents.plain import as_utf8
from email_handler.mail.documents.reading import (
    BOUNDARY,
    DAMAGED,
    TOO_LARGE,
    TOO_MANY,
    Budget,
    Found,
    Member,
    Raw,
    Text,
    Unread,
)
from email_handler.mail.patterns import regex

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
_PIXELS = frozenset((b"IDAT", b"fdAT", b"PLTE", b"tRNS", b"hIST"))
_MAX_CHUNKS = 200_000  # an animation has thousands
_SEGMENT = regex(rb"\xff+([\x01-\xd9\xdb-\xfe])")  # any but the start of a scan
_STANDALONE = frozenset((0x01, *range(0xD0, 0xDA)))
_START_OF_SCAN = 0xDA
_EXTENDED = regex(rb"http://ns\.adobe\.com/xmp/extension/\0(.{32}).{4}(.{4})", re.DOTALL)
"""How a part of a long XMP packet begins (XMP part 3 §1.1.3.1): which packet, its length, where in it the part stands."""
_HEADER = regex(rb"http://ns\.adobe\.com/xap/1\.0/\0|ICC_PROFILE\0..|Photoshop 3\.0\0|JP.{14}|FPXR\0..", re.DOTALL)
"""How each part of what stands in several segments begins: XMP, a profile (ICC.1 annex B.4), Photoshop's resources, JUMBF."""


def read_png(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield the chunks of a PNG that hold no pixels; zTXt, iTXt and iCCP inflated."""
    at = len(PNG)
    for _ in range(_MAX_CHUNKS):
        length, kind = int.from_bytes(payload[at : at + 4]), payload[at + 4 : at + 8]
        chunk = payload[at + 8 : at + 8 + length]
        at += 12 + length
        if len(kind) < 4 or len(chunk) < length:  # noqa: PLR2004 - a chunk's type has four letters
            yield Unread(DAMAGED)
            return
        if kind == b"IEND":
            if rest := payload[at:]:
                yield Member("", rest)  # what follows the picture is a file of its own
            return
        if kind not in _PIXELS:
            yield from _chunk(kind, chunk, budget)
    yield Unread(TOO_MANY)


def _chunk(kind: bytes, chunk: bytes, budget: Budget) -> Iterator[Found]:
    keyword, _, rest = chunk.partition(b"\0")
    packed = b""
    if kind in {b"zTXt", b"iCCP"}:
        packed = rest[1:]
    elif kind == b"iTXt":
        language, _, text = rest[2:].partition(b"\0")
        translated, _, text = text.partition(b"\0")
        keyword += b"\0" + language + b"\0" + translated
        packed, rest = (text, b"") if rest[:1] == b"\1" else (b"", text)
    if packed:
        inflater = zlib.decompressobj()
        try:
            rest = inflater.decompress(packed, max(budget.bytes, 1))
        except zlib.error:
            yield Unread(DAMAGED)
        if not budget.take(len(rest)) or inflater.unconsumed_tail:
            yield Unread(TOO_LARGE)
    yield from metadata(rest)
    if kind in {b"tEXt", b"zTXt", b"iTXt"}:
        yield Text(keyword.decode("utf-8", "replace") + BOUNDARY + rest.decode("utf-8", "replace"))


def read_jpeg(payload: bytes, _: Budget) -> Iterator[Found]:
    """Yield the segments of a JPEG that hold no pixels, each by itself and those of one kind joined."""
    at, extended = 2, []
    parts: dict[int, list[bytes]] = {}
    while segment := _SEGMENT.match(payload, at):
        at = segment.end()
        kind = segment[1][0]
        if kind in _STANDALONE:
            continue
        length = int.from_bytes(payload[at : at + 2])
        content = payload[at + 2 : at + length]
        if length < 2 or len(content) < length - 2:  # noqa: PLR2004 - the length counts itself
            yield Unread(DAMAGED)
            return
        at += length
        if part := _EXTENDED.match(content):
            extended.append((part[1], part[2], content[part.end() :]))
        elif kind >= 0xE0:  # noqa: PLR2004 - APP0 and above, and comments
            yield from metadata(content)
            parts.setdefault(kind, []).append(_HEADER.sub(b"", content, count=1))
    for joined in (
        b"".join(part for _, _, part in sorted(extended)),
        *(b"".join(p) for p in parts.values() if len(p) > 1),
    ):
        yield from metadata(joined)
    end = payload.find(b"\xff\xd9", at)
    if payload[at + 1 : at + 2] != bytes([_START_OF_SCAN]) or end < 0:
        yield Unread(DAMAGED)
    elif rest := payload[payload.rfind(b"\xff\xd9") + 2 :].strip(b"\0"):
        yield Member("", rest)


def read_riff(payload: bytes, _: Budget) -> Iterator[Found]:
    """Yield the metadata chunks of a WebP picture."""
    at = 12
    for _number in range(_MAX_CHUNKS):
        if at >= len(payload) - 7:
            return
        kind, length = payload[at : at + 4], int.from_bytes(payload[at + 4 : at + 8], "little")
        if at + 8 + length > len(payload):
            yield Unread(DAMAGED)
            return
        if kind not in {b"VP8 ", b"VP8L", b"ALPH", b"ANMF"}:
            yield from metadata(payload[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    yield Unread(TOO_MANY)


def read_gif(payload: bytes, _: Budget) -> Iterator[Found]:
    """Yield the comments of a GIF, joined from their blocks of at most 255 bytes, and all its bytes."""
    yield Raw(payload)
    for extension in re.finditer(rb"!\xfe|!\xff\x0b.{11}", payload, re.DOTALL):
        at, blocks = extension.end(), []
        while at < len(payload) and payload[at]:
            blocks.append(payload[at + 1 : at + 1 + payload[at]])
            at += 1 + payload[at]
        yield from metadata(b"".join(blocks))


def read_plain(payload: bytes, _: Budget) -> Iterator[Found]:
    """Yield all bytes of a format whose strings stand in one piece (TIFF, BMP, ICO)."""
    yield Raw(payload)


def metadata(content: bytes) -> Iterator[Found]:
    """Yield a block of metadata: its strings, and as XML if it is XMP."""
    yield Raw(content)
    if (start := content.find(b"<")) >= 0 and b">" in content:
        yield Text(as_utf8(content[start:]).decode("utf-8", "replace"), is_markup=True)
