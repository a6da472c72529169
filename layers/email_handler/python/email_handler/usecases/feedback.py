"""inbound's use case for SES's own events: what became of a mail we sent."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.errors import MalformedEvent, RecordChanged
from email_handler.identifiers import ArchiveKey, EmailAddress, ReceiptId
from email_handler.ports import Commit, Known, Question
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.ses_events import feedback_from_event
from email_handler.usecases.context import Context, decide_once, plan_feedback


def record_feedback(detail: Mapping[str, Any], context: Context) -> Decision:
    """Record SES's event *detail* on the conversation it is about: at most once for (SES id, recipient, kind).

    The event can come before the sender has recorded SES's id: then this raises RecordChanged, and the
    asynchronous invocation is repeated. Raises MalformedEvent where *detail* is no feedback.
    """
    feedback = feedback_from_event(detail)
    if feedback is None or not feedback.ses_id:
        raise MalformedEvent("not an event of SES about a mail we sent")
    receipt = _receipt(feedback)
    key = ArchiveKey(f"raw/feedback/{receipt}")
    context.archive.put(key, json.dumps(detail, sort_keys=True).encode(), "application/json")
    record = MessageRecord(
        receipt=receipt,
        function="inbound",
        archive_key=key,
        conversation="",
        at=context.clock(),
        outcome=Outcome.RECORD,
        reasons=(),
        score=0.0,
        rules_version="",
        sender="",
        sender_name="",
        verified=False,
        verification="an event of SES",
        public_address="",
        source="",
        subject="",
        message_id="",
        reply_address="",
        automatic=feedback.kind,
        snippet="",
        size=0,
    )

    def plan(known: Known) -> Commit:
        commit = plan_feedback(record, feedback, known)
        if commit is None:
            raise RecordChanged("SES tells of a mail that is not recorded as sent yet")
        return commit

    question = Question(
        receipt=receipt,
        function="inbound",
        references=(feedback.ses_id,),
        contact=EmailAddress(next(iter(feedback.recipients), "")),
    )
    return decide_once(question, plan, context)


def _receipt(feedback: Feedback) -> ReceiptId:
    recipient = hashlib.sha256(",".join(feedback.recipients).encode()).hexdigest()[:12]
    return ReceiptId(f"feedback-{feedback.ses_id}-{feedback.kind}-{recipient}")
