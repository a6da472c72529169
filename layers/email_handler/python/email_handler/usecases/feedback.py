"""inbound's use case for SES's own events about messages we sent."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import feedback_key
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.errors import MalformedEvent, RecordChanged
from email_handler.identifiers import ReceiptId
from email_handler.ports import Commit, Known, Question
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.ses_events import feedback_from_event
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import decide_once
from email_handler.usecases.feedback_plan import plan_feedback


def record_feedback(detail: Mapping[str, Any], context: Context) -> Decision:
    """Record SES's event *detail* on the conversation it is about: at most once for (SES id, recipients, kind).

    The event can come before the sender has recorded SES's id: then this raises RecordChanged, and the asynchronous
    invocation is repeated. Raises MalformedEvent if *detail* is not feedback.
    """
    feedback = feedback_from_event(detail)
    if feedback is None:
        raise MalformedEvent("not an event of SES about a message we sent")
    receipt = _receipt(feedback)
    key = feedback_key(receipt)
    record = MessageRecord(
        receipt=receipt,
        function="inbound",
        archive_key=key,
        at=context.clock(),
        outcome=Outcome.RECORD,
        verification="an event of SES",
        automatic=feedback.kind,
    )
    context.archive.put(key, json.dumps(detail).encode(), "application/json")

    def plan(known: Known, _: Configuration) -> Commit:
        commit = plan_feedback(record, feedback, known)
        if commit is None:
            raise RecordChanged("SES reports on a message that is not recorded as sent yet")
        return commit

    question = Question(
        receipt=receipt, decider="inbound", references=(feedback.ses_id,), contact=next(iter(feedback.recipients), "")
    )
    return decide_once(question, plan, context)


def _receipt(feedback: Feedback) -> ReceiptId:
    recipients = hashlib.sha256(",".join(feedback.recipients).encode()).hexdigest()[:12]
    return ReceiptId(f"feedback-{feedback.ses_id}-{feedback.kind}-{recipients}")
