"""Nothing answers but to the browser that opened the console, and what answers can do nothing but what it should.

Any page of the web can send requests to 127.0.0.1, and a name of its own can resolve to it (DNS rebinding). So a request
needs, in this order, our own Host, no Origin or fetch of another site, a path below the session's root, and the cookie;
one that changes something also our Origin and the token of our forms. Whatever is missing, the answer is the same.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.session import COOKIE, CSRF, TOKEN, Session

MAX_BODY = 2_000_000  # bytes of a form: the longest document that can be pushed
MAX_FIELDS = 50
READING = ("GET", "HEAD")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content-Security-Policy of all but what a stranger wrote (``console.email``)."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",  # browsers look up the hosts of links on pages without TLS: the sender would see it
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

REFUSAL = "Open the link that email-handler console has printed; it works once. A new run prints another.\n"

_FIND_AGAIN = r"""
const root = localStorage.getItem("root"), [, first, ...rest] = location.pathname.split("/");
if (/^\/[\w-]+$/.test(root) && root !== "/" + first) location.replace(root + "/" + rest.join("/") + location.search);
"""
BOOKMARK = f"<!doctype html><title>Console</title><p>{REFUSAL}</p><script>{_FIND_AGAIN}</script>"
"""For bookmarks of an earlier run: the script has the root of this one from storage that is this port's alone. Whoever
listened there before may have left something else, so only what looks like a root is followed."""

_BOOKMARK_POLICY = (
    f"default-src 'none'; script-src 'sha256-{base64.b64encode(hashlib.sha256(_FIND_AGAIN.encode()).digest()).decode()}'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


class Guard:
    """ASGI middleware around the whole console."""

    def __init__(self, app: ASGIApp, session: Session) -> None:
        """Let *session*'s browser through to *app*."""
        self._app = app
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # there is nothing to start, and no WebSocket
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        respond: ASGIApp = await self._refusal(request) or self._app
        await respond(scope, receive, _with_headers(send))

    async def _refusal(self, request: Request) -> Response | None:
        """Return the answer to *request* if it is not the app's to give."""
        session, path = self._session, request.scope["path"]
        if request.headers.getlist("host") == [session.host]:
            if request.method == "GET" and path == "/" and TOKEN in request.query_params:
                return self._exchange(request)
            if self._is_from_here(request.headers) and not session.covers(path):
                return _bookmark(request)
            if self._is_from_here(request.headers) and any(map(session.knows, _cookies(request))):
                request.scope["root_path"] = session.root
                if request.method in READING or await self._may_act(request):
                    return None
        return refused()

    async def _may_act(self, request: Request) -> bool:
        """Return whether *request* is a form of ours, which is kept for the page."""
        request.state.form = await _form(request) if self._is_ours(request.headers) else {}
        return self._session.may_act(request.state.form.get(CSRF, ""))

    def _is_from_here(self, headers: Headers) -> bool:
        """Return whether no other site has a part in a request, as far as the browser says.

        Origin is null where a page of ours sends a form, because of its Referrer-Policy; Sec-Fetch-Site then says whose
        page it was.
        """
        sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        return set(sites) <= {"same-origin", "none"} and (
            origins in ([], [self._session.origin]) or (origins == ["null"] and sites == ["same-origin"])
        )

    def _is_ours(self, headers: Headers) -> bool:
        """Return whether a page of ours sent a request that changes something."""
        ours = headers.get("origin") == self._session.origin or headers.get("sec-fetch-site") == "same-origin"
        kind = headers.get("content-type", "").partition(";")[0].strip()
        return ours and kind == "application/x-www-form-urlencoded"

    def _exchange(self, request: Request) -> Response:
        """Return a cookie for the token, and the way to a page without it in its address.

        Whoever follows the link from another page (a file, a chat) would send no cookie of SameSite=Strict on a redirect:
        then a page of ours leads on.
        """
        cookie = self._session.exchange(request.query_params[TOKEN])
        if not cookie:
            return _bookmark(request)
        home = f"{self._session.root}/"
        if self._is_from_here(request.headers):
            response = Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": home})
        else:
            response = Response(headers={"Refresh": f"0; url={home}"})
        response.set_cookie(COOKIE, cookie, path=self._session.root, httponly=True, samesite="strict")
        return response


def _bookmark(request: Request) -> Response:
    """Return the answer to what is at no address of this run: for a person who has opened it, one that finds it again."""
    if request.method != "GET" or request.headers.getlist("sec-fetch-site") != ["none"]:
        return refused()
    return HTMLResponse(BOOKMARK, HTTPStatus.FORBIDDEN, {"Content-Security-Policy": _BOOKMARK_POLICY})


def refused() -> Response:
    """Return the answer to all that may not be asked."""
    return PlainTextResponse(REFUSAL, HTTPStatus.FORBIDDEN)


def _cookies(request: Request) -> Iterator[str]:
    """Yield each cookie of our name: a server at another port can set one too, which must not hide ours."""
    for header in request.headers.getlist("cookie"):
        for cookie in header.split(";"):
            name, _, value = cookie.strip().partition("=")
            if name == COOKIE:
                yield value


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, none of one that is too long or has too many."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        return {}


def _with_headers(send: Send) -> Send:
    """Return *send* with HEADERS in every response that does not have its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _missing(headers, HEADERS.items()):
                headers[name] = value
        await send(message)

    return sending


def _missing(headers: MutableHeaders, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in wanted if name not in headers]
