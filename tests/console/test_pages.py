"""What pages say, to a browser with the cookie."""

from dataclasses import replace
from urllib.parse import quote

import pytest

from email_handler.conversations.records import Status
from email_handler.conversations.thread_address import thread_address
from email_handler.identifiers import ReceiptId
from tests.support.builders import mail
from tests.support.console import Served
from tests.support.console_requests import ask, exchange
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
