"""Notices of failure without a standard, and the messages of people that resemble them."""

import pytest

from email_handler.senders.bounces.feedback import FeedbackKind
from tests.support.bounces import DAEMON, EXIM, QMAIL, feedback, notice, report, reported
from tests.support.builders import mail

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
def test_a_notice_for_people_is_read_like_a_report(text: str) -> None:
    found = reported(notice(text))

    assert (found.kind, found.recipients, found.status) == ("bounce", ("jane@customer.example",), "5.1.1")
    assert found.original_message_id == "E1-a@mx.example.net"
    assert found.permanent
    assert "@" not in found.diagnostic


def test_a_google_group_that_refuses_is_a_bounce() -> None:
    text = "Hello,\nWe're writing to let you know that the group you tried to contact (talk) may not exist.\n"
    found = reported(
        notice(
            text,
            subject="Delivery Status Notification (Failure)",
            failed="a@.., talk@groups.example",
            answers="<E1-a@mx.example.net>",
        )
    )

    assert (found.kind, found.recipients) == ("bounce", ("talk@groups.example",))
    assert found.original_message_id == "E1-a@mx.example.net"


def test_a_notice_that_promises_to_try_again_is_a_delay() -> None:
    text = "THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\n<jane@customer.example>... Deferred: 421 4.4.1 timed out\n"
    found = reported(notice(text, subject="Warning: could not send message for past 4 hours"))

    assert (found.kind, found.recipients, found.status, found.permanent) == (
        "delay",
        ("jane@customer.example",),
        "4.4.1",
        False,
    )


def test_a_failed_message_to_oneself_names_its_sender() -> None:
    text = "This is a permanent error. The following address failed:\n\n<contact@example.com>: 550 5.2.2 full\n"
    found = reported(notice(text))

    assert found.recipients == ("contact@example.com",)


def test_network_addresses_and_versions_are_not_status_codes() -> None:
    text = "Could not be delivered to <jane@customer.example> by 5.1.1.7 (version 2.0.12, 4.92): mailbox unknown\n"
    found = reported(notice(text))

    assert found.status == ""


def test_a_status_without_a_reply_code_is_read() -> None:
    found = reported(notice("Could not be delivered to <jane@customer.example>: status 5.4.4, host unknown\n"))

    assert found.status == "5.4.4"


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
def test_people_and_shops_do_not_send_bounces(raw: bytes) -> None:
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
def test_a_notice_is_recognised_by_its_form_whoever_signed_it(
    sender: str, subject: str, text: str, kind: FeedbackKind
) -> None:
    found = reported(notice(text, sender=sender, subject=subject), "jane@customer.example")

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
def test_people_who_write_about_failed_messages_do_not_send_bounces(subject: str, text: str) -> None:
    assert (
        feedback(notice(text, sender="Jane <jane@customer.example>", subject=subject), "jane@customer.example") is None
    )


def test_a_message_that_waits_is_a_delay() -> None:
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
def test_the_failed_address_is_found_where_the_notice_names_it(text: str) -> None:
    found = reported(notice(text))

    assert found.recipients == ("jane@customer.example",)


def test_a_person_who_left_does_not_send_a_bounce() -> None:
    text = "I no longer work here. Mail to this address is not delivered to anybody. Please write to joe@customer.example.\n"

    assert feedback(notice(text, sender="Jane <jane@customer.example>", subject="I have left")) is None
