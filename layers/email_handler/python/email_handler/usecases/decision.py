"""A decision about one receipt: taken once, committed in one transaction, finished at least once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Literal

from email_handler.conversations.disposition import Outcome, mistake_in
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import raw_key
from email_handler.conversations.records import Decision, LedgerItem, MessageRecord, PendingEvent, SendState
from email_handler.errors import RecordChanged
from email_handler.identifiers import Decider, EmailAddress, LedgerId
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context

TRIES = 6  # times that a decision is planned again because others wrote in between; then the invocation is retried
HELD_FOR = timedelta(days=90)  # held messages are kept that long, the records of dropped ones too

type Plan = Callable[[Known, Configuration], Commit]
"""Returns the transaction for what is known and in force. Called again if others wrote in between."""


def decide_once(question: Question, plan: Plan, context: Context, *, tries: int = TRIES) -> Decision:
    """Decide about one receipt and finish what was decided: decided at most once, finished at least once.

    The decision, its jobs and its events are one transaction; only then is anything queued or published. A second run
    (SES's duplicate event, a retry after a crash, the reconciler) finds the decision and finishes it.
    Raises RecordChanged if others wrote in between each of *tries* times.
    """
    known = context.records.look_up(question)
    configuration = context.configuration()  # always waited for: no read outlives the invocation
    decision = known.decision
    if decision is None:
        commit = plan(known, configuration)
        try:
            context.records.commit(commit)
        except RecordChanged:
            if tries == 1:
                raise
            return decide_once(question, plan, context, tries=tries - 1)
        decision = commit.decision
    if not decision.done:
        finish(decision, context)
    return decision


def finish(decision: Decision, context: Context) -> None:
    """Queue the decision's jobs, publish its events, let a held message expire, then mark all of it done.

    Each may happen twice after a crash: the ledger and the events' ids make the second harmless. The calls run side
    by side, since none needs another.
    """
    calls: list[Callable[[], None]] = [partial(context.jobs.queue, [job]) for job in decision.jobs]
    if decision.events:
        calls.append(partial(context.events.publish, decision.events))
    if decision.decider != "operator" and decision.outcome in (Outcome.HOLD, Outcome.DROP):
        key = raw_key(decision.decider, decision.receipt)
        calls.append(partial(context.archive.let_expire, key, expires=True))
    elif decision.decider == "operator" and decision.jobs:
        calls.append(partial(context.archive.let_expire, decision.jobs[0].archive_key, expires=False))
    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()
    context.records.finish(decision.receipt, decision.decider)


def build_commit(
    record: MessageRecord,
    *,
    decider: Decider | None = None,
    ledger: Sequence[LedgerItem] = (),
    fingerprint: str = "",
    events: Sequence[str] | None = None,
    bounced: LedgerId | Literal[""] = "",
) -> Commit:
    """Return the transaction that makes *record* the decided end of its receipt, with *ledger*'s sends queued.

    *decider* is the record's function if not given. *events* are detail types; None means those of the outcome.
    """
    names = _EVENTS.get(record.outcome, ("Message Received",)) if events is None else events
    expires = record.outcome in (Outcome.HOLD, Outcome.DROP)
    return Commit(
        decision=Decision(
            receipt=record.receipt,
            decider=decider or record.function,
            outcome=record.outcome,
            conversation=record.conversation,
            jobs=tuple(item.job for item in ledger),
            events=tuple(_event(name, record) for name in names),
            mistake=f"{mistake.rule}: {mistake.detail}" if (mistake := mistake_in(record.reasons)) else "",
        ),
        message=record,
        ledger=tuple(ledger),
        fingerprint=fingerprint,
        expires_at=record.at + HELD_FOR if expires else None,
        bounced=bounced,
    )


_EVENTS: dict[Outcome, tuple[str, ...]] = {Outcome.HOLD: ("Message Held",), Outcome.DROP: ()}


def _event(detail_type: str, record: MessageRecord) -> PendingEvent:
    detail = {
        "version": 1,
        "receipt": record.receipt,
        "function": record.function,
        "conversation": record.conversation,
        "direction": "owner" if record.outcome is Outcome.RELAY else "contact",
        "outcome": record.outcome.value,
        "reasons": [str(reason) for reason in record.reasons],
        "archive_key": record.archive_key,
        "public_address": record.public_address,
        "source": record.source,
        "at": record.at.isoformat(),
    }
    if record.feedback:  # without its recipient, which may be the owner's mailbox
        detail["feedback"] = {name: record.feedback[name] for name in ("kind", "status", "ledger")}
    return PendingEvent.of(detail_type, detail, (record.receipt, record.function), record.at)


def new_send(
    kind: JobKind,
    ledger: LedgerId,
    record: MessageRecord,
    recipients: Sequence[EmailAddress],
    *,
    note: str = "",
) -> LedgerItem:
    """Return the ledger item *ledger* of a send that *record* causes, due now."""
    return LedgerItem(
        id=ledger,
        kind=kind,
        conversation=record.conversation,
        source=record.receipt,
        source_function=record.function,
        archive_key=record.archive_key,
        recipients=tuple(recipients),
        state=SendState.QUEUED,
        queued_at=record.at,
        due=record.at,
        note=note,
    )
