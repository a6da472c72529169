"""The digest: on days after something was held, the owner is told what, why, and how to release it."""

import json
from datetime import timedelta

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.identifiers import ArchiveKey, ReceiptId
from email_handler.outgoing.digest import DIGEST, HeldEntry, to_json
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.context import Context, decide_once, queued, settle
from email_handler.usecases.held import is_open

MANY = 500  # held messages looked at for one day; more are counted by `held list`


def send_digest(context: Context) -> Decision | None:
    """Queue yesterday's digest to the owner's mailboxes, at most once a day; None where nothing is held.

    Yesterday is the UTC day before the clock's, so that a schedule that comes late or twice tells the same.
    """
    day = (context.clock() - timedelta(days=1)).date()
    entries = [
        HeldEntry(
            receipt=record.receipt,
            function=record.function,
            at=record.at,
            sender=record.sender,
            sender_name=record.sender_name,
            verified=record.verified,
            subject=record.subject,
            score=record.score,
            reasons=tuple(reason.detail or str(reason) for reason in record.reasons),
        )
        for record in context.records.find("verdict", "held", limit=MANY)
        if isinstance(record, MessageRecord) and record.at.date() == day and is_open(record)
    ]
    if not entries:
        return None
    receipt = ReceiptId(f"digest-{day.isoformat()}")
    key = ArchiveKey(f"raw/digest/{day.isoformat()}")
    question = Question(receipt=receipt, function="inbound")
    body = json.dumps(to_json(entries), ensure_ascii=False).encode()

    def plan(known: Known) -> Commit:
        del known
        context.archive.put(key, body, "application/json")
        record = MessageRecord(
            receipt=receipt,
            function="inbound",
            archive_key=key,
            conversation="",
            at=context.clock(),
            outcome=Outcome.RECORD,
            reasons=(Reason(stage="digest", rule="held", detail=f"{len(entries)} held on {day.isoformat()}"),),
            score=0.0,
            rules_version="",
            sender="",
            sender_name="",
            verified=False,
            verification="our own digest",
            public_address=context.owners.public_addresses[0],
            source="",
            subject=f"{len(entries)} held on {day.isoformat()}",
            message_id="",
            reply_address="",
            automatic="digest",
            snippet="",
            size=len(body),
        )
        notices = [
            queued(JobKind.NOTICE, record, [mailbox], receipt, mailbox, note=DIGEST)
            for mailbox in context.owners.forward_to
        ]
        return settle(record, ledger=notices, events=())

    return decide_once(question, plan, context)
