"""What pages say, to a browser with the cookie."""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import quote

import pytest

from email_handler.adapters.dynamodb.keys import mailbox
from email_handler.conversations.commands import LONGEST_SNOOZE
from email_handler.conversations.records import Status
from email_handler.conversations.thread_address import thread_address
from email_handler.identifiers import ReceiptId
from tests.support.builders import mail
from tests.support.console import Served
from tests.support.console_requests import ask, exchange, post
from tests.support.world import OWNER, THREAD, World

SUBJECT = "Plans & <fences>?"


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    world.arrive(mail(subject=SUBJECT, text="See http://b\u0430nk.example/x"), receipt="first")
    world.run()
    (conversation,) = world.records.conversations.values()
    to = thread_address(conversation, THREAD)
    world.arrive(
        mail(sender=OWNER, to=to, subject=f"Re: {SUBJECT}", message_id="<r@private.example>"), receipt="reply", to=to
    )
    world.run()
    return world


@pytest.fixture(scope="module")
def cookie(console: Served) -> str:
    opened = exchange(console, "GET", console.session.link.removeprefix(console.origin), None, {})
    return opened.headers["set-cookie"].partition(";")[0]


def test_a_conversation_links_to_a_reply_in_the_owners_mail_program(console: Served, cookie: str, world: World) -> None:
    (conversation,) = world.records.conversations.values()
    text = ask(console, f"/conversations/{conversation.id}", {"Cookie": cookie}).text

    to = thread_address(conversation, THREAD)
    subject = quote(f"Re: {conversation.owner_subject}")
    assert f'href="mailto:{to}?subject={subject}"' in text


def test_a_conversation_can_be_put_off_for_as_long_as_the_act_accepts(
    console: Served, cookie: str, world: World
) -> None:
    (conversation,) = world.records.conversations.values()
    text = ask(console, f"/conversations/{conversation.id}", {"Cookie": cookie}).text

    assert f'name="days" value="3" min="1" max="{LONGEST_SNOOZE}"' in text


def test_a_list_of_all_conversations_tells_where_each_stands(console: Served, cookie: str, world: World) -> None:
    (conversation,) = world.records.conversations.values()
    snoozed = replace(conversation, status=Status.SNOOZED, snoozed_until=world.now, version=conversation.version + 1)
    console.desk.reading.index.put_conversations([snoozed])

    for path in ("/conversations", "/conversations?status=snoozed"):
        assert "Snoozed until <time " in ask(console, path, {"Cookie": cookie}).text


def test_a_reply_is_found_as_the_owners_own(console: Served, cookie: str) -> None:
    assert '<strong dir="auto">You to Jane' in ask(console, "/search?q=is:reply", {"Cookie": cookie}).text


def test_links_are_shown_with_the_host_that_the_browser_asks(console: Served, cookie: str, world: World) -> None:
    assert world.records.message(ReceiptId("first"), "inbound")
    text = ask(console, "/messages/inbound/first", {"Cookie": cookie}).text

    assert ">http://xn--bnk-6cd.example/x</a>" in text
    assert 'href="http://b\u0430nk.example/x"' in text


def test_a_page_that_was_too_early_for_what_has_changed_asks_for_it_again(
    console: Served, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = f'data-load="{console.session.root}/reading"'
    assert asks not in ask(console, "/", {"Cookie": cookie}).text

    monkeypatch.setattr(console.desk.reading, "refresh", lambda: False)
    assert asks in ask(console, "/", {"Cookie": cookie}).text


@pytest.mark.parametrize("sender", ["jane.doe@gmail.com", "jane@b\u00fccher.example", "ja\u034fne@customer.example"])
def test_whoever_wrote_is_blocked_as_that_and_nobody_else(
    console: Served, cookie: str, world: World, sender: str
) -> None:
    """In every spelling of the mailbox, and with letters that nobody sees and that make it somebody else's."""
    before = set(world.records.conversations)
    world.arrive(mail(sender=sender, message_id=f"<{len(before)}@a.example>"), receipt=f"listed{len(before)}")
    world.run()
    (new,) = set(world.records.conversations) - before
    page = f"/conversations/{new}"
    *_, block = _fields(ask(console, page, {"Cookie": cookie}).text, "/senders")
    ours = {"Cookie": cookie, "Origin": console.origin}
    world.records.put_listed(sender, "allow")

    assert post(console, "/senders", block, ours).status == 303
    assert world.records.lists == {mailbox(sender): "block"}
    text = ask(console, page, {"Cookie": cookie}).text
    undo, unblock = _fields(text, "/senders")
    assert "on the block-list" in text
    assert unblock["list"] == ""
    assert "on the block-list" in ask(console, f"/messages/inbound/listed{len(before)}", {"Cookie": cookie}).text

    post(console, "/senders", undo, ours)
    assert world.records.lists == {mailbox(sender): "allow"}
    world.records.lists.clear()


def test_a_conversation_shows_all_that_a_message_without_files_says(console: Served, cookie: str, world: World) -> None:
    before = set(world.records.conversations)
    letter = mail(sender="long@a.example", text="A long letter. " * 30 + "Yours, Jane", message_id="<long@a.example>")
    world.arrive(letter, receipt="long")
    world.run()
    (new,) = set(world.records.conversations) - before

    assert "Yours, Jane" in ask(console, f"/conversations/{new}", {"Cookie": cookie}).text


def _fields(text: str, action: str) -> list[dict[str, str]]:
    """Return the hidden fields of each form of the page *text* that is sent to *action*."""
    forms = re.findall(rf'<form method="post" action="[^"]*{action}">(.*?)</form>', text, re.DOTALL)
    field = r'<input type="hidden" name="([^"]*)" value="([^"]*)">'
    return [{name: unescape(value) for name, value in re.findall(field, form)} for form in forms]
