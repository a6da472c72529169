"""In a real Chromium, an email does nothing: no script of it runs, nothing of it loads, sends or navigates."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import Header
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from email_handler.identifiers import ReceiptId
from tests.console.hostile import HTML, WORDS
from tests.support.builders import mail
from tests.support.console import Requests, Served, browsing
from tests.support.world import World

PIXEL = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
RAN = "a script ran"

WATCH = f"""
for (const name of ['alert', 'confirm', 'prompt', 'msgbox', 'print']) window[name] = () => console.error({json.dumps(RAN)});
"""

# What an email's page may not have in the tree that the browser has built of it.
ACTIVE = """
() => [...document.querySelectorAll('*')].flatMap(one => [
  ...(/^(script|iframe|frame|frameset|object|embed|applet|form|input|button|select|textarea|link|meta|base|template|svg|math|video|audio|portal|noscript)$/i.test(one.localName)
    && !one.matches('meta[charset]') ? [one.localName] : []),
  ...[...one.attributes].filter(a => /^on|^(srcdoc|srcset|action|formaction|ping|background|poster|autofocus|is|popover)$/i.test(a.name)
    || /^(href|src)$/i.test(a.name) && !/^(https?:|mailto:|tel:|#|data:image\\/(png|gif|jpe?g);base64,)/i.test(a.value)).map(a => one.localName + ' ' + a.name),
])
"""


@dataclass
class Seen:
    """What a page did, as the browser saw it."""

    requests: Requests
    scripts: list[str] = field(default_factory=list)
    navigations: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    for number, (name, html) in enumerate(HTML.items()):
        world.arrive(
            mail(subject=name, html=html, text=None, message_id=f"<h{number}@a.example>"), receipt=f"html{number}"
        )
    before: dict[str, Any] = {}
    for number, words in enumerate(WORDS):
        encoded = Header(words, "utf-8", maxlinelen=900).encode()
        raw = mail(
            subject=words,
            sender=f"{encoded} <stranger@words.example>",
            text=f"{words}\r\n",
            html=words,
            attachments=[(f"{words}.html", "text/html", b"<script>alert(1)</script>")],
            message_id=f"<w{number}@words.example>",
            **before,
        )
        before = {"in_reply_to": f"<w{number}@words.example>", "references": f"<w{number}@words.example>"}
        world.arrive(raw, receipt=f"words{number}")
    world.run()
    return world


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1000, "height": 800})
    context.add_init_script(WATCH)
    yield context
    context.close()


@pytest.fixture(scope="module")
def seen(context: BrowserContext, console: Served) -> Seen:
    seen = Seen(Requests(context, console.origin))
    context.on("console", lambda message: seen.scripts.append(message.text) if RAN in message.text else None)
    context.on("dialog", lambda dialog: seen.scripts.append(dialog.message))  # it stays open, and the test ends there
    return seen


@pytest.fixture(scope="module")
def page(context: BrowserContext, console: Served, seen: Seen) -> Page:
    assert not seen.scripts
    page = context.new_page()
    page.goto(console.session.link)
    return page


def test_there_are_enough_of_them() -> None:
    assert len(HTML) + len(WORDS) >= 100


def test_the_watch_notices_a_script_and_a_request(chromium: Browser, console: Served) -> None:
    """Otherwise the tests below could not fail."""
    context = chromium.new_context()
    context.add_init_script(WATCH)
    seen = Seen(Requests(context, console.origin))
    context.on("console", lambda message: seen.scripts.append(message.text) if RAN in message.text else None)
    page = context.new_page()
    page.set_content(HTML["image"] + HTML["script"] + HTML["image from elsewhere"])
    page.wait_for_load_state("networkidle")

    assert len(seen.scripts) >= 2
    assert seen.requests.others == ["https://evil.example/i.png"]
    context.close()


@pytest.mark.parametrize("sandbox", ["sandbox=''", ""], ids=["in our frame", "in any frame"])
def test_the_html_of_an_email_does_nothing_in_its_frame(page: Page, console: Served, seen: Seen, sandbox: str) -> None:
    """The policy of the page alone keeps it from acting, even if our frame's own sandbox were forgotten."""
    page.goto(f"{console.at}/more")
    paths = [f"/messages/inbound/html{number}/html" for number in range(len(HTML))]
    frames = "".join(f"<iframe {sandbox} src='{console.session.root}{path}'></iframe>" for path in paths)
    page.evaluate(
        "async html => { document.body.innerHTML = html; const frames = [...document.querySelectorAll('iframe')];"
        " await Promise.all(frames.map(frame => new Promise(done => frame.onload = done))) }",
        frames,
    )
    shown = {frame.url.removeprefix(console.at): frame for frame in page.frames[1:]}

    assert list(shown) == paths
    for name, path in zip(HTML, paths, strict=True):
        assert shown[path].evaluate(ACTIVE) == [], name
    assert seen.scripts == []
    assert seen.requests.others == []
    assert page.url == f"{console.at}/more"


def test_the_html_of_an_email_has_no_origin_even_as_a_page_of_its_own(page: Page, console: Served, seen: Seen) -> None:
    page.goto(f"{console.at}/messages/inbound/html0/html")

    assert page.evaluate("self.origin") == "null"
    assert seen.requests.others == []


def test_what_a_stranger_fills_in_is_text_on_every_page(page: Page, console: Served, seen: Seen, world: World) -> None:
    conversation = world.records.message(ReceiptId("words0"), "inbound")
    assert conversation is not None
    pages = [
        *(f"/messages/inbound/words{number}" for number in range(len(WORDS))),
        f"/conversations/{conversation.conversation}?all=1",
        "/", "/conversations", "/conversations?page=2", "/conversations?page=3", "/held", "/sends",
        "/search?q=stranger", f"/search?q={'%3Cscript%3Ealert(1)%3C%2Fscript%3E'}",
    ]  # fmt: skip
    for path in pages:
        page.goto(console.at + path)
        assert page.url == console.at + path
        foreign = page.evaluate(
            "() => [...document.querySelectorAll('script, iframe, base, form, meta[http-equiv], object, [onfocus], [onclick], [onerror]')]"
            '.filter(one => !one.matches(\'script[src$="/static/console.js"], iframe.mail[sandbox=""], form[action^="/"], form[method=dialog]\'))'
            ".map(one => one.outerHTML)"
        )
        assert foreign == [], path

    assert seen.scripts == []
    assert seen.requests.others == []


def test_the_direction_of_a_strangers_name_ends_with_it(page: Page, console: Served) -> None:
    number = next(number for number, words in enumerate(WORDS) if "\u202e" in words)
    page.goto(f"{console.at}/messages/inbound/words{number}")

    shown = page.locator("h1").inner_text()
    assert "Jane<gro.live@enaj>" in shown.replace(" ", "")
    assert not set(shown) & set("\u202e\u2066\u200b\u00ad\ufeff")


def test_files_are_stored_and_never_opened(page: Page, console: Served) -> None:
    answer = page.request.get(f"{console.at}/messages/inbound/words0/files/1")

    assert answer.body() == b"<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


def test_pictures_from_elsewhere_are_counted_and_simple_ones_of_its_own_are_shown(
    world: World, page: Page, console: Served, seen: Seen
) -> None:
    html = (
        '<p>Hello</p><img src="cid:logo"><img src="cid:plan"><img src="cid:gone">'
        '<img src="https://evil.example/1.png"><p style="background:url(https://evil.example/2.png)">x</p>'
        '<a href="https://evil.example/login">https://bank.example/</a>'
    )
    drawing = ("plan", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    inline = [("logo", "image/png", PIXEL), drawing]
    world.arrive(mail(html=html, inline=inline, message_id="<pictures@a.example>"), receipt="pictures")
    page.goto(f"{console.at}/messages/inbound/pictures")
    page.get_by_text("As HTML").click()
    page.wait_for_load_state("networkidle")
    frame = page.frames[1]

    assert page.locator("summary", has_text="As HTML").inner_text().endswith("4 pictures not loaded")
    sources = frame.evaluate("() => [...document.images].map(one => one.src.slice(0, 22))")
    assert sources.count("data:image/png;base64,") == 1
    page.locator("summary", has_text="Links").click()
    link = page.locator(".links a")
    assert page.locator(".links li").inner_text() == "https://bank.example/ leads to https://evil.example/login"
    assert (link.get_attribute("rel"), link.get_attribute("target")) == ("noopener noreferrer", "_blank")
    assert seen.requests.others == []
    assert seen.scripts == []
