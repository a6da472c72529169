"""Bounces, delays and complaints: reports, notices for people, and SES's events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.parsing import parse
from email_handler.senders.bounces import Feedback, FeedbackKind, feedback_from_event, read_feedback
from tests.support.builders import entity, mail, multipart

DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.example.net>"
RETURNED = (
    b"Received: from a.example.org by mx.example.net; Mon, 02 Mar 2026 09:00:00 +0000\r\n"
    b"From: contact@example.com\r\nTo: jane@customer.example\r\nSubject: Re: Offer\r\n"
    b"Message-ID: <0100abc-1@email.amazonses.com>\r\n\r\nHello Jane\r\n"
)


def feedback(raw: bytes, envelope_sender: str | None = "") -> Feedback | None:
    return read_feedback(parse(raw), envelope_sender)


def report(status: str, *, kind: str = "delivery-status", returned: bytes = RETURNED, **top: str) -> bytes:
    headers = {"From": DAEMON, "To": "contact@example.com", "Subject": "Undelivered Mail Returned to Sender", **top}
    return multipart(
        f'report; report-type="{kind}"',
        entity([("Content-Type", "text/plain")], b"I'm sorry to have to inform you that it failed.\r\n"),
        entity([("Content-Type", f"message/{kind}")], status.replace("\n", "\r\n").encode()),
        entity([("Content-Type", "message/rfc822")], returned),
        headers=headers.items(),
    )


def notice(
    text: str, *, subject: str = "failure notice", sender: str = DAEMON, failed: str = "", answers: str = ""
) -> bytes:
    raw = mail(sender=sender, subject=subject, text=text.replace("\n", "\r\n"))
    return (
        entity(
            [*([("X-Failed-Recipients", failed)] if failed else []), *([("References", answers)] if answers else [])]
        )
        + raw
    )


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
def test_action_and_status_are_read_as_reporters_write_them(
    fields: str, kind: str, status: str, permanent: bool
) -> None:
    found = feedback(
        report(f"Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; jane@customer.example\n{fields}")
    )

    assert found is not None
    assert (found.kind, found.status, found.permanent) == (kind, status, permanent)
    assert found.recipients == ("jane@customer.example",)


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_success_reports_are_no_feedback(action: str) -> None:
    assert (
        feedback(
            report(f"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; a@b.example\nAction: {action}\nStatus: 2.1.5\n")
        )
        is None
    )


def test_of_several_recipients_those_that_failed_are_named() -> None:
    raw = report(
        "Reporting-MTA: dns; mx.example.net\n\n"
        "Final-Recipient: rfc822; a@customer.example\nAction: delivered\nStatus: 2.0.0\n\n"
        "Final-Recipient: rfc822; b@customer.example\nAction: failed\nStatus: 5.2.2\n\n"
        "Final-Recipient: rfc822; c@customer.example\nAction: failed\nStatus: 5.1.1\n"
    )
    found = feedback(raw)

    assert found is not None
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
def test_blank_lines_in_the_wrong_places_lose_nothing(status: str) -> None:
    found = feedback(report(status))

    assert found is not None
    assert (found.recipients, found.status) == (("a@customer.example",), "5.1.1")


def test_report_fields_written_into_the_text_are_read_too() -> None:
    text = (
        "An error occurred while trying to deliver the mail to the following recipients:\na@customer.example\n\n"
        "Technical report:\n\nReporting-MTA: dsn; x\n\nAction: failed\nFinal-Recipient: rfc822; a@customer.example\n"
        "Diagnostic-Code: smtp; 550 5.2.2 full\nStatus: 5.2.2\n"
    )
    found = feedback(notice(text, subject="Delivery Status Notification (Failure)"))

    assert found is not None
    assert (found.recipients, found.status) == (("a@customer.example",), "5.2.2")


def test_a_bounce_of_a_bounce_names_the_first_failure() -> None:
    inner = report("Final-Recipient: rfc822; a@customer.example\nAction: failed\nStatus: 5.1.1\n")
    raw = multipart(
        "mixed",
        entity(
            [("Content-Type", "text/plain")], b"----- The following addresses had permanent delivery errors -----\r\n"
        ),
        entity([("Content-Type", "message/rfc822")], inner),
        headers=[("From", DAEMON), ("Subject", "Returned mail: User unknown")],
    )
    found = feedback(raw)

    assert found is not None
    assert (found.recipients, found.status) == (("a@customer.example",), "5.1.1")


EXIM = """This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  jane@customer.example
    SMTP error from remote mail server after RCPT TO:<jane@customer.example>:
    host mx.customer.example [192.0.2.20]: 550 5.1.1 <jane@customer.example>... User Unknown

