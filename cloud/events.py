"""SES's feedback on what was sent, as its EventBridge destination publishes it."""

from datetime import datetime
from typing import Any, Literal

from cloud.clients import ACCOUNT, REGION
from cloud.ses import Sent

type FeedbackKind = Literal["Bounce", "Complaint", "Reject", "DeliveryDelay"]
_DETAIL_TYPES = {
    "Bounce": "Email Bounced",
    "Complaint": "Email Complaint Received",
    "Reject": "Email Rejected",
    "DeliveryDelay": "Email Delivery Delayed",
}


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
    when = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    feedback_id = f"{sent.ses_id[:16]}-feedback-000000"
    recipients = [{"emailAddress": address} for address in sent.recipients]
    told = [
        {**recipient, "action": "failed", "status": status, "diagnosticCode": diagnostic} for recipient in recipients
    ]
    details: dict[FeedbackKind, tuple[str, dict[str, Any]]] = {
        "Bounce": (
            "bounce",
            {
                "feedbackId": feedback_id,
                "bounceType": bounce,
                "bounceSubType": "General",
                "bouncedRecipients": told,
                "timestamp": when,
                "reportingMTA": "dns; mx.example.net",
            },
        ),
        "Complaint": (
            "complaint",
            {
                "feedbackId": feedback_id,
                "complaintSubType": None,
                "complainedRecipients": recipients,
                "timestamp": when,
                "userAgent": "Example-Loop/1.0",
                "complaintFeedbackType": "abuse",
                "arrivalDate": when,
            },
        ),
        "Reject": ("reject", {"reason": "Bad content"}),
        "DeliveryDelay": (
            "deliveryDelay",
            {
                "delayType": "TransientCommunicationFailure",
                "expirationTime": when,
                "delayedRecipients": told,
                "timestamp": when,
            },
        ),
    }
    name, detail = details[kind]
    return {
        "version": "0",
        "id": sent.ses_id[17:53],  # a UUID, the same for the same mail: SES repeats itself too
        "detail-type": _DETAIL_TYPES[kind],
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
                "sourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{sent.sender.rpartition('@')[2]}",
                "sendingAccountId": ACCOUNT,
                "messageId": sent.ses_id,
                "destination": list(sent.recipients),
                "headersTruncated": False,
                "headers": [{"name": "From", "value": sent.sender}, {"name": "Subject", "value": sent.subject}],
                "commonHeaders": {"from": [sent.sender], "subject": sent.subject, "messageId": sent.ses_id},
                "tags": {
                    "ses:configuration-set": [sent.configuration_set],
                    "ses:from-domain": [sent.sender.rpartition("@")[2]],
                    "ses:operation": ["SendRawEmail"],
                },
            },
        },
    }
