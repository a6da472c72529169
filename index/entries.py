"""What the index keeps of a message: its record, and the words that it is found by."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from email_handler.adapters.dynamodb.items import read, write
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import text_key
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.identifiers import ArchiveKey
from index.texts import searchable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of one message, as the archive has them."""

    new: str  # what its author wrote in it
    full: str  # with what it quotes
    files: tuple[str, ...] = ()  # the text in each of its files


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message for the index."""

    message: MessageRecord
    texts: Texts | None = None  # None: those that the index has, or the record's snippet
    expires: datetime | None = None  # when the table forgets it


def text_keys(message: MessageRecord) -> tuple[ArchiveKey, ...]:
    """Return where the texts of *message* are: new and full text, then those in its files. None until it is described."""
    own = ("new", "body") if is_described(message) else ()
    files = (ArchiveKey(found.text_key) for found in message.attachments if found.text_key)
    return (*(text_key(message.conversation, message.receipt, name) for name in own), *files)


def is_described(message: MessageRecord) -> bool:
    """Return whether the texts of *message* can be read: it has no files, or the attachment function has described them."""
    unknown = message.files is None
    return bool(message.attachments) or (bool(message.text_chars) if unknown else message.files == 0)


def texts_state(message: MessageRecord) -> str:
    """Return a digest that changes when the texts of *message* do."""
    state = (message.text_chars, [(found.text_key, found.text_chars, found.sha256) for found in message.attachments])
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16] if is_described(message) else ""


def words_about(message: MessageRecord, conversation: Conversation | None) -> tuple[str, ...]:
    """Return the first five of the index's columns: sender, recipient, subject, people and ids, names of files."""
    known: Sequence[str] = ()
    recipient: Sequence[str] = (message.public_address, message.source)
    if conversation:
        contact = (conversation.contact, conversation.contact_name, conversation.reply_address)
        known = (conversation.id, *contact, conversation.subject, *conversation.participants)
        recipient = contact if message.outcome is Outcome.RELAY else recipient
    people = (*known, message.public_address, message.source, message.reply_address, message.receipt)
    files = (found.name for found in message.attachments)
    columns = ((message.sender, message.sender_name), recipient, (message.subject,), people, files)
    return tuple(searchable("\n".join(filter(None, dict.fromkeys(parts)))) for parts in columns)


def words_of(texts: Texts) -> tuple[str, str, str]:
    """Return the last three of the index's columns: new text, what else the text says, text in files."""
    rest = texts.full.replace(texts.new, "", 1) if texts.new else texts.full
    return searchable(texts.new), searchable(rest), searchable("\n".join(texts.files))


def microseconds(moment: datetime) -> int:
    """Return *moment* as microseconds since 1970, which no rounding changes."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_json(record: Conversation | MessageRecord) -> str:
    """Return *record* as JSON without its token, which would let any reader of the file write into the conversation."""
    return json.dumps(write(replace(record, token="")), default=float, ensure_ascii=False)


def conversation_from(text: str) -> Conversation:
    """Return the conversation that :func:`to_json` wrote."""
    return read(Conversation, _parsed(text))


def message_from(text: str) -> MessageRecord:
    """Return the message that :func:`to_json` wrote."""
    return read(MessageRecord, _parsed(text))


def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed
