"""``email-handler console`` in a real Chromium, against the deployed stack: each page, each act, keys, and who can read it."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from cloud.cloud import LocalCloud
from cloud.ses import Fault
from console.opening import open_console
from console.server import listen, port_of
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Conversation, SendState, Status
from email_handler.spam import rules as spam_rules
from email_handler.usecases.retries import COPIES
from operations.connection import Connection, connect
from operations.conversations import sends_of
from tests.cli.stored import store
from tests.support.console import Requests, Served, browsing, serve_app
from tests.support.console_pages import act, arrived, as_the_console, note
from tests.support.operator import PUBLIC, arrive, held, person, run, sent_since
from tests.support.stack import PROJECT
from tests.support.waiting_replies import delayed_replies, deliver_now, waiting

pytestmark = pytest.mark.cloud

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
SERIOUS = """
async rules => (await axe.run(document, {resultTypes: ['violations'], ...rules})).violations
  .filter(one => ['serious', 'critical'].includes(one.impact))
  .map(one => one.id + ': ' + one.nodes.map(node => node.target.join(' ')).join(', '))
"""


@pytest.fixture(scope="module")
def connection(cloud: LocalCloud) -> Connection:
    return connect(endpoint=cloud.endpoint)


@pytest.fixture(scope="module")
def console(cloud: LocalCloud, connection: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    listening = listen(0)
    with patch.dict(os.environ, {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}):
        app, _ = open_console(connection, port_of(listening), cloud.outbox)
        with serve_app(app, listening) as running:
            yield running


@pytest.fixture(scope="module")
def context(console: Served) -> Iterator[BrowserContext]:
    with browsing() as browser:
        context = browser.new_context(viewport={"width": 1200, "height": 900}, timezone_id="Asia/Tokyo", locale="en-GB")
        requests = Requests(context, console.origin)
        page = context.new_page()
        page.goto(console.session.link)
        expect(page).to_have_url(f"{console.at}/")
        page.close()
        yield context
        assert requests.others == []


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", lambda said: mistakes.append(said.text) if said.type == "error" else None)
    yield page
    page.close()
    assert mistakes == []


def written(cloud: LocalCloud, connection: Connection, **fields: Any) -> Conversation:
    """Return a conversation that somebody new has begun."""
    sender = fields.pop("sender", "") or person()
    arrive(cloud, sender, **fields)
    (found,) = connection.records.find("contact", sender)
    assert isinstance(found, Conversation)
    return found


def read(cloud: LocalCloud, console: Served) -> None:
    """Wait until the index has what has changed until now."""
    reading = console.desk.reading
    cloud.wait_until(lambda: reading.progress is None, 60, "the last reading")
    reading.begin()
    cloud.wait_until(lambda: reading.progress is None, 60, "the index")


def listed(cloud: LocalCloud, page: Page, console: Served, conversation: Conversation) -> Locator:
    """Open the inbox when it lists *conversation*, and return its row."""
    read(cloud, console)
    page.goto(f"{console.at}/")
    row = page.locator(f"main a[data-row][href$='/conversations/{conversation.id}']")
    expect(row).to_be_visible()
    return row


def status(connection: Connection, conversation: Conversation) -> Status:
    found = connection.records.conversation(conversation.id)
    assert found
    return found.status


def snoozed_for(connection: Connection, conversation: Conversation) -> int:
    """Return for how many days a conversation is put off from now on, to the next whole day."""
    found = connection.records.conversation(conversation.id)
    assert found
    assert found.status is Status.SNOOZED
    assert found.snoozed_until
    return round((found.snoozed_until - datetime.now(UTC)) / timedelta(days=1))


# The command


def test_the_command_prints_its_link_once_it_answers_and_ctrl_c_ends_it(cloud: LocalCloud, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from cli.main import main; main()"]
    command += ["console", "--no-open", "--json", "--endpoint", cloud.endpoint]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command, env=environment, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        printed = json.loads(process.stdout.readline())
        place, _, path = printed["url"].removeprefix("http://").partition("/")
        client = http.client.HTTPConnection(place, timeout=20)
        client.request("GET", f"/{path}")
        answer = client.getresponse()
        answer.read()
        client.close()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)

    assert place == f"127.0.0.1:{printed['port']}"
    assert answer.status == 303
    assert f"HttpOnly; Path={str(answer.getheader('location')).rstrip('/')};" in str(answer.getheader("set-cookie"))
    assert (process.returncode, rest, errors.strip()) == (0, "", "The console has ended.")


def test_without_its_libraries_the_command_says_how_to_install_them(cloud: LocalCloud) -> None:
    with patch("cli.console.find_spec", lambda name: None if name == "nh3" else name):
        ran = run(cloud, "console", "--no-open")

    assert str(ran.exception) == "the console needs more libraries: pip install 'service-email-handler[console]'"


# Pages


def test_every_page_can_be_read_by_everybody_in_both_schemes_and_on_a_small_screen(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    plan = ("plan.pdf", "application/pdf", b"%PDF-1.4")
    conversation = written(cloud, connection, subject=f"The plan {'w' * 90}", attachments=[plan])
    receipt = held(cloud, person(), html="<p>An <b>offer</b></p>")
    page.goto(f"{console.at}/conversations/{conversation.id}")
    message = str(page.locator(".foot a").get_attribute("href")).removeprefix(console.session.root)
    paths = [
        "/", "/conversations", "/conversations?status=closed", f"/conversations/{conversation.id}", message, "/held",
        f"/messages/inbound/{receipt}", "/senders", "/search?q=question", "/search", "/sends", "/dead-letters", "/health",
        "/documents", "/documents/rules", "/documents/rules?version=1", "/backtest", "/outbox", "/more", "/nowhere",
    ]  # fmt: skip
    wrong: list[str] = []
    for path in paths:
        for scheme, width in (("light", 1200), ("dark", 360)):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 800})
            if width == 1200:
                with as_the_console():
                    _open(page, f"{console.at}{path}")
                page.evaluate(AXE)
            rules = {"runOnly": ["color-contrast"]} if scheme == "light" else {}  # the tree is that of the small screen
            wrong += [f"{path} {scheme}: {violation}" for violation in page.evaluate(SERIOUS, rules)]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{path} {scheme}: wider than the screen")
        assert page.locator("h1").count() == 1, path

    assert wrong == []


def _open(page: Page, url: str) -> None:
    """Open a page, and wait for what it loads later."""
    if url.endswith("/nowhere"):
        page.route(url, lambda route: route.fulfill(response=route.fetch(), status=200))  # no error on the console
    page.goto(url)
    expect(page.locator("[data-load] progress")).to_have_count(0, timeout=60_000)


def test_times_are_the_readers(cloud: LocalCloud, connection: Connection, console: Served, page: Page) -> None:
    conversation = written(cloud, connection)
    page.goto(f"{console.at}/conversations/{conversation.id}")
    shown = page.locator("main time").first

    at = conversation.started_at
    hour = (at.hour + 9) % 24
    assert f"{hour:02}:{at.minute:02}" in shown.inner_text()
    assert str(shown.get_attribute("datetime")).startswith(at.isoformat()[:19])


def test_search_finds_while_one_types_and_its_address_can_be_kept(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    written(cloud, connection, subject="Wisteria for the pergola", text="Which one climbs fastest?\r\n")
    read(cloud, console)
    page.goto(f"{console.at}/search")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    field.press_sequentially("wister")

    found = page.locator("#results .rows li")
    expect(found).to_have_count(1, timeout=20_000)
    assert "Wisteria for the pergola" in found.inner_text()
    expect(page).to_have_url(f"{console.at}/search?q=wister")
    field.fill('"')
    field.press_sequentially("x")
    field.fill("from:nobody wisteria")
    expect(page.locator("#results .empty")).to_be_visible()


def test_everything_can_be_done_with_keys(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    conversation = written(cloud, connection)
    own = f"{console.at}/conversations/{conversation.id}"
    row = listed(cloud, page, console, conversation)
    for _ in range(page.locator("[data-row]").count()):
        page.keyboard.press("j")
        if row.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    arrived(page, own)

    page.keyboard.press("e")
    expect(page.locator(".act[open] p")).to_contain_text("opens it again")
    page.keyboard.press("Escape")
    assert status(connection, conversation) is Status.OPEN
    page.keyboard.press("e")
    page.keyboard.press("Enter")
    arrived(page, f"{console.at}/")
    assert status(connection, conversation) is Status.CLOSED

    page.keyboard.press("z")
    arrived(page, own)
    assert status(connection, conversation) is Status.OPEN
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


# Acts


def test_a_conversation_is_closed_snoozed_marked_as_spam_and_reopened(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    conversation = written(cloud, connection)
    own = f"{console.at}/conversations/{conversation.id}"
    page.goto(own)

    assert act(page, "Snooze", days="2").startswith("Snoozed until ")
    assert status(connection, conversation) is Status.SNOOZED
    expect(page.locator(f"main a[href$='/conversations/{conversation.id}']")).to_have_count(0)
    page.goto(own)
    assert act(page, "Reopen").endswith("waits for your reply again.")
    assert status(connection, conversation) is Status.OPEN
    assert act(page, "Snooze", days="5").startswith("Snoozed until ")
    page.goto(own)
    assert act(page, "Snooze", days="9").startswith("Snoozed until ")
    page.get_by_role("button", name="Undo").click()
    assert "snoozed, as before" in note(page)
    assert status(connection, conversation) is Status.SNOOZED
    assert snoozed_for(connection, conversation) == 5
    assert act(page, "Close").startswith("Closed")
    page.get_by_role("button", name="Undo").click()
    assert snoozed_for(connection, conversation) == 5
    assert act(page, "Reopen").endswith("waits for your reply again.")
    assert act(page, "Spam").startswith("Marked as spam")
    page.get_by_role("button", name="Undo").click()
    assert "as before" in note(page)
    assert status(connection, conversation) is Status.OPEN
    assert act(page, "Close").startswith("Closed")
    page.goto(f"{console.at}/conversations?status=closed")
    expect(page.locator(f"main a[href$='/conversations/{conversation.id}']")).to_be_visible()


def test_a_contact_is_blocked_and_unblocked(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    conversation = written(cloud, connection)
    page.goto(f"{console.at}/conversations/{conversation.id}")

    assert "on the block-list" in act(page, "Block")
    assert dict(connection.records.listed())[conversation.contact] == "block"
    assert "on no list" in act(page, "Unblock")
    page.goto(f"{console.at}/senders")
    page.get_by_label("Address or domain").fill("Garden.example")
    page.get_by_role("button", name="Allow").click()
    assert note(page).startswith("garden.example is on the allow-list")
    page.get_by_role("button", name="Undo").click()
    assert note(page) == "garden.example is on no list any more."
    assert not {conversation.contact, "garden.example"} & set(dict(connection.records.listed()))


def test_a_held_message_is_released_and_another_confirmed(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    before, sender, spammer = len(cloud.sent()), person(), person()
    released, confirmed = held(cloud, sender), held(cloud, spammer)
    page.goto(f"{console.at}/held")
    expect(page.locator(f"a[href$='/messages/inbound/{released}']").first).to_be_visible()
    assert page.locator(".reasons").first.inner_text().strip()

    page.goto(f"{console.at}/messages/inbound/{released}")
    assert act(page, "Release", listed="yes").startswith("Released: ")
    expect(page.locator("article.message")).to_have_count(1)
    page.goto(f"{console.at}/messages/inbound/{confirmed}")
    said = act(page, "Keep held", "It was rightly held", listed="yes")

    assert "off this list" in said
    assert {sender: "allow", spammer: "block"}.items() <= dict(connection.records.listed()).items()
    page.get_by_role("button", name="Undo the list's entry").click()
    assert note(page) == f"{spammer} is on no list any more."
    page.goto(f"{console.at}/held")
    assert sender in [recipient for sent in sent_since(cloud, before) for recipient in sent.recipients]
    expect(page.locator(f"a[href$='/messages/inbound/{confirmed}']")).to_have_count(0)


def test_a_reply_that_waits_is_cancelled(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    conversation = written(cloud, connection)
    with delayed_replies(cloud):
        reply = waiting(cloud, connection, conversation)
    page.goto(f"{console.at}/conversations/{conversation.id}")

    said = act(page, "Cancel the reply")
    deliver_now(cloud, reply)
    cloud.settle()

    assert said.endswith("is cancelled and will not be sent.")
    found = connection.ledger.by_id(reply.id)
    assert found
    assert (found.state, found.reason) == (SendState.CANCELLED, "cancelled by the operator")
    expect(page.locator(".act summary", has_text="Cancel")).to_have_count(0)


def test_dead_letters_are_sent_again_or_thrown_away(cloud: LocalCloud, console: Served, page: Page) -> None:
    assert cloud.ses
    sender = person()
    refused = Fault(code="MessageRejected", only=lambda request: request["Destination"]["ToAddresses"] == [sender])
    cloud.ses.fail_next(refused)
    arrive(cloud, sender)
    before = len(cloud.sent())
    cloud.clients.sqs.send_message(QueueUrl=cloud.resources["AckDeadLetters"], MessageBody="no job of ours")
    page.goto(f"{console.at}/sends?state=failed")
    expect(page.locator(".rows", has_text=sender).first).to_be_visible()

    page.goto(f"{console.at}/dead-letters")
    expect(page.locator("table")).to_be_visible(timeout=60_000)
    assert "queued again" in act(page, "Send again")
    assert [sent.recipients for sent in sent_since(cloud, before) if sent.recipients == (sender,)] == [(sender,)]
    expect(page.locator("table")).to_be_visible(timeout=60_000)
    assert act(page, "Throw away") == "1 thrown away."
    expect(page.locator(".empty")).to_be_visible(timeout=60_000)


def test_what_may_have_been_sent_is_sent_once_more_only_if_that_is_asked_for(
    cloud: LocalCloud, connection: Connection, console: Served, page: Page
) -> None:
    conversation = written(cloud, connection)
    (message,) = connection.records.messages(conversation.id)
    (forward,) = [one for one in sends_of(connection, message) if one.kind is JobKind.FORWARD]
    lost = replace(forward, lost=COPIES[JobKind.FORWARD])
    connection.ledger.give_back(lost, SendState.UNKNOWN, "no response of SES", forward.due)
    page.goto(f"{console.at}/conversations/{conversation.id}")
    expect(page.locator(".events .bad")).to_contain_text("may have been sent")
    undecided = page.locator("td", has_text="may have been sent already")

    page.goto(f"{console.at}/dead-letters")
    expect(undecided).to_be_visible(timeout=60_000)
    assert "left, which may have been sent already" in act(page, "Send again")
    assert [one.tags["ledger"] for one in sent_since(cloud, 0)].count(forward.id) == 1
    expect(undecided).to_be_visible(timeout=60_000)
    assert "queued again" in act(page, "Send again, whatever")
    assert [one.tags["ledger"] for one in sent_since(cloud, 0)].count(forward.id) == 2


def test_a_failed_run_that_nobody_can_run_is_thrown_away(cloud: LocalCloud, console: Served, page: Page) -> None:
    queue = cloud.resources["ProcessingFailures"]
    cloud.clients.sqs.send_message(QueueUrl=queue, MessageBody="no record of AWS's")
    page.goto(f"{console.at}/dead-letters")
    expect(page.locator("td", has_text="(unknown)")).to_be_visible(timeout=60_000)

    assert "1 left, which nobody can run" in act(page, "Run again")
    expect(page.locator("td", has_text="(unknown)")).to_be_visible(timeout=60_000)
    assert act(page, "Throw away") == "1 thrown away."
    expect(page.locator(".empty")).to_be_visible(timeout=60_000)


def test_a_failed_run_is_run_again(cloud: LocalCloud, connection: Connection, console: Served, page: Page) -> None:
    sender, receipt = person(), "console-before-its-object"
    named = {"mail": {"messageId": receipt, "source": sender}, "receipt": {"recipients": [PUBLIC], "dmarcVerdict": {"status": "PASS"}}}  # fmt: skip
    payload = json.dumps({"Records": [{"eventSource": "aws:ses", "ses": named}]}).encode()
    cloud.clients.lambda_.invoke(
        FunctionName=cloud.resources["InboundFunction"], InvocationType="Event", Payload=payload
    )
    cloud.settle()
    store(cloud, sender, receipt)
    page.goto(f"{console.at}/dead-letters")
    expect(page.locator("td", has_text=receipt)).to_be_visible(timeout=60_000)

    assert act(page, "Run again") == "1 started again."
    cloud.settle()
    assert list(connection.records.find("contact", sender))


def test_rules_are_changed_tried_on_the_past_pushed_and_rolled_back(
    cloud: LocalCloud, console: Served, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spam_rules, "SLOW_SECONDS", 1.0)  # a busy machine is no finding about our own patterns
    arrive(cloud, person())
    page.goto(f"{console.at}/documents/rules")
    text = page.locator("#text")
    rules = text.input_value()
    text.fill("[[rule]\n")
    page.get_by_role("button", name="Check and compare").click()
    expect(page.locator(".note.bad").first).to_be_visible()
    expect(page.locator(".act")).to_have_count(0)

    text.fill(rules.replace("flag = 5.0", "flag = 4.9"))
    page.get_by_role("button", name="Check and compare").click()
    assert (page.locator("del").inner_text(), page.locator("ins").inner_text()) == ("flag = 5.0", "flag = 4.9")
    page.locator(".act summary", has_text="Back-test").click()
    page.locator(".act[open] button").click()
    expect(page.locator("#backtest table")).to_be_visible(timeout=60_000)
    page.go_back()
    page.get_by_role("button", name="Check and compare").click()
    assert act(page, "Push").startswith("In force within a minute: config/spam-rules/")
    page.get_by_role("button", name="Roll back").first.click()
    assert note(page).startswith("In force within a minute: ")
    expect(text).to_have_value(rules)
