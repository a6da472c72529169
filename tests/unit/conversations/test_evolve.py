"""How a conversation changes with each message and each send."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from email_handler.conversations.evolve import (
    MAX_EARLIER,
    MAX_LINKS,
    MAX_PARTICIPANTS,
    MAX_RELAYED,
    MAX_UNTOLD,
    add_message,
    add_reply,
    add_sent_reply,
    contact_after,
    contact_after_reply,
    is_repeated,
    start,
    with_link,
)
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, parse_received
from email_handler.conversations.records import Conversation, Status
from email_handler.conversations.routes import MAX_MAILBOXES, Route, Routes
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress, LedgerId, ReceiptId
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.senders.linkedin import LinkedInPerson
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import CONVERSATION, JANE, OWNER, PUBLIC, contact, conversation, link, passed_receipt

REPLY = LedgerId("reply-1")

OWNERS = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(OWNER,))
RECEIPT = passed_receipt(id=ReceiptId("receipt-2"))
UNVERIFIED = {"spf": "GRAY", "dkim": "GRAY", "dmarc": "GRAY"}
MALLORY = EmailAddress("mallory@evil.example")


def parsed(raw: bytes, **verdicts: str) -> ParsedMessage:
    """Return *raw* as inbound reads it: from Jane, verified unless *verdicts* differ."""
    receipt = replace(RECEIPT, **verdicts)  # type: ignore[arg-type]
    return parse_received(raw, receipt, "inbound", ArchiveKey("raw/inbound/receipt-2"), NOW)


def parsed_by(headers: dict[str, Any], **verdicts: str) -> ParsedMessage:
    """Return a message that would rename the thread, redirect its replies and bring Kim in."""
    return parsed(mail(subject="Something else", cc="kim@customer.example", **headers), **verdicts)


def test_a_link_gets_the_id_of_the_other_side_once_it_is_known() -> None:
    before = with_link(conversation(), link("r1", contact_id="m1@example.org"))
    after = with_link(before, link("r1", owner_id="s1@email.amazonses.com"))

    assert after.links == (link("r1", "m1@example.org", "s1@email.amazonses.com"),)


def test_links_keep_the_first_and_the_last_messages() -> None:
    grown = conversation()
    for number in range(MAX_LINKS + 5):
        grown = with_link(grown, link(f"r{number}"))
        later = range(max(1, number - MAX_LINKS + 2), number + 1)

        assert [one.receipt for one in grown.links] == ["r0", *(f"r{n}" for n in later)]


@pytest.mark.parametrize("status", list(Status))
def test_a_persons_message_makes_an_answered_closed_or_snoozed_conversation_wait_for_the_owner(status: Status) -> None:
    after = add_message(conversation(status=status), parsed(mail()), JANE, OWNERS)

    waits = status in (Status.ANSWERED, Status.CLOSED, Status.SNOOZED, Status.WAITING)
    assert after.status is (Status.WAITING if waits else status)


@pytest.mark.parametrize("status", list(Status))
def test_a_machines_message_does_not_reopen_a_conversation(status: Status) -> None:
    out_of_office = parsed(mail(auto_submitted="auto-replied"))
    after = add_message(conversation(status=status), out_of_office, JANE, OWNERS)

    assert (after.status, after.received) == (status, 2)


def new_conversation(message: ParsedMessage, reply_address: str = JANE) -> Conversation:
    """Return the conversation that *message* starts."""
    return start(
        message,
        "",
        EmailAddress(reply_address),
        owners=OWNERS,
        routes=Routes(),
        new_token=lambda length: "x" * length,
    )


def test_a_conversation_that_names_no_public_address_is_at_the_first_one() -> None:
    message = parsed(mail())
    started = new_conversation(replace(message, receipt=replace(message.receipt, recipients=())))

    assert (started.public_address, started.source, started.mailboxes) == (PUBLIC, "", (OWNER,))


def test_a_message_to_two_public_addresses_goes_to_the_mailboxes_of_both_routes_up_to_a_bound() -> None:
    press = EmailAddress("press@example.com")
    sales, media = (
        tuple(EmailAddress(f"{name}{number}@private.example") for number in range(MAX_MAILBOXES))
        for name in ("sales", "media")
    )
    message = parsed(mail())
    started = start(
        replace(message, receipt=replace(RECEIPT, recipients=(PUBLIC, press))),
        "",
        JANE,
        owners=replace(OWNERS, public_addresses=(PUBLIC, press)),
        routes=Routes(routes=(Route(to=sales[:-1], address=PUBLIC), Route(to=media, address=press))),
        new_token=lambda length: "x" * length,
    )

    assert started.mailboxes == (*sales[:-1], media[0])


def test_a_conversation_has_the_id_that_is_known_or_a_new_one() -> None:
    message = parsed(mail())
    known = start(message, CONVERSATION, JANE, owners=OWNERS, routes=Routes(), new_token=lambda length: "x" * length)

    assert (new_conversation(message).id, known.id) == ("c-xxxxxxxx", CONVERSATION)


def test_a_route_to_a_public_address_is_passed_over() -> None:
    message = parsed(mail())
    routes = Routes(routes=(Route(to=(PUBLIC,), address=PUBLIC),))
    started = start(message, "", JANE, owners=OWNERS, routes=routes, new_token=lambda length: "x" * length)

    assert started.mailboxes == (OWNER,)


def test_a_message_under_the_known_subject_renames_nothing() -> None:
    after = add_message(conversation(owner_subject="Jane's offer"), parsed(mail(subject="Re: Hello")), JANE, OWNERS)

    assert (after.subject, after.owner_subject) == ("Hello", "Jane's offer")


def test_an_unverified_first_message_says_where_replies_go_and_warns_if_that_is_elsewhere() -> None:
    started = new_conversation(parsed(mail(), **UNVERIFIED), "kim@elsewhere.example")
    plain = new_conversation(parsed(mail(), **UNVERIFIED), "kim@customer.example")

    assert (started.reply_address, started.reply_differs, started.verified) == ("kim@elsewhere.example", True, False)
    assert (plain.reply_address, plain.reply_differs) == ("kim@customer.example", False)


@pytest.mark.parametrize(
    "untrusted",
    [parsed_by({}, **UNVERIFIED), parsed_by({"auto_submitted": "auto-replied"})],
    ids=["unverified", "machine"],
)
def test_only_a_verified_person_changes_where_replies_go_and_what_the_thread_is_called(
    untrusted: ParsedMessage,
) -> None:
    before = conversation(verified=False, reply_address=JANE)
    after = add_message(before, untrusted, MALLORY, OWNERS)
    trusted = add_message(before, parsed_by({}), MALLORY, OWNERS)

    assert (after.reply_address, after.reply_differs, after.links[-1].reply_address) == (JANE, False, JANE)
    assert (after.subject, after.owner_subject, after.participants) == ("Hello", "Hello", ())
    assert not after.verified
    assert (trusted.reply_address, trusted.reply_differs, trusted.links[-1].reply_address) == (MALLORY, True, MALLORY)
    assert (trusted.subject, trusted.owner_subject) == ("Something else", "Something else")
    assert trusted.participants == ("kim@customer.example",)
    assert trusted.verified


def test_a_message_is_counted_with_its_contact_and_leads_the_contacts_conversations() -> None:
    earlier = tuple((ConversationId(f"c-{number}"), "Hello", NOW) for number in range(MAX_EARLIER))
    known = contact(messages=3, conversations=earlier, updated_at=NOW - timedelta(days=1))
    after = contact_after(parsed(mail()), known, conversation())
    again = contact_after(parsed(mail()), after, conversation(subject="Hello again"))

    assert after is not None
    assert again is not None
    assert (after.messages, after.updated_at) == (4, NOW)
    assert after.conversations == ((CONVERSATION, "Hello", NOW), *earlier[:-1])
    assert again.conversations == ((CONVERSATION, "Hello again", NOW), *earlier[:-1])


def test_linkedin_feedback_and_senders_without_an_address_are_no_contacts() -> None:
    message = parsed(mail())
    person = LinkedInPerson(name="Jane Doe", thread_url="")
    feedback = Feedback(kind=FeedbackKind.COMPLAINT, recipients=(JANE,), status="5.1.1", permanent=True)
    nobody = replace(parsed(mail(sender=None)), receipt=replace(RECEIPT, envelope_sender=""))

    assert contact_after(message, None, conversation()) is not None
    assert contact_after(replace(message, person=person), None, conversation()) is None
    assert contact_after(replace(message, feedback=feedback), None, conversation()) is None
    assert contact_after(nobody, None, conversation()) is None


def test_a_reply_from_an_alias_is_of_the_first_mailbox() -> None:
    second = EmailAddress("second@private.example")
    before = conversation(mailboxes=(OWNER, second), updated_at=NOW - timedelta(days=1))
    reply = parsed(mail(message_id="<o1@private.example>"))
    alias = EmailAddress("alias@private.example")
    writers = {OWNER: OWNER, second: second, alias: OWNER}

    for writer, mailbox in writers.items():
        after = add_reply(before, reply, writer, REPLY)
        assert after.links[-1].owner_ids == {mailbox: "o1@private.example"}
        assert after.updated_at == NOW
    assert add_reply(replace(before, mailboxes=()), reply, alias, REPLY).links[-1].owner_ids == {
        alias: "o1@private.example"
    }


def test_a_subject_that_the_owner_changes_renames_both_sides() -> None:
    before = conversation()
    renamed = add_reply(before, parsed(mail(subject="Re: An offer")), OWNER, REPLY)
    same = add_reply(before, parsed(mail(subject="Re: Hello")), OWNER, REPLY)

    assert (renamed.subject, renamed.owner_subject) == ("An offer", "An offer")
    assert (same.subject, same.owner_subject) == ("Hello", "Hello")


def test_the_unchecked_parts_of_replies_that_the_owner_was_not_told_of_add_up_to_a_bound() -> None:
    reply, parts = parsed(mail()), tuple(map(str, range(MAX_UNTOLD)))
    before = conversation(untold=("first",))

    assert add_reply(before, reply, OWNER, REPLY).untold == ("first",)
    assert add_reply(before, reply, OWNER, REPLY, ["second"]).untold == ("first", "second")
    assert add_reply(before, reply, OWNER, REPLY, parts).untold == ("first", *parts[:-1])


@pytest.mark.parametrize(
    ("relayed", "repeated"),
    [
        ([("same", 0), ("same", 59)], True),
        ([("same", 0), ("other", 10), ("same", 59)], True),
        ([("same", 0), ("same", 60)], False),
        ([("same", 0), ("other", 0)], False),
        ([("other", 0), ("other", 0)], False),
        ([], False),
    ],
)
def test_a_text_is_repeated_if_it_went_to_the_contact_twice_within_an_hour(
    relayed: list[tuple[str, int]], repeated: bool
) -> None:
    known = contact(relayed=tuple((digest, NOW - timedelta(minutes=ago)) for digest, ago in relayed))

    assert is_repeated(known, "same", NOW) is repeated
    assert not is_repeated(None, "same", NOW)


def test_a_contact_is_dated_by_a_reply_and_keeps_the_digests_of_the_latest() -> None:
    earlier = tuple((f"text {number}", NOW) for number in range(MAX_RELAYED))
    later = NOW + timedelta(minutes=1)

    assert contact_after_reply(contact(), "new", later) == contact(updated_at=later, relayed=(("new", later),))
    assert contact_after_reply(contact(relayed=earlier), "new", later).relayed == (*earlier[1:], ("new", later))


def test_a_reply_that_left_is_counted_and_dated() -> None:
    before = conversation(sent=3, status=Status.WAITING)
    after = add_sent_reply(before, ReceiptId("r1"), "s1@email.amazonses.com", NOW + timedelta(hours=1))

    assert (after.sent, after.status, after.updated_at) == (4, Status.ANSWERED, NOW + timedelta(hours=1))
    assert after.links == (link("r1", "s1@email.amazonses.com"),)


def test_a_reply_answers_only_what_came_before_it() -> None:
    asked = add_message(conversation(status=Status.OPEN), parsed(mail()), JANE, OWNERS)
    replied = add_reply(asked, replace(parsed(mail()), receipt=replace(RECEIPT, id=ReceiptId("r2"))), OWNER, REPLY)
    once_more = add_message(
        replied, replace(parsed(mail()), receipt=replace(RECEIPT, id=ReceiptId("r3"))), JANE, OWNERS
    )
    closed = replace(once_more, status=Status.CLOSED)
    wire = "s1@email.amazonses.com"

    assert add_sent_reply(replied, ReceiptId("r2"), wire, NOW).status is Status.ANSWERED
    assert add_sent_reply(once_more, ReceiptId("r2"), wire, NOW).status is Status.WAITING
    assert add_sent_reply(closed, ReceiptId("r2"), wire, NOW).status is Status.ANSWERED


def test_what_is_decided_late_does_not_set_a_conversation_back() -> None:
    later = NOW + timedelta(hours=1)
    before = conversation(updated_at=later)

    assert add_message(before, parsed(mail()), JANE, OWNERS).updated_at == later
    assert add_reply(before, parsed(mail()), OWNER, REPLY).updated_at == later
    assert add_sent_reply(before, ReceiptId("r1"), "s1@email.amazonses.com", NOW).updated_at == later


def test_a_reply_that_left_gains_the_contacts_id_and_keeps_the_owners() -> None:
    before = with_link(conversation(), link("r1", owner_id="o1@private.example"))
    after = with_link(before, link("r1", contact_id="s1@email.amazonses.com"))

    assert after.links == (link("r1", "s1@email.amazonses.com", "o1@private.example"),)


def test_participants_are_bounded() -> None:
    copied = ", ".join(f"p{number}@customer.example" for number in range(MAX_PARTICIPANTS + 5))
    after = add_message(conversation(), parsed(mail(cc=copied)), JANE, OWNERS)

    assert len(after.participants) == MAX_PARTICIPANTS


def test_a_message_dates_its_conversation() -> None:
    before = conversation(updated_at=NOW - timedelta(days=1))

    assert add_message(before, parsed(mail(), **UNVERIFIED), JANE, OWNERS).updated_at == NOW


def test_a_message_with_no_usable_reply_address_leaves_the_known_one() -> None:
    after = add_message(conversation(reply_differs=True), parsed(mail()), "", OWNERS)

    assert (after.reply_address, after.reply_differs, after.links[-1].reply_address) == (JANE, True, "")
