"""attachment's use case: a recorded message's texts and attachments become objects of the archive."""

import hashlib
from collections.abc import Callable

from email_handler.conversations.keys import MAX_NAME, attachment_key, text_key
from email_handler.conversations.records import AttachmentRecord, MessageRecord
from email_handler.errors import UnknownConversation
from email_handler.identifiers import ArchiveKey, FunctionName, ReceiptId
from email_handler.mail.message import Attachment
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from email_handler.mistakes import attempt_or
from email_handler.ports import Archive, Extracted, Records, TextExtractor

MAX_DESCRIBED = 200  # attachments in the record, whose item DynamoDB limits to 400 KB; all are stored
TEXT_SECONDS = 180.0  # for the texts of all attachments, so that storing and describing them fits the function's time
DOCUMENT_SECONDS = 20.0  # for the text of one


def store_attachments(
    receipt: ReceiptId,
    function: FunctionName,
    *,
    archive: Archive,
    records: Records,
    extractor: TextExtractor,
    seconds: Callable[[], float],
) -> tuple[AttachmentRecord, ...]:
    """Store the body's text, the new text, each attachment and then their texts, and describe them in the message's
    record: at least once, and a second run writes the same objects and, unless time ran out, the same record.

    All bytes are stored before any document is read. Each document may use its share of the time that is left, so that
    none takes what the others need. *seconds* is a clock that only moves forward.

    Raises UnknownConversation if the table holds no such message.
    """
    record = records.message(receipt, function)
    if record is None:
        raise UnknownConversation("the event names a message that the table does not hold")
    message = parse(archive.get(record.archive_key))
    own = attempt_or("", new_text, message.text, message.html)  # a mistake of ours costs only this text
    for name, text in (("body", message.text), ("new", own)):
        _put_text(archive, record, name, text)
    for attachment in message.attachments:
        # Never the type that a stranger declared.
        archive.put(_key(record, attachment), attachment.payload, "application/octet-stream")
    described, end = [], seconds() + TEXT_SECONDS
    for before, attachment in enumerate(message.attachments):
        limit = min(DOCUMENT_SECONDS, (end - seconds()) / (len(message.attachments) - before))
        charset = attachment.part.parameters.get("charset", "")
        extracted = extractor.extract(attachment.payload, charset, limit)
        described.append(_describe(attachment, extracted, record, archive))
    records.describe_attachments(receipt, function, tuple(described[:MAX_DESCRIBED]), len(message.text))
    return tuple(described)


def _describe(
    attachment: Attachment, extracted: Extracted, record: MessageRecord, archive: Archive
) -> AttachmentRecord:
    return AttachmentRecord(
        number=attachment.number,
        name=attachment.name[:MAX_NAME],
        declared_type=attachment.content_type[:MAX_NAME],
        detected_type=extracted.detected_type,
        size=len(attachment.payload),
        sha256=hashlib.sha256(attachment.payload).hexdigest(),
        archive_key=_key(record, attachment),
        text_key=_put_text(archive, record, f"{attachment.number:02d}", extracted.text) if extracted.text else "",
        text_chars=len(extracted.text),
        status=extracted.status,
    )


def _key(record: MessageRecord, attachment: Attachment) -> ArchiveKey:
    return attachment_key(record.conversation, record.receipt, attachment.number, attachment.name)


def _put_text(archive: Archive, record: MessageRecord, name: str, text: str) -> str:
    key = text_key(record.conversation, record.receipt, name)
    archive.put(key, text.encode("utf-8", "replace"), "text/plain; charset=utf-8")
    return key
