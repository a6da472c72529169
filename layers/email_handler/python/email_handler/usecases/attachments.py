"""attachment's use case: a recorded message's texts and attachments become objects of the archive."""

import hashlib

from email_handler.conversations.keys import MAX_NAME, attachment_key, text_key
from email_handler.conversations.records import AttachmentRecord, MessageRecord
from email_handler.errors import UnknownConversation
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.mail.message import Attachment
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from email_handler.ports import Archive, Records, TextExtractor

MAX_DESCRIBED = 200  # attachments in the record, whose item DynamoDB limits to 400 KB; all are stored


def store_attachments(
    receipt: ReceiptId, function: FunctionName, *, archive: Archive, records: Records, extractor: TextExtractor
) -> tuple[AttachmentRecord, ...]:
    """Store the body's text, the new text, each attachment and its text, then describe them in the message's record: at
    least once, and a second run writes the same objects and the same record.

    Raises UnknownConversation if the table holds no such message.
    """
    record = records.message(receipt, function)
    if record is None:
        raise UnknownConversation("the event names a message that the table does not hold")
    message = parse(archive.get(record.archive_key))
    for name, text in (("body", message.text), ("new", new_text(message.text, message.html))):
        _put_text(archive, record, name, text)
    described = tuple(_store(attachment, record, archive, extractor) for attachment in message.attachments)
    records.describe_attachments(receipt, function, described[:MAX_DESCRIBED], len(message.text))
    return described


def _store(
    attachment: Attachment, record: MessageRecord, archive: Archive, extractor: TextExtractor
) -> AttachmentRecord:
    key = attachment_key(record.conversation, record.receipt, attachment.number, attachment.name)
    archive.put(key, attachment.payload, "application/octet-stream")  # never the type that a stranger declared
    extracted = extractor.extract(attachment.payload, attachment.name, attachment.content_type)
    text = _put_text(archive, record, f"{attachment.number:02d}", extracted.text) if extracted.text else ""
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


def _put_text(archive: Archive, record: MessageRecord, name: str, text: str) -> str:
    key = text_key(record.conversation, record.receipt, name)
    archive.put(key, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
    return key
