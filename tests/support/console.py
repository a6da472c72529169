"""The console for tests: over the in-memory world or a deployed stack, served on a thread, and opened in Chromium."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Route, sync_playwright
from starlette.applications import Starlette

from console.app import build_app
from console.desk import Desk
from console.reading import Reading
from console.server import listen, port_of, serving
from console.session import Session
from email_handler.conversations.records import MessageRecord
from index.entries import Entry, Texts
from index.store import SearchIndex
from operations.connection import Connection
from tests.support.chromium import executable
from tests.support.world import PUBLIC, World


@dataclass
class Served:
    """A console that answers."""

    desk: Desk

    @property
    def session(self) -> Session:
        return self.desk.session

    @property
    def origin(self) -> str:
        return self.session.origin

    @property
    def at(self) -> str:
        """Where its pages are: their addresses begin so."""
        return self.session.origin + self.session.root


@contextmanager
def serve_app(app: Starlette, listening: socket.socket) -> Iterator[Served]:
    """Serve *app* while the context lasts."""
    ready = threading.Event()
    server = serving(app, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield Served(app.state.desk)
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


@contextmanager
def console_of(world: World, folder: Path, port: int = 0, **given: Any) -> Iterator[Served]:
    """Serve the console of what is in *world*."""
    listening = listen(port)
    session = Session(port_of(listening))
    index = SearchIndex.open(folder / "index.sqlite", "the world")
    desk = Desk(connection_to(world, **given), Reading(index, lambda _: fill(index, world)), session, None, world.clock)
    with serve_app(build_app(desk), listening) as running:
        yield running


def connection_to(world: World, **given: Any) -> Connection:
    """Return what stands for a deployment whose records and archive are *world*'s."""
    fields: dict[str, Any] = dict.fromkeys(Connection.__dataclass_fields__)
    known = {
        "records": world.records,
        "ledger": world.records,
        "archive": world.archive,
        "stack": "world",
        "where": "stack world",
        "parameters": {"PublicAddresses": PUBLIC, "ThreadSubdomain": "thread", "Domain": "example.com"},
        "emulated": True,
    }
    return Connection(**(fields | known | given))


def fill(index: SearchIndex, world: World) -> None:
    """Put everything in *world* into *index*."""
    conversations = list(world.records.conversations.values())
    index.put_conversations(conversations)
    read = [(one, [_entry(message) for message in world.records.messages(one.id)]) for one in conversations]
    index.put_messages(read, world.now)


def _entry(message: MessageRecord) -> Entry:
    return Entry(message=message, texts=Texts(new=message.snippet, full=message.snippet))


class Requests:
    """All requests of a browser, of which only the console's are let through."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self._origin = origin
        self.ours: list[str] = []
        self.others: list[str] = []
        context.route("**/*", self._decide)

    def _decide(self, route: Route) -> None:
        url = route.request.url
        if url.startswith((self._origin + "/", "data:", "about:")):
            self.ours.append(url)
            route.continue_()
        else:
            self.others.append(url)
            route.abort()


# A process for each sandboxed frame is another wall, and 130 of them are slow.
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-features=IsolateSandboxedIframes")


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start the machine's Chromium under Playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(OPTIONS))
        yield browser
        browser.close()
