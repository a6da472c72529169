"""The texts of a message, from the archive: of one with files those that the attachment function stored, of others those
of the message as it came."""

from email_handler.conversations.records import MessageRecord
from email_handler.errors import ArchiveObjectMissing
from email_handler.mistakes import attempt_or
from email_handler.ports import Archive
from index.entries import Texts, text_keys

LARGEST = 5_000_000
"""Bytes of a message that is read as it came; of larger ones the record's first words must do."""


def stored_texts(message: MessageRecord, archive: Archive) -> Texts:
    """Return the texts of a described *message*. Raises ArchiveUnavailable."""
    if message.files == 0:
        return texts_as_it_came(message, archive)
    new, full, *files = [_text(key, archive) for key in text_keys(message)]
    return Texts(new=new, full=full, files=tuple(files))


def _text(key: str, archive: Archive) -> str:
    try:
        return archive.get(key).decode("utf-8", "replace")
    except ArchiveObjectMissing:  # it expired, or is erased at this moment
        return ""


def texts_as_it_came(message: MessageRecord, archive: Archive) -> Texts:
    """Return the text of a *message* of which no text is stored (it has no files, or is held or dropped), and the names of
    its files. They are not opened. Raises ArchiveUnavailable."""
    beginning = Texts(new=message.snippet, full="")
    if message.size > LARGEST:
        return beginning
    try:
        raw = archive.get(message.archive_key)
    except ArchiveObjectMissing:
        return beginning
    return attempt_or(beginning, _texts_of, raw)


def _texts_of(raw: bytes) -> Texts:
    from email_handler.mail.new_text import new_text  # noqa: PLC0415  (slow to import, and only held messages need it)
    from email_handler.mail.parsing import parse  # noqa: PLC0415

    message = parse(raw)
    names = tuple(found.name for found in message.attachments)
    return Texts(new=new_text(message.text, message.html), full=message.text, files=names)
