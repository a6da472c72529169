"""Certificates, keys and signatures in ASN.1 (ITU-T X.690, DER and BER): every string by itself."""

import re
from collections.abc import Iterator

from email_handler.mail.documents.reading import BOUNDARY, DAMAGED, ENCRYPTED, Budget, Found, Member, Raw, Text, Unread
from email_handler.mail.patterns import regex

_CODECS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii",
           0x1C: "utf-32-be", 0x1E: "utf-16-be"}  # fmt: skip
"""Tags of string types (X.680 §8.6) and how they are encoded."""

_OCTET_STRING = 0x04
_CONSTRUCTED = 0x20
_IMPLICIT = frozenset((0x81, 0x82, 0x86))  # GeneralName: address, host, URI (RFC 5280 §4.2.1.6)
_IMPLICIT_CONTENT = 0x80  # encrypted content, or any other implicit string
_ENCRYPTED_TYPES = (  # RFC 5652 §6.1, §8, RFC 5083; RFC 8018 PBES1 and PBES2; RFC 7292 §4.1 (PKCS #12 bags)
    bytes.fromhex("2a864886f70d010703"),
    bytes.fromhex("2a864886f70d010706"),
    bytes.fromhex("2a864886f70d0109100117"),
    bytes.fromhex("2a864886f70d01050d"),
    bytes.fromhex("2a864886f70d010c0a0102"),
)
_SIGNED = bytes.fromhex("2a864886f70d010701")  # "data": the signed content follows
_MAX_DEPTH = 60
_START = regex(rb"\x30(?:\x80|[\x02-\x7f]|\x81.|\x82..|\x83...|\x84....)(?=[\x02\x06\x30\x31\xa0])", re.DOTALL)


def is_der(payload: bytes) -> bool:
    """Return whether *payload* is one ASN.1 SEQUENCE from its first byte to its last."""
    if not _START.match(payload):
        return False
    if payload[1] == 0x80:  # noqa: PLR2004 - BER: the length is not given, it ends with two zeros
        return payload.rstrip(b"\r\n").endswith(b"\0\0")
    header, length = _length(payload, 1)
    return length is not None and header + length <= len(payload) <= header + length + 2


def read_der(payload: bytes, _: Budget) -> Iterator[Found]:
    """Yield the strings of the structure, each between boundaries, and the content that is signed in it."""
    yield Raw(payload)
    if any(kind in payload for kind in _ENCRYPTED_TYPES):
        yield Unread(ENCRYPTED)
    strings: list[str] = []
    pieces: list[bytes] = []
    complete = _walk(payload, strings, pieces)
    yield Text(BOUNDARY + BOUNDARY.join(strings) + BOUNDARY)
    if _SIGNED in payload and (content := b"".join(pieces)):
        yield Member("", content)  # BER cuts it into pieces
    if not complete:
        yield Unread(DAMAGED)


def _walk(payload: bytes, strings: list[str], pieces: list[bytes]) -> bool:  # noqa: C901 - one branch for each kind of token
    """Collect the strings and the contents of OCTET STRINGs in *payload*; return whether it is well-formed."""
    spans = [(0, len(payload), 0)]
    complete = True
    while spans:
        at, end, depth = spans.pop()
        while at < end:
            tag = payload[at]
            header, length = _length(payload, at + 1)
            at = header
            if tag == 0:  # the end of a value without a length
                continue
            if length is None:  # its values follow
                if depth:
                    complete = complete and bool(tag & _CONSTRUCTED)
                continue
            if at + length > end:
                complete = False
                length = end - at
            content = payload[at : at + length]
            at += length
            if tag & _CONSTRUCTED and depth < _MAX_DEPTH:
                spans.append((at - length, at, depth + 1))
            elif codec := _CODECS.get(tag):
                strings.append(content.decode(codec, "replace"))
            elif tag in _IMPLICIT or tag == _IMPLICIT_CONTENT:
                strings.append(content.decode("latin-1"))
            elif tag == _OCTET_STRING:
                if is_der(content) and depth < _MAX_DEPTH:
                    spans.append((at - length, at, depth + 1))
                else:
                    pieces.append(content)
    return complete


def _length(payload: bytes, at: int) -> tuple[int, int | None]:
    """Return the offset of the content and its length, None if an end mark closes it (X.690 §8.1.3)."""
    first = payload[at] if at < len(payload) else 0
    if first < 0x80:  # noqa: PLR2004
        return at + 1, first
    if first == 0x80:  # noqa: PLR2004
        return at + 1, None
    size = first & 0x7F
    return at + 1 + size, int.from_bytes(payload[at + 1 : at + 1 + min(size, 8)])
