"""The command ``check``: the owner's reply comes back as the contact would get it, and is sent to nobody else."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Conversation
from email_handler.conversations.thread_address import thread_address
from tests.support.builders import mail
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = "jane@customer.example"


@pytest.fixture
def world() -> World:
    """Return a world in which Jane has written."""
    world = World()
    world.arrive(mail())
    world.run()
    return world


def conversation(world: World) -> Conversation:
    return next(iter(world.records.conversations.values()))


def check(world: World, *, tag: str = "check", **fields: Any) -> EmailMessage:
    """Let the owner check a reply, and return what is sent: one message to the owner."""
    target = thread_address(conversation(world), THREAD, tag)
    fields = {"sender": OWNER, "to": target, "subject": "Re: Hello", "message_id": "<c@private.example>", **fields}
    decision = world.arrive(mail(**fields), to=target)
    assert decision.outcome is Outcome.RECORD
    (notice,) = world.run()
    assert notice.recipients == (OWNER,)
    assert world.owners.notices_address == notice.sender
    return read(notice)


def text(notice: EmailMessage) -> str:
    found: str = notice.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return found.replace("\r\n", "\n")


def as_the_contact_would_get_it(notice: EmailMessage) -> EmailMessage:
    (attached,) = [part for part in notice.walk() if part.get_content_type() == "message/rfc822"]
    inner = message_from_bytes(attached.get_payload(0).as_bytes(), policy=policy.default)  # type: ignore[union-attr]
    assert isinstance(inner, EmailMessage)
    return inner


def test_a_reply_comes_back_in_the_thread_as_the_contact_would_get_it(world: World) -> None:
    file = ("offer.pdf", "application/pdf", b"%PDF-1.4 offer")
    notice = check(world, text="Dear Jane,\r\nour offer is attached.\r\n", attachments=(file,))
    shown = text(notice)
    reply = as_the_contact_would_get_it(notice)

    assert notice["Subject"] == "Re: Hello"
    assert ".o@example.com>" in notice["References"]
    assert "Nothing was sent" in shown
    for line in ("From: Example Ltd <contact at example[.]com>", "To: Jane Doe <jane at customer[.]example>"):
        assert line in shown
    assert "Subject: Re: Hello" in shown
    assert "File: offer[.]pdf (14 B)" in shown
    assert "Dear Jane,\nour offer is attached." in shown
    assert str(reply["From"]) == f"Example Ltd <{PUBLIC}>"
    assert JANE in reply["To"]
    assert reply["Subject"] == "Re: Hello"


def test_the_checked_reply_is_the_one_that_is_sent(world: World) -> None:
    checked = as_the_contact_would_get_it(check(world, text=f"Write to {OWNER} or call.\r\n"))
    target = thread_address(conversation(world), THREAD)
    raw = mail(
        sender=OWNER,
        to=target,
        subject="Re: Hello",
        message_id="<r@private.example>",
        text=f"Write to {OWNER} or call.\r\n",
    )
    world.arrive(raw, to=target)
    sent = next(read(one) for one in world.run() if JANE in one.recipients)

    for name in ("From", "To", "Subject", "In-Reply-To", "References"):
        assert str(sent[name]) == str(checked[name])
    assert text(sent) == text(checked)


def test_what_would_be_changed_is_shown(world: World) -> None:
    shown = text(check(world, text=f"Write to {OWNER} or call.\r\n"))

    assert "Changed: " in shown
    assert OWNER not in str(
        as_the_contact_would_get_it(check(world, text=f"Write to {OWNER}.\r\n", message_id="<2@x.example>"))
    )


def test_what_would_be_held_is_shown_with_its_place(world: World) -> None:
    hidden = ("a.bin", "application/octet-stream", b"\x00\x01" + OWNER.encode() + b"\x02")
    shown = text(check(world, attachments=(hidden,)))

    assert "would not be sent: private address in attachment 1" in shown
    assert "Cannot be replaced: private address in attachment 1" in shown


def test_a_mailbox_that_only_a_route_names_is_replaced_as_in_the_reply(world: World) -> None:
    world.route(b'[[route]]\nto = "books@private.example"\ntag = "books"\n')
    notice = check(world, text="Ask books@private.example.\r\n")

    assert "books@private.example" not in str(as_the_contact_would_get_it(notice))
    assert "Changed: " in text(notice)


def test_a_subject_that_asks_for_the_check_is_not_the_replys(world: World) -> None:
    notice = check(world, tag="", subject="email-handler: check")

    assert as_the_contact_would_get_it(notice)["Subject"] == "Re: Hello"
    assert conversation(world).subject == "Hello"


def test_checking_changes_nothing_and_the_reply_can_be_sent_afterwards(world: World) -> None:
    before = conversation(world)
    for number in range(4):
        check(world, message_id=f"<{number}@private.example>", text="The same words.\r\n")

    assert conversation(world) == before
    assert not any(item.kind is JobKind.REPLY for item in world.records.ledger.values())
    target = thread_address(before, THREAD)
    world.arrive(mail(sender=OWNER, to=target, text="The same words.\r\n", message_id="<r@private.example>"), to=target)
    assert [one.recipients for one in world.run() if one.recipients != (OWNER,)] == [(JANE,)]
