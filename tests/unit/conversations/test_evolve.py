"""How a conversation changes with each message and each send."""

from dataclasses import replace

import pytest

from email_handler.conversations.evolve import MAX_LINKS, add_message, start, with_link
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, parse_received
from email_handler.conversations.records import Conversation, Status
from email_handler.conversations.routes import Routes
from email_handler.identifiers import ArchiveKey, EmailAddress, ReceiptId
from email_handler.senders.authentication import SesReceipt
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import JANE, OWNER, PUBLIC, conversation, link

OWNERS = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(OWNER,))
RECEIPT = SesReceipt(
    id=ReceiptId("receipt-2"),
    envelope_sender=JANE,
    recipients=(PUBLIC,),
    spam="PASS",
    virus="PASS",
    spf="PASS",
    dkim="PASS",
    dmarc="PASS",
    dmarc_policy="",
)
UNVERIFIED = {"spf": "GRAY", "dkim": "GRAY", "dmarc": "GRAY"}
MALLORY = EmailAddress("mallory@evil.example")


def parsed(raw: bytes, **verdicts: str) -> ParsedMessage:
    """Return *raw* as inbound reads it: from Jane, verified unless *verdicts* differ."""
    receipt = replace(RECEIPT, **verdicts)  # type: ignore[arg-type]
    return parse_received(raw, receipt, "inbound", ArchiveKey("raw/inbound/receipt-2"), NOW)


def parsed_by(headers: dict[str, str], **verdicts: str) -> ParsedMessage:
    """Return a message that would rename the thread, redirect its replies and bring Kim in."""
    return parsed(mail(subject="Something else", cc="kim@customer.example", **headers), **verdicts)


def test_a_link_gains_the_other_sides_id_once_it_is_known() -> None:
    before = with_link(conversation(), link("r1", contact_id="m1@example.org"))
    after = with_link(before, link("r1", owner_id="s1@email.amazonses.com"))

    assert after.links == (link("r1", "m1@example.org", "s1@email.amazonses.com"),)


def test_links_keep_the_first_and_the_last_messages() -> None:
    grown = conversation()
    for number in range(30):
        grown = with_link(grown, link(f"r{number}", contact_id=f"m{number}@example.org"))

    assert [one.receipt for one in grown.links] == ["r0", *(f"r{n}" for n in range(30 - MAX_LINKS + 1, 30))]


@pytest.mark.parametrize("status", list(Status))
def test_a_persons_message_makes_an_answered_or_closed_conversation_wait_for_the_owner(status: Status) -> None:
    after = add_message(conversation(status=status), parsed(mail()), JANE, OWNERS)

    waits = status in (Status.ANSWERED, Status.CLOSED, Status.WAITING)
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
        None,
        EmailAddress(reply_address),
        owners=OWNERS,
        routes=Routes(),
        new_token=lambda length: "x" * length,
    )


def test_a_conversation_that_names_no_public_address_is_at_the_first_one() -> None:
    message = parsed(mail())
    started = new_conversation(replace(message, receipt=replace(message.receipt, recipients=())))

    assert (started.public_address, started.source, started.mailboxes) == (PUBLIC, "", (OWNER,))


def test_an_unverified_first_message_says_where_replies_go_and_warns_if_that_is_elsewhere() -> None:
    started = new_conversation(parsed(mail(), **UNVERIFIED), "kim@elsewhere.example")

    assert (started.reply_address, started.reply_differs, started.verified) == ("kim@elsewhere.example", True, False)


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
