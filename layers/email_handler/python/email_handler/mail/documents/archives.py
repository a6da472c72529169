"""Archives and compressed files: ZIP (and with it OOXML, ODF, EPUB), tar, gzip, bzip2, xz, lzma, zlib."""

import bz2
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Protocol

from email_handler.mail.documents.reading import (
    BOUNDARY,
    DAMAGED,
    ENCRYPTED,
    TOO_LARGE,
    TOO_MANY,
    UNKNOWN,
    Budget,
    Found,
    Member,
    Name,
    Raw,
    Text,
    Unread,
)
from email_handler.mail.patterns import regex

_CHUNK = 1 << 20
_SAMPLE = 1024  # bytes
_RATIO = 64  # bytes for one, of which a text is never deflated to less
_METHODS = frozenset((0, 8, 12, 14))  # stored, deflate, bzip2, LZMA
_LOCAL = b"PK\x03\x04"
_LZMA_MEMORY = 256 << 20  # bytes of a dictionary
_PRINTER = regex(r"/printerSettings\d{0,4}\.bin$")
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError, KeyError)


def read_zip(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield names, comments and members of a ZIP, and what stands between them."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        yield Text(archive.comment.decode("utf-8", "replace"))
        infos = archive.infolist()
        for info in infos:
            if not budget.take_member():
                yield Unread(TOO_MANY)
                return
            yield Name(info.filename)
            yield Text(info.comment.decode("utf-8", "replace"))
            yield Raw(info.extra)
            if info.flag_bits & 1:
                yield Unread(ENCRYPTED, info.filename)
            elif info.compress_type not in _METHODS:
                yield Unread(UNKNOWN, info.filename)
            elif not info.is_dir() or info.file_size:
                yield from _member(archive, info, budget)
        if payload.count(_LOCAL) > len(infos) and _hidden_members(payload, infos):
            yield Unread(DAMAGED)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Iterator[Found]:
    chunks: list[bytes] = []
    reason = ""
    try:
        with archive.open(info) as opened:
            while chunk := opened.read(_CHUNK):
                if not budget.take(len(chunk)):
                    reason = TOO_LARGE
                    break
                chunks.append(chunk)
    except _DAMAGE:
        reason = DAMAGED
    content = b"".join(chunks)
    # A printer's settings in an OOXML document have no text but names, in one piece.
    yield Raw(content) if _PRINTER.search(info.filename) else Member(info.filename, content)
    if reason:
        yield Unread(reason, info.filename)


def _hidden_members(payload: bytes, infos: list[zipfile.ZipInfo]) -> bool:
    """Return whether members that the directory does not list stand between or before those it lists."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if payload.find(_LOCAL, end, info.header_offset) >= 0:
            return True
        end = max(end, info.header_offset + 30 + len(info.orig_filename) + info.compress_size)
    return payload.find(_LOCAL, end) >= 0


def read_tar(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield names, owners and members of a tar archive."""
    import tarfile  # noqa: PLC0415  (few messages have one)

    with tarfile.open(fileobj=io.BytesIO(payload), mode="r:") as archive:
        for info in archive:
            if not budget.take_member():
                yield Unread(TOO_MANY)
                return
            yield Name(info.name)
            yield Text(BOUNDARY.join((info.linkname, info.uname, info.gname)))  # in the file, digits precede them
            if info.isreg() and info.sparse is None:
                if budget.take(info.size):
                    yield Member(info.name, payload[info.offset_data : info.offset_data + info.size])
                else:
                    yield Unread(TOO_LARGE, info.name)
            elif info.sparse is not None:
                yield Unread(UNKNOWN, info.name)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def _decompressor(payload: bytes) -> _Decompressor:
    if payload.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if payload.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
        return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    return zlib.decompressobj(47)  # gzip or zlib


_GZIP_NAME = regex(rb"\x1f\x8b\x08[\x08\x18].{6}([^\0]{1,1000})\0", re.DOTALL)
_GZIP_TEXT = regex(rb"\x1f\x8b\x08[\x04-\x1f]")


def read_compressed(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield the content of a compressed file: of each of its streams, joined."""
    if name := _GZIP_NAME.match(payload):
        yield Name(name[1].decode("latin-1"))
    chunks: list[bytes] = []
    reason, rest = "", payload
    try:
        while rest.strip(b"\0") and not reason:
            if not budget.take_member():
                reason = TOO_MANY
                break
            content, rest, complete = _inflate(rest, budget)
            chunks.append(content)
            if not complete:
                reason = TOO_LARGE if budget.bytes <= _CHUNK else DAMAGED
    except _DAMAGE:
        reason = DAMAGED
    content = b"".join(chunks)
    if content:
        yield Member("", content)
    if reason:
        yield Unread(reason)


def _inflate(packed: bytes, budget: Budget) -> tuple[bytes, bytes, bool]:
    """Return the content of the first stream of *packed*, what follows it, and whether the stream is complete."""
    decompressor = _decompressor(packed)
    chunks: list[bytes] = []
    data = packed
    while not decompressor.eof:
        chunk = decompressor.decompress(data, _CHUNK)
        data = getattr(decompressor, "unconsumed_tail", b"")
        if not budget.take(len(chunk)):
            return b"".join(chunks), b"", False
        chunks.append(chunk)
        if not chunk and not data:
            break
    return b"".join(chunks), decompressor.unused_data, decompressor.eof


def read_deflated(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield the content of bytes that are deflated without a header (RFC 1951), as a diagram has its drawing and a link
    a SAML request. Nothing marks them: bytes that do not end exactly where their content does are something else."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(payload, _RATIO * len(payload))
    except zlib.error:
        return
    is_whole = inflater.eof and not inflater.unused_data
    if is_whole and budget.take(len(content)):
        yield Member("", content)
    elif is_whole or inflater.unconsumed_tail:
        yield Unread(TOO_LARGE)


def begins_zlib(payload: bytes) -> bool:
    """Return whether the first bytes of *payload* can be inflated."""
    try:
        return bool(zlib.decompressobj().decompress(payload[:_SAMPLE], _SAMPLE))
    except zlib.error:
        return False
