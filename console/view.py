"""Pages from templates. Everything is escaped and made plain (``words.plain``): no value can turn that off."""

from collections.abc import Mapping
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import words
from console.desk import Desk
from console.links import shown, split_links
from console.session import CSRF, Note, Undo
from email_handler.conversations.commands import LONGEST_SNOOZE
from email_handler.conversations.records import Status
from email_handler.errors import EmailHandlerError

FOLDER = Path(__file__).parent


@cache
def _environment(root: str) -> Environment:
    """Return the templates for pages below the path *root*."""
    loader = FileSystemLoader(FOLDER / "templates")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "plain": words.plain,
        "size": words.size,
        "send": words.describe_send,
        "reason": words.describe_reason,
        "exactly": escape,
        "pieces": split_links,
        "shown": shown,
    }
    made.globals |= {
        "OUTCOMES": words.OUTCOMES,
        "STATUSES": words.STATUSES,
        "SENDS": words.SENDS,
        "CSRF": CSRF,
        "LONGEST_SNOOZE": LONGEST_SNOOZE,
        "root": root,
    }
    return made


def _readable(value: Any) -> Any:
    """Return what a template says of *value*: no text of a stranger's hides anything or turns the direction of what
    follows. ``exactly`` is for what a form sends back, and for where a link leads."""
    return words.plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


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
        "path": request.scope["path"].removeprefix(desk.session.root),
        "now": now,
        "age": partial(words.age, now=now),
        "short": partial(words.short, now=now),
        "layout": "fragment.html" if fragment else "layout.html",
        "counts": {} if fragment else _counts(desk),
        "progress": desk.reading.progress,
        "current": True,  # whether what the page lists had been read by then
        "problem": desk.reading.problem,
    }
    text = _environment(desk.session.root).get_template(template).render(shown | values)
    return HTMLResponse(text, code)


def done(request: Request, back: str, text: str, *, failed: bool = False, undo: Undo | None = None) -> Response:
    """Return the way back to the page *back* of ours, which then says *text*: what an act did."""
    desk = desk_of(request)
    desk.session.note = Note(text=text, failed=failed, undo=undo)
    desk.reading.expect()
    return to(request, back)


def to(request: Request, path: str) -> Response:
    """Return the way to the page *path* of ours."""
    return RedirectResponse(f"{desk_of(request).session.root}{path}", HTTPStatus.SEE_OTHER)


def _counts(desk: Desk) -> dict[str, int]:
    """Return the numbers beside the links, none while the index cannot be read: a page about that shows them too."""
    index, held = desk.reading.index, {"held": desk.held_count}
    try:
        return held | {"inbox": index.count_inbox(), "snoozed": index.count_conversations(Status.SNOOZED)}
    except EmailHandlerError:
        return held | {"inbox": 0, "snoozed": 0}
