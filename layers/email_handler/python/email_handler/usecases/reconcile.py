"""The reconciler: what was stored and has no state is taken up; what is stuck is queued again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from email_handler.conversations.records import Decision, LedgerItem, PendingEvent, SendState
from email_handler.errors import EmailHandlerError
from email_handler.identifiers import ArchiveKey, FunctionName, LedgerId, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import receipt_from_message
from email_handler.usecases.context import Context, finish
from email_handler.usecases.inbound import receive
from email_handler.usecases.reply import relay_reply

SETTLED = timedelta(hours=7)  # asynchronous invocations are retried for six hours; before that, wait
LOOK_BACK = timedelta(days=8)  # a daily pass that failed for a week still misses nothing
OVERDUE = timedelta(hours=1)
SETUP_OBJECT = "AMAZON_SES_SETUP_NOTIFICATION"  # SES writes it when a rule is made; it is no mail
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
    """Take up what one receiving function left: raw objects without a decision, decisions whose jobs or events are
    not out; and (inbound, for all senders) ledger items overdue by an hour and events of sends not published.
    Idempotent: every step is the ordinary one.

    Never acknowledges: hours later nobody wants one. What fails with one message, decision or event is reported, and
    the pass goes on with the others; the next one tries it again.
    """
    now = context.clock()
    seen = 0
    taken_up: list[ReceiptId] = []
    failed: dict[str, str] = {}
    for key, modified in context.archive.keys(f"raw/{function}/"):
        receipt = ReceiptId(key.rpartition("/")[2])
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
        if (left.function == "reply") == (function == "reply"):  # the operator's decisions are inbound's to finish
            finished += _succeeds(failed, left.receipt, finish, left, context)
    if function == "inbound":
        for ledger, event in context.ledger.unpublished(now - OVERDUE):
            finished += _succeeds(failed, ledger, _publish, ledger, event, context)
    return Reconciled(
        seen=seen,
        taken_up=tuple(taken_up),
        finished=finished,
        queued=_queue_overdue(context) if function == "inbound" else 0,
        failed=failed,
    )


def _succeeds[*A](failed: dict[str, str], name: str, step: Callable[[*A], object], *args: *A) -> bool:
    """Take *step* and tell whether it went through; else *failed* gets why under *name*. Any error counts, a mistake of
    ours too: one mail that always fails must not keep all others waiting, day after day. An outage ends the pass at its
    own next reading."""
    try:
        step(*args)
    except EmailHandlerError as error:
        failed[name] = f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - see above
        failed[name] = type(error).__name__  # what else it says may quote the mail
    else:
        return True
    return False


def _publish(ledger: LedgerId, event: PendingEvent, context: Context) -> None:
    context.events.publish([event])
    context.ledger.published(ledger)


def take_up(receipt_id: ReceiptId, function: FunctionName, context: Context) -> Decision:
    """Run a receiving function's use case for a stored message as if its event had come, but never acknowledge.

    Verdicts and envelope are read from the object. A receipt that has its decision keeps it; what was not finished
    is finished. Raises ArchiveObjectMissing.
    """
    key = ArchiveKey(f"raw/{function}/{receipt_id}")
    message = parse(context.archive.get(key))
    receipt = receipt_from_message(message, receipt_id, context.owners.header_recipients(message, function))
    if function == "reply":
        return relay_reply(receipt, key, context, acknowledge=False)
    return receive(receipt, key, context, acknowledge=False)


def _queue_overdue(context: Context) -> int:
    now = context.clock()
    count = 0
    for state in (SendState.QUEUED, SendState.SENDING):
        for item in context.records.find("send_state", state, limit=MANY):
            if isinstance(item, LedgerItem) and _overdue(item, now - OVERDUE):
                context.jobs.queue([item.job])
                count += 1
    return count


def _overdue(item: LedgerItem, limit: datetime) -> bool:
    """Tell whether nobody has touched *item* since *limit*: due then, and no lease runs."""
    return max(item.due, item.lease_until or item.due) < limit
