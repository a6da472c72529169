"""What is read from a received message: its fingerprint, its ids, its record."""

from dataclasses import replace
from typing import Any

import pytest

from email_handler.conversations import parsed as steps
from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import (
    MAX_SUBJECT,
    NOT_CHECKED,
    SNIPPET,
    ParsedMessage,
    fingerprint,
    fingerprints,
    is_own_message,
    judged,
    message_record,
    parse_received,
    text_digest,
    unread_record,
    verified_owner,
)
from email_handler.identifiers import ArchiveKey, EmailAddress, LedgerId
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake
from email_handler.senders.authentication import SenderVerification
from tests.support.builders import mail
from tests.support.fakes import NOW
from tests.support.records import JANE, OWNER, PUBLIC, conversation, message, passed_receipt, reference

BOB = EmailAddress("bob@desk.example")
OWNERS = Owners(public_addresses=(PUBLIC,), thread_domain="thread.example.com", forward_to=(OWNER,))


def parsed(raw: bytes, **fields: Any) -> ParsedMessage:
    """Return *raw* as inbound reads it, verified."""
    return replace(parse_received(raw, passed_receipt(), "inbound", ArchiveKey("raw/inbound/r1"), NOW), **fields)


def test_a_message_delivered_twice_has_one_fingerprint_despite_added_header_fields() -> None:
    raw = mail(text="hello", message_id="<m1@example.org>")
    other = mail(text="hello!", message_id="<m1@example.org>")
    again = b"Received: from b.example by a.example\r\n" + raw

    prints = [fingerprint(parse(one), verified=True) for one in (raw, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_verified_and_unverified_copies_have_different_fingerprints() -> None:
    raw = mail(text="hello", message_id="<m1@example.org>")
    assert fingerprint(parse(raw), verified=True) != fingerprint(parse(raw), verified=False)


def test_a_fingerprint_is_the_same_in_every_version() -> None:
    """A copy that arrives after an update must be found."""
    raw = b"From: jane@example.org\r\nMessage-ID: <m1@example.org>\r\n\r\nhello"

    assert fingerprint(parse(raw), verified=True) == "3f31ce30aef49bb6a609d63ce9229e371146ced094f1dbe08a526933f9dc0f9a"


def test_a_message_without_an_id_has_no_fingerprint() -> None:
    raw = b"From: jane@example.org\r\n\r\nhello"
    assert fingerprint(parse(raw), verified=True) == ""


def test_an_unverified_message_may_be_a_copy_of_a_verified_one_and_never_the_other_way_round() -> None:
    verified = parsed(mail(message_id="<m1@example.org>"))
    unverified = replace(verified, verification=NOT_CHECKED)
    of_verified, of_unverified = (fingerprint(verified.message, verified=known) for known in (True, False))

    assert fingerprints(verified) == (of_verified,)
    assert fingerprints(unverified) == (of_unverified, of_verified)
    assert fingerprints(parsed(mail(message_id=None))) == ("receipt r1",)


@pytest.mark.parametrize("domain", ["linkedin.com", "mail.linkedin.com"])
def test_linkedins_machines_write_for_persons(domain: str) -> None:
    raw = mail(sender=f"Jane Doe via LinkedIn <hit-reply@{domain}>", auto_submitted="auto-generated")
    by_linkedin = parsed(raw)

    assert by_linkedin.automatic
    assert by_linkedin.person is not None
    assert (by_linkedin.sender_name, by_linkedin.by_machine) == ("Jane Doe", False)


def test_a_linkedin_sender_that_is_not_verified_is_no_person() -> None:
    raw = mail(sender="Jane Doe via LinkedIn <hit-reply@notlinkedin.com>", auto_submitted="auto-generated")

    assert (parsed(raw).person, parsed(raw).by_machine) == (None, True)


def test_a_message_without_ids_refers_to_none() -> None:
    assert parsed(mail(message_id=None)).references == ()
    assert parsed(mail(in_reply_to="<@example.org> <s1@email.amazonses.com>")).references == ("s1", "first")


def test_a_message_of_ours_is_known_by_the_id_of_a_send_or_by_the_thread_subdomain() -> None:
    sent = reference("s1", ledger=LedgerId("forward-0123"))

    def is_ours(**fields: Any) -> bool:
        return is_own_message(parsed(mail(**fields)), (reference("theirs"), sent), OWNERS.thread_domain)

    assert is_ours(message_id="<s1@email.amazonses.com>")
    assert is_ours(sender="notices@thread.example.com")
    assert is_ours(sender=f"{JANE}, notices@thread.example.com")
    assert not is_ours(message_id="<theirs@customer.example>")
    assert not is_ours(in_reply_to="<s1@email.amazonses.com>")
    assert not is_ours(sender="jane@otherthread.example.com")


def test_a_record_keeps_the_start_of_a_long_subject_and_text() -> None:
    record = message_record(parsed(mail(subject="x" * 600, text="y" * 300 + "\r\n")), OWNERS, Outcome.DELIVER)

    assert (record.subject, record.snippet) == ("x" * MAX_SUBJECT, "y" * SNIPPET)


@pytest.mark.parametrize(
    ("recipient", "public"), [("contact+shop@example.com", (PUBLIC, "shop")), ("nobody@example.com", ("", ""))]
)
def test_a_record_has_the_public_address_and_the_tag_that_the_envelope_names(
    recipient: str, public: tuple[str, str]
) -> None:
    receipt = passed_receipt(recipients=(EmailAddress(recipient),))
    record = message_record(parsed(mail(), receipt=receipt), OWNERS, Outcome.DELIVER)

    assert (record.public_address, record.source) == public


def test_an_unread_record_has_what_is_known_without_reading_the_text() -> None:
    public = (EmailAddress("sales@example.com"), PUBLIC)
    of = parsed(mail(subject="x" * 600, text="Hello"), automatic="precedence")
    reasons = (Reason(stage="mistake", rule="ValueError"),)
    record = unread_record(
        of, replace(OWNERS, public_addresses=public), Disposition(outcome=Outcome.FLAG, reasons=reasons)
    )

    whole = message_record(of, OWNERS, Outcome.FLAG, reasons)
    assert (whole.snippet, whole.text_chars, whole.automatic) == ("Hello", 6, "precedence")
    assert record == replace(whole, public_address=public[0], snippet="", text_chars=0, automatic="", files=None)


def test_two_replies_say_the_same_if_their_new_words_and_files_are_the_same() -> None:
    def digest(text: str, *payloads: bytes) -> str:
        files = [("a.bin", "application/octet-stream", payload) for payload in payloads]
        return text_digest(parse(mail(text=text, attachments=files)))

    same = digest("I am away.")
    assert digest("I  am\r\nAWAY.\r\n\r\nOn Monday Jane wrote:\r\n> Hello\r\n") == same
    assert len({same, digest("I am here."), digest("I am away.", b"1"), digest("I am away.", b"2")}) == 4


def test_the_digest_of_a_reply_is_the_same_in_every_version() -> None:
    """A repetition after an update must be found."""
    assert text_digest(parse(mail(text="I am away."))) == "c3bfb124be937dcdfa2411466b4de688"


def fails(*_: object) -> None:
    raise RecursionError


def test_a_message_of_which_no_check_passed_is_read_in_full() -> None:
    receipt = passed_receipt(spf="GRAY", dkim="GRAY", dmarc="GRAY")
    unverified = parse_received(mail(), receipt, "inbound", ArchiveKey("raw/inbound/r1"), NOW)

    assert (unverified.verification.address, unverified.mistake) == (None, None)


def test_what_could_be_read_stands_beside_the_mistake_of_a_later_step(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = mail(auto_submitted="auto-replied")
    whole = parsed(raw)
    monkeypatch.setattr(steps, "automatic", fails)
    partly = parsed(raw)

    assert partly.mistake is not None
    assert partly.mistake.kind == "RecursionError"
    assert partly == replace(whole, automatic="", mistake=partly.mistake)


def test_a_mistake_in_rebuilding_the_receipt_stands_beside_all_that_was_read() -> None:
    mistake = Mistake("ValueError", "senders.authentication:receipt_from_message:1")
    received = parse_received(mail(), passed_receipt(), "inbound", ArchiveKey("raw/inbound/r1"), NOW, mistake)

    assert received == replace(parsed(mail()), mistake=mistake)


@pytest.mark.parametrize(
    ("address", "reason", "is_owner"),
    [
        (OWNER, "dmarc pass", True),
        (OWNER, "spf aligned", False),
        (BOB, "dmarc pass", True),
        (JANE, "dmarc pass", False),
        (None, "dmarc fail", False),
    ],
)
def test_an_owner_is_known_by_a_verified_address_of_theirs_or_of_the_conversations(
    address: EmailAddress | None, reason: str, is_owner: bool
) -> None:
    of = parsed(mail(), verification=SenderVerification(address=address, reason=reason))

    assert verified_owner(of, OWNERS, conversation(mailboxes=(BOB,))) == (address if is_owner else None)


def test_a_message_of_which_nothing_can_be_read_is_of_the_envelopes_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "parse", fails)
    monkeypatch.setattr(steps, "verify_sender", fails)
    nothing = parsed(mail())

    assert (nothing.sender, nothing.sender_name, nothing.message.raw) == (JANE, "", mail())
    assert nothing.verification == NOT_CHECKED
    assert nothing.mistake == nothing.message.mistake


def test_a_judged_record_has_all_of_the_filters_result() -> None:
    reasons = (Reason(stage="patterns", rule="crypto", weight=3.5),)
    disposition = Disposition(outcome=Outcome.HOLD, reasons=reasons, score=3.5, rules_version="rules-2")
    before = message(reply_address=JANE)
    after = replace(before, outcome=Outcome.HOLD, reasons=reasons, score=3.5, rules_version="rules-2")

    assert judged(before, disposition, OWNER) == replace(after, reply_address=OWNER)
    assert judged(before, disposition, None) == replace(after, reply_address="")
