"""inbound's use case: a message to a public address becomes one recorded decision."""

from dataclasses import replace
from datetime import datetime

from email_handler.conversations.parsed import parse_received
from email_handler.conversations.records import Decision
from email_handler.identifiers import ArchiveKey
from email_handler.mistakes import Mistake, attempt
from email_handler.senders.authentication import SesReceipt
from email_handler.senders.machines import is_null_sender
from email_handler.usecases.contact_message import decide_contact_message, message_question
from email_handler.usecases.context import Context
from email_handler.usecases.decision import Early
from email_handler.usecases.side_by_side import SideBySide


def receive(
    receipt: SesReceipt,
    archive_key: ArchiveKey,
    context: Context,
    *,
    acknowledge: bool = True,
    mistake: Mistake | None = None,
) -> Decision:
    """Decide about a message to a public address: exactly one recorded state, whatever the message.

    The decision is taken at most once for a receipt; its forward is sent at least once, its acknowledgement at most
    once per contact. *acknowledge* is False for what the reconciler finds a day later: an acknowledgement helps nobody then.
    *mistake* is what kept it from rebuilding *receipt* in full.
    Raises transient errors only; the invocation is then repeated and finds or takes the decision.
    """
    at = context.clock()
    with SideBySide() as beside:
        reading = beside.begin(context.archive.get, archive_key)
        early = _look_up_early(receipt, archive_key, at, context)
        raw = reading.result()
    parsed = parse_received(raw, receipt, "inbound", archive_key, at, mistake)
    return decide_contact_message(parsed, context, acknowledge=acknowledge, early=early)


def _look_up_early(receipt: SesReceipt, archive_key: ArchiveKey, at: datetime, context: Context) -> Early | None:
    """Return what is known of a message by the headers in SES's event; None if there are none, or it is a bounce, which
    is about what its body names. Nothing is decided by these headers: it counts only if the message asks the same."""
    if not receipt.headers or is_null_sender(receipt.envelope_sender):
        return None
    head = parse_received(receipt.headers + b"\r\n", receipt, "inbound", archive_key, at)
    question = attempt(message_question, head)
    if isinstance(question, Mistake):
        return None
    question = replace(question, fingerprints=())
    return Early(question=question, known=context.records.look_up(question))
