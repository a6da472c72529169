"""``email-handler console``: see, search and act in a browser, on this machine alone."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Endpoint, Stack
from cli.terminal import print_note, print_result
from cloud import PROJECT
from cloud.address import running
from operations.connection import Connection, connect
from operations.errors import CommandError

EXTRA = ("jinja2", "nh3", "starlette", "uvicorn")


def console(
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the link, and open no browser.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for any free port.")] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="Start what `make demo` has left, and look at that.")] = False,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Open the console in your browser: what waits for you, conversations, held messages, search, health, documents.

    It answers on 127.0.0.1 alone, and only to the browser that follows the link, which works once. Ctrl-C ends it.
    """
    if not all(map(find_spec, EXTRA)):
        raise CommandError("the console needs more libraries: pip install 'service-email-handler[console]'")
    for ending in (signal.SIGTERM, signal.SIGINT):  # a shell's background processes ignore SIGINT
        signal.signal(ending, signal.default_int_handler)
    try:
        with _demo() if demo else nullcontext(endpoint) as place:
            _serve(connect(stack, place), port, opens=not no_open, as_json=as_json)
    except KeyboardInterrupt:
        print_note("The console has ended.", "dim")


def _serve(connection: Connection, port: int, *, opens: bool, as_json: bool) -> None:
    from console.browser import show  # noqa: PLC0415  (an extra, and slow to import)
    from console.opening import open_console  # noqa: PLC0415
    from console.server import listen, port_of, serve  # noqa: PLC0415

    try:
        listening = listen(port)
    except OSError as error:
        raise CommandError(f"port {port} cannot be used: {error.strerror}. Choose another with --port.") from error
    app, session = open_console(connection, port_of(listening), _outbox(connection))
    showing = threading.Thread(target=show, args=(session,), name="browser")

    def ready() -> None:
        text = f"The console is at {session.link}\nThe link works once, in one browser. Ctrl-C ends the console."
        print_result({"url": session.link, "port": port_of(listening)}, text, as_json=as_json)
        if opens:
            showing.start()

    try:
        serve(app, listening, ready)
    finally:
        session.opened.set()  # the file of a browser that never came is deleted
        if showing.is_alive():
            showing.join()


@contextmanager
def _demo() -> Iterator[str]:
    """Run the local cloud that the demo has left, and yield its endpoint."""
    from cli.demo import FOLDER  # noqa: PLC0415  (it imports the servers)
    from cloud.cloud import LocalCloud  # noqa: PLC0415

    if not (FOLDER / "state").exists():
        raise CommandError("there is no demo to look at: run make demo first")
    with LocalCloud.start(
        PROJECT, folder=FOLDER, keep=True, smtp_port=0, progress=lambda step: print_note(f"{step} …", "dim")
    ) as cloud:
        yield cloud.endpoint


def _outbox(connection: Connection) -> Path | None:
    """Return the folder of what was sent, if *connection* is to the local cloud of this folder."""
    if not connection.emulated:
        return None

    for folder in (PROJECT / ".local", PROJECT / ".local" / "demo"):
        address = running(PROJECT, folder)
        if address and address.endpoint == connection.endpoint:
            return Path(address.outbox)
    return None
