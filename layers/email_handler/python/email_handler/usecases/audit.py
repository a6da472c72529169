"""The audit: everything that is not finished yet, looked at from outside. It changes nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import batched
from typing import Literal

from email_handler.conversations.keys import SETUP_OBJECT, feedback_prefix, raw_prefix, receipt_of
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import Decider, FunctionName
from email_handler.ports import Archive, Clock, Records, SendLedger
from email_handler.usecases.decision import HELD_FOR
from email_handler.values import dataclass

SETTLED = timedelta(minutes=15)  # Lambda retries after one and two minutes; before that nothing is late
ALL = 10**9
_BATCH = 1000  # messages whose decisions are read together: an archive of years is one key of a batch for each message


class Trouble(StrEnum):
    """What can be wrong with one message or one send."""

    STATELESS = "stateless"  # a stored message, or an event of SES about a send, without a decision
    UNFINISHED = "unfinished"  # decided, but its jobs or events are not out
    OVERDUE = "overdue"  # a send that is queued past its time, or sending past its lease
    UNPUBLISHED = "unpublished"  # sent, but its event is not out
    FAILED = "failed"  # a send that was dead-lettered and waits for redrive
    UNDECIDED = "undecided"  # a send that may have left as often as it may: a person sends it again, or discards it
    UNKNOWN = "unknown"  # an acknowledgement that may have left, or what a person discarded: it is not sent again

    @property
    def stuck(self) -> bool:
        """Return whether somebody must act: everything but UNKNOWN, which is an end, if an uncertain one."""
        return self is not Trouble.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One message, decision or send that was looked at."""

    id: str  # receipt or ledger id
    function: Decider | Literal[""]  # who decides about the message; "" for a send
    trouble: Trouble | None  # None: it has ended, or is on its way
    since: datetime | None = None  # when it was stored or due; None if the records do not say
    reason: str = ""


def audit(
    *,
    archive: Archive,
    records: Records,
    ledger: SendLedger,
    clock: Clock,
    settled: timedelta = SETTLED,
    since: datetime | None = None,
) -> Iterator[Audited]:
    """Yield everything that was looked at: each raw object (stored after *since*, if given), each unfinished decision,
    each send without SES's response, each unpublished event. Pages through any number.

    Anything younger than *settled* is on its way. A message older than held ones are kept is no trouble either: its
    record may have expired.
    """
    limit, expired = clock() - settled, clock() - HELD_FOR
    places: tuple[tuple[str, FunctionName], ...] = (
        (raw_prefix("inbound"), "inbound"),
        (raw_prefix("reply"), "reply"),
        (feedback_prefix(), "inbound"),
    )
    for prefix, function in places:
        stored = (found for found in archive.keys(prefix) if since is None or found[1] >= since)
        for batch in batched(stored, _BATCH):
            times = {receipt_of(key): modified for key, modified in batch if receipt_of(key) != SETUP_OBJECT}
            undecided = set(records.undecided(tuple(times), function))
            for receipt, modified in times.items():
                stateless = receipt in undecided and expired < modified <= limit
                trouble = Trouble.STATELESS if stateless else None
                yield Audited(id=receipt, function=function, trouble=trouble, since=modified)
    for decision in records.unfinished(limit):
        yield Audited(id=decision.receipt, function=decision.decider, trouble=Trouble.UNFINISHED)
    for state in (SendState.QUEUED, SendState.SENDING, SendState.UNKNOWN, SendState.FAILED):
        for item in records.find("send_state", state, limit=ALL):
            if isinstance(item, LedgerItem):
                yield _send(item, limit)
    for sent in ledger.unpublished(limit):
        yield Audited(id=sent.id, function="", trouble=Trouble.UNPUBLISHED, since=sent.unpublished_since)


def _send(item: LedgerItem, limit: datetime) -> Audited:
    match item.state:
        case SendState.UNKNOWN:
            trouble: Trouble | None = Trouble.UNDECIDED if item.undecided else Trouble.UNKNOWN
        case SendState.FAILED:
            trouble = Trouble.FAILED
        case _:
            trouble = Trouble.OVERDUE if item.ends_at <= limit else None
    return Audited(id=item.id, function="", trouble=trouble, since=item.ends_at, reason=item.reason)
