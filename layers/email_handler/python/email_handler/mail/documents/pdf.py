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
_ARRAY = re.compile(rb"<([0-9A-Fa-f]{2,8})>\s{0,8}<[0-9A-Fa-f]{2,8}>\s{0,8}\[([^\[\]]*+)\]")
_CODES = 70_000  # codes of one map that are read: two octets tell 65,536


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
    maps = [content for content in streams if b"beginbf" in content]
    budget = MAX_MAPPED
    for characters in map(_characters, maps[:MAX_MAPS]):
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
    """Return what each code of a ToUnicode map means (§9.10.3, bfchar and bfrange). Bounded by _CODES."""
    characters: dict[bytes, str] = {}
    for count, (code, character) in enumerate(_meanings(cmap)):
        if count == _CODES:
            break
        characters[code] = character
    return characters


def _meanings(cmap: bytes) -> Iterator[tuple[bytes, str]]:
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
                meant = re.findall(rb"<([0-9A-Fa-f]{4,32})>", match[2])
                yield from zip(_consecutive(match[1], b"f" * len(match[1])), map(_utf16, meant), strict=False)
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
