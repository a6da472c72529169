"""The strings and streams of a PDF (ISO 32000-1): enough to search it for an address.

Layout is ignored: strings are joined in the order of the file. Fonts that number their glyphs are read through their
ToUnicode maps (§9.10.3). The current font is not tracked, so each map is tried on each stream.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_STREAMS = 5000  # streams of one document
MAX_MAPS = 40  # ToUnicode maps of one document; usually one for each font
MAX_MAPPED = 20_000_000  # bytes of text, summed over the maps tried

_UNREADABLE = re.compile(rb"/Encrypt\b|/LZWDecode\b")
_ZLIB = (b"\x78", b"\x48", b"\x58", b"\x68")  # usual first bytes of a zlib stream (RFC 1950 §2.2)
_STREAM = re.compile(rb"stream\r?\n")
_STRING = re.compile(rb"\(((?:[^()\\]|\\.)*+)\)|<([0-9A-Fa-f\s]{2,4000})>", re.DOTALL)
_OCTAL = re.compile(rb"\\([0-7]{1,3})")
_SHOWS_TEXT = re.compile(rb"T[jJ]\b|['\"]\s")
_SINGLE = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{4,32})>")
_RANGE = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{4,8})>")
_ARRAY = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<[0-9A-Fa-f]{2,8}>\s{0,8}\[([^\[\]]*+)\]")
_MAX_CODES = 70_000  # codes read of one map; two bytes have 65,536


@dataclass(slots=True)
class Contents:
    """The contents of a document."""

    searchable: list[bytes] = field(default_factory=list)
    complete: bool = True  # nothing was skipped
    inflated: int = 0  # bytes


def contents(document: bytes, limit: int) -> Contents:
    """Return *document* itself, its inflated streams (at most *limit* bytes in all) and its decoded strings."""
    found = Contents(searchable=[document, _strings(document)], complete=not _UNREADABLE.search(document))
    streams: list[bytes] = []
    for number, start in enumerate(_STREAM.finditer(document)):
        left = limit - found.inflated
        if number == MAX_STREAMS or left <= 0:
            found.complete = False
            break
        content = _inflated(document, start.end(), left)
        found.inflated += len(content)
        streams.append(content)
    found.searchable += streams
    shown = [_strings(content) for content in streams if _SHOWS_TEXT.search(content)]
    found.searchable += shown
    maps = [content for content in streams if b"beginbf" in content]
    budget = MAX_MAPPED
    for characters in map(_characters, maps[:MAX_MAPS]):
        for text in shown:
            budget -= len(text)
            if budget > 0:
                found.searchable.append(_mapped(text, characters))
    unmapped = not maps and any(b"/Identity-H" in data for data in (document, *streams))
    if len(maps) > MAX_MAPS or budget <= 0 or unmapped:
        found.complete = False
    return found


def _inflated(document: bytes, start: int, most: int) -> bytes:
    """Return the inflated stream that begins at *start*, b"" if it has another filter (images, fonts)."""
    packed = document[start : start + most]
    if packed[:1] not in _ZLIB:
        packed, ended, _ = packed.partition(b"~>")
        try:
            packed = base64.a85decode(packed) if ended else b""
        except ValueError:
            return b""
    try:
        return zlib.decompressobj().decompress(packed, most) if packed else b""
    except zlib.error:
        return b""


def _strings(content: bytes) -> bytes:
    return b"".join(_literal(literal) or _hexadecimal(digits) for literal, digits in _STRING.findall(content))


def _literal(escaped: bytes) -> bytes:
    if b"\\" not in escaped:
        return escaped
    return _OCTAL.sub(lambda code: bytes([int(code[1], 8) & 255]), escaped).replace(b"\\", b"")


def _hexadecimal(digits: bytes) -> bytes:
    packed = b"".join(digits.split())
    return binascii.unhexlify(packed + b"0" * (len(packed) % 2))


def _characters(cmap: bytes) -> dict[bytes, str]:
    """Return the codes of a ToUnicode map (§9.10.3, bfchar and bfrange) with their characters, at most _MAX_CODES."""
    characters: dict[bytes, str] = {}
    for count, (code, character) in enumerate(_mappings(cmap)):
        if count == _MAX_CODES:
            break
        characters[code] = character
    return characters


def _mappings(cmap: bytes) -> Iterator[tuple[bytes, str]]:
    start = cmap.find(b"beginbf")
    while (end := cmap.find(b"endbf", start)) > start >= 0:
        section = cmap[start:end]
        if section.startswith(b"beginbfchar"):
            for match in _SINGLE.finditer(section):
                yield _hexadecimal(match[1]), _utf16(match[2])
        else:
            for match in _RANGE.finditer(section):
                for at, code in enumerate(_consecutive(match[1], match[2])):
                    yield code, chr(min(int(match[3], 16) + at, 0x10FFFF))
            for match in _ARRAY.finditer(section):
                values = re.findall(rb"<([0-9A-Fa-f]{4,32})>", match[2])
                yield from zip(_consecutive(match[1], b"f" * len(match[1])), map(_utf16, values), strict=False)
        start = cmap.find(b"beginbf", end)


def _consecutive(first: bytes, last: bytes) -> Iterator[bytes]:
    width = (len(first) + 1) // 2
    return (code.to_bytes(width, "big") for code in range(int(first, 16), min(int(last, 16) + 1, 256**width)))


def _utf16(digits: bytes) -> str:
    return _hexadecimal(digits).decode("utf-16-be", "replace")


def _mapped(text: bytes, characters: dict[bytes, str]) -> bytes:
    width = max((len(code) for code in characters), default=1)
    return "".join(_codes(text, width, characters)).encode("utf-8", "replace")


def _codes(text: bytes, width: int, characters: dict[bytes, str]) -> Iterator[str]:
    for at in range(0, len(text), width):
        yield characters.get(text[at : at + width], "")
