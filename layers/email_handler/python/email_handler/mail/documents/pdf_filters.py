"""The filters of a PDF's streams (ISO 32000-1 §7.4) and their predictors."""

import base64
import zlib
from collections.abc import Callable

from email_handler.mail.documents.pdf_objects import Dictionary, Document, Name, Stream, Value, names
from email_handler.mail.documents.reading import DAMAGED, ENCRYPTED, TOO_LARGE, UNKNOWN, Budget
from email_handler.mail.patterns import regex

PICTURES = frozenset((b"DCTDecode", b"DCT", b"JPXDecode", b"CCITTFaxDecode", b"CCF", b"JBIG2Decode"))
"""Filters of pictures: what they hold is pixels."""

_SLOW = 8  # times that a byte costs which is decoded in Python
_HEXADECIMAL = regex(rb"[^0-9A-Fa-f]")
_NOT_85 = regex(rb"[^!-uz]")
_TIFF_PREDICTOR = 2
_CLEAR, _END_OF_DATA = 256, 257
_PNG_PREDICTORS = 10


class Undecodable(ValueError):
    """A stream could not be decoded in full: ``reason`` says why, ``content`` is what was decoded."""

    def __init__(self, reason: str, content: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.content = content


def decoded(stream: Stream, document: Document, budget: Budget) -> tuple[bytes, bytes]:
    """Return the content of *stream* and the picture filter that it still has, b"" if none.

    Raises :class:`Undecodable`.
    """
    content = stream.packed
    filters = list(names(stream.dictionary.get(b"Filter", stream.dictionary.get(b"F")), document))
    parameters = document.array(stream.dictionary.get(b"DecodeParms", stream.dictionary.get(b"DP")))
    for number, name in enumerate(filters):
        if name in PICTURES:
            return content, name
        if name == b"Crypt":
            raise Undecodable(ENCRYPTED)
        decode = _FILTERS.get(bytes(name))
        if decode is None:
            raise Undecodable(UNKNOWN, content)
        content = decode(content, budget)
        if number < len(parameters) and (chosen := document.dictionary(parameters[number])):
            content = _unpredicted(content, chosen, budget)
    return content, b""


def _flate(packed: bytes, budget: Budget) -> bytes:
    packed = packed.lstrip(b"\r\n")
    if not packed:
        return b""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(packed, max(budget.bytes, 1))
    except zlib.error as error:
        raise Undecodable(DAMAGED, _as_far_as_possible(packed, budget)) from error
    if not budget.take(len(content)) or inflater.unconsumed_tail:
        raise Undecodable(TOO_LARGE, content)
    if not inflater.eof or len(inflater.unused_data.strip(b"\0\t\n\f\r ")) > 4:  # noqa: PLR2004 - a second checksum
        raise Undecodable(DAMAGED, content)
    return content


def _as_far_as_possible(packed: bytes, budget: Budget) -> bytes:
    inflater, chunks, size = zlib.decompressobj(), [], 0
    try:
        for at in range(0, len(packed), 1024):
            chunks.append(inflater.decompress(packed[at : at + 1024]))
            size += len(chunks[-1])
            if not budget.take(len(chunks[-1])):
                break
    except zlib.error:
        pass
    return b"".join(chunks)


def _lzw(packed: bytes, budget: Budget) -> bytes:
    """Decode LZW (§7.4.4) with early change, as all producers write it."""
    table = [bytes([code]) for code in range(256)] + [b"", b""]
    chunks: list[bytes] = []
    before = b""
    width, bits, held, size = 9, 0, 0, 0
    for byte in packed:
        held, bits = (held << 8) | byte, bits + 8
        if bits < width:
            continue
        bits -= width
        code, held = held >> bits, held & ((1 << bits) - 1)
        if code == _END_OF_DATA:
            break
        if code == _CLEAR:
            del table[258:]
            width, before = 9, b""
            continue
        if code < len(table):
            entry = table[code]
        elif code == len(table) and before:
            entry = before + before[:1]
        else:
            raise Undecodable(DAMAGED, b"".join(chunks))
        size += len(entry)
        if size * _SLOW > budget.bytes:
            raise Undecodable(TOO_LARGE, b"".join(chunks))
        chunks.append(entry)
        if before and len(table) < 4096:  # noqa: PLR2004 - codes have at most 12 bits
            table.append(before + entry[:1])
        before = entry
        width = 9 if len(table) < 511 else 10 if len(table) < 1023 else 11 if len(table) < 2047 else 12  # noqa: PLR2004
    else:
        raise Undecodable(DAMAGED, b"".join(chunks))
    budget.take(size, _SLOW)
    return b"".join(chunks)


def _run_length(packed: bytes, budget: Budget) -> bytes:
    chunks: list[bytes] = []
    at = size = 0
    while at < len(packed):
        length = packed[at]
        if length == 128:  # noqa: PLR2004 - end of data
            break
        chunk = packed[at + 1 : at + 2 + length] if length < 128 else packed[at + 1 : at + 2] * (257 - length)  # noqa: PLR2004
        at += 2 + length if length < 128 else 2  # noqa: PLR2004
        size += len(chunk)
        if size * _SLOW > budget.bytes:
            raise Undecodable(TOO_LARGE, b"".join(chunks))
        chunks.append(chunk)
    budget.take(size, _SLOW)
    return b"".join(chunks)


def _ascii85(packed: bytes, _: Budget) -> bytes:
    digits, ended, _rest = packed.partition(b"~>")
    digits = _NOT_85.sub(b"", digits.removeprefix(b"<~"))
    try:
        content = base64.a85decode(digits)
    except ValueError as error:
        raise Undecodable(DAMAGED) from error
    if not ended and packed.rstrip()[-1:] != b"~":
        raise Undecodable(DAMAGED, content)
    return content


def _ascii_hex(packed: bytes, _: Budget) -> bytes:
    digits, ended, _rest = packed.partition(b">")
    digits = _HEXADECIMAL.sub(b"", digits)
    content = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    if not ended:
        raise Undecodable(DAMAGED, content)
    return content


_FILTERS: dict[bytes, Callable[[bytes, Budget], bytes]] = {
    b"FlateDecode": _flate,
    b"Fl": _flate,
    b"LZWDecode": _lzw,
    b"LZW": _lzw,
    b"RunLengthDecode": _run_length,
    b"RL": _run_length,
    b"ASCII85Decode": _ascii85,
    b"A85": _ascii85,
    b"ASCIIHexDecode": _ascii_hex,
    b"AHx": _ascii_hex,
}


def _unpredicted(content: bytes, parameters: Dictionary, budget: Budget) -> bytes:
    predictor = _integer(parameters.get(b"Predictor"), 1)
    if predictor < _TIFF_PREDICTOR:
        return content
    colors, bits = _integer(parameters.get(b"Colors"), 1), _integer(parameters.get(b"BitsPerComponent"), 8)
    pixel = max(1, colors * bits // 8)
    row = max(1, (_integer(parameters.get(b"Columns"), 1) * colors * bits + 7) // 8)
    if not budget.take(len(content), _SLOW):
        raise Undecodable(TOO_LARGE, content)
    if predictor >= _PNG_PREDICTORS:
        return _png_rows(content, row, pixel)
    if bits != 8:  # noqa: PLR2004 - of pictures only
        raise Undecodable(UNKNOWN, content)
    rows = bytearray(content)
    for start in range(0, len(rows), row):
        for at in range(start + pixel, min(start + row, len(rows))):
            rows[at] = (rows[at] + rows[at - pixel]) & 255
    return bytes(rows)


def _integer(value: Value, default: int) -> int:
    return min(max(int(value), 0), 1_000_000) if isinstance(value, float) else default


def _png_rows(content: bytes, row: int, pixel: int) -> bytes:
    above, rows = bytes(row), []
    for start in range(0, len(content), row + 1):
        kind, line = content[start], bytearray(content[start + 1 : start + 1 + row])
        for at, byte in enumerate(line) if kind else ():
            left = line[at - pixel] if at >= pixel else 0
            up, corner = above[at], above[at - pixel] if at >= pixel else 0
            line[at] = (byte + _predicted(kind, left, up, corner)) & 255
        above = bytes(line).ljust(row, b"\0")
        rows.append(bytes(line))
    return b"".join(rows)


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    match kind:
        case 1:
            return left
        case 2:
            return up
        case 3:
            return (left + up) // 2
        case _:
            nearest = left + up - corner
            distances = (abs(nearest - left), abs(nearest - up), abs(nearest - corner))
            return (left, up, corner)[distances.index(min(distances))]


def is_picture(stream: Stream) -> bool:
    """Return whether *stream* is a picture: pixels that hold no text."""
    return stream.dictionary.get(b"Subtype") == Name(b"Image")
