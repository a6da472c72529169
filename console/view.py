"""Pages from templates. Everything is escaped, always: no template and no value can turn that off (``templates/``)."""

from collections.abc import Mapping
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import words
from console.desk import Desk
from console.emails import split_links
from console.session import CSRF, Note, Undo
from email_handler.conversations.records import Status
from email_handler.errors import EmailHandlerError

FOLDER = Path(__file__).parent


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(FOLDER / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "plain": words.plain,
        "size": words.size,
        "send": words.describe_send,
        "reason": words.describe_reason,
        "pieces": split_links,
    }
    made.globals |= {"OUTCOMES": words.OUTCOMES, "STATUSES": words.STATUSES, "SENDS": words.SENDS, "CSRF": CSRF}
    return made


def desk_of(request: Request) -> Desk:
    """Return the deployment that *request* is about."""
    found: Desk = request.app.state.desk
    return found


def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of the form that *request* sends, which the guard has read."""
    found: Mapping[str, str] = request.state.form
    return found


def page(request: Request, template: str, *, code: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """Return *template* with *values*, and what every page shows."""
    desk = desk_of(request)
    now = desk.now()
    fragment = request.headers.get("x-fragment") == "1"
    shown = {
        "desk": desk,
        "csrf": desk.session.csrf,
        "note": None if fragment or "x-background" in request.headers else desk.session.take_note(),
        "path": request.url.path,
        "now": now,
        "age": partial(words.age, now=now),
        "short": partial(words.short, now=now),
        "layout": "fragment.html" if fragment else "layout.html",
        "counts": {} if fragment else _counts(desk),
        "progress": desk.reading.progress,
        "problem": desk.reading.problem,
    }
    text = _environment().get_template(template).render(shown | values)
    return HTMLResponse(text, code)


def done(request: Request, back: str, text: str, *, failed: bool = False, undo: Undo | None = None) -> Response:
    """Return the way back to the page *back* of ours, which then says *text*: what an act did."""
    desk = desk_of(request)
    desk.session.note = Note(text=text, failed=failed, undo=undo)
    desk.reading.expect()
    return RedirectResponse(back, HTTPStatus.SEE_OTHER)


def _counts(desk: Desk) -> dict[str, int]:
    """Return the numbers beside the links, none while the index cannot be read: a page about that shows them too."""
    index, held = desk.reading.index, {"held": desk.held_count}
    try:
        return held | {"inbox": index.count_inbox(), "snoozed": index.count_conversations(Status.SNOOZED)}
    except EmailHandlerError:
        return held | {"inbox": 0, "snoozed": 0}
