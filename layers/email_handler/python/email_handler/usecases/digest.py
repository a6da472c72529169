"""The digest: on days after something was held, the owner gets a list of it, with reasons and how to release each."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.held import is_open
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import digest_key, notice_id
from email_handler.conversations.notices import DIGEST
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.identifiers import ReceiptId
from email_handler.outgoing.digest import MAX_ENTRIES, Digest, HeldEntry
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import HELD_FOR, build_commit, decide_once, new_send
from email_handler.usecases.held import can_be_released

_TOLD = "digest"  # the checkpoint: the last day (UTC) whose held messages the owner was told
_DAY = timedelta(days=1)


def send_digest(context: Context) -> Decision | None:
    """Queue the digest of all days that no digest has told, until yesterday (UTC), to the owner's mailboxes; None if
    nothing was held.

    Each day is told at least once: a missed pass delays its day, and a crash between the decision and the checkpoint
    tells it with the next day's again. A second pass a day sends nothing.
    """
    yesterday = context.clock().astimezone(UTC).date() - _DAY
    told = context.records.checkpoint(_TOLD)
    first = max(date.fromisoformat(told) + _DAY if told else yesterday, yesterday - HELD_FOR)
    if first > yesterday:
        return None
    found = filter(is_open, context.records.held(_midnight(first), _midnight(yesterday + _DAY)))
    shown = list(islice(found, MAX_ENTRIES))
    count = len(shown) + sum(1 for _ in found)
    decision = _queue(first, yesterday, shown, count, context) if shown else None
    context.records.set_checkpoint(_TOLD, yesterday.isoformat())
    return decision


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _queue(first: date, last: date, shown: list[MessageRecord], count: int, context: Context) -> Decision:
    owners = context.configuration().owners
    entries = [HeldEntry.of(record, releasable=can_be_released(record, owners)) for record in shown]
    body = Digest(count=count, entries=entries).to_json()
    days = f"on {last.isoformat()}" if first == last else f"from {first.isoformat()} to {last.isoformat()}"
    record = MessageRecord(
        receipt=ReceiptId(f"digest-{last.isoformat()}"),
        function="inbound",
        archive_key=digest_key(last),
        at=context.clock(),
        outcome=Outcome.RECORD,
        reasons=(Reason(stage="digest", rule="held", detail=f"{count} held {days}"),),
        verification="our own digest",
        subject=f"{count} held {days}",
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
