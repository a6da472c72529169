"""All pages of the console, behind the guard."""

import logging
import math
from collections.abc import Callable
from http import HTTPStatus
from importlib import import_module
from traceback import walk_tb

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.desk import Desk
from console.guard import HEADERS, Guard
from console.view import FOLDER, desk_of, page
from email_handler.errors import EmailHandlerError
from operations.errors import CommandError

_log = logging.getLogger("email-handler.console")

_MESSAGE = "/messages/{function}/{receipt}"


def build_app(desk: Desk) -> Starlette:
    """Return the console of *desk* as an ASGI application."""
    get, post = ["GET"], ["POST"]
    routes = [
        Route("/", _page("conversations", "inbox"), methods=get),
        Route("/conversations", _page("conversations", "every"), methods=get),
        Route("/conversations/{conversation}", _page("conversations", "conversation"), methods=get),
        Route("/conversations/{conversation}/{act}", _page("acts", "act_on_conversation"), methods=post),
        Route(_MESSAGE, _page("messages", "message"), methods=get),
        Route(f"{_MESSAGE}/html", _page("messages", "html"), methods=get),
        Route(f"{_MESSAGE}/raw", _page("messages", "raw"), methods=get),
        Route(f"{_MESSAGE}/files/{{number:int}}", _page("messages", "file"), methods=get),
        Route(f"{_MESSAGE}/{{act}}", _page("acts", "act_on_message"), methods=post),
        Route("/held", _page("held", "held"), methods=get),
        Route("/senders", _page("held", "lists"), methods=get),
        Route("/senders", _page("acts", "act_on_lists"), methods=post),
        Route("/search", _page("search", "search"), methods=get),
        Route("/sends", _page("sends", "sends"), methods=get),
        Route("/dead-letters", _page("sends", "dead_letters"), methods=get),
        Route("/dead-letters/now", _page("sends", "dead_letters_now"), methods=get),
        Route("/dead-letters/{act}", _page("acts", "act_on_dead_letters"), methods=post),
        Route("/failures/{act}", _page("acts", "act_on_failures"), methods=post),
        Route("/health", _page("health", "health"), methods=get),
        Route("/health/now", _page("health", "health_now"), methods=get),
        Route("/documents", _page("documents", "documents"), methods=get),
        Route("/documents/rules/backtest", _page("documents", "backtest"), methods=post),
        Route("/documents/{name}", _page("documents", "document"), methods=get),
        Route("/documents/{name}/try", _page("documents", "try_document"), methods=post),
        Route("/documents/{name}/push", _page("documents", "push"), methods=post),
        Route("/documents/{name}/rollback", _page("documents", "rollback"), methods=post),
        Route("/backtest", _page("documents", "backtest_result"), methods=get),
        Route("/outbox", _page("outbox", "outbox"), methods=get),
        Route("/outbox/{number:int}/html", _page("outbox", "html"), methods=get),
        Route("/reading", reading, methods=get),
        Route("/more", more, methods=get),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, session=desk.session)],
        exception_handlers={
            CommandError: _cannot,
            EmailHandlerError: _cannot,
            HTTPException: _nowhere,
            Exception: _mistake,
        },
    )
    app.state.desk = desk
    return app


def _page(module: str, name: str) -> Callable[[Request], Response]:
    """Return the page *name* of *module*, which is imported when it is first asked for: filter, leak gate and PDF readers
    behind some pages take as long to import as all that the inbox needs."""

    def respond(request: Request) -> Response:
        response: Response = getattr(import_module(f"console.{module}"), name)(request)
        return response

    return respond


def more(request: Request) -> Response:
    """Return the page of all pages, for narrow screens."""
    return page(request, "more.html")


def reading(request: Request) -> Response:
    """Return how far the reading of what has changed is, for the pages that show it."""
    desk_of(request).reading.refresh(after=math.inf)
    return page(request, "reading.html")


def _cannot(request: Request, error: Exception) -> Response:
    return page(request, "error.html", code=HTTPStatus.CONFLICT, title="That did not work", text=str(error))


def _nowhere(request: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    text = "Nothing is at this address." if status is HTTPStatus.NOT_FOUND else status.phrase
    return page(request, "error.html", code=status, title="Nothing here", text=text)


def _mistake(_request: Request, error: Exception) -> Response:
    """Say that it is a mistake of ours, and where; the error's own text may quote a message."""
    *_, (frame, line) = walk_tb(error.__traceback__)
    where = f"{type(error).__name__} at {frame.f_globals.get('__name__', '')}:{line}"
    _log.error("a page failed: %s", where)
    return PlainTextResponse(f"An error of ours: {where}\n", HTTPStatus.INTERNAL_SERVER_ERROR, HEADERS)
