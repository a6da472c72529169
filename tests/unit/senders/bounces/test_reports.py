"""Delivery reports (RFC 3464), as the standard has them and as mailers write them."""

import pytest

from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from tests.support.bounces import DAEMON, RETURNED, feedback, notice, report, reported
from tests.support.builders import entity, multipart


def test_a_report_gives_recipient_status_diagnostic_and_original_id() -> None:
    raw = report(
        "Reporting-MTA: dns; mx.example.net\nArrival-Date: Mon, 02 Mar 2026 09:00:00 +0000\n\n"
        "Original-Recipient: rfc822;jane@customer.example\nFinal-Recipient: rfc822; Jane@Customer.example\n"
        "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <jane@customer.example>:\n"
        "    Recipient address rejected\n"
    )

    assert feedback(raw) == Feedback(
        kind=FeedbackKind.BOUNCE,
        recipients=("Jane@customer.example",),  # type: ignore[arg-type]  # a NewType of str
        status="5.1.1",
        permanent=True,
        original_message_id="0100abc-1@email.amazonses.com",
        diagnostic="550 5.1.1 [address] Recipient address rejected",
    )


@pytest.mark.parametrize(
    ("fields", "kind", "status", "permanent"),
    [
        ("Action: failed\nStatus: 4.4.7\n", "bounce", "4.4.7", False),
        ("Action: delayed\nStatus: 4.4.1\n", "delay", "4.4.1", False),
        ("Action: expired\nStatus:\nDiagnostic-Code: Connection timed out\n", "bounce", "", True),
        ("Status: 5.2.2 (mailbox full)\n", "bounce", "5.2.2", True),
        ("Action: failed\nDiagnostic-Code: smtp; 550 5.7.1 no\n", "bounce", "5.7.1", True),
        ("Action: failed\nDiagnostic-Code: smtp; 452 later\n", "bounce", "4.0.0", False),
        ("Action: FAILED (permanent)\nStatus: 5.0.0\n", "bounce", "5.0.0", True),
    ],
)
def test_action_and_status_are_read_in_every_spelling_in_use(
    fields: str, kind: str, status: str, permanent: bool
) -> None:
    found = reported(
        report(f"Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; jane@customer.example\n{fields}")
    )

    assert (found.kind, found.status, found.permanent) == (kind, status, permanent)
    assert found.recipients == ("jane@customer.example",)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_reports_of_success_are_not_feedback(action: str) -> None:
    assert (
        feedback(
            report(f"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.example\nAction: {action}\nStatus: 2.1.5\n")
        )
        is None
    )


def test_of_several_recipients_those_that_failed_are_reported() -> None:
    raw = report(
        "Reporting-MTA: dns; mx.example.net\n\n"
        "Final-Recipient: rfc822; a@customer.example\nAction: delivered\nStatus: 2.0.0\n\n"
        "Final-Recipient: rfc822; b@customer.example\nAction: failed\nStatus: 5.2.2\n\n"
        "Final-Recipient: rfc822; c@customer.example\nAction: failed\nStatus: 5.1.1\n"
    )
    found = reported(raw)

    assert found.recipients == ("b@customer.example", "c@customer.example")
    assert found.status == "5.2.2"


@pytest.mark.parametrize(
    "status",
    [
        "Final-Recipient: rfc822; a@customer.example\n\nAction: failed\n\nStatus: 5.1.1\n",
        "Original-Recipient: <a@customer.example>\nAction: failed\nDiagnostic-Code: smtp; 550 5.1.1 no\n",
        "Reporting-MTA: dns; x\nFinal-Recipient: rfc822;a@customer.example\nStatus: 5.1.1\n",
    ],
)
def test_misplaced_blank_lines_lose_nothing(status: str) -> None:
    found = reported(report(status))

    assert (found.recipients, found.status) == (("a@customer.example",), "5.1.1")


def test_report_fields_in_the_text_are_read_too() -> None:
    text = (
        "An error occurred while trying to deliver the mail to the following recipients:\na@customer.example\n\n"
        "Technical report:\n\nReporting-MTA: dsn; x\n\nAction: failed\nFinal-Recipient: rfc822; a@customer.example\n"
        "Diagnostic-Code: smtp; 550 5.2.2 full\nStatus: 5.2.2\n"
    )
    found = reported(notice(text, subject="Delivery Status Notification (Failure)"))

    assert (found.recipients, found.status) == (("a@customer.example",), "5.2.2")


def test_a_bounce_of_a_bounce_reports_the_first_failure() -> None:
    inner = report("Final-Recipient: rfc822; a@customer.example\nAction: failed\nStatus: 5.1.1\n")
    raw = multipart(
        "mixed",
        entity(
            [("Content-Type", "text/plain")], b"----- The following addresses had permanent delivery errors -----\r\n"
        ),
        entity([("Content-Type", "message/rfc822")], inner),
        headers=[("From", DAEMON), ("Subject", "Returned mail: User unknown")],
    )
    found = reported(raw)

    assert (found.recipients, found.status) == (("a@customer.example",), "5.1.1")


def test_an_address_in_the_notation_of_exchange_is_read() -> None:
    found = reported(report("Final-Recipient: RFC822; SMTP=jane@customer.example\nAction: failed\nStatus: 5.1.1\n"))

    assert found.recipients == ("jane@customer.example",)


def test_a_read_receipt_is_not_a_bounce() -> None:
    raw = report(
        "Final-Recipient: rfc822;jane@customer.example\nDisposition: manual-action/MDN-sent-manually; displayed\n",
        kind="disposition-notification",
    )

    assert feedback(raw) is None


@pytest.mark.parametrize(
    "part",
    [
        entity(
            [("Content-Type", "text/plain"), ("Content-Disposition", 'attachment; filename="headers.txt"')], RETURNED
        ),
        RETURNED,
    ],
    ids=["as a text file", "as the part's own header"],
)
def test_the_original_id_is_found_wherever_mailers_put_the_returned_header(part: bytes) -> None:
    text = entity([("Content-Type", "text/plain")], b"1 error(s):\r\njane@customer.example [User unknown]\r\n")
    found = reported(multipart("mixed", text, part, headers=[("From", DAEMON), ("Subject", "Returned mail")]))

    assert found.original_message_id == "0100abc-1@email.amazonses.com"


def test_a_report_about_something_else_is_not_feedback() -> None:
    raw = multipart(
        "report; report-type=x",
        entity([("Content-Type", "text/plain")], b"Weekly figures for jane@customer.example\r\n"),
        headers=[("From", "Stats <stats@customer.example>"), ("Subject", "Figures")],
    )

    assert feedback(raw, "stats@customer.example") is None
