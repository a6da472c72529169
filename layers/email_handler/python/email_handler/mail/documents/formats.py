"""Which format a file has, by its content: whatever its type and its name say."""

import re
from collections.abc import Callable, Iterator

from email_handler.mail.documents import archives, certificates, pictures, rtf
from email_handler.mail.documents.plain import is_unknown_ebcdic
from email_handler.mail.documents.reading import ENCRYPTED, UNKNOWN, Budget, Found, Reader, Unread
from email_handler.mail.patterns import regex

_ZIP_END = b"PK\x05\x06"
_ZIP_END_AT = 66_000  # bytes before the end of a file that it can begin at: 22 and a comment of 65,535
_TAR_MAGIC_AT = 257
_SAMPLE = 64  # bytes
_ZLIB = regex(rb"[\x28\x38\x48\x58\x68\x78].", re.DOTALL)
_PICTURES = (b"II*\0", b"MM\0*", b"BM", b"\0\0\1\0")
_NOT_READ = (b"7z\xbc\xaf", b"Rar!", b"\x78\x9f\x3e\x22", b"\x28\xb5\x2f\xfd", b"MSCF", b"%!", b"\x1b%-12345X")
"""First bytes of 7z, RAR, TNEF, Zstandard, CAB, PostScript (a program) and printer jobs (PJL)."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")


def readers_of(payload: bytes) -> list[Reader]:
    """Return the readers of *payload*, which may be several formats at once; none if it is text or unknown."""
    found: list[Reader] = []
    if payload.startswith(b"PK\x03\x04") or _ZIP_END in payload[-_ZIP_END_AT:]:
        found.append(archives.read_zip)
    if b"%PDF-" in payload[:1024]:
        found.append(_read_pdf)
    return found or [reader for is_format, reader in _TESTS if is_format(payload)][:1]


def _read_ole(payload: bytes, _: Budget) -> Iterator[Found]:
    yield Unread(ENCRYPTED if _ENCRYPTED_PACKAGE in payload else UNKNOWN)


def _read_nothing(_payload: bytes, _: Budget) -> Iterator[Found]:
    yield Unread(UNKNOWN)


def _read_pdf(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Read a PDF, by five modules that most messages do not need: they are imported with the first one."""
    from email_handler.mail.documents.pdf import read_pdf  # noqa: PLC0415

    return read_pdf(payload, budget)


def _is_zlib(payload: bytes) -> bool:
    is_header = _ZLIB.match(payload) is not None and int.from_bytes(payload[:2]) % 31 == 0  # RFC 1950 §2.2
    return is_header and archives.begins_zlib(payload)  # "x " is a header too


def _is_font(payload: bytes) -> bool:
    """Return whether *payload* is a TrueType or OpenType font."""
    tables = int.from_bytes(payload[4:6])
    return payload.startswith((b"\0\1\0\0", b"OTTO", b"true")) and 0 < tables < 100  # noqa: PLR2004 - 10 to 30


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda payload: payload.startswith(magic)


_TESTS: tuple[tuple[Callable[[bytes], bool], Reader], ...] = (
    (_starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\0\0"), archives.read_compressed),
    (_starts(pictures.PNG), pictures.read_png),
    (_starts(pictures.JPEG), pictures.read_jpeg),
    (_starts(b"GIF8"), pictures.read_gif),
    (_starts(*_PICTURES), pictures.read_plain),
    (lambda payload: payload[:_SAMPLE].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rt"), rtf.read_rtf),
    (_starts(_OLE), _read_ole),
    (_starts(*_NOT_READ), _read_nothing),
    (is_unknown_ebcdic, _read_nothing),
    (_is_font, pictures.read_plain),
    (lambda payload: payload[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar", archives.read_tar),
    (lambda payload: payload[8:12] == b"WEBP", pictures.read_riff),
    (certificates.is_der, certificates.read_der),
    (_is_zlib, archives.read_compressed),
)
"""How each format is recognised, in this order."""

_CERTAIN = (
    b"PK\x03\x04",
    b"%PDF-",
    b"\x1f\x8b\x08",
    b"BZh9",
    b"\xfd7zXZ",
    b"\x5d\0\0",
    pictures.PNG,
    pictures.JPEG,
    b"GIF8",
    b"{\\rtf",
    _OLE,
)


def is_certain(payload: bytes) -> bool:
    """Return whether *payload* begins as no other bytes do by chance: for bytes that may be no file at all."""
    if payload.startswith(_CERTAIN) or payload[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return True
    if payload[:2] == b"\x30\x82":
        return certificates.is_der(payload)
    return _is_zlib(payload)
