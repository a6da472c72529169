"""``email-handler search``: messages by words."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

import typer

from cli.connection import Connection, connect
from cli.conversations import print_records
from cli.options import AsJson, Endpoint, Limit, Stack
from cli.terminal import fail_if, tracked
from email_handler.conversations.keys import text_prefix
from email_handler.conversations.records import Conversation, MessageRecord
from email_handler.errors import ArchiveObjectMissing


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD…", help="All of them must occur, in any case.")],
    days: Annotated[int, typer.Option(min=1, help="How far back: conversations that began in the last DAYS.")] = 365,
    text: Annotated[bool, typer.Option(help="Also read the texts of messages and files in the archive.")] = False,
    limit: Limit = 50,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Find messages by words in names, addresses, subjects, file names and the first words of texts; newest first."""
    connection = connect(stack, endpoint)
    wanted = [word.casefold() for word in words]
    found = islice(_search(connection, wanted, days, in_texts=text), limit)
    nothing = "Nothing found." if text else "Nothing found. With --text the archive's texts are searched too."
    fail_if(not print_records(found, as_json=as_json, nothing=nothing))


def _search(connection: Connection, wanted: Sequence[str], days: int, *, in_texts: bool) -> Iterator[MessageRecord]:
    today = datetime.now(UTC).date()
    span = [today - timedelta(days=number) for number in range(days)]
    for day in tracked(span, "days", len(span)):
        for conversation in connection.records.find("day", day.isoformat(), limit=10_000):
            if isinstance(conversation, Conversation):
                messages = list(connection.records.messages(conversation.id))
                yield from (
                    message for message in reversed(messages)
                    if _matches(_words(message, conversation), wanted)
                    or (in_texts and _matches(_texts(connection, message), wanted))
                )  # fmt: skip
    for verdict in ("held", "dropped"):
        for message in connection.records.find("verdict", verdict, limit=10_000):
            if isinstance(message, MessageRecord) and not message.conversation:
                text = _texts(connection, message) if in_texts else ""
                if _matches(_words(message) + text, wanted):
                    yield message


def _matches(text: str, wanted: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in wanted)


def _words(message: MessageRecord, conversation: Conversation | None = None) -> str:
    known = (conversation.id, conversation.contact, conversation.contact_name) if conversation else ()
    files = (found.name for found in message.attachments)
    own = (message.sender, message.sender_name, message.subject, message.snippet, message.receipt)
    return "\n".join((*known, *own, *files))


def _texts(connection: Connection, message: MessageRecord) -> str:
    prefix = text_prefix(message.conversation, message.receipt)
    texts = []
    for key, _ in connection.archive.keys(prefix):
        try:
            texts.append(connection.archive.get(key).decode("utf-8", "replace"))
        except ArchiveObjectMissing:
            continue  # it expired after it was listed
    return "\n".join(texts)
