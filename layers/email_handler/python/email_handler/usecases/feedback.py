"""inbound's use case for SES's own events about messages we sent."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import delay_notice_id, feedback_key, ses_id_key
from email_handler.conversations.records import Decision, LedgerItem, MessageRecord, SendState
from email_handler.errors import MalformedEvent, RecordChanged
from email_handler.identifiers import ReceiptId, SesId
from email_handler.ports import Commit, Known, Question
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.ses_events import delivered, feedback_from_event
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import decide_once
from email_handler.usecases.feedback_plan import plan_feedback
from email_handler.usecases.waiting import cancel

WAITS_FOR = timedelta(days=1)  # for the record of a send that SES names no ledger id of: of another installation, say


_RECORDED = (SendState.SENT, SendState.BOUNCED)
_ENDED = (SendState.UNKNOWN, SendState.FAILED, SendState.CANCELLED)


class Unrecorded(StrEnum):
    """Why SES's event leaves no record now, as the log has it."""

    DELIVERED = "Delivered"  # it only confirms the send
    WAITS = "FeedbackWaits"  # the send has no record yet: the passes take the event up again


def record_feedback(detail: Mapping[str, Any], context: Context) -> Decision | Unrecorded:
    """Record SES's event *detail* on the conversation it is about: at most once for each report.

    Whatever SES reports on has left, so that a send whose response was lost gets its id from any event, a delivery as
    well. The event can come before the sender has recorded that id. While that sender may still be running, this raises
    RecordChanged, and the asynchronous invocation is repeated; else the event waits below ``raw/feedback/``.
    Raises MalformedEvent if *detail* is neither feedback nor a delivery.
    """
    if confirmed := delivered(detail):
        if confirmed.ledger and (item := context.ledger.by_id(confirmed.ledger)):
            _keep_ses_id(item, confirmed.ses_id, context)
            _withdraw_delay(item, confirmed.recipients, context)
        return Unrecorded.DELIVERED
    feedback = feedback_from_event(detail)
    if feedback is None:
        raise MalformedEvent("not an event of SES about a message we sent")
    key = feedback_key(_receipt(feedback))
    context.archive.put(key, json.dumps(detail).encode(), "application/json")
    return _record(feedback, context, context.clock())


def take_up_feedback(receipt: ReceiptId, stored_at: datetime, context: Context) -> Decision | Unrecorded:
    """Record the event kept as *receipt* since *stored_at*, which waited for its send. Raises ArchiveObjectMissing, and
    MalformedEvent if something else is kept there."""
    kept = context.archive.get(feedback_key(receipt))
    try:
        feedback = feedback_from_event(json.loads(kept))
    except (ValueError, AttributeError) as error:
        raise MalformedEvent("not an event of SES") from error
    if feedback is None:
        raise MalformedEvent("not an event of SES about a message we sent")
    return _record(feedback, context, stored_at)


def _record(feedback: Feedback, context: Context, stored_at: datetime) -> Decision | Unrecorded:
    receipt = _receipt(feedback)
    record = MessageRecord(
        receipt=receipt,
        function="inbound",
        archive_key=feedback_key(receipt),
        at=context.clock(),
        outcome=Outcome.RECORD,
        verification="an event of SES",
        automatic=feedback.kind,
    )
    item = _send(feedback, context)
    if item is not None:
        _keep_ses_id(item, SesId(feedback.ses_id), context)
        if item.state is SendState.SENDING and item.ends_at > record.at:
            raise RecordChanged("SES reports on a message whose sender has not recorded it yet")
    erased = item is None and (feedback.ledger != "" or record.at - stored_at > WAITS_FOR)
    if not erased and (item is None or item.state not in _RECORDED):
        return Unrecorded.WAITS
    if erased:  # the event names the recipient, and belongs to no conversation with which it could be erased
        context.archive.let_expire(record.archive_key, expires=True)

    def plan(known: Known, _: Configuration) -> Commit:
        commit = plan_feedback(record, feedback, known, erased=erased)
        if commit is None:
            raise RecordChanged("the send that SES reports on is not in the records any more")
        return commit

    question = Question(
        receipt=receipt,
        decider="inbound",
        references=(feedback.ses_id,),
        contact=next(iter(feedback.recipients), ""),
        conversation=item.conversation if item else "",
        sends=(item.id, *(delay_notice_id(item.id, one) for one in feedback.recipients[:1])) if item else (),
    )
    return decide_once(question, plan, context)


def _send(feedback: Feedback, context: Context) -> LedgerItem | None:
    return (
        context.ledger.by_id(feedback.ledger) if feedback.ledger else context.ledger.by_ses_id(SesId(feedback.ses_id))
    )


def _keep_ses_id(item: LedgerItem, ses_id: SesId, context: Context) -> None:
    """Keep SES's id of a send that has no record of it, where its sender looks for it, and queue the send if it has ended
    without one, or waits as refused: the sender records it, and sends nothing."""
    if item.state in _RECORDED:
        return
    context.archive.put(ses_id_key(item.kind, item.id), ses_id.encode(), "text/plain")
    now = context.ledger.by_id(item.id)  # a sender that looked before that may have ended the send meanwhile
    if now and (now.state in _ENDED or (now.state is SendState.QUEUED and not now.lost)):
        left = replace(now, lost=max(now.lost, 1))  # a sender looks for a kept id only if a response was lost
        context.ledger.give_back(left, SendState.QUEUED, "SES's events say that it has left", context.clock())
        context.jobs.queue([left.job])


def _withdraw_delay(reply: LedgerItem, recipients: Iterable[str], context: Context) -> None:
    """Cancel the notices that wait to tell the owner that *reply* is delayed on its way to *recipients*."""
    for recipient in recipients if reply.kind is JobKind.REPLY else ():
        if notice := context.ledger.by_id(delay_notice_id(reply.id, recipient)):
            cancel(notice, "the reply was delivered", context.ledger)


def _receipt(feedback: Feedback) -> ReceiptId:
    """Return the id of a report: SES's own if it has one; else the same kind about the same recipients is the same."""
    unique = hashlib.sha256("\n".join((feedback.report, *feedback.recipients)).encode()).hexdigest()[:12]
    return ReceiptId(f"feedback-{feedback.ses_id}-{feedback.kind}-{unique}")
