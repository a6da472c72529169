"""Who gets an answer: only the browser that opened the console, from its own pages."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from console.guard import BOOKMARK, POLICY, REFUSAL
from console.session import Session
from tests.support.builders import mail
from tests.support.console import Served, console_of
from tests.support.console_requests import Answer, ask, exchange, post
from tests.support.world import World

SECRET = "The plans of our garden"
PAGES = ("/", "/conversations", "/held", "/search?q=garden", "/static/console.css", "/static/console.js", "/nothing")
ACTS = (
    "/senders", "/conversations/c-1/close", "/messages/inbound/first/release", "/dead-letters/redrive",
    "/documents/rules/push",
)  # fmt: skip
BLOCK = {"entry": "jane@customer.example", "list": "block"}


NOTHING = (403, REFUSAL)


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    world.arrive(mail(subject=SECRET, text="A stranger's words."), receipt="first")
    world.run()
    return world


@pytest.fixture(scope="module")
def opened(console: Served) -> Answer:
    return exchange(console, "GET", console.session.link.removeprefix(console.origin), None, {})


@pytest.fixture(scope="module")
def cookie(opened: Answer) -> str:
    return opened.headers["set-cookie"].partition(";")[0]


def seen(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.text


# The link


def test_the_link_works_once() -> None:
    session = Session(8000)
    token = session.link.partition("token=")[2]

    assert session.exchange("wrong") == ""
    assert not session.knows("")
    cookie = session.exchange(token)
    assert cookie
    assert session.exchange(token) == session.exchange("") == ""
    assert session.knows(cookie)
    assert not session.knows(token)


def test_the_token_becomes_a_cookie_that_no_script_and_no_other_site_has(console: Served, opened: Answer) -> None:
    root = console.session.root
    assert (opened.status, opened.headers["location"]) == (303, f"{root}/")
    assert {"HttpOnly", "SameSite=strict", f"Path={root}"} <= set(opened.headers["set-cookie"].split("; "))


def test_the_spent_token_opens_nothing(console: Served, opened: Answer, cookie: str) -> None:
    assert opened.status == 303
    path = console.session.link.removeprefix(console.origin) + "spent"

    for headers in ({}, {"Cookie": cookie}):
        assert seen(exchange(console, "GET", path, None, headers)) == NOTHING
        assert seen(exchange(console, "GET", "/?token=", None, headers)) == NOTHING


def test_the_link_does_not_tell_where_the_pages_are(console: Served) -> None:
    assert console.session.root not in console.session.link
    assert len(console.session.root) > 20


def test_a_link_followed_from_another_page_leads_on_by_a_page_of_ours() -> None:
    """A browser sends no cookie of SameSite=Strict on a redirect that a file or another site has begun."""
    world = World()
    with TemporaryDirectory() as folder, console_of(world, Path(folder)) as console:
        path = console.session.link.removeprefix(console.origin)
        answer = exchange(console, "GET", path, None, {"Sec-Fetch-Site": "cross-site"})

    assert (answer.status, answer.headers["refresh"]) == (200, f"0; url={console.session.root}/")
    assert answer.text == ""


# Reading


def test_the_browser_with_the_cookie_gets_pages(console: Served, cookie: str) -> None:
    for path in PAGES:
        answer = ask(console, path, {"Cookie": cookie, "Sec-Fetch-Site": "none"})
        assert answer.status == (404 if path == "/nothing" else 200)
    assert SECRET in ask(console, "/", {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}).text


@pytest.mark.parametrize("tossed", ["{ours}; console=theirs", "console=theirs; {ours}"])
def test_a_cookie_that_another_port_sets_does_not_hide_ours(console: Served, cookie: str, tossed: str) -> None:
    assert ask(console, "/", {"Cookie": tossed.format(ours=cookie)}).status == 200


FOREIGN: dict[str, dict[str, str]] = {
    "no cookie": {"Cookie": ""},
    "another cookie": {"Cookie": "{name}=guess"},
    "an empty cookie": {"Cookie": "{name}="},
    "a cookie of another name": {"Cookie": "session={value}"},
    "another host": {"Host": "evil.example"},
    "another host with our port": {"Host": "evil.example:{port}"},
    "our host with another port": {"Host": "127.0.0.1:1"},
    "our host by name": {"Host": "localhost:{port}"},
    "our host without its port": {"Host": "127.0.0.1"},
    "another origin": {"Origin": "https://evil.example"},
    "another port's origin": {"Origin": "http://127.0.0.1:1"},
    "our origin with TLS": {"Origin": "https://127.0.0.1:{port}"},
    "an origin of nobody": {"Origin": "null"},
    "a page of another site": {"Sec-Fetch-Site": "cross-site"},
    "a page of another port": {"Sec-Fetch-Site": "same-site"},
    "an origin of nobody from another site": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
}
OUTSIDE = (
    "",
    "/",
    "/held",
    "{root}",
    "{root}x/held",
    "/x{root}/held",
    "//{root}/held",
    "/%2f{root}/held",
    "/guess/held",
)


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_everybody_else_gets_the_same_nothing(console: Served, cookie: str, foreign: dict[str, str]) -> None:
    name, _, value = cookie.partition("=")
    port = console.session.host.partition(":")[2]
    headers = {"Cookie": cookie} | {
        key: given.format(name=name, value=value, port=port) for key, given in foreign.items()
    }
    for path in PAGES:
        answer = ask(console, path, headers)
        assert seen(answer) == NOTHING
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_is_outside_of_the_path_that_only_the_browser_knows(console: Served, cookie: str, path: str) -> None:
    for headers in ({"Cookie": cookie}, {"Cookie": cookie, "Origin": console.origin}):
        answer = exchange(console, "GET", path.format(root=console.session.root) or "*", None, headers)
        assert seen(answer) == NOTHING


def test_a_bookmark_of_an_earlier_run_is_told_nothing_but_how_to_find_this_one(console: Served) -> None:
    bookmark = "/of-an-earlier-run/conversations/c-1"
    answer = exchange(console, "GET", bookmark, None, {"Sec-Fetch-Site": "none"})

    assert (answer.status, answer.text) == (403, BOOKMARK)
    assert console.session.root not in answer.text
    assert "script-src 'sha256-" in answer.headers["content-security-policy"]
    for headers in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site"}):
        assert seen(exchange(console, "GET", bookmark, None, headers)) == NOTHING
    assert seen(exchange(console, "POST", bookmark, None, {"Sec-Fetch-Site": "none"})) == NOTHING


# Acting


@pytest.mark.parametrize("path", ACTS)
def test_nothing_is_done_without_our_forms_token(console: Served, cookie: str, world: World, path: str) -> None:
    ours = {"Cookie": cookie, "Origin": console.origin}
    for csrf in ({}, {"csrf": ""}, {"csrf": "guess"}, {"csrf": "é"}):
        assert seen(post(console, path, BLOCK | csrf, ours)) == NOTHING

    assert world.records.lists == {}


@pytest.mark.parametrize("path", ACTS)
def test_nothing_is_done_unless_a_page_of_ours_asked(console: Served, cookie: str, world: World, path: str) -> None:
    form = BLOCK | {"csrf": console.session.csrf}
    foreign: tuple[dict[str, str], ...] = (
        {}, {"Origin": "null"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "none"},
    )  # fmt: skip
    for headers in foreign:
        assert seen(post(console, path, form, {"Cookie": cookie, **headers})) == NOTHING
    assert ask(console, path, {"Cookie": cookie}).status in (200, 404, 405)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert seen(ask(console, path, {"Cookie": cookie, "Origin": console.origin}, method)) == NOTHING

    assert world.records.lists == {}


def test_forms_are_urlencoded_and_bounded(console: Served, cookie: str, world: World) -> None:
    form = BLOCK | {"csrf": console.session.csrf}
    ours = {"Cookie": cookie, "Origin": console.origin}

    assert seen(post(console, "/senders", form, ours | {"Content-Type": "text/plain"})) == NOTHING
    assert seen(post(console, "/senders", form | {"more": "x" * 2_000_000}, ours)) == NOTHING
    assert seen(post(console, "/senders", form | {str(number): "" for number in range(60)}, ours)) == NOTHING
    assert world.records.lists == {}


def test_an_act_of_our_own_form_is_done_and_its_repetition_is_harmless(
    console: Served, cookie: str, world: World
) -> None:
    form = {"entry": "spam@shop.example", "list": "block", "csrf": console.session.csrf}
    ours: tuple[dict[str, str], ...] = (
        {"Origin": console.origin}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    for headers in ours:
        answer = post(console, "/senders", form, {"Cookie": cookie, **headers})
        assert (answer.status, answer.headers["location"]) == (303, f"{console.session.root}/senders")

    assert world.records.lists == {"spam@shop.example": "block"}
    assert "spam@shop.example is on the block-list" in ask(console, "/senders", {"Cookie": cookie}).text
    assert "is on the block-list" not in ask(console, "/senders", {"Cookie": cookie}).text, "said once"
    world.records.lists.clear()


def test_the_way_back_from_an_act_leads_nowhere_else(console: Served, cookie: str, world: World) -> None:
    form = {"entry": "a@shop.example", "list": "allow", "csrf": console.session.csrf}
    for back in ("//evil.example", "https://evil.example/", "/\\evil.example", "\r\nX: y"):
        answer = post(console, "/senders", form | {"back": back}, {"Cookie": cookie, "Origin": console.origin})
        assert answer.headers["location"] == f"{console.session.root}/senders"
    world.records.lists.clear()


# What answers forbid


def test_every_answer_forbids_what_a_page_does_not_need(console: Served, cookie: str) -> None:
    for headers in ({}, {"Cookie": cookie}):
        for path in PAGES:
            found = ask(console, path, headers).headers
            policy = found["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert found["cache-control"] == "no-store"
            assert found["referrer-policy"] == "no-referrer"
            assert found["x-content-type-options"] == "nosniff"
            assert found["cross-origin-resource-policy"] == "same-origin"
            assert found["x-dns-prefetch-control"] == "off"


def test_an_email_is_not_shown_by_the_browser_as_a_file_of_ours(console: Served, cookie: str) -> None:
    headers = ask(console, "/messages/inbound/first/raw", {"Cookie": cookie}).headers

    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''first.eml"
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")


def test_a_mistake_of_ours_quotes_nothing(
    console: Served, cookie: str, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.records.fail("listed", ValueError(SECRET))
    answer = ask(console, "/senders", {"Cookie": cookie})

    assert answer.status == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert "ValueError at " in answer.text
    assert "ValueError at " in caplog.text
    assert SECRET not in answer.text + caplog.text


def test_what_an_act_did_is_not_lost_to_what_a_script_asks_for(console: Served, cookie: str, world: World) -> None:
    form = {"entry": "b@shop.example", "list": "allow", "csrf": console.session.csrf}
    post(console, "/senders", form, {"Cookie": cookie, "Origin": console.origin})
    world.records.lists.clear()

    for header in ("X-Fragment", "X-Background"):
        assert "on the allow-list" not in ask(console, "/senders", {"Cookie": cookie, header: "1"}).text
    assert "on the allow-list" in ask(console, "/senders", {"Cookie": cookie}).text
