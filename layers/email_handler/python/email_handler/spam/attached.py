"""The text of attachments that a reader opens as soon as the message: web pages and PDFs, where spam hides its words."""

from collections.abc import Iterator
from itertools import islice

from email_handler.mail.charsets import decode
from email_handler.mail.documents.reading import BOUNDARY, KERN, Budget, Text
from email_handler.mail.html import read_page
from email_handler.mail.message import Attachment, Message
from email_handler.mistakes import attempt_or

_ATTACHMENTS = 3  # that are read
_PDF_BYTES = 256 * 1024  # a longer one is no page of text
_PDF_TEXTS = 200  # read from one
_PAGE_BYTES = 64 * 1024  # read of a web page
_LONGEST = 8 * 1024  # characters of each attachment's text
_PAGE_NAMES = (".html", ".htm", ".shtml", ".xhtml", ".svg")


def attached_texts(message: Message) -> tuple[str, ...]:
    """Return the text of the first few web pages and PDFs of *message*, each cut. What cannot be read has none."""
    return tuple(filter(None, islice(map(_text, message.attachments), 10)))[:_ATTACHMENTS]


def _text(attachment: Attachment) -> str:
    if attachment.payload.startswith(b"%PDF-"):
        return attempt_or("", _pdf_text, attachment.payload) if len(attachment.payload) <= _PDF_BYTES else ""
    if attachment.content_type == "text/html" or attachment.name.lower().endswith(_PAGE_NAMES):
        return read_page(decode(attachment.payload[:_PAGE_BYTES], "utf-8")).text[:_LONGEST]
    return ""


def _pdf_text(payload: bytes) -> str:
    runs = islice(_runs(payload), _PDF_TEXTS)
    return "\n".join(runs)[:_LONGEST]


def _runs(payload: bytes) -> Iterator[str]:
    from email_handler.mail.documents.pdf import read_pdf  # noqa: PLC0415  (five modules that few messages need)

    for found in read_pdf(payload, Budget()):
        if isinstance(found, Text):
            yield found.text.replace(KERN, "").replace(BOUNDARY, " ")
