"""Sends that are not over or went wrong, and dead letters."""

from starlette.requests import Request
from starlette.responses import Response

from console.view import desk_of, page
from email_handler.conversations.records import SendState
from email_handler.usecases.redrive import Redriven
from operations.redrive import SENT_BY, failures, redrive, redrive_failures

LISTED = tuple(state for state in SendState if state is not SendState.SENT)  # those that have an index


AGAIN = {
    Redriven.QUEUED: "it is queued",
    Redriven.ENDED: "nothing happens, it is over",
    Redriven.LEFT: "it stays, since nobody can use it: throw it away",
    Redriven.UNDECIDED: "it stays, since it may have been sent already",
}
"""What sending again would do with a dead letter."""


def sends(request: Request) -> Response:
    """Return the page of sends by state; without one, those that are on their way or went wrong."""
    desk = desk_of(request)
    asked = request.query_params.get("state", "")
    state = next((one for one in LISTED if one == asked), None)
    states = (state,) if state else tuple(one for one in LISTED if one is not SendState.CANCELLED)
    found = [(one, list(desk.sends(one))) for one in states]
    return page(
        request, "sends.html", state=state, states=LISTED, found=[(one, items) for one, items in found if items]
    )


def dead_letters(request: Request) -> Response:
    """Return the page of what has failed for good, and what can be done about it."""
    return page(request, "dead-letters.html")


def dead_letters_now(request: Request) -> Response:
    """Return what is dead-lettered at this moment: looking at it takes the queues a second or two."""
    desk = desk_of(request)
    lines = list(redrive(desk.connection, list(SENT_BY), discard=False, resend=False, dry_run=True))
    failed = list(
        redrive_failures(failures(desk.connection), desk.functions.start, desk.functions.logical_id, dry_run=True)
    )
    return page(
        request,
        "dead-letters-now.html",
        sends=list(zip(lines, desk.sends_by_id([line.ledger for line in lines]), strict=True)),
        failures=failed,
        AGAIN=AGAIN,
    )
