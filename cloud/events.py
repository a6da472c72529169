"""SES's feedback on sent messages, as its EventBridge destination publishes it."""

from datetime import datetime
from typing import Any, Literal

from cloud import ACCOUNT, REGION
from cloud.receipt import timestamp
from cloud.ses import Sent
from email_handler.mail.addresses import address_domain

type FeedbackKind = Literal["Bounce", "Complaint", "Reject", "DeliveryDelay", "Delivery"]


def feedback(
    kind: FeedbackKind,
    sent: Sent,
    at: datetime,
    *,
    bounce: Literal["Permanent", "Transient"] = "Permanent",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 no such user",
) -> dict[str, Any]:
    """Return the event about *sent*, for all its recipients. *status* and *diagnostic* go into bounces and delays."""
    when = timestamp(at)
    domain = address_domain(sent.sender)
    recipients = [{"emailAddress": address} for address in sent.recipients]
    failed = [{**one, "action": "failed", "status": status, "diagnosticCode": diagnostic} for one in recipients]
    report = {"feedbackId": f"{sent.ses_id[:16]}-feedback-000000", "timestamp": when}
    details: dict[FeedbackKind, tuple[str, str, dict[str, Any]]] = {
        "Bounce": (
            "Email Bounced",
            "bounce",
            report
            | {"bounceType": bounce, "bounceSubType": "General", "bouncedRecipients": failed}
            | {"reportingMTA": "dns; mx.example.net"},
        ),
        "Complaint": (
            "Email Complaint Received",
            "complaint",
            report
            | {"complaintSubType": None, "complaintFeedbackType": "abuse", "complainedRecipients": recipients}
            | {"userAgent": "Example-Loop/1.0", "arrivalDate": when},
        ),
        "Reject": ("Email Rejected", "reject", {"reason": "Bad content"}),
        "DeliveryDelay": (
            "Email Delivery Delayed",
            "deliveryDelay",
            {"delayType": "TransientCommunicationFailure", "delayedRecipients": failed}
            | {"expirationTime": when, "timestamp": when},
        ),
        "Delivery": (
            "Email Delivered",
            "delivery",
            {"timestamp": when, "processingTimeMillis": 500, "recipients": list(sent.recipients)}
            | {"smtpResponse": "250 OK", "reportingMTA": "mta.example.net"},
        ),
    }
    detail_type, name, detail = details[kind]
    return {
        "version": "0",
        "id": sent.ses_id[17:53],  # a UUID, the same for the same message: SES repeats events too
        "detail-type": detail_type,
        "source": "aws.ses",
        "account": ACCOUNT,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": [f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/{sent.configuration_set}"],
        "detail": {
            "eventType": kind,
            name: detail,
            "mail": {
                "timestamp": sent.at,
                "source": sent.sender,
                "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{domain}",
                "sendingAccountId": ACCOUNT,
                "messageId": sent.ses_id,
                "destination": list(sent.recipients),
                "headersTruncated": False,
                "headers": [{"name": "From", "value": sent.sender}, {"name": "Subject", "value": sent.subject}],
                "commonHeaders": {"from": [sent.sender], "subject": sent.subject, "messageId": sent.ses_id},
                "tags": {
                    "ses:configuration-set": [sent.configuration_set],
                    "ses:from-domain": [domain],
                    "ses:operation": ["SendRawEmail"],
                    **{name: [value] for name, value in sent.tags.items()},
                },
            },
        },
    }
