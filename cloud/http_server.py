"""An HTTP server on a thread of this process, for endpoints that respond themselves or forward requests to AWS."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from cloud.loopback import is_loopback, refusal

type Response = tuple[int, Iterable[tuple[str, str]], bytes]
"""Status, header fields, body."""

_NOT_FORWARDED = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "expect", "date", "server"}


class HttpServer(ThreadingHTTPServer):
    """Serves from creation until :meth:`close`, each connection on its own thread. Subclasses define :meth:`serve`."""

    def __init__(self, bind: str = "127.0.0.1") -> None:
        """Listen on a free port of the interface *bind*."""
        super().__init__((bind, 0), Exchange)
        self.containers = not is_loopback(bind)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), name=type(self).__name__, daemon=True).start()

    def serve(self, exchange: "Exchange") -> None:
        """Respond to one request."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()

    def __exit__(self, *_: object) -> None:
        self.close()


class Exchange(BaseHTTPRequestHandler):
    """One request, with the ways to respond to it."""

    server: HttpServer
    body: bytes
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; the second must not wait 40 ms

    def handle_one_request(self) -> None:
        """Serve one request. A client that disconnects is not an error."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every method in the same way (the base class looks for ``do_GET``, ``do_POST`` and so on)."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        if reason := refusal(self.headers.items(), containers=self.server.containers):
            self.close_connection = True  # the body is not read
            self.respond(HTTPStatus.FORBIDDEN, (), f"The local cloud does not serve this request: {reason}\n".encode())
            return
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.serve(self)

    def forward(self, upstream: str) -> Response:
        """Send the request to the endpoint *upstream* and return its response."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_FORWARDED}
        with closing(http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=120)) as connection:
            connection.request(self.command, self.path, self.body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()

    def respond(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Send a response. Content-Length is that of *body*; a response to HEAD keeps the one in *headers*."""
        length = str(len(body))
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
            elif name.lower() == "content-length" and self.command == "HEAD":
                length = value
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self, *, reset: bool) -> None:
        """Close the connection without a response; with *reset* the client sees a connection reset."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Log nothing: the servers keep their own records."""
