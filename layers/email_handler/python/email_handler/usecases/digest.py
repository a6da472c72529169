"""The digest: on days after something was held, the owner gets a list of it, with reasons and how to release each."""

import json
from dataclasses import asdict
from datetime import timedelta

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import digest_key, notice_id
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.identifiers import ReceiptId
from email_handler.outgoing.digest import DIGEST, HeldEntry
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import build_commit, decide_once, new_send
from email_handler.usecases.held import can_be_released, is_open

MANY = 500  # held messages looked at for one day; `held list` counts more


def send_digest(context: Context) -> Decision | None:
    """Queue yesterday's digest to the owner's mailboxes, at most once a day; None if nothing was held.

    Yesterday is the UTC day before the clock's, so a schedule that comes late or twice reports the same day.
    """
    now = context.clock()
    day = (now - timedelta(days=1)).date()
    held = [
        record
        for record in context.records.find("verdict", "held", limit=MANY)
        if isinstance(record, MessageRecord) and record.at.date() == day and is_open(record)
    ]
    if not held:
        return None
    owners = context.configuration().owners
    entries = [HeldEntry.of(record, releasable=can_be_released(record, owners)) for record in held]
    body = json.dumps([asdict(entry) for entry in entries]).encode()
    summary = f"{len(held)} held on {day.isoformat()}"
    record = MessageRecord(
        receipt=ReceiptId(f"digest-{day.isoformat()}"),
        function="inbound",
        archive_key=digest_key(day),
        at=now,
        outcome=Outcome.RECORD,
        reasons=(Reason(stage="digest", rule="held", detail=summary),),
        verification="our own digest",
        subject=summary,
        automatic="digest",
        size=len(body),
    )

    def plan(_: Known, configuration: Configuration) -> Commit:
        context.archive.put(record.archive_key, body, "application/json")
        notices = [
            new_send(JobKind.NOTICE, notice_id(record.receipt, mailbox), record, [mailbox], note=DIGEST)
            for mailbox in configuration.owners.forward_to
        ]
        return build_commit(record, ledger=notices, events=())

    return decide_once(Question(receipt=record.receipt, decider="inbound"), plan, context)
