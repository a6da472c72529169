"""The owner writes to somebody first: only the verified owner, to nobody that must not be written to, and once."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cloud.mailclient import with_fields
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import raw_key
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.records import Contact, Conversation, Status
from email_handler.conversations.thread_address import thread_address
from email_handler.errors import QueueUnavailable, RecordChanged
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.outgoing.notice import _SAID
from email_handler.outgoing.sentinels import BEGIN
from email_handler.usecases.held import release
from email_handler.usecases.reply import relay_reply
from tests.support.builders import mail
from tests.support.fakes import NOW, Sent
from tests.support.world import OWNER, PUBLIC, THREAD, World, read

JANE = EmailAddress("jane@customer.example")
SALES = EmailAddress("sales@example.com")
TO_JANE = f"to.jane=customer.example@{THREAD}"


@pytest.fixture
def world() -> World:
    """Return a world with two public addresses, in which nothing has happened."""
    world = World()
    world.owners = replace(world.owners, public_addresses=(PUBLIC, SALES))
    return world


def write(world: World, to: str = TO_JANE, *, header: str = "", **fields: Any) -> list[Sent]:
    """Let the owner write to *to*, and return what is sent because of it."""
    verdicts = {name: fields.pop(name) for name in ("dmarc", "spf", "dkim", "virus", "receipt") if name in fields}
    number = len(world.records.message_records)
    about: dict[str, Any] = {
        "sender": OWNER,
        "subject": "An offer",
        "text": f"Shall we talk, for the {number}th time?",
        "message_id": f"<{number}@private.example>",
    }
    world.arrive(mail(**(about | {"to": header or to} | fields)), to=to, **verdicts)
    return world.run()


def conversations(world: World) -> list[Conversation]:
    return list(world.records.conversations.values())


def text_of(sent: Sent) -> str:
    text: str = read(sent).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return text


def notice(sent: list[Sent]) -> str:
    """Return the text of the one message that is sent: a notice to the owner."""
    (one,) = sent
    assert (one.recipients, one.sender) == ((OWNER,), f"notices@{THREAD}")
    return " ".join(text_of(one).split())


def kind_of_notice(world: World) -> str:
    return list(world.records.ledger.values())[-1].note


def test_the_contact_gets_a_first_message_from_the_public_address(world: World) -> None:
    to_contact, _ = write(world)
    sent = read(to_contact)

    assert (to_contact.sender, to_contact.recipients) == (PUBLIC, (JANE,))
    assert sent["Subject"] == "An offer"
    assert (sent["In-Reply-To"], sent["References"]) == (None, None)
    assert "Shall we talk" in text_of(to_contact)
    assert OWNER.encode() not in to_contact.raw
    assert THREAD.encode() not in to_contact.raw


def test_the_conversation_is_answered_and_the_contact_written_to(world: World) -> None:
    write(world)
    (begun,) = conversations(world)

    assert (begun.status, begun.contact, begun.sent, begun.received) == (Status.ANSWERED, JANE, 1, 0)
    assert world.records.contacts[JANE].written_to
    assert [entry[0] for entry in world.records.contacts[JANE].conversations] == [begun.id]
    started = [event.detail_type for event in world.events.published]
    assert started == ["Conversation Started", "Message Received", "Reply Sent"]


def test_the_owner_gets_one_line_from_the_thread_address(world: World) -> None:
    _, line = write(world)
    (begun,) = conversations(world)
    sent = read(line)

    assert (line.sender, line.recipients) == (thread_address(begun, THREAD), (OWNER,))
    assert text_of(line).strip() == (
        "[Only you see this: Sent to jane@customer.example as the start of a conversation · reply here to send another email]"
    )
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["In-Reply-To"] == "<0@private.example>"


def test_a_reply_to_that_line_goes_to_the_contact_without_it(world: World) -> None:
    _, line = write(world)
    quoted = "\n".join("> " + part for part in text_of(line).splitlines())
    sent = write(
        world, line.sender, subject="Re: An offer", text=f"One more thing.\n\nOn Monday, somebody wrote:\n{quoted}\n"
    )

    (to_contact,) = sent
    assert to_contact.recipients == (JANE,)
    assert "One more thing." in text_of(to_contact)
    assert "Only you" not in text_of(to_contact)
    assert "start of a conversation" not in text_of(to_contact)
    assert read(to_contact)["Subject"] == "Re: An offer"
    assert f"<{world.mailer.sent[0].ses_id}@email.amazonses.com>" == read(to_contact)["In-Reply-To"]


JOINING: dict[str, Callable[[Sent], dict[str, Any]]] = {
    "by its ids": lambda sent: {"references": f"<{sent.ses_id}@email.amazonses.com>", "subject": "Something else"},
    "by its subject": lambda _: {"subject": "AW: An offer"},
}


@pytest.mark.parametrize("how", JOINING)
def test_the_contacts_reply_joins_and_is_not_acknowledged(world: World, how: str) -> None:
    to_contact, _ = write(world)
    world.arrive(mail(sender=JANE, message_id="<j@customer.example>", **JOINING[how](to_contact)))
    (forward,) = world.run()
    (begun,) = conversations(world)

    assert (begun.status, begun.received) == (Status.WAITING, 1)
    assert forward.recipients == (OWNER,)
    assert "<0@private.example>" in read(forward)["References"]


def test_it_leaves_from_the_public_address_that_is_named(world: World) -> None:
    to_contact, _ = write(world, f"to.jane=customer.example.from.sales@{THREAD}")

    assert to_contact.sender == SALES
    assert conversations(world)[0].public_address == SALES


def test_an_open_conversation_with_the_contact_is_not_joined(world: World) -> None:
    world.arrive(mail(sender=JANE, subject="A question"))
    world.run()
    write(world)

    assert [begun.subject for begun in conversations(world)] == ["A question", "An offer"]


def test_the_owners_own_mailbox_takes_part_beside_those_of_the_routes(world: World) -> None:
    world.route(b'[[route]]\naddress = "sales@example.com"\nto = ["bob@private.example"]')
    to_contact, *copies = write(world, f"to.jane=customer.example.from.sales@{THREAD}")

    assert to_contact.recipients == (JANE,)
    assert conversations(world)[0].mailboxes == (OWNER, "bob@private.example")
    assert [sent.recipients for sent in copies] == [(OWNER,), ("bob@private.example",)]
    assert "Sent by" in text_of(copies[1])


@pytest.mark.parametrize(
    ("given", "shown"), [("Jane Doe", "Jane Doe"), (TO_JANE, ""), ("", "")], ids=["a name", "an address", "none"]
)
def test_the_name_is_the_address_books_but_never_an_address(world: World, given: str, shown: str) -> None:
    to_contact, _ = write(world, header=f'"{given}" <{TO_JANE}>')

    assert conversations(world)[0].contact_name == shown
    assert THREAD.encode() not in to_contact.raw


REFUSED: dict[str, tuple[dict[str, str], NoticeKind]] = {
    "nobody": ({"to": f"to.jane@{THREAD}"}, NoticeKind.NEW_UNREADABLE),
    "a domain without a dot": ({"to": f"to.jane=customer@{THREAD}"}, NoticeKind.NEW_UNREADABLE),
    "a tag behind it": ({"to": f"to.jane=customer.example+all@{THREAD}"}, NoticeKind.NEW_UNREADABLE),
    "no such public address": ({"to": f"to.jane=customer.example.from.slaes@{THREAD}"}, NoticeKind.NEW_FROM),
    "a public address": ({"to": f"to.contact=example.com@{THREAD}"}, NoticeKind.NEW_OURS),
    "a public address with a tag": ({"to": f"to.sales+x=example.com@{THREAD}"}, NoticeKind.NEW_OURS),
    "itself": ({"to": f"to.to.jane=customer.example={THREAD}@{THREAD}"}, NoticeKind.NEW_OURS),
    "the owner": ({"to": f"to.owner=private.example@{THREAD}"}, NoticeKind.NEW_OURS),
    "the owner with a tag": ({"to": f"to.owner+x=private.example@{THREAD}"}, NoticeKind.NEW_OURS),
    "a command": ({"subject": "email-handler: close"}, NoticeKind.NEW_COMMAND),
    "a virus": ({"virus": "FAIL"}, NoticeKind.VIRUS),
    "not named": ({"header": JANE}, NoticeKind.NOT_NAMED),
    "two at once": ({"header": f"{TO_JANE}, to.kim=other.example@{THREAD}"}, NoticeKind.SEVERAL),
    "an automatic reply by its subject": ({"subject": "Automatic reply: An offer"}, NoticeKind.AUTOMATIC),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_must_not_leave_comes_back_with_a_reason_of_its_own(world: World, why: str) -> None:
    fields, kind = REFUSED[why]
    recipients = [EmailAddress(TO_JANE), EmailAddress(f"to.kim=other.example@{THREAD}")]
    if kind is NoticeKind.SEVERAL:
        raw = mail(sender=OWNER, to=fields["header"], message_id="<two@private.example>")
        receipt = replace(world.store(raw, to=TO_JANE, function="reply"), recipients=tuple(recipients))
        relay_reply(receipt, raw_key("reply", receipt.id), world.context)
        sent = world.run()
    else:
        sent = write(world, **fields)

    assert " ".join(_SAID[kind].happened.split()) in notice(sent)
    assert kind_of_notice(world) == kind
    assert conversations(world) == []
    assert JANE not in world.records.contacts
    assert list(world.records.message_records.values())[-1].outcome is Outcome.HOLD


def test_an_unreachable_contact_is_not_written_to(world: World) -> None:
    world.records.contacts[JANE] = Contact(
        address=JANE, name="Jane", first_at=NOW, updated_at=NOW, unreachable=True, version=1
    )
    notice(write(world))

    assert kind_of_notice(world) == NoticeKind.NEW_UNREACHABLE


def test_a_blocked_contact_is_not_written_to_since_their_reply_would_be_held(world: World) -> None:
    world.records.put_listed(JANE, "block")
    notice(write(world))

    assert kind_of_notice(world) == NoticeKind.NEW_BLOCKED


FORGED: dict[str, dict[str, str]] = {
    "the owner's address, not verified": {"dmarc": "FAIL", "dkim": "FAIL", "spf": "FAIL"},
    "the owner's address, verified by SPF alone": {"dmarc": "GRAY", "dkim": "GRAY"},
    "somebody else": {"sender": "mallory@evil.example"},
    "the contact": {"sender": JANE},
}


@pytest.mark.parametrize("who", FORGED)
def test_nobody_but_the_verified_owner_starts_anything_or_causes_a_notice(world: World, who: str) -> None:
    assert write(world, **FORGED[who]) == []
    assert conversations(world) == []


def test_an_out_of_office_reply_is_recorded_in_silence(world: World) -> None:
    assert write(world, auto_submitted="auto-replied") == []
    assert conversations(world) == []


def test_only_so_many_are_started_in_a_day(world: World) -> None:
    world.new_conversations_daily_cap = 2
    for name in ("a", "b"):
        assert len(write(world, f"to.{name}=customer.example@{THREAD}")) == 2
    notice(write(world))

    assert kind_of_notice(world) == NoticeKind.NEW_CAPPED
    world.now += timedelta(days=1)
    assert len(write(world)) == 2


def test_the_cap_holds_between_two_at_the_same_moment(world: World) -> None:
    """Whoever commits second finds the counter at its limit, plans again, and is refused."""
    world.new_conversations_daily_cap = 1
    look_up = world.records.look_up
    raised: list[bool] = []

    def slow(question: object) -> object:
        known = look_up(question)  # type: ignore[arg-type]
        if not raised:
            raised.append(True)
            write(world, f"to.kim=other.example@{THREAD}")
        return known

    world.records.look_up = slow  # type: ignore[method-assign, assignment]
    write(world)

    assert [begun.contact for begun in conversations(world)] == ["kim@other.example"]
    assert kind_of_notice(world) == NoticeKind.NEW_CAPPED


def test_the_same_text_leaves_twice_an_hour_whatever_the_conversation(world: World) -> None:
    for _ in range(2):
        assert len(write(world, text="Buy this.")) == 2
    notice(write(world, text="Buy this."))

    assert kind_of_notice(world) == NoticeKind.REPEATED
    assert len(conversations(world)) == 2


def test_a_second_event_and_a_copy_start_nothing(world: World) -> None:
    raw = mail(sender=OWNER, to=TO_JANE, subject="An offer", message_id="<once@private.example>")
    for receipt in ("once", "once", "copy"):
        world.arrive(raw, to=TO_JANE, receipt=receipt)

    assert len(world.run()) == 2
    assert len(conversations(world)) == 1


def test_a_crash_between_the_decision_and_the_queue_starts_one_conversation(world: World) -> None:
    world.jobs.fail("queue", QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        write(world, receipt="crashed")
    assert len(write(world, receipt="crashed")) == 2

    assert len(conversations(world)) == 1


def test_others_who_write_in_between_cost_another_try_and_no_second_conversation(world: World) -> None:
    world.records.fail("commit", RecordChanged("others were faster"))
    assert len(write(world)) == 2
    assert len(conversations(world)) == 1


def test_two_installations_that_are_each_others_owner_and_contact_end_after_what_a_person_wrote(world: World) -> None:
    """The owner of one installation is the public address of the other, and the other way round."""
    other = World()
    other_public, other_thread = EmailAddress("contact@other.example"), "thread.other.example"
    world.owners = replace(world.owners, forward_to=(other_public,))
    other.owners = replace(
        other.owners, public_addresses=(other_public,), thread_domain=other_thread, forward_to=(PUBLIC,)
    )
    raw = mail(sender=other_public, to=TO_JANE, subject="An offer", message_id="<0@other.example>")
    world.arrive(raw, to=TO_JANE)
    transit = world.run()
    sent = len(transit)
    for _ in range(6):
        arriving, transit = transit, []
        for one in arriving:
            message = with_fields(one.raw, Message_ID=f"<{one.ses_id}@email.amazonses.com>")
            for recipient in one.recipients:
                for place in (world, other):
                    if recipient in place.owners.public_addresses:
                        place.arrive(message, to=recipient)
                        transit += place.run()
        sent += len(transit)

    assert transit == []
    assert sent <= 6


def test_a_first_message_that_waits_says_how_to_cancel_it_and_then_never_began(world: World) -> None:
    world.reply_delay = timedelta(minutes=5)
    world.arrive(mail(sender=OWNER, to=TO_JANE, subject="An offer", message_id="<w@private.example>"), to=TO_JANE)
    waits = [job for job in world.jobs.queued if job.kind is JobKind.REPLY]
    world.jobs.queued = [job for job in world.jobs.queued if job not in waits]

    shown = notice(world.run())
    assert f"Your email to {JANE.replace('@', ' at ').replace('.example', '[.]example')} leaves at 09:05 UTC" in shown
    (url,) = re.findall(r"mailto:[^?]+", shown)
    cancel = url.removeprefix("mailto:")
    world.arrive(mail(sender=OWNER, to=cancel, message_id="<c@private.example>", text=None), to=cancel)
    assert "is cancelled" in notice(world.run())
    world.jobs.queued = waits

    assert world.run() == []
    assert [one.status for one in conversations(world)] == [Status.CLOSED]


def test_a_first_message_that_leaves_at_once_causes_no_notice(world: World) -> None:
    write(world)

    assert "waits" not in [item.note for item in world.records.ledger.values()]


def test_what_a_machine_responds_to_the_line_ends_there(world: World) -> None:
    _, line = write(world)
    world.arrive(
        mail(sender=OWNER, to=line.sender, auto_submitted="auto-replied", message_id="<ooo@private.example>"),
        to=line.sender,
    )
    returned = with_fields(line.raw, Message_ID=f"<{line.ses_id}@email.amazonses.com>")
    world.arrive(returned, to=PUBLIC)

    assert world.run() == []


def test_the_line_is_ours_and_never_the_contacts(world: World) -> None:
    to_contact, line = write(world)

    assert BEGIN in text_of(line)
    assert BEGIN not in text_of(to_contact)


def test_a_strangers_message_that_is_released_becomes_an_ordinary_conversation_of_theirs(world: World) -> None:
    write(world, receipt="strange", sender="kim@other.example")
    release(ReceiptId("strange"), "reply", world.context)
    world.run()

    (begun,) = conversations(world)
    assert (begun.contact, begun.public_address, begun.started_with) == ("kim@other.example", PUBLIC, "")
    assert all(JANE not in one.recipients for one in world.mailer.sent)