------ This is a copy of the message, including all the headers. ------

Return-path: <contact@example.com>
Message-Id: <E1-a@mx.example.net>
To: jane@customer.example
"""
QMAIL = """Hi. This is the qmail-send program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.

<jane@customer.example>:
192.0.2.7 does not like recipient.
Remote host said: 550 5.1.1 <jane@customer.example>... User Unknown

--- Below this line is a copy of the message.

Return-Path: <contact@example.com>
Message-ID: <E1-a@mx.example.net>
"""
SENDMAIL = """   ----- Transcript of session follows -----
550 5.1.1 <jane@customer.example>... User unknown

   ----- Unsent message follows -----
Received: by mx.example.net; Thu, 29 Apr 2010 23:34:45 +0900
Message-ID: <E1-a@mx.example.net>
"""
EXCHANGE = """Delivery has failed to these recipients or groups:

jane@customer.example<mailto:jane@customer.example>
The email address you entered couldn't be found.

Diagnostic information for administrators:
Generating server: A.prod.outlook.example
jane@customer.example
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Original message headers:
Received: from A.example (192.0.2.22) by B.example
Message-ID: <E1-a@mx.example.net>
"""
GOOGLE = """Delivery to the following recipient failed permanently:

     jane@customer.example

The error that the other server returned was:
550 5.1.1 <jane@customer.example>... User Unknown

----- Original message -----

DKIM-Signature: v=1; a=rsa-sha256
Message-ID: <E1-a@mx.example.net>
"""
MAILRU = """Это письмо создано автоматически, отвечать на него не нужно.
Увы, Ваше письмо не может быть доставлено одному или нескольким получателям:

  jane@customer.example
    host mx.customer.example [192.0.2.222]: 550 5.1.1 <jane@customer.example>... User Unknown

------ This is a copy of the message, including all the headers. ------
Return-path: <contact@example.com>
Message-ID: <E1-a@mx.example.net>
"""
POSTFIX = """This is the mail system at host mx.example.net.

For further assistance, please contact <support@mx.example.net>

<jane@customer.example>: host mx.customer.example[192.0.2.78] said: 550 5.1.1
    unknown user (in reply to RCPT TO command)

