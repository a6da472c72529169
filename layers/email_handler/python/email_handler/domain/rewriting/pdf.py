"""What a PDF shows and says (ISO 32000-1), as far as its inflated streams tell: enough to look for an address in it.

No layout, no order: strings are joined as they follow each other. Fonts that number their glyphs are read through
their ToUnicode maps (§9.10.3), each map tried on each stream, since which font is on is not followed.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_STREAMS = 5000  # streams of one document
MAX_MAPS = 40  # ToUnicode maps of one document; common ones have one for each font
MAX_MAPPED = 20_000_000  # octets of text times maps that are tried

_SEALED = re.compile(rb"/Encrypt\b|/LZWDecode\b")
_ZLIB = (b"\x78", b"\x48", b"\x58", b"\x68")  # first octet of a zlib stream (RFC 1950 §2.2), as writers set it
_STREAM = re.compile(rb"stream\r?\n")
_STRING = re.compile(rb"\(((?:[^()\\]|\\.)*+)\)|<([0-9A-Fa-f\s]{2,4000})>", re.DOTALL)
_OCTAL = re.compile(rb"\\([0-7]{1,3})")
_SHOWS = re.compile(rb"T[jJ]\b|['\"]\s")
_SINGLE = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{4,32})>")
_RANGE = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{2,8})>\s{0,8}<([0-9A-Fa-f]{4,8})>")
_ARRAY = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<[0-9A-Fa-f]{2,8}>\s{0,8}\[([^\]]{0,20000})\]")
_SECTION = re.compile(rb"beginbf(char|range)(.{0,100000}?)endbf", re.DOTALL)
_RANGE_LIMIT = 70_000  # codes of one map


@dataclass(slots=True)
class Contents:
    """What was found: ``octets`` to look through, whether they are all (``complete``), and how much was inflated."""

    octets: list[bytes] = field(default_factory=list)
    complete: bool = True
    inflated: int = 0


def contents(document: bytes, limit: int) -> Contents:
    """Return what *document* holds: itself, its inflated streams (at most *limit* octets) and its strings, decoded."""
    found = Contents(octets=[document, _strings(document)], complete=not _SEALED.search(document))
    streams: list[bytes] = []
    for number, start in enumerate(_STREAM.finditer(document)):
        left = limit - found.inflated
        if number == MAX_STREAMS or left <= 0:
            found.complete = False
            break
        content = _inflated(document, start.end(), left)
        found.inflated += len(content)
        streams.append(content)
    found.octets += streams
    shown = [_strings(content) for content in streams if _SHOWS.search(content)]
    found.octets += shown
    maps = [_characters(content) for content in streams if b"beginbf" in content]
    budget = MAX_MAPPED
    for characters in maps[:MAX_MAPS]:
        for text in shown:
            budget -= len(text)
            if budget > 0:
                found.octets.append(_mapped(text, characters))
    if len(maps) > MAX_MAPS or budget <= 0 or (not maps and any(b"/Identity-H" in o for o in (document, *streams))):
        found.complete = False
    return found


def _inflated(document: bytes, start: int, most: int) -> bytes:
    """Return the stream that begins at *start*, b"" where it is packed by another filter (images, fonts)."""
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
    """Return what each code of a ToUnicode map means (§9.10.3, bfchar and bfrange)."""
    characters: dict[bytes, str] = {}
    for section in _SECTION.finditer(cmap):
        if section[1] == b"char":
            characters |= {_hexadecimal(m[1]): _utf16(m[2]) for m in _SINGLE.finditer(section[2])}
            continue
        for match in _RANGE.finditer(section[2]):
            first, last, to = int(match[1], 16), int(match[2], 16), int(match[3], 16)
            width = len(match[1]) // 2
            for code in range(first, min(last + 1, first + _RANGE_LIMIT - len(characters))):
                characters[code.to_bytes(width, "big")] = chr(min(to + code - first, 0x10FFFF))
        for match in _ARRAY.finditer(section[2]):
            first, width = int(match[1], 16), len(match[1]) // 2
            for at, digits in enumerate(re.findall(rb"<([0-9A-Fa-f]{4,32})>", match[2])):
                if first + at < 256**width:
                    characters[(first + at).to_bytes(width, "big")] = _utf16(digits)
    return characters


def _utf16(digits: bytes) -> str:
    return _hexadecimal(digits).decode("utf-16-be", "replace")


def _mapped(text: bytes, characters: dict[bytes, str]) -> bytes:
    width = max((len(code) for code in characters), default=1)
    return "".join(_codes(text, width, characters)).encode("utf-8", "replace")


def _codes(text: bytes, width: int, characters: dict[bytes, str]) -> Iterator[str]:
    for at in range(0, len(text), width):
        yield characters.get(text[at : at + width], "")
