"""Whose turn it is in a conversation, as the operator sets it; and replies that have not left yet."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from email_handler.conversations.evolve import awaiting
from email_handler.conversations.records import Conversation, LedgerItem, SendState, Status
from email_handler.usecases.waiting import can_be_cancelled, reminder, wakes_at
from email_handler.usecases.waiting import cancel as cancel_reply
from operations.connection import Connection


def snooze(connection: Connection, conversation: Conversation, days: int, now: datetime) -> datetime:
    """Put *conversation* off for *days* from *now*; return when its reminder is due. Another snooze moves it."""
    until = wakes_at(now, days)
    put_off(connection, conversation, until, now)
    return until


def put_off(connection: Connection, conversation: Conversation, until: datetime, now: datetime) -> None:
    """Put *conversation* off until *until*, the beginning of an hour. Again until then is harmless."""
    *_, latest = connection.records.messages(conversation.id)
    notice = reminder(conversation, latest, conversation.mailboxes, until)
    connection.ledger.add(replace(notice, queued_at=now))  # first: of a reminder for nothing, nobody hears
    connection.operator.put_snoozed(conversation.id, until, notice.id)


def reopen(connection: Connection, conversation: Conversation) -> Status:
    """Let *conversation* wait for a reply again, whatever it is now; return its status."""
    status = awaiting(conversation)
    connection.operator.put_status(conversation.id, status)
    return status


def cancel(connection: Connection, replies: Sequence[LedgerItem]) -> list[tuple[LedgerItem, bool]]:
    """Cancel those of *replies* that have not left; return each as it is then, and whether this cancelled it."""
    asked = [(reply, cancel_reply(reply, "cancelled by the operator", connection.ledger)) for reply in replies]
    return [
        (after, can_be_cancelled(before) and after.state is SendState.CANCELLED) for before, after in asked if after
    ]
