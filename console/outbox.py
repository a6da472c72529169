"""What the local cloud has sent, as people see it: the owner on one side, the contact on the other."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cloud.ses import Sent, read_outbox
from console import emails
from console.view import desk_of, page
from email_handler.conversations.jobs import JobKind
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from operations.errors import CommandError

LATEST = 40  # emails that the page shows
TO_OWNER = (JobKind.FORWARD, JobKind.NOTICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One email as its recipient sees it in a list."""

    sent: Sent
    at: datetime
    side: Literal["owner", "contact"]
    message: Message


def outbox(request: Request) -> Response:
    """Return the page of what was sent last, the latest first."""
    found = [_shown(sent) for sent in _sent(request)]
    return page(request, "outbox.html", emails=list(reversed(found[-LATEST:])), total=len(found))


def html(request: Request) -> Response:
    """Return an email of the outbox for its frame."""
    number = request.path_params["number"]
    sent = next((one for one in _sent(request) if one.number == number), None)
    if sent is None:
        raise CommandError("There is no such email in the outbox.")
    shown = emails.framed(parse(Path(sent.eml).read_bytes()))
    return HTMLResponse(shown.page, headers={"Content-Security-Policy": emails.FRAME_POLICY})


def _sent(request: Request) -> list[Sent]:
    folder = desk_of(request).outbox
    if folder is None:
        raise CommandError("Only the local cloud has an outbox: at AWS, the emails are with their recipients.")
    return read_outbox(folder)


def _shown(sent: Sent) -> Shown:
    ledger = sent.tags.get("ledger", "")
    side: Literal["owner", "contact"] = "owner" if ledger.startswith(TO_OWNER) else "contact"
    message = parse(Path(sent.eml).read_bytes())
    return Shown(sent=sent, at=datetime.fromisoformat(sent.at), side=side, message=message)
