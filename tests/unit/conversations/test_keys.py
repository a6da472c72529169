"""Archive keys and ledger ids."""

from datetime import timedelta

import pytest

from email_handler.conversations.keys import (
    acknowledgement_counters,
    acknowledgement_id,
    forward_id,
    hourly_notice_id,
    notice_id,
    raw_key,
    receipt_of,
    reply_id,
    safe_name,
    text_only_forward_id,
    text_prefix,
)
from email_handler.identifiers import ConversationId, EmailAddress, ReceiptId
from tests.support.fakes import NOW
from tests.support.records import OWNER

CONVERSATION = ConversationId("c-01234567")
KIM, JANE = EmailAddress("kim@example.org"), EmailAddress("jane@example.org")


def test_a_mailbox_gets_one_acknowledgement_for_any_case_and_tag_of_its_address() -> None:
    assert acknowledgement_id("Jane@example.org") == acknowledgement_id("jane+shop@example.org")
    assert acknowledgement_id("jane@example.org") != acknowledgement_id("kim@example.org")
    assert acknowledgement_id("j.ane@example.org") != acknowledgement_id("jane@example.org")
    for spelled in ("J.a.ne+x@googlemail.com", '"j.ane"@gmail.com', '"ja\\ne+x"@Gmail.com.'):
        assert acknowledgement_id(spelled) == acknowledgement_id("jane@gmail.com")


def test_senders_without_a_domain_are_told_apart() -> None:
    assert acknowledgement_id("root") == acknowledgement_id("Root") != acknowledgement_id("postmaster")


def test_a_received_messages_key_names_its_receipt() -> None:
    assert receipt_of(raw_key("inbound", ReceiptId("r1"))) == "r1"


def test_a_days_acknowledgements_are_counted_in_all_and_for_each_organizational_domain() -> None:
    assert acknowledgement_counters("jane@mail.customer.example", NOW) == ("2026-03-02", "2026-03-02 customer.example")


def test_a_reply_to_the_same_recipients_is_the_same_send_in_any_order() -> None:
    receipt = ReceiptId("r1")

    assert reply_id(CONVERSATION, receipt, [KIM, JANE]) == reply_id(CONVERSATION, receipt, [JANE, KIM])
    assert reply_id(CONVERSATION, receipt, [KIM]) != reply_id(CONVERSATION, receipt, [JANE])


def test_different_sends_have_different_ids() -> None:
    whole = forward_id(CONVERSATION, ReceiptId("r1"), OWNER)
    ids = [
        whole,
        forward_id(CONVERSATION, ReceiptId("r2"), OWNER),
        text_only_forward_id(whole),
        notice_id(ReceiptId("r1"), OWNER),
        notice_id(whole, OWNER),
    ]

    assert len(set(ids)) == len(ids)


def test_the_id_of_a_send_is_the_same_in_every_version() -> None:
    """A run after an update must find the sends of the run before it."""
    assert acknowledgement_id("jane@example.org") == "acknowledgement-1fc37536b50b8dc59d9d3597"
    assert forward_id(CONVERSATION, ReceiptId("r1"), OWNER) == "forward-fa337e71493754feddd2f131"


def test_a_conversation_gets_one_notice_an_hour() -> None:
    now = NOW.replace(minute=0)

    assert hourly_notice_id("c-1", now) == hourly_notice_id("c-1", now + timedelta(minutes=59))
    assert hourly_notice_id("c-1", now) != hourly_notice_id("c-1", now + timedelta(hours=1))
    assert hourly_notice_id("c-1", now) != hourly_notice_id("c-2", now)


def test_messages_without_a_conversation_share_a_folder() -> None:
    assert text_prefix("", "r1") == "text/none/r1/"
    assert text_prefix("c-1") == "text/c-1/"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("offer.pdf", "offer.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\r\nb\x00.txt", "a__b_.txt"),
        ("Übersicht (neu).pdf", "Übersicht (neu).pdf"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("x" * 300 + ".pdf", "x" * 80 + "x" * 16 + ".pdf"),
        ("x" * 90 + ".pdf", "x" * 90 + ".pdf"),
    ],
)
def test_a_file_name_becomes_a_safe_archive_key(name: str, safe: str) -> None:
    assert safe_name(name) == safe
