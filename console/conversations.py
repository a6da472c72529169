"""What waits for the owner, all conversations, and one conversation as a timeline."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from console.desk import AT_ONCE, Desk
from console.view import desk_of, page
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import text_key
from email_handler.conversations.records import Conversation, LedgerItem, MessageRecord, SendState, Status
from email_handler.conversations.thread_address import thread_address
from email_handler.errors import ArchiveObjectMissing
from index.reading import texts_as_it_came
from operations.lists import listed

PER_PAGE = 50
SHOWN = 60  # messages of a timeline; its page links to all
MAX_TEXT = 20_000  # characters of a message in a timeline; its own page has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One conversation in a list."""

    conversation: Conversation
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message in a timeline, with what became of it."""

    message: MessageRecord
    mine: bool  # the owner wrote it
    text: str  # the new text
    sends: Sequence[LedgerItem]


def inbox(request: Request) -> Response:
    """Return the page of what waits for a reply, the longest waiting first."""
    return _listed(request, "inbox.html", desk_of(request).reading.index.inbox)


def every(request: Request) -> Response:
    """Return the page of all conversations, or those of a status, the latest first."""
    asked = request.query_params.get("status", "")
    status = next((one for one in Status if one == asked), None)
    find = partial(desk_of(request).reading.index.conversations, status)
    return _listed(request, "conversations.html", find, status=status, statuses=tuple(Status))


def _listed(request: Request, template: str, find: Callable[..., list[Conversation]], **further: Any) -> Response:
    """Return one page of the list that *find* reads from the index, with *further* values for its *template*."""
    desk = desk_of(request)
    current = desk.reading.refresh()
    text = request.query_params.get("page", "1")
    number = max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 6 else 1  # noqa: PLR2004
    found = find(limit=PER_PAGE + 1, offset=(number - 1) * PER_PAGE)
    shown, more = rows(desk, found[:PER_PAGE]), len(found) > PER_PAGE
    return page(request, template, current=current, rows=shown, number=number, more=more, **further)


def conversation(request: Request) -> Response:
    """Return the page of one conversation: its messages with their deliveries, beside what waits."""
    desk = desk_of(request)
    found = desk.conversation(request.path_params["conversation"])
    messages = list(desk.connection.records.messages(found.id))
    left_out = 0 if "all" in request.query_params else max(0, len(messages) - SHOWN)
    entries = list(timeline(desk, messages[left_out:]))
    waiting = [send for entry in entries for send in entry.sends if send.state is SendState.QUEUED and entry.mine]
    current = desk.reading.refresh()
    return page(
        request,
        "conversation.html",
        current=current,
        conversation=found,
        entries=entries,
        left_out=left_out,
        cancellable=waiting,
        reply=reply_link(desk, found),
        listed=listed(desk.connection, found.contact),
        rows=rows(desk, desk.reading.index.inbox(limit=PER_PAGE)),
    )


def reply_link(desk: Desk, conversation: Conversation) -> str:
    """Return the link that opens the owner's mail program to reply, "" for a conversation that nobody can reply to."""
    known = desk.connection.parameters
    if not (conversation.token and conversation.contact):
        return ""
    to = thread_address(conversation, f"{known['ThreadSubdomain']}.{known['Domain']}")
    return f"mailto:{quote(to, safe='@.')}?subject={quote(f'Re: {conversation.owner_subject}'.rstrip())}"


def rows(desk: Desk, found: Sequence[Conversation]) -> list[Row]:
    """Return *found* as they are listed, each with how its latest message begins."""
    latest = desk.reading.index.latest([one.id for one in found])
    return [Row(conversation=one, snippet=latest[one.id].snippet if one.id in latest else "") for one in found]


def timeline(desk: Desk, messages: list[MessageRecord]) -> Iterator[Entry]:
    """Yield *messages* with their texts and sends."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        texts = list(pool.map(lambda message: new_text(desk, message), messages))
    for message, text, sends in zip(messages, texts, desk.sends_of_all(messages), strict=True):
        yield Entry(
            message=message,
            mine=message.outcome is Outcome.RELAY,
            text=text[:MAX_TEXT],
            sends=sends,
        )


def new_text(desk: Desk, message: MessageRecord) -> str:
    """Return what the author of *message* wrote: by the message as it came, or, of one with files, as the attachment function
    has stored it; its snippet until then."""
    archive = desk.connection.archive
    if message.files == 0:
        return texts_as_it_came(message, archive).new
    try:
        return archive.get(text_key(message.conversation, message.receipt, "new")).decode("utf-8", "replace")
    except ArchiveObjectMissing:
        return message.snippet
