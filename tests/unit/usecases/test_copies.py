"""Copies: where several mailboxes share a conversation, each of the others gets what one replied, once, and nothing loops."""

from dataclasses import replace

import pytest

from cloud.mailclient import with_fields
from email_handler.conversations.records import Conversation, SendState
from email_handler.conversations.thread_address import thread_address
from email_handler.errors import MessageRefused, QueueUnavailable, RecordChanged
from email_handler.identifiers import EmailAddress
from tests.support.builders import mail
from tests.support.fakes import Sent
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = EmailAddress("jane@customer.example")
BOB = EmailAddress("bob@private.example")
CAROL = EmailAddress("carol@private.example")
ALIAS = EmailAddress("bob@home.example")


@pytest.fixture
def world() -> World:
    """Return a world in which Jane has written to three mailboxes."""
    world = World()
    world.owners = replace(world.owners, forward_to=(OWNER, BOB, CAROL), owner_aliases=(ALIAS,))
    world.arrive(mail(sender=JANE, subject="A question"))
    world.run()
    return world


def conversation(world: World) -> Conversation:
    return next(iter(world.records.conversations.values()))


def reply(world: World, sender: str = BOB, *, run: bool = True, **fields: str) -> list[Sent]:
    """Let *sender* reply, and return what is sent because of it."""
    to = thread_address(conversation(world), THREAD)
    number = len(world.records.message_records)
    about = {"text": f"Answer {number}.", "message_id": f"<{number}@private.example>", "subject": "Re: A question"}
    world.arrive(mail(sender=sender, to=to, **(about | fields)), to=to)  # type: ignore[arg-type]
    return world.run() if run else []


def to(sent: list[Sent], mailbox: str) -> Sent:
    (one,) = [found for found in sent if found.recipients == (mailbox,)]
    return one


def text_of(sent: Sent) -> str:
    text: str = read(sent).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return text


def test_every_other_mailbox_gets_what_the_contact_gets_and_by_whom(world: World) -> None:
    sent = reply(world, text=f"Call me, or write to {BOB}.")

    assert sorted(one.recipients[0] for one in sent) == [BOB, CAROL, JANE, OWNER]  # Bob's is a notice of the change
    for mailbox in (OWNER, CAROL):
        copy = to(sent, mailbox)
        assert copy.sender == thread_address(conversation(world), THREAD)
        assert f"Call me, or write to {PUBLIC}." in text_of(copy)
        assert "Replied by <bob@private.example> on " in text_of(copy)
        assert "UTC · reply here to send another email]" in text_of(copy)
    assert to(sent, BOB).sender == world.owners.notices_address


def test_its_files_come_along(world: World) -> None:
    world_to = thread_address(conversation(world), THREAD)
    raw = mail(
        sender=BOB, to=world_to, message_id="<f@private.example>", attachments=[("plan.txt", "text/plain", b"Roses")]
    )
    world.arrive(raw, to=world_to)

    assert [part.get_filename() for part in read(to(world.run(), OWNER)).iter_attachments()] == ["plan.txt"]


def test_it_is_in_the_mailboxes_thread_and_says_that_a_machine_sent_it(world: World) -> None:
    before = next(one for one in world.mailer.sent if one.recipients == (CAROL,))
    copy = read(to(reply(world), CAROL))

    assert copy["In-Reply-To"] == f"<{before.ses_id}@email.amazonses.com>"
    assert copy["Subject"] == "Re: A question"
    assert copy["Auto-Submitted"] == "auto-generated"


def test_a_reply_to_a_copy_goes_to_the_contact_and_does_not_show_who_replied_before(world: World) -> None:
    copy = to(reply(world), CAROL)
    quoted = "\n".join("> " + line for line in text_of(copy).splitlines())
    name = read(copy)["From"].addresses[0].display_name
    sent = reply(
        world,
        CAROL,
        references=f"<{copy.ses_id}@email.amazonses.com>",
        text=f"And this.\n\n{name} <{copy.sender}> wrote:\n{quoted}\n",
    )
    to_contact = to(sent, JANE)

    assert "And this." in text_of(to_contact)
    assert b"bob" not in to_contact.raw
    assert b"Only you" not in to_contact.raw
    assert {one.recipients for one in sent} == {(JANE,), (OWNER,), (BOB,)}


def test_an_alias_counts_as_the_mailbox_whose_forward_it_replies_to(world: World) -> None:
    forward = next(one for one in world.mailer.sent if one.recipients == (BOB,))
    sent = reply(world, ALIAS, references=f"<{forward.ses_id}@email.amazonses.com>")

    assert {one.recipients for one in sent} == {(JANE,), (OWNER,), (CAROL,)}


def test_an_alias_that_replies_to_nothing_known_counts_as_the_first_mailbox(world: World) -> None:
    assert {one.recipients for one in reply(world, ALIAS)} == {(JANE,), (BOB,), (CAROL,)}


def test_one_mailbox_alone_gets_no_copy() -> None:
    world = World()
    world.arrive(mail(sender=JANE))
    world.run()

    assert [one.recipients for one in reply(world, OWNER)] == [(JANE,)]


def test_what_never_leaves_is_copied_to_nobody(world: World) -> None:
    world.mailer.fail("send", MessageRefused("content"))
    sent = reply(world)

    assert [one.sender for one in sent] == [world.owners.notices_address]


def test_each_mailbox_gets_one_copy_however_often_the_job_arrives(world: World) -> None:
    reply(world, run=False)
    world.jobs.queued *= 2

    assert sorted(one.recipients[0] for one in world.run()) == [CAROL, JANE, OWNER]


def test_others_who_write_meanwhile_cost_no_copy(world: World) -> None:
    world.records.fail("sent", RecordChanged("others were faster"))

    assert sorted(one.recipients[0] for one in reply(world)) == [CAROL, JANE, OWNER]


def test_copies_that_could_not_be_queued_wait_in_the_ledger(world: World) -> None:
    reply(world, run=False)
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        world.run()

    waiting = [item for item in world.records.ledger.values() if item.state is SendState.QUEUED]
    assert {item.recipients for item in waiting} == {(OWNER,), (CAROL,)}
    world.jobs.queued = [item.job for item in waiting]
    assert sorted(one.recipients[0] for one in world.run()) == [CAROL, OWNER]


@pytest.mark.parametrize("by", [OWNER, CAROL])
def test_a_copy_that_comes_back_or_is_answered_by_a_machine_ends_there(world: World, by: EmailAddress) -> None:
    copy = to(reply(world), by)
    world.arrive(with_fields(copy.raw, Message_ID=f"<{copy.ses_id}@email.amazonses.com>"), to=PUBLIC)
    world.arrive(with_fields(copy.raw, Message_ID=f"<{copy.ses_id}@email.amazonses.com>"), to=copy.sender)
    world.arrive(
        mail(sender=by, to=copy.sender, auto_submitted="auto-replied", message_id="<ooo@private.example>"),
        to=copy.sender,
    )

    assert world.run() == []


def test_the_name_in_from_says_nothing_of_who_replied(world: World) -> None:
    copy = read(to(reply(world), OWNER))

    assert copy["From"].addresses[0].display_name == "Replied to jane at customer.example"
