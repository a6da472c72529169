"""Complaints of feedback loops (RFC 5965), and reports that only look like them."""

import pytest

from tests.support.bounces import RETURNED, feedback, report, reported
from tests.support.builders import entity, multipart


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
