"""What waits: replies that have not left yet, and conversations that the owner has put off. For commands by mail and the
operator's alike."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import reminder_id
from email_handler.conversations.records import REMINDER, Conversation, LedgerItem, MessageRecord, SendState
from email_handler.errors import RecordChanged
from email_handler.identifiers import EmailAddress
from email_handler.ports import SendLedger
from email_handler.usecases.decision import new_send


def can_be_cancelled(send: LedgerItem) -> bool:
    """Return whether *send* has surely not left: no sender has it, and no response to an earlier attempt was lost."""
    return send.state is SendState.QUEUED and not send.lost


def cancel(send: LedgerItem, reason: str, ledger: SendLedger) -> LedgerItem | None:
    """Cancel *send* for *reason* if it can be cancelled, and return it as it is then; None if it is gone.

    One conditional write decides: a sender that claims it afterwards skips it, and one that was faster sends it.
    """
    if can_be_cancelled(send):
        with suppress(RecordChanged):  # a sender was faster
            ledger.give_back(send, SendState.CANCELLED, reason, send.due)
    return ledger.by_id(send.id)


_NOT_CANCELLED = {
    SendState.QUEUED: "may have left already, and is not cancelled",
    SendState.SENDING: "is leaving at this moment, and is not cancelled",
    SendState.SENT: "has left already",
    SendState.BOUNCED: "left, and came back",
    SendState.UNKNOWN: "may have left already",
    SendState.FAILED: "could not be sent: there is nothing to cancel",
    SendState.CANCELLED: "was cancelled already",
}


def describe_cancelled(cancelled: int, last: LedgerItem | None) -> str:
    """Return one or two sentences about *cancelled* replies of a conversation, and its *last* one if that is not among
    them."""
    said = []
    if cancelled:
        emails = "Your email is" if cancelled == 1 else f"{cancelled} of your emails are"
        said.append(f"{emails} cancelled and will not be sent.")
    if last is not None:
        said.append(f"Your last email {_NOT_CANCELLED[last.state]}.")
    return " ".join(said) or "None of your emails is waiting in this conversation."


def wakes_at(now: datetime, days: int) -> datetime:
    """Return when a conversation that is put off *now* for *days* wakes: at the beginning of that hour, since a pass
    reminds the owner and runs every hour."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(days=days)


def reminder(
    conversation: Conversation, record: MessageRecord, recipients: Sequence[EmailAddress], until: datetime
) -> LedgerItem:
    """Return the notice that *conversation* is put off until *until*. It quotes nothing of *record*, and is not sent if
    the conversation is not put off until just then any more."""
    notice = new_send(JobKind.NOTICE, reminder_id(conversation.id, until), record, recipients, note=REMINDER)
    return replace(notice, due=until)
