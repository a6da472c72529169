"""The console's server, on 127.0.0.1 alone."""

import logging
import socket
from collections.abc import Callable
from contextlib import closing

import uvicorn
from starlette.types import ASGIApp

ADDRESS = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on *port* of 127.0.0.1, on any free one for 0. Raises OSError."""
    return socket.create_server((ADDRESS, port))


def port_of(listening: socket.socket) -> int:
    """Return the port that *listening* has."""
    port: int = listening.getsockname()[1]
    return port


def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], object]) -> None:
    """Serve *app* until SIGINT or SIGTERM; call *ready* once it answers."""
    with closing(listening):
        serving(app, ready).run(sockets=[listening])


def serving(app: ASGIApp, ready: Callable[[], object]) -> uvicorn.Server:
    """Return a server of *app* that calls *ready* once it answers.

    No request is logged: addresses of pages name conversations, and a traceback may quote a message.
    """
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    return _Server(config, ready)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so (called by uvicorn)."""
        await super().startup(sockets)
        self._ready()
