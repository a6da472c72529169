"""The reconciler: what nobody finished is finished, and stored messages without a decision are taken up.

Everything here may be done twice, by two passes or beside an ordinary run: a decision is taken once, the ledger lets a
job send once, and an event has one id. So a pass need not know whether somebody is still at work.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from itertools import batched

from email_handler.conversations.keys import SETUP_OBJECT, feedback_prefix, raw_key, raw_prefix, receipt_of
from email_handler.conversations.records import Decision, LedgerItem, SendState
from email_handler.errors import EmailHandlerError
from email_handler.identifiers import ArchiveKey, FunctionName, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt
from email_handler.senders.authentication import bare_receipt, receipt_from_message
from email_handler.usecases.context import Context
from email_handler.usecases.decision import finish
from email_handler.usecases.feedback import take_up_feedback
from email_handler.usecases.inbound import receive
from email_handler.usecases.reply import relay_reply
from email_handler.values import dataclass

SETTLED = timedelta(minutes=15)  # Lambda retries after one and two minutes; before that nothing is late
OVERDUE = timedelta(hours=1)  # senders retry by themselves
WAITED = timedelta(hours=2)  # two pauses of backoff: a pass has queued the send again since, and nothing took it
ACKNOWLEDGED_WITHIN = timedelta(hours=24)  # an acknowledgement later than that helps nobody
PATIENCE = timedelta(seconds=200)  # of the function's 300: then a pass stops, and the next goes on from there
QUEUED_AGAIN = 1000  # sends of each state that one pass queues again at most
PAGE = 1000  # keys that S3 lists at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How far one kind of pass looks for stored messages."""

    name: str  # of its checkpoints
    look_back: timedelta  # older messages are left alone
    pages: int | None  # listed at most below each prefix, None for all


