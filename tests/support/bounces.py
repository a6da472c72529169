"""Bounces for tests: delivery reports and notices, and the feedback read from them."""

from email_handler.mail.parsing import parse
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.reading import read_feedback
from tests.support.builders import entity, mail, multipart

DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.example.net>"
RETURNED = (
    b"Received: from a.example.org by mx.example.net; Mon, 02 Mar 2026 09:00:00 +0000\r\n"
    b"From: contact@example.com\r\nTo: jane@customer.example\r\nSubject: Re: Offer\r\n"
    b"Message-ID: <0100abc-1@email.amazonses.com>\r\n\r\nHello Jane\r\n"
)
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


def feedback(raw: bytes, envelope_sender: str | None = "") -> Feedback | None:
    return read_feedback(parse(raw), envelope_sender)


def reported(raw: bytes, envelope_sender: str | None = "") -> Feedback:
    found = feedback(raw, envelope_sender)
    assert found is not None
    return found
