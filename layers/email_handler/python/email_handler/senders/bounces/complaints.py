"""Complaints by feedback loops (RFC 5965), and Microsoft's, which have no report part."""

from email_handler.mail.message import Message
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.senders.bounces.reports import FORWARDED_COMPLAINT, Report, fields_in
from email_handler.senders.bounces.words import addresses_in, distinct, without_addresses

_NOT_COMPLAINTS = ("not-spam", "auth-failure", "dkim", "dmarc")  # RFC 6430, RFC 6591: reports about authentication


def is_complaint(message: Message, report: Report) -> bool:
    """Return whether *message* has a feedback report, or is a complaint in Microsoft's form."""
    senders = {mailbox.address.lower() for mailbox in message.from_}
    return bool(report.complaint) or (FORWARDED_COMPLAINT in report.returned and "staff@hotmail.com" in senders)


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
