"""Held messages, with the reasons, for a decision."""

from starlette.requests import Request
from starlette.responses import Response

from console.view import desk_of, page


def held(request: Request) -> Response:
    """Return the page of the held messages that wait for a decision, newest first."""
    return page(request, "held.html", messages=desk_of(request).held())


def lists(request: Request) -> Response:
    """Return the page of the senders whose messages the filter passes or holds."""
    return page(request, "lists.html", entries=list(desk_of(request).connection.records.listed()))
