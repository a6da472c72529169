"""On a machine that others use too: what their programs can see of a console, and what its own user's browser does."""

import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import pytest
from playwright.sync_api import Browser, Page, expect

from console import browser
from console.session import COOKIE
from tests.support.builders import mail
from tests.support.console import Served, browsing, console_of
from tests.support.world import World


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    world.arrive(mail(subject="Garden"), receipt="first")
    world.run()
    return world


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as running:
        yield running


@contextmanager
def another_server() -> Iterator[tuple[str, list[str]]]:
    """Serve another port of 127.0.0.1; yield its origin, and what each request of it said."""
    said: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.append(f"{self.path}\n{self.headers}")
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<img src=/picture><iframe src=/frame></iframe>")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", said
        server.shutdown()


def opened(chromium: Browser, console: Served) -> Page:
    page = chromium.new_context().new_page()
    page.goto(console.session.link)
    expect(page).to_have_url(f"{console.at}/")
    return page


def test_another_port_gets_neither_the_cookie_nor_the_path(chromium: Browser, tmp_path: Path) -> None:
    world = World()
    with another_server() as (other, said), console_of(world, tmp_path) as console:
        world.arrive(mail(text=f"Look: {other}/from-an-email"), receipt="link")
        page = opened(chromium, console)
        secrets = [
            console.session.root[1:],
            next(one.get("value", "") for one in page.context.cookies() if one.get("name") == COOKIE),
        ]
        page.goto(f"{console.at}/messages/inbound/link")
        with page.context.expect_page() as new:
            page.locator(".text a").click()
        new.value.wait_for_load_state("networkidle")
        new.value.reload(wait_until="networkidle")
        page.goto(f"{other}/typed", wait_until="networkidle")
        page.context.close()

    assert [path for path in ("/from-an-email", "/typed", "/picture", "/frame") if not any(one.startswith(path) for one in said)] == []  # fmt: skip
    assert [secret for secret in secrets if secret in "".join(said)] == []


def test_the_page_of_another_port_gets_nothing_through_the_users_browser(chromium: Browser, console: Served) -> None:
    page = opened(chromium, console)
    with another_server() as (other, _):
        page.goto(other)
        for url in (f"{console.at}/", f"{console.at}/static/icon.svg", f"{console.origin}/"):
            answer = page.evaluate(
                "async url => [(await fetch(url, {mode: 'no-cors', credentials: 'include'}).catch(e => e)).type ?? 'refused',"
                " await new Promise(done => { const i = new Image(); i.onload = () => done('seen'); i.onerror = () => done('not seen'); i.src = url })]",
                url,
            )
            assert answer[0] in ("opaque", "refused")
            assert answer[1] == "not seen"
    page.context.close()


def test_the_browser_is_started_with_a_file_that_only_the_user_reads(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    context = chromium.new_context()
    started: list[str] = []

    with console_of(World(), tmp_path) as console:

        def start(url: str) -> bool:
            started.append(url)
            (folder,) = tmp_path.glob("email-handler-*")
            (file,) = folder.iterdir()
            assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, file)] == [0o700, 0o600]
            page = context.new_page()
            page.goto(url)
            expect(page).to_have_url(f"{console.at}/")
            expect(page.locator("h1")).to_have_text("Waiting for you")
            return True

        with patch("console.browser.webbrowser.open", start):
            browser.show(console.session)

    assert started[0].startswith("file://")
    assert "token" not in started[0]
    assert list(tmp_path.glob("email-handler-*")) == []
    context.close()


def test_without_a_browser_no_file_is_left(tmp_path: Path, console: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with patch("console.browser.webbrowser.open", lambda _: False):
        browser.show(console.session)

    assert list(tmp_path.iterdir()) == []


def test_a_bookmark_of_an_earlier_run_finds_its_page_in_the_next(
    chromium: Browser, world: World, tmp_path: Path
) -> None:
    context = chromium.new_context()
    page = context.new_page()
    with console_of(world, tmp_path / "first") as console:
        page.goto(console.session.link)
        page.goto(f"{console.at}/conversations?status=closed")
        bookmark, port = page.url, int(console.session.host.partition(":")[2])
        page.goto("about:blank")
    with console_of(world, tmp_path / "next", port=port) as console:
        page.goto(bookmark)
        assert "Open the link" in page.inner_text("body")
        page.goto(console.session.link)
        page.goto(bookmark)
        expect(page).to_have_url(f"{console.at}/conversations?status=closed")
        page.goto(console.session.link)
        expect(page.locator("h1")).to_have_text("Waiting for you")
    context.close()


@pytest.mark.parametrize("root", ["//{other}", "http://{other}", "/\\\\{other}", "javascript:alert(1)//"])
def test_a_bookmark_follows_nothing_that_another_server_left_at_the_port(
    chromium: Browser, world: World, tmp_path: Path, root: str
) -> None:
    """Storage is the port's, whoever listened there before."""
    context = chromium.new_context()
    page = context.new_page()
    with another_server() as (other, said), console_of(world, tmp_path) as console:
        bookmark = f"{console.origin}/of-an-earlier-run/conversations/c-1"
        page.goto(bookmark)
        page.evaluate("root => localStorage.setItem('root', root)", root.format(other=other.partition("//")[2]))
        page.goto(bookmark)
        page.wait_for_load_state("networkidle")
        expect(page).to_have_url(bookmark)
    assert said == []
    context.close()
