"""The operator sends again what was dead-lettered: by the ledger, so that nothing ends with a queue's 14 days."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.errors import MalformedJob, RecordChanged, UnknownConversation
from email_handler.identifiers import LedgerId
from email_handler.ports import Clock, DeadLetter, DeadLetters, Jobs, Records, SendLedger

MANY = 100_000


class Redriven(StrEnum):
    """What happened to one dead-lettered send."""

    QUEUED = "queued"  # it is sent again
    ENDED = "ended"  # the ledger has another end by now: the letter is deleted
    LEFT = "left"  # not a job of ours, or its records are gone: somebody must look
    DISCARDED = "discarded"  # such a letter was deleted


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
    dry_run: bool,
) -> Iterator[Redrive]:
    """Yield what happens to each dead letter, then to each FAILED ledger item of *kinds* without a letter.

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
        if item.id in reported and item.state is SendState.FAILED:
            continue  # it failed again meanwhile: a sender that is faster than this loop would keep it from ending
        what = _again(item, ledger=ledger, jobs=jobs, clock=clock, dry_run=dry_run)
        reported.add(item.id)
        if not dry_run:
            letters.discard(letter)
        yield Redrive(ledger=item.id, what=what, reason=letter.reason, attempts=letter.attempts)
    for failed in list(records.find("send_state", SendState.FAILED, limit=MANY)):
        if isinstance(failed, LedgerItem) and failed.kind in kinds and failed.id not in reported:
            what = _again(failed, ledger=ledger, jobs=jobs, clock=clock, dry_run=dry_run)
            yield Redrive(ledger=failed.id, what=what, reason=failed.reason, attempts=failed.attempt)


def discard(*, letters: DeadLetters, ledger: SendLedger, dry_run: bool) -> Iterator[Redrive]:
    """Delete the dead letters that nobody can use, and yield each: no job of ours, or one whose records are gone.

    All others stay, and nothing is sent. With *dry_run* nothing is changed.
    """
    for letter in letters.letters():
        problem = _item(letter, ledger)
        if isinstance(problem, str):
            if not dry_run:
                letters.discard(letter)
            yield _unusable(letter, Redriven.DISCARDED, problem)


def _item(letter: DeadLetter, ledger: SendLedger) -> LedgerItem | str:
    """Return the ledger item of *letter*'s job, or why there is none."""
    try:
        return ledger.context(Job.from_json(letter.body).ledger).item
    except (MalformedJob, UnknownConversation) as error:
        return str(error)


def _unusable(letter: DeadLetter, what: Redriven, problem: str) -> Redrive:
    return Redrive(ledger="", what=what, reason=letter.reason or problem, attempts=letter.attempts, body=letter.body)


def _again(item: LedgerItem, *, ledger: SendLedger, jobs: Jobs, clock: Clock, dry_run: bool) -> Redriven:
    if item.state not in (SendState.FAILED, SendState.QUEUED):
        return Redriven.ENDED
    if dry_run:
        return Redriven.QUEUED
    now = clock()
    if item.state is SendState.FAILED:
        try:
            # Patience starts again: a job that is tried once and dead-lettered again would not be redriven.
            ledger.give_back(replace(item, queued_at=now), SendState.QUEUED, item.reason, now)
        except RecordChanged:
            return Redriven.ENDED  # somebody else redrives it at this moment
    jobs.queue([item.job])
    return Redriven.QUEUED
