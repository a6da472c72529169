"""How a conversation changes with each message and each send."""

from dataclasses import replace

import pytest

from email_handler.conversations.evolve import MAX_LINKS, add_message, with_link
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, parse_received
from email_handler.conversations.records import Status
from email_handler.identifiers import ArchiveKey, ReceiptId
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


def parsed(raw: bytes, **verdicts: str) -> ParsedMessage:
    """Return *raw* as inbound reads it: from Jane, verified unless *verdicts* differ."""
    receipt = replace(RECEIPT, **verdicts)  # type: ignore[arg-type]
    return parse_received(raw, receipt, "inbound", ArchiveKey("raw/inbound/receipt-2"), NOW)


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
