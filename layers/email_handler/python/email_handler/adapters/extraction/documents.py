"""What a document is, by its content alone, and its text. Runs in a process that may die (see process.py)."""

import io
from typing import Any

import kreuzberg
import olefile

from email_handler.adapters.extraction.plain_text import plain_text
from email_handler.mail.parsing import parse
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

_OLE_STREAMS = {
    # MS-OXMSG §2.2, MS-DOC §2.1, MS-XLS §2.1.2 and MS-PPT §2.1: the stream at the root that each format must have.
    "__properties_version1.0": "application/vnd.ms-outlook",
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
}
_OTHER_OLE = "application/x-ole-storage"
_MARKUP = {"text/html", "text/xml", "application/xml", "application/xhtml+xml", "image/svg+xml"}
_WRITTEN_AS_TEXT = {"application/pdf", "application/rtf", "text/rtf"}  # they declare the charset of each string
_FIELD = regex(rb"[!-9;-~]{1,60}:")  # RFC 5322 §2.2

_configure: Any = kreuzberg.ExtractionConfig  # its stubs do not know disable_ocr
_CONFIG = _configure(disable_ocr=True, use_cache=False)  # OCR needs language data, which is not shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A recognised document."""

    media_type: str  # "" if unknown
    content: bytes
    text: str | None  # if the document is nothing but text


def recognise(payload: bytes, charset: str) -> Document:
    """Return what *payload* is. *charset* is what its part declares, "" if nothing."""
    if payload.startswith(olefile.MAGIC):
        return Document(media_type=_ole_type(payload), content=payload, text=None)
    text = plain_text(payload, charset)
    if text is None:
        detected = _detect(payload)  # which takes some programs for text
        return Document(media_type="" if detected == "text/plain" else detected, content=payload, text=None)
    encoded = text.encode()
    detected = _detect(encoded)
    if detected in _WRITTEN_AS_TEXT:
        return Document(media_type=detected, content=payload, text=None)
    if detected in _MARKUP:
        return Document(media_type=detected, content=encoded, text=None)
    if detected in ("", "text/plain") and (words := _message_text(payload)):
        return Document(media_type="message/rfc822", content=b"", text=words)
    # "BMW …" is no bitmap, whatever its first two letters are.
    kept = detected.startswith("text/") or detected == "application/json"
    return Document(media_type=detected if kept else "text/plain", content=b"", text=text)


def read(document: Document, limit: int) -> tuple[str, str]:
    """Return status and text of at most *limit* characters. Raise what the library raises."""
    if document.text is not None:
        text = document.text
    elif document.media_type in ("", _OTHER_OLE):
        return "unsupported", ""
    else:
        text = kreuzberg.extract_bytes_sync(document.content, document.media_type, _CONFIG).content
    text = text.strip()
    if not text:
        return "no text", ""
    return "extracted" if len(text) <= limit else "extracted in part", text[:limit]


def _detect(content: bytes) -> str:
    try:
        return kreuzberg.detect_mime_type(content)
    except (kreuzberg.KreuzbergError, RuntimeError):  # RuntimeError for an unknown format
        return ""


def _message_text(payload: bytes) -> str:
    """Return subject and text of the message *payload*, "" if it is none: text with colons is not enough."""
    if not _FIELD.match(payload):
        return ""
    message = parse(payload)
    return f"{message.subject}\n\n{message.text}" if message.from_ and (message.date or message.message_id) else ""


def _ole_type(payload: bytes) -> str:
    with olefile.OleFileIO(io.BytesIO(payload)) as file:
        names = {entry.name for entry in file.root.kids}
    return next((kind for name, kind in _OLE_STREAMS.items() if name in names), _OTHER_OLE)
