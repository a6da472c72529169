"""SES's own events about messages we sent, as EventBridge brings them or as SNS notifications by email.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from email_handler.identifiers import LedgerId, SesId
from email_handler.senders.bounces import words
from email_handler.senders.bounces.feedback import CONTENT_SUBTYPES, Feedback, FeedbackKind
from email_handler.values import dataclass

NOTIFICATION = "notificationType"  # a key of the JSON that SNS sends by email
LEDGER_TAG = "ledger"
"""Name of the tag that we give each send: SES's events about it repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One of SES's reports that a message of ours was delivered."""

    ledger: LedgerId | Literal[""]  # which send it was, "" if SES names none
    ses_id: SesId
    recipients: tuple[str, ...]  # to whom


def delivered(detail: Mapping[str, Any]) -> Delivery | None:
    """Return what SES's event reports as delivered; None for other events. Never raises."""
    mail = _mapping(detail, "mail")
    ses_id = SesId(_text(mail, "messageId"))
    if _kind(detail) != "delivery" or not ses_id:
        return None
    named = _items(_mapping(detail, "delivery"), "recipients")
    recipients = (address for one in named if isinstance(one, str) for address in words.addresses_in(one))
    return Delivery(ledger=_ledger(mail), ses_id=ses_id, recipients=words.distinct(recipients))


def feedback_from_event(detail: Mapping[str, Any]) -> Feedback | None:
    """Read one of SES's event records: EventBridge's ``detail``, or the JSON of an SNS notification.

    Return None for other events (Send, Delivery, Open …) and for anything without their structure. Never raises.
    """
    kind = _kind(detail)
    mail = _mapping(detail, "mail")
    if not _text(mail, "messageId"):
        return None
    if kind == "bounce":
        body = _mapping(detail, "bounce")
        final = _text(body, "bounceType") == "Permanent" or _text(body, "bounceSubType") in CONTENT_SUBTYPES
        return _feedback(FeedbackKind.BOUNCE, mail, body, "bouncedRecipients", final)
    if kind == "complaint":
        return _feedback(FeedbackKind.COMPLAINT, mail, _mapping(detail, "complaint"), "complainedRecipients", True)
    if kind == "deliverydelay":
        return _feedback(FeedbackKind.DELAY, mail, _mapping(detail, "deliveryDelay"), "delayedRecipients", False)
    if kind == "reject":
        destination = [{"emailAddress": address} for address in _items(mail, "destination")]
        body = {"recipients": destination, "reason": _mapping(detail, "reject").get("reason")}
        return _feedback(FeedbackKind.REJECT, mail, body, "recipients", True)
    return None


def feedback_from_notification(notice: str) -> Feedback | None:
    """Read the JSON of an SNS notification that arrived by email; None if it is about something else.

    SES's notifications arrive that way if someone subscribed the topic by email. Anybody can write such an email: the
    send that it names by a tag is not believed.
    """
    start = notice.lstrip()
    for _ in range(2):  # SNS may wrap it once
        if not start.startswith("{"):
            return None
        try:
            detail, _end = json.JSONDecoder(strict=False).raw_decode(start)
        except (ValueError, RecursionError):
            return None
        feedback = feedback_from_event(detail)
        if feedback is not None:
            return replace(feedback, ledger="")
        start = str(detail.get("Message", ""))
    return None


def _kind(detail: Mapping[str, Any]) -> str:
    return str(detail.get("eventType") or detail.get("notificationType") or "").replace(" ", "").lower()


def _ledger(mail: Mapping[str, Any]) -> LedgerId | Literal[""]:
    values = [value for value in _items(_mapping(mail, "tags"), LEDGER_TAG) if isinstance(value, str)]
    return LedgerId(values[0][: words.LINE_LIMIT]) if values else ""


def _feedback(
    kind: FeedbackKind, mail: Mapping[str, Any], body: Mapping[str, Any], key: str, permanent: bool
) -> Feedback:
    entries = [entry for entry in _items(body, key) if isinstance(entry, Mapping)]
    recipients = (address for entry in entries for address in words.addresses_in(_text(entry, "emailAddress")))
    diagnostic = next((text for entry in entries if (text := _text(entry, "diagnosticCode"))), _text(body, "reason"))
    if (subtype := _text(body, "bounceSubType")) in CONTENT_SUBTYPES or "Suppress" in subtype:
        diagnostic = f"{subtype}: {diagnostic}"
    status = next((text for entry in entries if (text := words.status_in(_text(entry, "status")))), "")
    return Feedback(
        kind=kind,
        recipients=words.distinct(recipients),
        status=status or words.best_status_in(diagnostic),
        permanent=permanent,
        diagnostic=words.without_addresses(diagnostic),
        ses_id=SesId(_text(mail, "messageId")),
        ledger=_ledger(mail),
        report=_text(body, "feedbackId"),
    )


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _items(value: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = value.get(key)
    return found[: words.RECIPIENTS_LIMIT] if isinstance(found, list) else ()


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found[: words.LINE_LIMIT] if isinstance(found, str) else ""
