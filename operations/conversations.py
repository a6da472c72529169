"""Conversations, messages and sends as an operator looks them up."""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from typing import Any

from email_handler.conversations.disposition import Reason
from email_handler.conversations.records import Conversation, Decision, LedgerItem, MessageRecord, Status
from email_handler.identifiers import ConversationId, Decider, LedgerId
from operations.connection import Connection
from operations.errors import CommandError

STATUSES = {
    Status.OPEN: "no reply yet",
    Status.ANSWERED: "you wrote last",
    Status.WAITING: "the contact has written since your last reply",
    Status.SNOOZED: "you put it off; a new message ends that",
    Status.CLOSED: "a new message opens it again",
    Status.SPAM: "a new message does not open it",
}
"""What each status means, for people."""


def latest(connection: Connection, limit: int) -> list[Conversation]:
    """Return the *limit* conversations that changed last, whatever their status."""
    found = chain(*(connection.records.find("status", status, limit) for status in Status))
    conversations = [entry for entry in found if isinstance(entry, Conversation)]
    return sorted(conversations, key=lambda conversation: conversation.updated_at, reverse=True)[:limit]


def public_fields(record: Any) -> dict[str, Any]:
    """Return a record as JSON shows it: without a conversation's token, which would let any reader write into it."""
    return {name: value for name, value in asdict(record).items() if name != "token"}


def headline(message: MessageRecord) -> str:
    """Return a message's sender and subject."""
    return f"{message.sender_name or message.sender or 'nobody'}: {message.subject}"


def describe_reason(reason: Reason) -> str:
    """Return one reason in full."""
    weight = f" {reason.weight:+g}" if reason.weight else ""
    return f"{reason}{weight}" + (f" ({reason.detail})" if reason.detail else "")


def find_conversation(connection: Connection, identifier: str) -> Conversation:
    """Return the conversation with that id, in any case. Raises CommandError if there is none."""
    conversation = connection.records.conversation(ConversationId(identifier.lower()))
    if conversation is None:
        raise CommandError(f"there is no conversation {identifier} in {connection.where}: email-handler list")
    return conversation


def decisions_of(connection: Connection, message: MessageRecord) -> list[Decision]:
    """Return what was decided about a message: by the function that received it, then by the operator."""
    deciders: list[Decider] = [message.function]
    if any(reason.stage == "operator" for reason in message.reasons):
        deciders.append("operator")
    found = (connection.records.decision(message.receipt, decider) for decider in deciders)
    return [decision for decision in found if decision]


def sends_of(connection: Connection, message: MessageRecord) -> list[LedgerItem]:
    """Return the sends that a message caused, as they are in the ledger now, each before the copies that it caused."""
    jobs = [job for decision in decisions_of(connection, message) for job in decision.jobs]
    caused = ledger_items(connection, [job.ledger for job in jobs])
    return [one for send in caused for one in (send, *ledger_items(connection, send.copies))]


def ledger_items(connection: Connection, ledgers: Iterable[LedgerId]) -> list[LedgerItem]:
    """Return the sends with these ids, as they are in the ledger now."""
    return [found for found in map(connection.ledger.by_id, ledgers) if found]
