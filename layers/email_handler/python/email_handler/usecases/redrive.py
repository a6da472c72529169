"""The operator sends again what was dead-lettered: by the ledger, so that nothing ends with a queue's 14 days."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum

from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.errors import MalformedJob, RecordChanged, UnknownConversation
from email_handler.identifiers import LedgerId
from email_handler.ports import Clock, DeadLetter, DeadLetters, Jobs, Records, SendLedger
from email_handler.usecases.retries import COPIES
from email_handler.values import dataclass

MANY = 100_000


class Redriven(StrEnum):
    """What happened to one dead-lettered send."""

    QUEUED = "queued"  # it is sent again
    ENDED = "ended"  # the ledger has another end by now: the letter is deleted
    LEFT = "left"  # not a job of ours, or its records are gone: somebody must look
    UNDECIDED = "undecided"  # it may have been sent already: left until the operator sends it again or discards it
    DISCARDED = "discarded"  # a letter of one of these two kinds was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """One line of the operator's report."""

    ledger: LedgerId | str
    what: Redriven
    reason: str  # why it was dead-lettered, or why it is left
    attempts: int
    body: str = ""  # of a letter that is no job or whose records are gone


def redrive(
    *,
    letters: DeadLetters,
    records: Records,
    ledger: SendLedger,
    jobs: Jobs,
    clock: Clock,
    kinds: Collection[JobKind] = tuple(JobKind),
    resend: bool = False,
    dry_run: bool,
) -> Iterator[Redrive]:
    """Yield what happens to each dead letter, then to each FAILED ledger item of *kinds* without a letter.

    An UNKNOWN one, which may have been sent as often as it may, is left, unless *resend* sends one more copy.

    The order is the guarantee: the ledger says QUEUED, then the job is queued, then the letter is deleted. A crash in
    between leaves a letter too many or an item that the reconciler takes up; the ledger lets neither send twice.
    With *dry_run* nothing is changed.
    """
    reported: set[str] = set()
    for letter in letters.letters():
        item = _item(letter, ledger)
        if isinstance(item, str):
            yield _unusable(letter, Redriven.LEFT, item)
            continue
        if item.id in reported and item.state in (SendState.FAILED, SendState.UNKNOWN):
            continue  # it failed again meanwhile: a sender that is faster than this loop would keep it from ending
        what = _again(item, ledger=ledger, jobs=jobs, clock=clock, resend=resend, dry_run=dry_run)
        reported.add(item.id)
        if not dry_run and what is not Redriven.UNDECIDED:
            letters.discard(letter)
        yield Redrive(ledger=item.id, what=what, reason=letter.reason, attempts=letter.attempts)
    for state in (SendState.FAILED, SendState.UNKNOWN):
        for left in list(records.find("send_state", state, limit=MANY)):
            if isinstance(left, LedgerItem) and left.kind in kinds and left.id not in reported and not _is_end(left):
                what = _again(left, ledger=ledger, jobs=jobs, clock=clock, resend=resend, dry_run=dry_run)
                yield Redrive(ledger=left.id, what=what, reason=left.reason, attempts=left.attempt)


def discard(
    *,
    letters: DeadLetters,
    records: Records,
    ledger: SendLedger,
    kinds: Collection[JobKind] = tuple(JobKind),
    dry_run: bool,
) -> Iterator[Redrive]:
    """Delete the dead letters that nobody wants, and yield each: no job of ours, one whose records are gone, and one that
    may have been sent already. The ledger remembers of the latter that they are not sent again; those of *kinds* whose
    letter has expired are yielded as well.

    All others stay, and nothing is sent. With *dry_run* nothing is changed.
    """
    discarded: set[str] = set()
    for letter in letters.letters():
        found = _item(letter, ledger)
        if isinstance(found, LedgerItem):
            if found.state is not SendState.UNKNOWN:
                continue
            if not dry_run and found.id not in discarded:
                _keep_unsent(found, ledger)
            discarded.add(found.id)
            yield Redrive(ledger=found.id, what=Redriven.DISCARDED, reason=letter.reason, attempts=letter.attempts)
        else:
            yield _unusable(letter, Redriven.DISCARDED, found)
        if not dry_run:
            letters.discard(letter)
    for left in list(records.find("send_state", SendState.UNKNOWN, limit=MANY)):
        if isinstance(left, LedgerItem) and left.undecided and left.kind in kinds and left.id not in discarded:
            if not dry_run:
                _keep_unsent(left, ledger)
            yield Redrive(ledger=left.id, what=Redriven.DISCARDED, reason=left.reason, attempts=left.attempt)


def _keep_unsent(item: LedgerItem, ledger: SendLedger) -> None:
    """Record that nobody wants *item* sent again, unless SES's events confirm it at this moment."""
    with suppress(RecordChanged):
        ledger.give_back(replace(item, discarded=True), item.state, item.reason, item.due)


def _item(letter: DeadLetter, ledger: SendLedger) -> LedgerItem | str:
    """Return the ledger item of *letter*'s job, or why there is none."""
    try:
        return ledger.context(Job.from_json(letter.body)).item
    except (MalformedJob, UnknownConversation) as error:
        return str(error)


def _unusable(letter: DeadLetter, what: Redriven, problem: str) -> Redrive:
    return Redrive(ledger="", what=what, reason=letter.reason or problem, attempts=letter.attempts, body=letter.body)


def _is_end(item: LedgerItem) -> bool:
    return item.state is SendState.UNKNOWN and not item.undecided


def _again(item: LedgerItem, *, ledger: SendLedger, jobs: Jobs, clock: Clock, resend: bool, dry_run: bool) -> Redriven:
    if item.undecided and not resend:
        return Redriven.UNDECIDED
    if item.state not in (SendState.FAILED, SendState.QUEUED, SendState.UNKNOWN) or _is_end(item):
        return Redriven.ENDED
    if dry_run:
        return Redriven.QUEUED
    if item.state is not SendState.QUEUED:
        # Patience starts again: a job that is tried once and dead-lettered again would not be redriven. What may have
        # left is still counted; one more copy, and only one, can follow it.
        again = replace(item, refusals=None, lost=min(item.lost, COPIES[item.kind] - 1))
        try:
            ledger.give_back(again, SendState.QUEUED, item.reason, clock())
        except RecordChanged:
            return Redriven.ENDED  # somebody else redrives it at this moment
    jobs.queue([item.job])
    return Redriven.QUEUED
