"""What feedback about a send commits, as values."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import feedback_key, text_only_forward_id
from email_handler.conversations.records import TEXT_ONLY, LedgerItem, MessageRecord, SendState
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress, ReceiptId
from email_handler.ports import Commit, Known
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.usecases.feedback_plan import plan_feedback
from tests.support.fakes import NOW
from tests.support.records import (
    CONVERSATION,
    JANE,
    OWNER,
    acknowledgement,
    contact,
    conversation,
    forward,
    message,
    reference,
)

LATER = NOW + timedelta(hours=1)
SENT = {"state": SendState.SENT, "ses_id": "ses-1"}


def plan(send: LedgerItem, *, record: MessageRecord | None = None, known: Known | None = None, **fields: Any) -> Commit:
    """Return what feedback about *send*, named after a message of no send, commits."""
    feedback = Feedback(
        **{"kind": FeedbackKind.BOUNCE, "recipients": (JANE,), "status": "5.1.1", "permanent": True, **fields}
    )
    known = replace(
        known or Known(),
        references=(reference("theirs"), reference("erased", ledger="gone"), reference("ses-1", ledger=send.id)),
        sends={send.id: send},
    )
    commit = plan_feedback(record or feedback_record(), feedback, known)
    assert commit is not None
    return commit


def feedback_record(**fields: Any) -> MessageRecord:
    return message("bounce", outcome=Outcome.RECORD, conversation="", reasons=(), at=LATER, **fields)


def test_feedback_is_recorded_on_the_send_that_the_nearest_known_id_names() -> None:
    send = acknowledgement(**SENT)
    commit = plan(send)

    assert commit.message == replace(
        feedback_record(),
        conversation=CONVERSATION,
        reasons=(Reason(stage="feedback", rule="bounce", detail="about our acknowledgement"),),
        feedback={"kind": "bounce", "status": "5.1.1", "recipient": JANE, "ledger": send.id},
    )
    assert (commit.bounced, commit.ledger) == (send.id, ())


def test_only_feedback_that_came_as_a_message_publishes_a_received_message() -> None:
    as_message = plan(acknowledgement(**SENT))
    as_event = plan(acknowledgement(**SENT), record=feedback_record(archive_key=feedback_key(ReceiptId("bounce"))))

    assert [event.detail_type for event in as_message.decision.events] == ["Message Received", "Delivery Failed"]
    assert [event.detail_type for event in as_event.decision.events] == ["Delivery Failed"]


def test_a_contact_is_unreachable_if_the_failed_send_was_to_them() -> None:
    known = Known(contact=contact())

    assert plan(acknowledgement(**SENT), known=known).contact == contact(unreachable=True, updated_at=LATER)
    assert plan(forward(**SENT), known=known).contact is None


def test_a_reply_that_bounced_causes_a_notice_to_the_mailboxes_of_its_own_conversation() -> None:
    mailbox = EmailAddress("bob@desk.example")
    other = conversation(id=ConversationId("c-other"), mailboxes=(mailbox,))
    known = Known(by_reference=(other, conversation()))
    commit = plan(forward(kind=JobKind.REPLY, recipients=(JANE,), **SENT), known=known)

    assert [(item.kind, item.recipients) for item in commit.ledger] == [(JobKind.NOTICE, (OWNER,))]


def test_the_text_only_forward_is_of_the_message_that_was_refused() -> None:
    whole = forward(source_function="reply", archive_key=ArchiveKey("raw/reply/receipt-1"), **SENT)

    assert plan(whole, recipients=(OWNER,), status="5.3.4").ledger == (
        replace(
            whole,
            id=text_only_forward_id(whole.id),
            state=SendState.QUEUED,
            ses_id="",
            queued_at=LATER,
            due=LATER,
            note=TEXT_ONLY,
        ),
    )
