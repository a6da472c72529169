"""One message: everything that happened to it and why, its text, its HTML in a frame of its own, and its files."""

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from console import emails
from console.desk import Desk
from console.view import desk_of, page
from email_handler.conversations.held import is_open
from email_handler.conversations.records import MessageRecord
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ArchiveKey
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.ports import Archive
from operations.conversations import decisions_of, sends_of
from operations.errors import CommandError
from operations.lists import listed

FIELDS = ("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Return-Path", "Message-ID")
MAX_TEXT = 200_000  # characters of a text that are shown


def message(request: Request) -> Response:
    """Return the page of one message."""
    desk, record = desk_of(request), _record(request)
    parsed, framed = _read(desk, record)
    decisions = decisions_of(desk.connection, record)
    return page(
        request,
        "message.html",
        message=record,
        body=parsed.text[:MAX_TEXT] if parsed else "",
        cut=parsed is not None and len(parsed.text) > MAX_TEXT,
        stored=parsed is not None,
        framed=framed,
        links=emails.links(parsed) if parsed and parsed.html else [],
        headers=[(name, value) for name in FIELDS for value in (parsed.header_all(name) if parsed else ())],
        files=_files(record, parsed),
        sends=sends_of(desk.connection, record),
        finished=bool(decisions) and all(decision.done for decision in decisions),
        events=[event for decision in decisions for event in decision.events],
        open=is_open(record),
        listed=listed(desk.connection, record.sender),
    )


def html(request: Request) -> Response:
    """Return the HTML of one message, for its frame."""
    _, framed = _read(desk_of(request), _record(request))
    if framed is None:
        raise CommandError("The archive no longer holds this message, or it has no HTML.")
    return HTMLResponse(framed.page, headers={"Content-Security-Policy": emails.FRAME_POLICY})


def file(request: Request) -> Response:
    """Return one attachment, to be stored and never shown by the browser."""
    parsed, _ = _read(desk_of(request), _record(request))
    number = request.path_params["number"]
    found = next((one for one in (parsed.attachments if parsed else ()) if one.number == number), None)
    if found is None:
        raise CommandError("The archive no longer holds this file.")
    return Response(found.payload, media_type="application/octet-stream", headers=emails.file_headers(found.name))


def raw(request: Request) -> Response:
    """Return the message as it was received, to be stored."""
    record = _record(request)
    try:
        content = desk_of(request).connection.archive.get(record.archive_key)
    except ArchiveObjectMissing as error:
        raise CommandError("The archive no longer holds this message.") from error
    headers = emails.file_headers(f"{record.receipt}.eml")
    return Response(content, media_type="application/octet-stream", headers=headers)


def _record(request: Request) -> MessageRecord:
    return desk_of(request).message(request.path_params["function"], request.path_params["receipt"])


def _read(desk: Desk, record: MessageRecord) -> tuple[Message | None, emails.Framed | None]:
    """Return a message, and its HTML for the frame; None for what there is not."""
    try:
        return _read_once(desk.connection.archive, record.archive_key)
    except ArchiveObjectMissing:
        return None, None


@lru_cache(maxsize=2)  # the page, and then its frame and files
def _read_once(archive: Archive, key: ArchiveKey) -> tuple[Message, emails.Framed | None]:
    parsed = parse(archive.get(key))
    return parsed, emails.framed(parsed) if parsed.html else None


def _files(record: MessageRecord, parsed: Message | None) -> list[dict[str, object]]:
    """Return the files of a message, with what was found in them."""
    known = {one.number: one for one in record.attachments}
    return [
        {
            "number": one.number,
            "name": one.name,
            "type": known[one.number].detected_type if one.number in known else one.content_type,
            "size": len(one.payload),
            "status": known[one.number].status if one.number in known else "not read yet",
        }
        for one in (parsed.attachments if parsed else ())
    ]