Return-Path: <contact@example.com>
Message-ID: <E1-a@mx.example.net>
"""


@pytest.mark.parametrize("text", [EXIM, QMAIL, SENDMAIL, EXCHANGE, GOOGLE, MAILRU, POSTFIX])
def test_notices_for_people_give_the_same_as_reports(text: str) -> None:
    found = feedback(notice(text))

    assert found is not None
    assert (found.kind, found.recipients, found.status) == ("bounce", ("jane@customer.example",), "5.1.1")
    assert found.original_message_id == "E1-a@mx.example.net"
    assert found.permanent
    assert "@" not in found.diagnostic


def test_a_google_group_that_refuses_is_a_bounce() -> None:
    text = "Hello,\nWe're writing to let you know that the group you tried to contact (talk) may not exist.\n"
    found = feedback(
        notice(
            text,
            subject="Delivery Status Notification (Failure)",
            failed="a@.., talk@groups.example",
            answers="<E1-a@mx.example.net>",
        )
    )

    assert found is not None
    assert (found.kind, found.recipients) == ("bounce", ("talk@groups.example",))
    assert found.original_message_id == "E1-a@mx.example.net"


def test_a_notice_that_promises_to_go_on_is_a_delay() -> None:
    text = "THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\n<jane@customer.example>... Deferred: 421 4.4.1 timed out\n"
    found = feedback(notice(text, subject="Warning: could not send message for past 4 hours"))

    assert found is not None
    assert (found.kind, found.recipients, found.status, found.permanent) == (
        "delay",
        ("jane@customer.example",),
        "4.4.1",
        False,
    )


def test_somebody_who_wrote_to_themselves_is_still_named() -> None:
    text = "This is a permanent error. The following address failed:\n\n<contact@example.com>: 550 5.2.2 full\n"
    found = feedback(notice(text))

    assert found is not None
    assert found.recipients == ("contact@example.com",)


def test_numbers_of_networks_and_programs_are_no_status() -> None:
    text = "Could not be delivered to <jane@customer.example> by 5.1.1.7 (version 2.0.12, 4.92): mailbox unknown\n"
    found = feedback(notice(text))

    assert found is not None
    assert found.status == ""


@pytest.mark.parametrize(
    "raw",
    [
        mail(),
        mail(
            subject="Undeliverable: your parcel", text="Your parcel could not be delivered. jane@customer.example\r\n"
        ),
        mail(sender="Shop <no-reply@shop.example>", subject="Delivery failed", text="We rang, nobody was at home.\r\n"),
        mail(sender=DAEMON, subject="Out of office: back soon", text="Mail could not be delivered to me.\r\n"),
        mail(subject="Fwd: Returned mail", text="Look at this:\r\n\r\n> 550 5.1.1 <a@b.example>... User unknown\r\n"),
        mail(
            subject="Look",
            attachments=[
                ("bounce.eml", "message/rfc822", report("Final-Recipient: rfc822; a@b.example\nAction: failed\n"))
            ],
        ),
    ],
)
def test_persons_and_shops_are_not_bounces(raw: bytes) -> None:
    assert feedback(raw, "jane@customer.example") is None


@pytest.mark.parametrize(
    ("sender", "subject", "text", "kind"),
    [
        (
            "SMTP_Mail_Service@mx.example.net",
            "Returned Mail - Error During Delivery",
            (
                "------ Failed Recipients ------\n\n<jane@customer.example>: mailbox unavailable.\n"
                "-------- Returned Mail --------\n\nMessage-ID: <E1-a@mx.example.net>\n"
            ),
            FeedbackKind.BOUNCE,
        ),
        (
            '"System Administrator"@mx.example.net',
            "Delivery Failure",
            (
                "Could not deliver message to the following recipient(s):\n\nFailed Recipient: jane@customer.example\n"
                "Reason: Remote host said: unknown user\n"
            ),
            FeedbackKind.BOUNCE,
        ),
        (
            "help@customer.example",
            "Non-Delivery: Offer",
            'The mail below could not be delivered to the following user:\n\n"jane@customer.example"\n\nOld message:\n',
            FeedbackKind.BOUNCE,
        ),
        (
            "gateway@customer.example",
            "RE: Offer : non remis (delivery failed)",
            (
                "*******\nVotre message n'a pas pu etre delivre a\njane@customer.example\n\n*******\n"
                "Your message could not be delivered to\njane@customer.example\n"
            ),
            FeedbackKind.BOUNCE,
        ),
        (
            "Antivirus@customer.example",
            "Delivery failure notification",
            (
                "Your message with Subject: Offer\ncould not be delivered to the following recipients:\n\n"
                "jane@customer.example\n\nDelivery attempts will continue to be made for 5 day(s).\n"
            ),
            FeedbackKind.DELAY,
        ),
        (
            "ndr@customer.example",
            "Mail delivery failed: returning message to sender",
            "A message that you sent could not be delivered.\nFor whom: jane@customer.example is not a valid user\n",
            FeedbackKind.BOUNCE,
        ),
    ],
)
def test_a_notice_is_told_by_its_form_whoever_signs_it(
    sender: str, subject: str, text: str, kind: FeedbackKind
) -> None:
    found = feedback(notice(text, sender=sender, subject=subject), "jane@customer.example")

    assert found is not None
    assert (found.kind, found.recipients) == (kind, ("jane@customer.example",))


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (
            "Fwd: Returned mail: see transcript",
            (
                "Hello,\n\nmy mail to you came back, please have a look at it.\n\nIs there another way to reach you?\n\n"
                "Regards,\nJane\n\n---------- Forwarded message ----------\nFrom: Mailer\n\n"
                "Your message could not be delivered to\njoe@customer.example\n"
            ),
        ),
        ("Delivery failed", "We could not deliver the parcel.\nPlease call us, or write to\njane@customer.example\n"),
        ("Mail could not be delivered", "My mail could not be delivered to joe@customer.example, do you know why?\n"),
        ("Could not reach you", "Hello, the message could not be delivered.\n\nJane\njane@customer.example\n"),
    ],
)
def test_persons_who_write_of_failed_mail_are_not_bounces(subject: str, text: str) -> None:
    assert (
        feedback(notice(text, sender="Jane <jane@customer.example>", subject=subject), "jane@customer.example") is None
    )


def test_mail_that_waits_is_a_delay() -> None:
    text = "Your message to:\n\tjane@customer.example\n\nhas not yet been delivered, the server did not respond.\n"
    later = "Delivery of email to this address\n\njane@customer.example\n\nhas been postponed.\n"
    for found in (
        feedback(notice(text, subject="Warning")),
        feedback(notice(later, subject="Mail Delivery Warning")),
    ):
        assert found is not None
        assert (found.kind, found.recipients) == (FeedbackKind.DELAY, ("jane@customer.example",))


@pytest.mark.parametrize(
    "text",
    [
        (
            "YOUR MESSAGE WAS NOT DELIVERED!\n\nThe following addresses did NOT receive a copy of your message:\n\n"
            "> jane@customer.example\n"
        ),
        (
            "Your message\n\n  To:      talk@lists.example\n  Subject: Offer\n\n"
            "did not reach the following recipient(s):\n\njane@customer.example on Thu, 11 Jul 2002\n    Not recognized\n"
        ),
        "550 <jane@customer.example>... User unknown\n550 jane@customer.example...User unknown\n",
    ],
)
def test_whom_a_notice_names_is_found_where_it_names_them(text: str) -> None:
    found = feedback(notice(text))

    assert found is not None
    assert found.recipients == ("jane@customer.example",)


def test_an_address_in_a_mail_systems_own_notation_is_an_address() -> None:
    found = feedback(report("Final-Recipient: RFC822; SMTP=jane@customer.example\nAction: failed\nStatus: 5.1.1\n"))

    assert found is not None
    assert found.recipients == ("jane@customer.example",)


def test_somebody_who_left_is_not_a_bounce() -> None:
    text = "I no longer work here. Mail to this address is not delivered to anybody. Please write to joe@customer.example.\n"

    assert feedback(notice(text, sender="Jane <jane@customer.example>", subject="I have left")) is None


def test_a_read_receipt_is_not_a_bounce() -> None:
    raw = report(
        "Final-Recipient: rfc822;jane@customer.example\nDisposition: manual-action/MDN-sent-manually; displayed\n",
        kind="disposition-notification",
    )

    assert feedback(raw) is None


def test_a_complaint_names_recipient_and_original_id() -> None:
    raw = report(
        "Feedback-Type: abuse\nUser-Agent: Example/1.0\nVersion: 1\nOriginal-Rcpt-To: <jane@customer.example>\nOriginal-Rcpt-To: joe@customer.example\n",
        kind="feedback-report",
        From="Feedback <fbl@provider.example>",
        Subject="Fw: Offer",
    )
    found = feedback(raw, "fbl@provider.example")

    assert found is not None
    assert (found.kind, found.permanent) == ("complaint", True)
    assert found.recipients == ("jane@customer.example", "joe@customer.example")
    assert found.original_message_id == "0100abc-1@email.amazonses.com"


def test_a_complaint_without_recipient_is_about_whom_the_returned_message_went_to() -> None:
    found = feedback(report("Feedback-Type: abuse\nVersion: 1\n", kind="feedback-report"))

    assert found is not None
    assert found.recipients == ("jane@customer.example",)


@pytest.mark.parametrize("kind", ["auth-failure", "not-spam"])
def test_reports_about_authentication_are_no_complaint(kind: str) -> None:
    assert feedback(report(f"Feedback-Type: {kind}\nVersion: 1\n", kind="feedback-report")) is None


def event(kind: str, **body: Any) -> dict[str, Any]:
    return {"eventType": kind, "mail": {"messageId": "0100abc-1", "destination": ["jane@customer.example"]}, **body}


def test_a_bounce_event_gives_recipients_status_and_ses_id() -> None:
    detail = event(
        "Bounce",
        bounce={
            "bounceType": "Permanent",
            "bouncedRecipients": [
                {
                    "emailAddress": "jane@Customer.example",
                    "status": "5.1.1",
                    "diagnosticCode": "smtp; 550 <jane@customer.example> no",
                }
            ],
        },
    )

    assert feedback_from_event(detail) == Feedback(
        kind=FeedbackKind.BOUNCE,
        recipients=("jane@customer.example",),  # type: ignore[arg-type]  # a NewType of str
        status="5.1.1",
        permanent=True,
        diagnostic="smtp; 550 [address] no",
        ses_id="0100abc-1",  # type: ignore[arg-type]  # likewise
    )


@pytest.mark.parametrize(
    ("detail", "kind", "permanent"),
    [
        (
            event("Bounce", bounce={"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": "a@b.example"}]}),
            "bounce",
            False,
        ),
        (event("Bounce", bounce={"bounceType": "Undetermined", "bouncedRecipients": []}), "bounce", False),
        (event("Complaint", complaint={"complainedRecipients": [{"emailAddress": "a@b.example"}]}), "complaint", True),
        (
            event("DeliveryDelay", deliveryDelay={"delayedRecipients": [{"emailAddress": "a@b.example"}]}),
            "delay",
            False,
        ),
        (event("Reject", reject={"reason": "Bad content"}), "reject", True),
        ({"notificationType": "Complaint", "mail": {"messageId": "x"}, "complaint": {}}, "complaint", True),
    ],
)
def test_each_kind_of_event_is_known(detail: dict[str, Any], kind: str, permanent: bool) -> None:
    found = feedback_from_event(detail)

    assert found is not None
    assert (found.kind, found.permanent) == (kind, permanent)


@pytest.mark.parametrize(
    "detail",
    [
        {},
        event("Delivery"),
        event("Send"),
        {"eventType": "Bounce"},
        {"eventType": "Bounce", "mail": "x", "bounce": 3},
        {"eventType": ["Bounce"], "mail": {"messageId": 7}},
    ],
)
def test_other_events_are_none(detail: dict[str, Any]) -> None:
    assert feedback_from_event(detail) is None


def test_a_notification_of_ses_that_comes_by_mail_is_read() -> None:
    text = '{"Type":"Notification","Message":"{\\"notificationType\\":\\"Bounce\\",\\"mail\\":{\\"messageId\\":\\"0100abc-1\\"},\\"bounce\\":{\\"bounceType\\":\\"Permanent\\",\\"bouncedRecipients\\":[{\\"emailAddress\\":\\"a@b.example\\",\\"status\\":\\"5.1.1\\"}]}}"}\n'
    found = feedback(
        notice(text, subject="AWS Notification Message", sender="no-reply@sns.amazonaws.com"), "0100@amazonses.com"
    )

    assert found is not None
    assert (found.kind, found.recipients, found.ses_id) == ("bounce", ("a@b.example",), "0100abc-1")


@pytest.mark.parametrize(
    "text",
    [
        '{"notificationType":"Delivery","mail":{"messageId":"x"}}',
        '{"notificationType":"Bounce",',
        '{"Message":"notificationType"}',
        'The "notificationType" of SES says that mail could not be delivered',
        '{"notificationType":' + '{"a":' * 20_000,
        '{"Message":"{\\"Message\\":\\"{notificationType}\\"}"}',
    ],
)
def test_other_notifications_of_ses_are_none(text: str) -> None:
    assert feedback(notice(text, sender="no-reply@sns.amazonaws.com"), "0100@amazonses.com") is None


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
def test_the_original_id_is_found_where_mailers_put_the_returned_header(part: bytes) -> None:
    text = entity([("Content-Type", "text/plain")], b"1 error(s):\r\njane@customer.example [User unknown]\r\n")
    found = feedback(multipart("mixed", text, part, headers=[("From", DAEMON), ("Subject", "Returned mail")]))

    assert found is not None
    assert found.original_message_id == "0100abc-1@email.amazonses.com"


def test_a_report_that_speaks_of_no_failure_is_none() -> None:
    raw = multipart(
        "report; report-type=x",
        entity([("Content-Type", "text/plain")], b"Weekly figures for jane@customer.example\r\n"),
        headers=[("From", "Stats <stats@customer.example>"), ("Subject", "Figures")],
    )

    assert feedback(raw, "stats@customer.example") is None


def test_a_status_without_a_reply_code_is_read() -> None:
    found = feedback(notice("Could not be delivered to <jane@customer.example>: status 5.4.4, host unknown\n"))

    assert found is not None
    assert found.status == "5.4.4"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mail", "bounce", "messageId", "bouncedRecipients", "emailAddress", "status", "reason"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["Bounce", "Complaint", "Reject", "DeliveryDelay", "x"]),
    st.dictionaries(st.sampled_from(["mail", "bounce", "complaint", "reject", "deliveryDelay"]), JSON),
)
def test_no_event_raises(kind: str, detail: dict[str, Any]) -> None:
    found = feedback_from_event({"eventType": kind, **detail})

    assert found is None or found.ses_id


@given(
    st.lists(
        st.sampled_from(
            [
                EXIM,
                QMAIL,
                "Final-Recipient: rfc822; ",
                "Action: failed\n",
                "\n\n",
                " a@b.example",
                "550 5.1.1 ",
                "\x00",
                "{",
                "é\n",
            ]
        ),
        max_size=12,
    ),
    st.binary(max_size=40),
)
def test_no_report_raises_and_no_diagnostic_holds_an_address(pieces: list[str], octets: bytes) -> None:
    for raw in (report("".join(pieces)), notice("".join(pieces).replace("\x00", "")), octets):
        found = feedback(raw)

        assert found is None or "@" not in found.diagnostic


@pytest.mark.parametrize(
    "piece",
    [
        "a" * 100,
        "a@",
        "Final-Recipient: rfc822; a@b.example\n",
        "deliver",
        "5.1.",
        "550 ",
        "<",
        "> ",
        "\n",
        "Received: x\n",
        '{"',
        "-- original message ",
    ],
)
def test_a_million_hostile_characters_say_what_a_few_say(piece: str) -> None:
    """What takes more than linear time here takes minutes."""

    def said(text: str) -> list[tuple[Any, ...]]:
        found = [feedback(report(text)), feedback(notice("could not be delivered\n" + text))]
        return [(one.kind, one.recipients, one.status) for one in found if one]

    assert said(piece * (1_000_000 // len(piece))) == said(piece * 3)
