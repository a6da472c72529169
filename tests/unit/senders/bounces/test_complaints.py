"""Complaints of feedback loops (RFC 5965), and reports that only look like them."""

import pytest

from tests.support.bounces import RETURNED, feedback, report, reported
from tests.support.builders import entity, multipart

TEXT = entity([("Content-Type", "text/plain")], b"Hello")


def test_a_complaint_gives_recipients_and_original_id() -> None:
    raw = report(
        "Feedback-Type: abuse\nUser-Agent: Example/1.0\nVersion: 1\nOriginal-Rcpt-To: <jane@customer.example>\nOriginal-Rcpt-To: joe@customer.example\n",
        kind="feedback-report",
        From="Feedback <fbl@provider.example>",
        Subject="Fw: Offer",
    )
    found = reported(raw, "fbl@provider.example")

    assert (found.kind, found.permanent) == ("complaint", True)
    assert found.recipients == ("jane@customer.example", "joe@customer.example")
    assert found.original_message_id == "0100abc-1@email.amazonses.com"


def test_a_complaint_without_recipient_concerns_the_recipient_of_the_returned_message() -> None:
    found = reported(report("Feedback-Type: abuse\nVersion: 1\n", kind="feedback-report"))

    assert found.recipients == ("jane@customer.example",)


@pytest.mark.parametrize("kind", ["auth-failure", "not-spam"])
def test_reports_about_authentication_are_not_complaints(kind: str) -> None:
    assert feedback(report(f"Feedback-Type: {kind}\nVersion: 1\n", kind="feedback-report")) is None


@pytest.mark.parametrize(("sender", "complains"), [("staff@hotmail.com", True), ("staff@evil.example", False)])
def test_a_forwarded_message_of_microsofts_feedback_loop_is_a_complaint(sender: str, complains: bool) -> None:
    returned = b"X-HmXmrOriginalRecipient: jane@customer.example\r\n" + RETURNED
    raw = multipart("mixed", entity([("Content-Type", "message/rfc822")], returned), headers=[("From", sender)])
    found = feedback(raw, sender)

    assert (found is not None) is complains
    if found:
        assert (found.kind, found.recipients) == ("complaint", ("jane@customer.example",))


@pytest.mark.parametrize(
    ("envelope_sender", "subject", "complains"),
    [
        ("staff@hotmail.com", "complaint about message from 192.0.2.1", True),
        ("STAFF@Hotmail.com", "Complaint about message from 192.0.2.1", True),
        ("staff@hotmail.com", "About your offer", False),
        ("staff@hotmail.example", "complaint about message from 192.0.2.1", False),
        ("", "complaint about message from 192.0.2.1", False),
    ],
)
def test_microsofts_feedback_loop_is_known_by_its_return_path_too(
    envelope_sender: str, subject: str, complains: bool
) -> None:
    sender = [("From", "Feedback <feedback@provider.example>"), ("Subject", subject)]
    raw = multipart("mixed", entity([("Content-Type", "message/rfc822")], RETURNED), headers=sender)
    found = feedback(raw, envelope_sender)

    assert (found is not None and found.kind == "complaint") is complains
    if found:
        assert found.recipients == ("jane@customer.example",)


def test_the_return_path_is_read_from_its_field_if_the_envelope_is_unknown() -> None:
    fields = [("Return-Path", "<staff@hotmail.com>"), ("Subject", "complaint about message from 192.0.2.1")]
    raw = multipart("mixed", entity([("Content-Type", "message/rfc822")], RETURNED), headers=fields)
    found = feedback(raw, None)

    assert found is not None
    assert found.kind == "complaint"
    assert feedback(raw, "jane@customer.example") is None


def test_a_person_who_writes_about_a_complaint_complains_of_nothing() -> None:
    raw = multipart(
        "mixed", TEXT, headers=[("From", "staff@hotmail.com"), ("Subject", "complaint about message from me")]
    )

    assert feedback(raw, "staff@hotmail.com") is None
