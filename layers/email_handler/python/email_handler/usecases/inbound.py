"""inbound's use case: a message to a public address becomes one recorded decision."""

from email_handler.conversations.parsed import parse_received
from email_handler.conversations.records import Decision
from email_handler.identifiers import ArchiveKey
from email_handler.mistakes import Mistake
from email_handler.senders.authentication import SesReceipt
from email_handler.usecases.contact_message import decide_contact_message
from email_handler.usecases.context import Context


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
    raw = context.archive.get(archive_key)
    parsed = parse_received(raw, receipt, "inbound", archive_key, context.clock(), mistake)
    return decide_contact_message(parsed, context, acknowledge=acknowledge)
