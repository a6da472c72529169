"""The health of the deployment: what doctor answers."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from console.view import desk_of, page
from operations.checks import State
from operations.dns import Dns
from operations.health import answers, questions

ORDER = (State.WRONG, State.NOTE, State.FINE)


def health(request: Request) -> Response:
    """Return the page that asks."""
    return page(request, "health.html")


def health_now(request: Request) -> Response:
    """Return the answers of AWS and DNS, what is wrong first: they take a second or more."""
    desk = desk_of(request)
    checks = [check for ask in questions(Dns()) for check in answers(partial(ask, desk.connection, desk.resources))]
    return page(
        request,
        "health-now.html",
        checks=sorted(checks, key=lambda check: ORDER.index(check.state)),
        wrong=sum(check.state is State.WRONG for check in checks),
    )
