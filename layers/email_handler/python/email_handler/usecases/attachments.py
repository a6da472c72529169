"""attachment's use case: a recorded message's texts and attachments become objects of the archive."""

import hashlib
import re

from email_handler.conversations.records import AttachmentRecord, MessageRecord
from email_handler.errors import UnknownConversation
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.mail.message import Attachment
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from email_handler.ports import Archive, Records, TextExtractor

MAX_DESCRIBED = 200  # attachments told in the record, whose item DynamoDB bounds at 400 KB; all are stored
MAX_NAME = 100  # characters of a file name in an archive key (S3 takes 1,024 octets for the whole)


def store_attachments(
    receipt: ReceiptId,
    function: FunctionName,
    *,
    archive: Archive,
    records: Records,
    extractor: TextExtractor,
) -> tuple[AttachmentRecord, ...]:
    """Store the body's text, the new text, each attachment and the text found in it, then describe all of them in
    the message's record: at least once, and a second run writes the same objects and the same record.

    Raises UnknownConversation when the table holds no such message.
    """
    record = records.message(receipt, function)
    if record is None:
        raise UnknownConversation("the event names a message that the table does not hold")
    message = parse(archive.get(record.archive_key))
    _put_text(archive, text_key(record, "body"), message.text)
    _put_text(archive, text_key(record, "new"), new_text(message.text, message.html))
    described = tuple(
        _store(attachment, record, archive=archive, extractor=extractor) for attachment in message.attachments
    )
    records.describe_attachments(receipt, function, described[:MAX_DESCRIBED], len(message.text))
    return described


def _store(
    attachment: Attachment, record: MessageRecord, *, archive: Archive, extractor: TextExtractor
) -> AttachmentRecord:
    key = f"attachments/{_place(record)}/{attachment.number:02d}-{safe_name(attachment.name)}"
    archive.put(key, attachment.payload, "application/octet-stream")  # never served as what a stranger calls it
    extracted = extractor.extract(attachment.payload, attachment.name, attachment.content_type)
    text = text_key(record, f"{attachment.number:02d}") if extracted.text else ""
    if text:
        _put_text(archive, text, extracted.text)
    return AttachmentRecord(
        number=attachment.number,
        name=attachment.name[:MAX_NAME],
        declared_type=attachment.content_type[:MAX_NAME],
        detected_type=extracted.detected_type,
        size=len(attachment.payload),
        sha256=hashlib.sha256(attachment.payload).hexdigest(),
        archive_key=key,
        text_key=text,
        text_chars=len(extracted.text),
        status=extracted.status,
    )


def text_key(record: MessageRecord, name: str) -> str:
    """Return the archive key of one of a message's texts: ``body``, ``new``, or an attachment's number."""
    return f"text/{_place(record)}/{name}.txt"


def _place(record: MessageRecord) -> str:
    return f"{record.conversation or 'none'}/{record.receipt}"


def safe_name(name: str) -> str:
    """Return *name* fit for an archive key: no separators, no control characters, never empty, ending kept."""
    clean = re.sub(r"[^\w.()+ -]", "_", name).strip(" .") or "unnamed"
    return clean if len(clean) <= MAX_NAME else clean[: MAX_NAME - 20] + clean[-20:]


def _put_text(archive: Archive, key: str, text: str) -> None:
    archive.put(key, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
