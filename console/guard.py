"""Nothing answers but to the browser that opened the console, and what answers can do nothing but what it should.

Any page of the web can send requests to 127.0.0.1, and a name of its own can resolve to it (DNS rebinding). So a request
needs, in this order, our own Host, no Origin or fetch of another site, and the cookie; one that changes something also
our Origin and the token of our forms. Whatever is missing, the answer is the same.
"""

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.session import CSRF, TOKEN, Session

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
        if not self._is_from_here(request.headers):
            return refused()
        if request.method in READING and request.url.path == "/" and TOKEN in request.query_params:
            return self._exchange(request)
        if not self._session.knows(request.cookies.get(self._session.cookie_name, "")):
            return refused()
        if request.method in READING:
            return None
        form = await _form(request) if self._is_ours(request.headers) else {}
        if not self._session.may_act(form.get(CSRF, "")):
            return refused()
        request.state.form = form
        return None

    def _is_from_here(self, headers: Headers) -> bool:
        """Return whether no other site has a part in a request, as far as the browser says.

        Origin is null where a page of ours sends a form, because of its Referrer-Policy; Sec-Fetch-Site then says whose
        page it was.
        """
        sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        return (
            headers.getlist("host") == [self._session.host]
            and set(sites) <= {"same-origin", "none"}
            and (origins in ([], [self._session.origin]) or (origins == ["null"] and sites == ["same-origin"]))
        )

    def _is_ours(self, headers: Headers) -> bool:
        """Return whether a page of ours sent a request that changes something."""
        ours = headers.get("origin") == self._session.origin or headers.get("sec-fetch-site") == "same-origin"
        kind = headers.get("content-type", "").partition(";")[0].strip()
        return ours and kind == "application/x-www-form-urlencoded"

    def _exchange(self, request: Request) -> Response:
        """Return a cookie for the token, and the way to a page without it in its address."""
        cookie = self._session.exchange(request.query_params[TOKEN])
        if not cookie and not self._session.knows(request.cookies.get(self._session.cookie_name, "")):
            return refused()
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if cookie:
            response.set_cookie(self._session.cookie_name, cookie, httponly=True, samesite="strict")
        return response


def refused() -> Response:
    """Return the answer to all that may not be asked."""
    return PlainTextResponse(REFUSAL, HTTPStatus.FORBIDDEN)


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
