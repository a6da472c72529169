"""What a bounce or complaint about one of our sends changes, whether it came as a message or as an event of SES."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from email_handler.conversations.disposition import Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import delay_notice_id, is_received, notice_id, text_only_forward_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.records import RECEIVED, TEXT_ONLY, LedgerItem, MessageRecord, SendState
from email_handler.identifiers import EmailAddress, LedgerId
from email_handler.ports import Commit, Known
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.usecases.decision import build_commit, new_send

LATE_AFTER = timedelta(hours=1)
"""A shorter delay is everyday: greylisting, a busy server."""


def plan_feedback(record: MessageRecord, feedback: Feedback, known: Known, *, erased: bool = False) -> Commit | None:
    """Return the transaction for *feedback* about a message we sent; None if it is about nothing we sent. With *erased*
    it is recorded all the same: about what, nobody knows any more.

    *record* is the feedback's own, under RECORD; it joins the conversation. If the failure is final, the send becomes BOUNCED,
    and a contact who cannot be reached is never acknowledged again. The owner gets a notice of what keeps their reply from
    the contact, one for each cause. A forward refused for content or size goes out once more, as text and a list.
    """
    named = (feedback.ledger, *(r.ledger for r in known.references))
    send = next(filter(None, (known.sends.get(LedgerId(one)) for one in named)), None)
    if erased:
        about = "about a message that is not in the records"
        return build_commit(
            replace(record, reasons=(Reason(stage="feedback", rule=feedback.kind, detail=about),)), events=()
        )
    if send is None:
        return None
    record = replace(
        record,
        reasons=(Reason(stage="feedback", rule=feedback.kind, detail=f"about our {send.kind}"),),
        conversation=send.conversation,
        feedback={
            "kind": feedback.kind,
            "status": feedback.status,
            "recipient": next(iter(feedback.recipients), ""),
            "ledger": send.id,
        },
    )
    is_new = feedback.permanent and send.state is not SendState.BOUNCED
    ledger: list[LedgerItem] = []
    if feedback.kind is FeedbackKind.DELAY:
        ledger += _delay_notice(record, feedback, send, known)
    elif told := _told(feedback, send):
        ledger += [
            new_send(JobKind.NOTICE, notice_id(record.receipt, mailbox), record, [mailbox], note=told)
            for mailbox in _mailboxes(send, known)
        ]
    if is_new and feedback.refuses_content and send.kind is JobKind.FORWARD and send.note != TEXT_ONLY:
        again = new_send(send.kind, text_only_forward_id(send.id), record, send.recipients, note=TEXT_ONLY)
        ledger.append(
            replace(again, source=send.source, source_function=send.source_function, archive_key=send.archive_key)
        )
    events = (
        *((RECEIVED,) if is_received(record.archive_key) else ()),
        *(("Delivery Failed",) if feedback.permanent else ()),
    )
    commit = build_commit(record, ledger=ledger, bounced=send.id if is_new else "", events=events)
    contact = known.contact
    if is_new and contact is not None and contact.address.lower() in map(str.lower, send.recipients):
        commit = replace(commit, contact=replace(contact, unreachable=True, updated_at=record.at))
    return commit


def _told(feedback: Feedback, send: LedgerItem) -> NoticeKind | None:
    """Return what the owner must know about their reply *send*: nothing after its final failure, which may be reported as
    an event and as a message."""
    if send.kind is not JobKind.REPLY or send.state is SendState.BOUNCED:
        return None
    if feedback.kind is not FeedbackKind.BOUNCE:
        return NoticeKind.COMPLAINED if feedback.kind is FeedbackKind.COMPLAINT else NoticeKind.REJECTED
    if feedback.suppressed or feedback.refuses_content:
        return NoticeKind.SUPPRESSED if feedback.suppressed else NoticeKind.TOO_MUCH
    return NoticeKind.BOUNCED if feedback.permanent else NoticeKind.RETURNED


def _delay_notice(record: MessageRecord, feedback: Feedback, send: LedgerItem, known: Known) -> Iterator[LedgerItem]:
    """Yield the notice that the reply *send* is delayed, once for a recipient: due when it has been on its way for an
    hour, since SES may report a delay early and then never again. It is cancelled if the reply is delivered by then.
    What came as a message is an earlier event's again."""
    recipient, mailboxes = next(iter(feedback.recipients), ""), _mailboxes(send, known)
    notice = delay_notice_id(send.id, recipient)
    as_message = is_received(record.archive_key)
    if send.kind is not JobKind.REPLY or send.state is SendState.BOUNCED or as_message or not mailboxes:
        return
    if notice not in known.sends:
        told = new_send(JobKind.NOTICE, notice, record, mailboxes, note=NoticeKind.DELAYED)
        yield replace(told, due=max(record.at, send.due + LATE_AFTER))


def _mailboxes(send: LedgerItem, known: Known) -> tuple[EmailAddress, ...]:
    conversations = filter(None, (known.by_id, *known.by_reference))
    return next((found.mailboxes for found in conversations if found.id == send.conversation), ())
