"""What feedback means for sending again."""

import pytest

from email_handler.senders.bounces.feedback import Feedback, FeedbackKind


@pytest.mark.parametrize(
    ("status", "diagnostic", "refuses"),
    [
        ("5.3.4", "", True),
        ("5.2.3", "", True),
        ("5.6.1", "", True),
        ("5.7.1", "552 attachment type not allowed", True),
        ("", "AttachmentRejected: no", True),
        ("5.2.2", "552 message size exceeds the quota", False),  # a full mailbox
        ("5.7.1", "552 message too large, looks like spam", False),
        ("5.1.1", "550 user unknown", False),
        ("5.6.1.1", "", False),
    ],
)
def test_a_refusal_for_size_or_attachments_counts_as_a_refusal_of_content(
    status: str, diagnostic: str, refuses: bool
) -> None:
    found = Feedback(kind=FeedbackKind.BOUNCE, recipients=(), status=status, permanent=True, diagnostic=diagnostic)

    assert found.refuses_content is refuses


@pytest.mark.parametrize(
    ("kind", "refuses"),
    [
        (FeedbackKind.BOUNCE, True),
        (FeedbackKind.REJECT, True),
        (FeedbackKind.DELAY, False),
        (FeedbackKind.COMPLAINT, False),
    ],
)
def test_only_a_final_refusal_can_be_about_content(kind: FeedbackKind, refuses: bool) -> None:
    assert Feedback(kind=kind, recipients=(), status="5.3.4", permanent=True).refuses_content is refuses
