"""The command ``files``: what was left out of a forward because of its size goes to the owner in messages that fit."""

from email.message import EmailMessage
from typing import Any

import pytest

from email_handler.conversations.commands import PREFILLED, files_of
from email_handler.conversations.records import Conversation, LeftOut
from email_handler.conversations.thread_address import thread_address
from email_handler.outgoing import files, forward
from tests.support.builders import File, mail
from tests.support.fakes import Sent
from tests.support.ses_rules import problems
from tests.support.world import OWNER, THREAD, World, read

KB = 1000
LIMIT = 400 * KB  # of a message in these tests; the room for files is a little less
PAGE = b"<p>Dear owner</p>"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mailboxes take little, so that these tests are quick."""
    monkeypatch.setattr(forward, "FORWARD_LIMIT", LIMIT)
    monkeypatch.setattr(files, "ROOM", LIMIT - 50 * KB)


def file(name: str, size: int) -> File:
    return name, "application/octet-stream", bytes(range(250)) * (size // 250)


def world_with(*attached: File, **fields: Any) -> World:
    """Return a world in which Jane has written with files."""
    world = World()
    world.arrive(mail(attachments=attached, **fields))
    world.run()
    return world


def conversation(world: World) -> Conversation:
    return next(iter(world.records.conversations.values()))


def ask(world: World, number: int = 0, tag: str = "files", **fields: Any) -> tuple[str, list[Sent]]:
    """Let the owner ask for files; return what is said, and the messages with files."""
    target = thread_address(conversation(world), THREAD, tag)
    fields = {"message_id": f"<f{number}@private.example>", "text": PREFILLED, **fields}
    world.arrive(mail(sender=OWNER, to=target, **fields), to=target)
    said, *sent = world.run()
    assert all(one.recipients == (OWNER,) for one in (said, *sent))
    return text(said), sent


def text(sent: Sent) -> str:
    found: str = read(sent).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return found


def attached(sent: Sent) -> dict[str, bytes]:
    """Return the files of a message by their names."""
    message: EmailMessage = read(sent)
    return {str(part.get_filename()): part.get_content() for part in message.iter_attachments()}


def test_the_files_follow_in_as_few_messages_as_hold_them_in_their_order_and_unchanged() -> None:
    given = [file("a.bin", 100 * KB), file("b.bin", 120 * KB), file("c.bin", 200 * KB), file("d.bin", 10 * KB)]
    world = world_with(*given)
    said, sent = ask(world)

    assert "The files follow in 2 messages." in said
    assert [list(attached(one)) for one in sent] == [["a.bin", "b.bin"], ["c.bin", "d.bin"]]
    assert [content for one in sent for content in attached(one).values()] == [content for _, _, content in given]
    for number, one in enumerate(sent, 1):
        assert f"Files {number} of 2" in text(one)
        assert "They belong to: Hello" in text(one)
        assert read(one)["Subject"] == "Re: Hello"
        assert ".o@example.com>" in read(one)["References"]
        assert len(one.raw) < LIMIT
        assert problems(one.raw) == []


def test_files_that_were_sent_are_not_sent_again() -> None:
    world = world_with(file("a.bin", 250 * KB), file("b.bin", 200 * KB))
    _, first = ask(world)
    said, again = ask(world, 1)

    assert len(first) == 2
    assert "were sent to you before" in said
    assert again == []


def test_a_file_too_large_for_any_message_stays_in_the_archive_and_the_response_names_it() -> None:
    world = world_with(file("film.bin", 300 * KB), file("a.bin", 10 * KB))
    said, sent = ask(world)

    assert "The files follow in a message of their own." in said
    assert "only in the archive: film[.]bin" in said
    assert [list(attached(one)) for one in sent] == [["a.bin"]]


def test_without_files_that_fit_the_response_says_where_they_are_and_the_forward_has_no_link() -> None:
    world = world_with(file("film.bin", 400 * KB))
    said, sent = ask(world)

    assert "only in the archive: film[.]bin" in said
    assert sent == []
    assert "Send the files" not in text(world.mailer.sent[0])


def test_nothing_left_out_is_said_in_one_line() -> None:
    said, sent = ask(world_with(file("a.bin", 10 * KB)))

    assert said.strip() == "Nothing was left out of the messages of this conversation."
    assert sent == []


def test_the_message_that_the_command_replies_to_counts_and_without_one_the_latest() -> None:
    world = world_with(file("a.bin", 200 * KB), file("b.bin", 200 * KB))
    world.arrive(
        mail(attachments=[file("c.bin", 200 * KB), file("d.bin", 200 * KB)], message_id="<2@customer.example>")
    )
    forwards = [one for one in world.run() if one.recipients == (OWNER,)]
    world.arrive(mail(message_id="<3@customer.example>"))
    world.run()
    first = next(one for one in world.mailer.sent if one.recipients == (OWNER,))
    _, latest = ask(world)
    _, named = ask(world, 1, in_reply_to=f"<{first.ses_id}@email.amazonses.com>")

    assert len(forwards) == 1
    assert [name for one in latest for name in attached(one)] == ["c.bin", "d.bin"]
    assert [name for one in named for name in attached(one)] == ["a.bin", "b.bin"]


def test_the_link_in_a_forward_asks_for_the_files_of_its_own_message() -> None:
    world = world_with(file("a.bin", 200 * KB), file("b.bin", 200 * KB))
    more = [file("c.bin", 401 * KB), file("d.bin", 9 * KB)]
    world.arrive(mail(attachments=more, message_id="<2@customer.example>"), receipt="4uq94vtrt21f")
    world.run()
    first, second = (link.receipt for link in conversation(world).links)
    _, of_first = ask(world, tag=files_of(first))
    _, of_second = ask(world, 1, tag=files_of(second))
    said, none = ask(world, 2, tag="files-zzzzzzzz")

    assert [name for one in of_first for name in attached(one)] == ["a.bin", "b.bin"]
    assert [name for one in of_second for name in attached(one)] == ["d.bin"]
    assert (none, "only in the archive" in said) == ([], True)


def test_the_forward_shows_how_to_ask_for_what_it_lacks() -> None:
    world = world_with(file("a.bin", 200 * KB), file("b.bin", 200 * KB))
    shown = read(next(one for one in world.mailer.sent if one.recipients == (OWNER,)))
    target = thread_address(conversation(world), THREAD, files_of(conversation(world).links[0].receipt))

    assert f"Send the files: mailto:{target}?subject=" in shown.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert ">Send the files</a>" in shown.get_body(("html",)).get_content()  # type: ignore[union-attr]
    (link,) = conversation(world).links
    assert isinstance(link.left_out, LeftOut)
    assert link.left_out.messages == 2


def test_pages_and_invitations_are_as_harmless_as_in_a_forward() -> None:
    invitation = (
        b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\nORGANIZER:mailto:jane@customer.example\r\n"
        b"ATTENDEE;RSVP=TRUE:mailto:contact@example.com\r\nDTSTART:20261201T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    given = [
        ("page.html", "text/html", PAGE),
        ("invite.ics", "text/calendar", invitation),
        file("a.bin", 200 * KB),
    ]
    world = world_with(*given, file("b.bin", 200 * KB))
    _, sent = ask(world)
    parts = [part for one in sent for part in read(one).iter_attachments()]

    page, calendar = parts[:2]
    assert page.get_content_disposition() == "attachment"
    assert conversation(world).token in str(calendar.get_content())
