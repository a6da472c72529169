"""The reconciler: stored messages without a state are taken up, stuck sends are queued again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from email_handler.conversations.keys import SETUP_OBJECT, raw_key, raw_prefix, receipt_of
from email_handler.conversations.records import Decision, LedgerItem, PendingEvent, SendState
from email_handler.errors import EmailHandlerError
from email_handler.identifiers import FunctionName, LedgerId, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt
from email_handler.senders.authentication import bare_receipt, receipt_from_message
from email_handler.usecases.context import Context
from email_handler.usecases.decision import finish
from email_handler.usecases.inbound import receive
from email_handler.usecases.reply import relay_reply

SETTLED = timedelta(hours=7)  # asynchronous invocations are retried for six hours; before that, wait
LOOK_BACK = timedelta(days=8)  # a daily pass that failed for a week still misses nothing
OVERDUE = timedelta(hours=1)
MANY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What one pass did."""

    seen: int
    taken_up: tuple[ReceiptId, ...]
    finished: int
    queued: int
    failed: Mapping[str, str]  # what could not be taken up or finished (receipt or ledger id), and why: no addresses


def reconcile(function: FunctionName, context: Context) -> Reconciled:
    """Take up what one receiving function left: raw objects without a decision, decisions with jobs or events not out;
    and (inbound, for all senders) ledger items overdue by an hour and unpublished events of sends.
    Idempotent: every step is the ordinary one.

    Never acknowledges: an acknowledgement hours later helps nobody. What fails with one message, decision or event is
    reported and the pass goes on with the others; the next pass tries it again.
    """
    now = context.clock()
    seen = 0
    taken_up: list[ReceiptId] = []
    failed: dict[str, str] = {}
    for key, modified in context.archive.keys(raw_prefix(function)):
        receipt = receipt_of(key)
        if receipt == SETUP_OBJECT or not now - LOOK_BACK <= modified <= now - SETTLED:
            continue
        seen += 1
        decision = context.records.decision(receipt, function)
        if decision is not None and decision.done:
            continue
        if _succeeds(failed, receipt, take_up, receipt, function, context):
            taken_up.append(receipt)
    finished = 0
    for left in context.records.unfinished(now - OVERDUE):
        if (left.decider == "reply") == (function == "reply"):  # the operator's decisions are inbound's to finish
            finished += _succeeds(failed, left.receipt, finish, left, context)
    if function == "inbound":
        for ledger, event in context.ledger.unpublished(now - OVERDUE):
            finished += _succeeds(failed, ledger, _publish, ledger, event, context)
    return Reconciled(
        seen=seen,
        taken_up=tuple(taken_up),
        finished=finished,
        queued=_queue_overdue(context, now - OVERDUE) if function == "inbound" else 0,
        failed=failed,
    )


def _succeeds[*A](failed: dict[str, str], name: str, step: Callable[[*A], object], *args: *A) -> bool:
    """Take *step* and return whether it succeeded; if not, *failed* gets the reason under *name*.

    Any error counts, a mistake of ours too: one message that always fails must not keep all others waiting, day after
    day. An outage ends the pass at its own next read.
    """
    try:
        step(*args)
    except EmailHandlerError as error:
        failed[name] = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - see above
        failed[name] = type(error).__name__  # its text may quote the message
    else:
        return True
    return False


def _publish(ledger: LedgerId, event: PendingEvent, context: Context) -> None:
    context.events.publish([event])
    context.ledger.published(ledger)


def take_up(receipt_id: ReceiptId, function: FunctionName, context: Context) -> Decision:
    """Run a receiving function's use case for a stored message as if its event had come, but never acknowledge.

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
    return take(receipt, key, context, acknowledge=False, mistake=mistake)


def _queue_overdue(context: Context, limit: datetime) -> int:
    count = 0
    for state in (SendState.QUEUED, SendState.SENDING):
        for item in context.records.find("send_state", state, limit=MANY):
            if isinstance(item, LedgerItem) and item.ends_at < limit:
                context.jobs.queue([item.job])
                count += 1
    return count