HOURLY = Scope(name="hourly", look_back=timedelta(days=1), pages=200)
DAILY = Scope(name="daily", look_back=timedelta(days=8), pages=None)  # daily passes may fail for a week


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What one pass did."""

    seen: int  # stored messages that it looked at
    taken_up: tuple[ReceiptId, ...]
    finished: int
    queued: int
    waiting: int  # sends that are overdue by two hours
    failed: Mapping[str, str]  # what could not be taken up or finished (receipt or ledger id), and why: no addresses
    complete: bool = True  # False: something is left for the next pass, which goes on there


def reconcile(function: FunctionName, context: Context, scope: Scope = DAILY) -> Reconciled:
    """Run a whole pass for what one receiving function left. Idempotent: every step is the ordinary one."""
    one = Pass(function, scope, context)
    one.finish_decided()
    one.take_up_stored()
    return one.done


@dataclass(slots=True)
class Pass:
    """One pass for what one receiving function left, in two steps, of which the first is cheap.

    What fails with one message, decision or event is reported and the pass goes on with the others; the next pass tries
    it again. An outage ends the pass at its own next read.
    """

    function: FunctionName
    scope: Scope
    context: Context
    _seen: int = 0
    _taken_up: list[ReceiptId] = field(default_factory=list)
    _finished: int = 0
    _queued: int = 0
    _waiting: int = 0
    _failed: dict[str, str] = field(default_factory=dict)
    _complete: bool = True
    _now: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Begin: the time of all steps counts from now."""
        self._now = self.context.clock()

    @property
    def done(self) -> Reconciled:
        """Return what the steps did so far."""
        return Reconciled(
            seen=self._seen,
            taken_up=tuple(self._taken_up),
            finished=self._finished,
            queued=self._queued,
            waiting=self._waiting,
            failed=self._failed,
            complete=self._complete,
        )

    def finish_decided(self) -> None:
        """Finish decisions with jobs or events not out; and (inbound, for all senders) publish the events of sends and
        queue sends that are overdue by an hour. Each oldest first."""
        for left in self.context.records.unfinished(self._now - SETTLED):
            if self._late():
                return
            if (left.decider == "reply") == (self.function == "reply"):  # the operator's decisions are inbound's
                self._finished += self._succeeds(left.receipt, finish, left, self.context)
        if self.function == "reply":
            return
        for sent in self.context.ledger.unpublished(self._now - OVERDUE):
            if self._late():
                return
            self._finished += self._succeeds(sent.id, self._publish, sent)
        for state in (SendState.SENDING, SendState.QUEUED):
            self._queue_overdue(state)

    def _publish(self, sent: LedgerItem) -> None:
        if sent.event is not None:
            self.context.events.publish([sent.event])
        self.context.ledger.published(sent.id)

    def _queue_overdue(self, state: SendState) -> None:
        """Queue the sends in *state* that are overdue, oldest first, from where the last pass stopped: sends that fail
        again and again must not keep others from their turn."""
        checkpoint, limit = f"overdue {state}", self._now - OVERDUE
        stopped_at = self.context.records.checkpoint(checkpoint)
        since = datetime.fromisoformat(stopped_at) if stopped_at else None
        queued = 0
        for item in self.context.records.sends(state, limit, since):
            if item.ends_at >= (self._now if item.left_to_a_pass else limit):
                continue
            if queued == QUEUED_AGAIN or self._late():
                self._complete = False
                self.context.records.set_checkpoint(checkpoint, item.queued_at.isoformat())
                break
            self.context.jobs.queue([item.job])
            queued += 1
            self._waiting += item.ends_at < self._now - WAITED
        else:
            if stopped_at:
                self.context.records.set_checkpoint(checkpoint, "")
        self._queued += queued

    def take_up_stored(self) -> None:
        """Take up stored messages and events of SES without a decision, from where the last pass of this scope stopped."""
        if self.function == "inbound":
            self._take_up_below(feedback_prefix(), self._take_up_feedback)
        self._take_up_below(raw_prefix(self.function), self._take_up_message)

    def _take_up_below(self, prefix: str, take: Callable[[ReceiptId, datetime], None]) -> None:
        checkpoint = f"{self.scope.name} {prefix}"
        stopped_at = self.context.records.checkpoint(checkpoint)
        pages = batched(self.context.archive.keys(prefix, stopped_at), PAGE)
        for number, page in enumerate(pages, start=1):
            for key, modified in self._undecided(page):
                stopped_at = key  # before it is taken up: if it ends the function, the next pass goes on behind it
                self.context.records.set_checkpoint(checkpoint, stopped_at)
                self._succeeds(receipt_of(key), take, receipt_of(key), modified)
                if self._late():
                    return
            if len(page) < PAGE:
                break
            stopped_at = page[-1][0]
            self.context.records.set_checkpoint(checkpoint, stopped_at)
            if self._late():
                return
            if number == self.scope.pages:
                self._complete = False
                return
        if stopped_at:
            self.context.records.set_checkpoint(checkpoint, "")

    def _undecided(self, page: Sequence[tuple[ArchiveKey, datetime]]) -> Iterator[tuple[ArchiveKey, datetime]]:
        """Yield those objects of *page* that are neither too young nor too old, and have no decision."""
        began, settled = self._now - self.scope.look_back, self._now - SETTLED
        due = {
            receipt: (key, modified)
            for key, modified in page
            if began <= modified <= settled and (receipt := receipt_of(key)) != SETUP_OBJECT
        }
        self._seen += len(due)
        for receipt in self.context.records.undecided(tuple(due), self.function):
            yield due[receipt]

    def _take_up_message(self, receipt: ReceiptId, modified: datetime) -> None:
        take_up(receipt, self.function, self.context, acknowledge=self._now - modified < ACKNOWLEDGED_WITHIN)
        self._taken_up.append(receipt)

    def _take_up_feedback(self, receipt: ReceiptId, modified: datetime) -> None:
        if isinstance(take_up_feedback(receipt, modified, self.context), Decision):  # else it waits for its send
            self._taken_up.append(receipt)

    def _late(self) -> bool:
        late = self.context.clock() - self._now >= PATIENCE
        self._complete = self._complete and not late
        return late

    def _succeeds[*A](self, name: str, step: Callable[[*A], object], *args: *A) -> bool:
        """Take *step* and return whether it succeeded; if not, the pass has failed with *name*, and why.

        Any error counts, a mistake of ours too: one message that always fails must not keep all others waiting.
        """
        try:
            step(*args)
        except EmailHandlerError as error:
            self._failed[name] = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - see above
            self._failed[name] = type(error).__name__  # its text may quote the message
        else:
            return True
        return False


def take_up(receipt_id: ReceiptId, function: FunctionName, context: Context, *, acknowledge: bool) -> Decision:
    """Run a receiving function's use case for a stored message as if its event had come.

    Verdicts and envelope are read from the object. A receipt that has its decision keeps it; unfinished ones are
    finished. Raises ArchiveObjectMissing.
    """
    key = raw_key(function, receipt_id)
    message = parse(context.archive.get(key))
    recipients = attempt(context.configuration().owners.header_recipients, message, function)
    named = () if isinstance(recipients, Mistake) else recipients
    rebuilt = attempt(receipt_from_message, message, receipt_id, named)
    mistake = next((found for found in (recipients, rebuilt) if isinstance(found, Mistake)), None)
    receipt = bare_receipt(receipt_id, named) if isinstance(rebuilt, Mistake) else rebuilt
    take = relay_reply if function == "reply" else receive
    return take(receipt, key, context, acknowledge=acknowledge, mistake=mistake)
