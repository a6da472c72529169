"""Complaints by feedback loops (RFC 5965), and Microsoft's, which have no report part."""

from email_handler.mail.message import Message
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.senders.bounces.reports import FORWARDED_COMPLAINT, Report, fields_in
from email_handler.senders.bounces.words import addresses_in, distinct, without_addresses

_MICROSOFT = "staff@hotmail.com"
_MICROSOFT_SUBJECT = "complaint about message from"  # and the IP address of the sending server
_NOT_COMPLAINTS = ("not-spam", "auth-failure", "dkim", "dmarc")  # RFC 6430, RFC 6591: reports about authentication


def is_complaint(message: Message, report: Report, envelope_sender: str | None) -> bool:
    """Return whether *message* has a feedback report, or is a complaint in Microsoft's form: the message that somebody
    complains about, forwarded.

    Microsoft's name may stand in From, or only in the return path: *envelope_sender* if it is known, else the field.
    """
    if report.complaint:
        return True
    path = message.header("Return-Path") if envelope_sender is None else envelope_sender
    senders = {mailbox.address.lower() for mailbox in message.from_} | {found.lower() for found in addresses_in(path)}
    about = message.subject.lower().startswith(_MICROSOFT_SUBJECT) and bool(report.returned)
    return _MICROSOFT in senders and (FORWARDED_COMPLAINT in report.returned or about)


def read_complaint(report: Report) -> Feedback | None:
    """Return the complaint in *report*, None if its type is not a complaint."""
    fields = [(name, value) for name, value in fields_in(report.complaint) if name]
    kind = next((value.strip().lower() for name, value in fields if name == "feedback-type"), "abuse")
    if kind in _NOT_COMPLAINTS:
        return None
    recipients = distinct(
        address
        for wanted in ("original-rcpt-to", "removal-recipient", "x-original-rcpt-to")
        for name, value in fields
        if name == wanted
        for address in addresses_in(value)
    )
    return Feedback(
        kind=FeedbackKind.COMPLAINT,
        recipients=recipients or report.returned_recipients,
        status="",
        permanent=True,
        original_message_id=report.original_message_id,
        diagnostic=without_addresses(kind),
    )
