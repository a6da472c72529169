"""Files that were left out of a forward: in which messages they go to the owner when asked for."""

from email_handler.conversations.records import LeftOut, MessageRecord
from email_handler.mail import writer
from email_handler.mail.message import Attachment, Message
from email_handler.outgoing.original import FORWARD_LIMIT

ROOM = FORWARD_LIMIT - 256 * 1024  # bytes for files in one message; the rest is for what is said about them
NAMED = 5  # files too large for any message that the record names


def in_messages(message: Message) -> tuple[list[list[Attachment]], list[Attachment]]:
    """Return the attachments of *message* by the messages that they fit in, in their order, and those that fit in none."""
    groups: list[list[Attachment]] = []
    kept: list[Attachment] = []
    free = 0
    for file in message.attachments:
        size = _encoded(len(file.payload))
        if size > ROOM:
            kept.append(file)
            continue
        if size > free:
            groups.append([])
            free = ROOM
        groups[-1].append(file)
        free -= size
    return groups, kept


def _encoded(length: int) -> int:
    """Return the bytes of a file of *length* bytes in Base64, its header fields included."""
    return (length + 56) // 57 * 78 + 2000


def left_out(message: Message, record: MessageRecord) -> LeftOut | None:
    """Return what a forward of *message* without its files lacks, None if it has none."""
    groups, kept = in_messages(message)
    if not message.attachments:
        return None
    return LeftOut(
        function=record.function,
        archive_key=record.archive_key,
        messages=len(groups),
        kept=tuple(writer.one_line(file.name, 80) for file in kept[:NAMED]),
    )
