"""The audit: what has no end yet, looked at from outside; nothing is changed: every mail has one state."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import batched
from typing import Literal

from email_handler.conversations.records import LedgerItem, SendState
from email_handler.identifiers import ArchiveKey, FunctionName, ReceiptId
from email_handler.ports import Archive, Clock, Records, SendLedger
from email_handler.usecases.context import HELD_FOR
from email_handler.usecases.reconcile import SETUP_OBJECT

SETTLED = timedelta(minutes=15)  # Lambda's own retries come after one and two minutes; before that nothing is late
ALL = 10**9
_AT_ONCE = 8  # decisions read side by side: an archive of years is one read for each mail
_BATCH = 200


class Trouble(StrEnum):
    """What can be wrong with one mail or one send."""

    STATELESS = "stateless"  # a stored mail about which nothing was decided
    UNFINISHED = "unfinished"  # decided, but its jobs or events are not out
    OVERDUE = "overdue"  # a send that is queued past its time, or sending past its lease
    UNPUBLISHED = "unpublished"  # sent, but its event is not out
    FAILED = "failed"  # a send that was parked and waits for redrive
    UNKNOWN = "unknown"  # an acknowledgement that may have left or not: by promise 2 it is not sent again

    @property
    def stuck(self) -> bool:
        """Tell whether somebody must act: everything but UNKNOWN, which is an end, if an unsure one."""
        return self is not Trouble.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One mail, decision or send that was looked at."""

    id: str  # receipt or ledger id
    function: FunctionName | Literal[""]  # whose mail it is; "" for a send
    trouble: Trouble | None  # None: it has its end, or is on its way to it
    since: datetime | None = None  # when it was stored or due; None where the records do not say
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
    """Yield everything that was looked at: each raw object (stored after *since*, if that is given), each unfinished
    decision, each send without SES's answer, each event left over. Pages through any number.

    What is younger than *settled* is on its way and no trouble. A mail older than held mail is kept has none either:
    its record may have expired.
    """
    limit = clock() - settled
    told: set[tuple[str, str]] = set()
    for function in ("inbound", "reply"):
        for mail in _mails(function, archive, records, clock() - HELD_FOR, limit, since):
            if mail.trouble:
                told.add((mail.id, mail.function))
            yield mail
    for decision in records.unfinished(limit):  # the operator's decisions and feedback's among them
        if (decision.receipt, decision.function) not in told:
            yield Audited(id=decision.receipt, function=decision.function, trouble=Trouble.UNFINISHED)
    for state in (SendState.QUEUED, SendState.SENDING, SendState.UNKNOWN, SendState.FAILED):
        for item in records.find("send_state", state, limit=ALL):
            if isinstance(item, LedgerItem):
                yield _send(item, limit)
    for ledger_id, event in ledger.unpublished(limit):
        yield Audited(id=ledger_id, function="", trouble=Trouble.UNPUBLISHED, since=event.at)


def _mails(
    function: FunctionName,
    archive: Archive,
    records: Records,
    expired: datetime,
    limit: datetime,
    since: datetime | None,
) -> Iterator[Audited]:
    stored = (
        (key, modified)
        for key, modified in archive.keys(f"raw/{function}/")
        if not key.endswith(f"/{SETUP_OBJECT}") and (since is None or modified >= since)
    )
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for batch in batched(stored, _BATCH):
            yield from pool.map(partial(_mail, function, records, expired, limit), *zip(*batch, strict=True))


def _mail(
    function: FunctionName, records: Records, expired: datetime, limit: datetime, key: ArchiveKey, modified: datetime
) -> Audited:
    receipt = ReceiptId(key.rpartition("/")[2])
    decision = records.decision(receipt, function)
    trouble = None
    if expired < modified <= limit:
        trouble = Trouble.STATELESS if decision is None else None if decision.done else Trouble.UNFINISHED
    return Audited(id=receipt, function=function, trouble=trouble, since=modified)


def _send(item: LedgerItem, limit: datetime) -> Audited:
    ends = max(item.due, item.lease_until or item.due)
    match item.state:
        case SendState.UNKNOWN:
            trouble: Trouble | None = Trouble.UNKNOWN
        case SendState.FAILED:
            trouble = Trouble.FAILED
        case _:
            trouble = Trouble.OVERDUE if ends <= limit else None
    return Audited(id=item.id, function="", trouble=trouble, since=ends, reason=item.reason)
