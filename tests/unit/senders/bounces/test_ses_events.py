"""SES's events, from EventBridge and as SNS notifications by email."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.senders.bounces.ses_events import feedback_from_event
from tests.support.bounces import feedback, notice, reported


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
def test_each_kind_of_event_is_read(detail: dict[str, Any], kind: str, permanent: bool) -> None:
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
def test_other_events_are_not_feedback(detail: dict[str, Any]) -> None:
    assert feedback_from_event(detail) is None


def test_a_notification_of_ses_by_email_is_read() -> None:
    text = '{"Type":"Notification","Message":"{\\"notificationType\\":\\"Bounce\\",\\"mail\\":{\\"messageId\\":\\"0100abc-1\\"},\\"bounce\\":{\\"bounceType\\":\\"Permanent\\",\\"bouncedRecipients\\":[{\\"emailAddress\\":\\"a@b.example\\",\\"status\\":\\"5.1.1\\"}]}}"}\n'
    found = reported(
        notice(text, subject="AWS Notification Message", sender="no-reply@sns.amazonaws.com"), "0100@amazonses.com"
    )

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
def test_other_notifications_of_ses_are_not_feedback(text: str) -> None:
    assert feedback(notice(text, sender="no-reply@sns.amazonaws.com"), "0100@amazonses.com") is None


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
