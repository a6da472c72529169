"""Choosing the parser for a message that may report a bounce, a delay or a complaint."""

from email_handler.mail.message import Message
from email_handler.senders.bounces.complaints import is_complaint, read_complaint
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.notices import is_failure_notice, read_notice
from email_handler.senders.bounces.reports import read_delivery_report, read_report, recipient_groups
from email_handler.senders.bounces.ses_events import NOTIFICATION, feedback_from_notification
from email_handler.senders.machines import is_automatic_subject


def read_feedback(message: Message, envelope_sender: str | None) -> Feedback | None:
    """Return the bounce, delay or complaint that *message* reports, None if it is not such a report.

    *envelope_sender* is the SMTP return path, "" for the null one, None if unknown. A report of success (RFC 3464
    "delivered", "relayed") gives None, and so does a bounce that a person forwards. Never raises.
    """
    report = read_report(message)
    if is_complaint(message, report, envelope_sender):
        return read_complaint(report)
    groups = recipient_groups(report.status)
    notice = is_failure_notice(message, report, envelope_sender)
    if not groups and notice:
        groups = recipient_groups(report.notice) or recipient_groups(report.returned_text)
    if groups:
        return read_delivery_report(report, groups)
    if not notice or is_automatic_subject(message.subject):
        return None
    if NOTIFICATION in report.notice:
        return feedback_from_notification(report.notice)
    return read_notice(message, report)
