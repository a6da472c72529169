"""A decision about one receipt: taken once, committed in one transaction, finished at least once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from email_handler.conversations.disposition import Outcome, mistake_in
from email_handler.conversations.jobs import LONGEST_DELAY, Job, JobKind
from email_handler.conversations.keys import raw_key
from email_handler.conversations.records import RECEIVED, Decision, LedgerItem, MessageRecord, SendState
from email_handler.conversations.thread_address import TOKEN_LENGTH
from email_handler.errors import RecordChanged
from email_handler.identifiers import ArchiveKey, Decider, EmailAddress, LedgerId
from email_handler.mistakes import STEP_SHARE, seconds_left
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.side_by_side import SideBySide
from email_handler.values import dataclass

if TYPE_CHECKING:  # the senders, which share new_send, have neither rules nor routes to read
    from email_handler.usecases.configuration import Configuration
    from email_handler.usecases.context import Context

TRIES = 30  # times that a decision is planned because others wrote in between: enough for 100 of them at once, even if
# the table is four times slower than usual (tests/unit/usecases/test_contention.py). Then Lambda retries the invocation.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # seconds: about one try, and what 100 of them need one after the other
HELD_FOR = timedelta(days=90)  # held messages are kept that long, the records of dropped ones too

type Plan = Callable[[Known, Configuration], Commit]
"""Returns the transaction for what is known and in force. Called again if others wrote in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """What was known before the message was read: asked by its headers alone, so without its fingerprints."""

    question: Question
    known: Known

    def covers(self, question: Question) -> bool:
        """Return whether what the message itself asks is no more than that."""
        return replace(question, fingerprints=()) == self.question


def decide_once(question: Question, plan: Plan, context: Context, early: Early | None = None) -> Decision:
    """Decide about one receipt and finish what was decided: decided at most once, finished at least once.

    What is known *early* spares the first look-up; that the message is no copy of another is then a condition of the
    transaction.

    The decision, its jobs and its events are one transaction; only then is anything queued or published. A second run
    (SES's duplicate event, a retry after a crash, the reconciler) finds the decision and finishes it.
    Raises RecordChanged if others wrote in between every time, or Lambda leaves no time for another try.
    """
    decision = _decided(question, plan, context, early if early and early.covers(question) else None)
    if not decision.done:
        finish(decision, context)
    return decision


def _decided(question: Question, plan: Plan, context: Context, early: Early | None) -> Decision:
    tries = 1
    while True:
        began = context.clock()
        known = early.known if early else context.records.look_up(question)
        configuration = context.configuration()  # always waited for: no read outlives the invocation
        if known.decision is not None:
            return known.decision
        commit = _with_token(plan(known, configuration), context)
        if early:
            commit, early = replace(commit, no_copy_of=question.fingerprints), None
        try:
            context.records.commit(commit)
        except RecordChanged:
            pause = pause_after(tries, context.chance())
            took = (context.clock() - began).total_seconds()
            if tries == TRIES or seconds_left() < pause + took / STEP_SHARE:
                raise
        else:
            return commit.decision
        context.pause(pause)
        tries += 1


def _with_token(commit: Commit, context: Context) -> Commit:
    """Give a held message the token that the owner's commands about it name."""
    if commit.message.outcome is not Outcome.HOLD or commit.message.token:
        return commit
    return replace(commit, message=replace(commit.message, token=context.new_token(TOKEN_LENGTH)))


def pause_after(tries: int, chance: float) -> float:
    """Return the seconds to wait after *tries* writes that others were faster than: a part of 0.2 s doubled each time
    up to 10 s, all of it times *chance* (0 to 1), since equal pauses would let the same writers meet again."""
    return min(FIRST_PAUSE * 2.0 ** (tries - 1), LONGEST_PAUSE) * chance


def finish(decision: Decision, context: Context) -> None:
    """Queue the decision's jobs, publish its events, let a held message expire, then mark all of it done.

    Each may happen twice after a crash: the ledger and the events' ids make the second harmless. The calls run side
    by side, since none needs another.
    """
    calls: list[Callable[[], None]] = [
        partial(_queue, job, decision.later.get(job.ledger), context) for job in decision.jobs
    ]
    if decision.events:
        calls.append(partial(context.events.publish, decision.events))
    if decision.decider != "operator" and decision.outcome in (Outcome.HOLD, Outcome.DROP):
        calls.append(partial(_let_expire, raw_key(decision.decider, decision.receipt), decision, context))
    elif decision.decider == "operator" and decision.jobs:
        calls.append(partial(context.archive.let_expire, decision.jobs[0].archive_key, expires=False))
    with SideBySide() as beside:
        for future in [beside.begin(call) for call in calls]:
            future.result()
    context.records.finish(decision.receipt, decision.decider)


def _queue(job: Job, due: datetime | None, context: Context) -> None:
    """Queue *job*, which arrives when it is *due* (None: at once). What is due much later is left to a pass
    (:attr:`LedgerItem.left_to_a_pass`)."""
    wait = max(due - context.clock(), timedelta()) if due else timedelta()
    if wait <= LONGEST_DELAY:
        context.jobs.queue([job], wait)


def _let_expire(key: ArchiveKey, decision: Decision, context: Context) -> None:
    """Let the message that *decision* held or dropped expire, unless the operator has released it by now.

    A release keeps the message after it is decided. So whoever comes last, this or the release, sees the other.
    """
    context.archive.let_expire(key, expires=True)
    operators = context.records.decision(decision.receipt, "operator")
    if operators is not None and operators.outcome is not Outcome.HOLD:
        context.archive.let_expire(key, expires=False)


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
    names = _EVENTS.get(record.outcome, (RECEIVED,)) if events is None else events
    expires = record.outcome in (Outcome.HOLD, Outcome.DROP)
    return Commit(
        decision=Decision(
            receipt=record.receipt,
            decider=decider or record.function,
            outcome=record.outcome,
            conversation=record.conversation,
            jobs=tuple(item.job for item in ledger),
            later={item.id: item.due for item in ledger if item.due > record.at},
            announces=tuple(names),
            detail=_detail(record) if names else {},
            mistake=f"{mistake.rule}: {mistake.detail}" if (mistake := mistake_in(record.reasons)) else "",
        ),
        message=record,
        ledger=tuple(ledger),
        fingerprint=fingerprint,
        expires_at=record.at + HELD_FOR if expires else None,
        bounced=bounced,
    )


_EVENTS: dict[Outcome, tuple[str, ...]] = {Outcome.HOLD: ("Message Held",), Outcome.DROP: ()}


def _detail(record: MessageRecord) -> dict[str, Any]:
    detail: dict[str, Any] = {
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
    if record.files is not None:
        detail["attachments"] = record.files
    if record.feedback:  # without its recipient, which may be the owner's mailbox
        detail["feedback"] = {name: record.feedback[name] for name in ("kind", "status", "ledger")}
    return detail


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
