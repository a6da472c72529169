"""Fingerprints of received messages."""

from email_handler.conversations.parsed import fingerprint
from email_handler.mail.parsing import parse
from tests.support.builders import mail


def test_a_message_delivered_twice_has_one_fingerprint_despite_added_header_fields() -> None:
    raw = mail(text="hello", message_id="<m1@example.org>")
    other = mail(text="hello!", message_id="<m1@example.org>")
    again = b"Received: from b.example by a.example\r\n" + raw

    prints = [fingerprint(parse(one), verified=True) for one in (raw, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_verified_and_unverified_copies_have_different_fingerprints() -> None:
    raw = mail(text="hello", message_id="<m1@example.org>")
    assert fingerprint(parse(raw), verified=True) != fingerprint(parse(raw), verified=False)


def test_a_message_without_an_id_has_no_fingerprint() -> None:
    raw = b"From: jane@example.org\r\n\r\nhello"
    assert fingerprint(parse(raw), verified=True) == ""
