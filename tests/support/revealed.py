"""Everything that a curious recipient could read in a message, for tests of the leak gate.

It uses only the standard library and shares no code with the leak gate.
"""

import base64
import binascii
import html
import io
import quopri
import re
import zipfile
import zlib
from collections.abc import Iterator
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from urllib.parse import unquote


def revealed(raw: bytes) -> str:
    """Return all texts of *raw* in lower case, each decoded in every way that makes sense."""
    return "\n".join(seen.lower() for text in _texts(raw) for seen in _ways(text))


def _ways(text: str) -> Iterator[str]:
    yield text
    yield unquote(text)
    yield html.unescape(text)
    yield unquote(html.unescape(text))
    yield html.unescape(re.sub(r"<[^<>]*>", "", text))
    yield re.sub(r" ?\r?\n[ \t>]*", "", text)
    yield quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    yield text.replace("\0", "")
    for run in re.findall(r"[A-Za-z0-9+/=\r\n]{24,}", text):
        yield _unarmoured(run)


def _unarmoured(run: str) -> str:
    try:
        return base64.b64decode("".join(run.split())).decode("latin-1")
    except binascii.Error:
        return ""


def _texts(raw: bytes) -> Iterator[str]:
    yield raw.decode("latin-1")
    yield from _of(message_from_bytes(raw))


def _of(message: Message) -> Iterator[str]:
    for part in message.walk():
        for name, value in part.items():
            yield f"{name}: {value}"
            yield str(make_header(decode_header(str(value))))
        yield str(part.get_filename() or "")
        yield str(part.get_param("name") or "")
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield from _contents(payload, part.get_content_charset("utf-8"))
            if part.get_content_type() == "application/octet-stream" and part.get_filename("").endswith(".eml"):
                yield from _of(message_from_bytes(payload))


def _contents(payload: bytes, charset: str) -> Iterator[str]:
    for codec in {charset, "latin-1", "utf-16"}:
        try:
            yield payload.decode(codec, "replace")
        except LookupError:
            continue
    if payload.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            for name in archive.namelist():
                yield name
                yield archive.read(name).decode("utf-8", "replace")
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", payload, re.DOTALL):
        try:
            yield re.sub(r"[()\[\]]|-?\d+", "", zlib.decompress(stream).decode("latin-1"))
        except zlib.error:
            continue
