"""The daily look at what came back: past a limit, doubtful messages are held instead of forwarded.

Counted in our own archive and ledger, not asked of CloudWatch: its rates come without the numbers that tell chance from
a pattern, and leave out bounces that arrive as messages.
"""

from collections.abc import Collection
from datetime import timedelta

from email_handler.conversations.disposition import Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import SENT, sent_prefix
from email_handler.conversations.records import LedgerItem, SendState
from email_handler.conversations.reputation import Returns
from email_handler.identifiers import ReceiptId
from email_handler.ports import Question
from email_handler.senders.bounces.feedback import FeedbackKind
from email_handler.usecases.context import Context
from email_handler.values import dataclass

COMPLAINED = str(Reason(stage="feedback", rule=FeedbackKind.COMPLAINT))  # among the reasons of a send that came back
LOOK_BACK = timedelta(days=7)
MANY = 1000  # of the latest bounces
TO_OWNER = (JobKind.FORWARD, JobKind.NOTICE)  # of one configuration set
TO_CONTACTS = (JobKind.ACKNOWLEDGEMENT, JobKind.REPLY)  # of the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Reputation:
    """What the look found."""

    cautious: bool  # whether doubtful messages are to be held from now on
    changed: bool  # whether it was otherwise before
    conditions: tuple[str, ...]  # sentences for the operator: a change once, contacts' returns while they last


def look_at_reputation(context: Context) -> Reputation:
    """Return what the last week's bounces and complaints ask for. It changes nothing: see :func:`put_in_force`."""
    to_owner, to_contacts = (_returns(kinds, context) for kinds in (TO_OWNER, TO_CONTACTS))
    question = Question(receipt=ReceiptId("reputation"), decider="inbound")
    before, cautious = context.records.look_up(question).cautious, to_owner.excessive
    conditions = []
    if cautious and not before:
        conditions.append(
            f"Too many forwards come back ({to_owner}), for which SES pauses accounts: from now on, messages that are "
            "flagged or not verified are held instead of forwarded. email-handler list --send bounced, then why ID for "
            "what your mailbox's server says."
        )
    if before and not cautious:
        conditions.append(
            f"Forwards no longer come back ({to_owner}): messages that are flagged or not verified are forwarded again. "
            "email-handler held list shows what was held."
        )
    if to_contacts.excessive:
        conditions.append(
            f"Too many acknowledgements and replies come back ({to_contacts}), for which SES pauses accounts: "
            "email-handler list --send bounced. Lower AckDailyCap if the addresses are forged."
        )
    return Reputation(cautious=cautious, changed=cautious != before, conditions=tuple(conditions))


def put_in_force(found: Reputation, context: Context) -> None:
    """Put *found* in force. Call it after the report was published: a crash in between repeats the report."""
    if found.changed:
        context.records.set_cautious(found.cautious)


def _returns(kinds: Collection[JobKind], context: Context) -> Returns:
    since = context.clock() - LOOK_BACK
    sent = sum(
        modified >= since and key.endswith(SENT)
        for kind in kinds
        for key, modified in context.archive.keys(sent_prefix(kind))
    )
    came_back = [
        item
        for item in context.records.find("send_state", SendState.BOUNCED, limit=MANY)
        if isinstance(item, LedgerItem) and item.kind in kinds and item.queued_at >= since
    ]
    complained = sum(COMPLAINED in item.reason for item in came_back)
    return Returns(sent=sent, bounced=len(came_back) - complained, complained=complained)
