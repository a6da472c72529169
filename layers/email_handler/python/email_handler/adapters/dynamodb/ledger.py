"""Port SendLedger on the table."""

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from email_handler.adapters.dynamodb import keys
from email_handler.adapters.dynamodb.items import Attributes, Item, read, read_optional, timestamp, write
from email_handler.adapters.dynamodb.records import versioned
from email_handler.adapters.dynamodb.table import ABSENT, Table
from email_handler.conversations.jobs import Job
from email_handler.conversations.records import (
    Contact,
    Conversation,
    LedgerItem,
    MessageRecord,
    Reference,
    SendState,
)
from email_handler.errors import LeaseHeld, RecordChanged, UnknownConversation
from email_handler.identifiers import EmailAddress, LedgerId, SesId
from email_handler.ports import Clock, SendContext, SentCommit

_FIELDS = [field.name for field in fields(LedgerItem)]  # an item need not have all of them


class DynamoLedger:
    """Sends and their states."""

    def __init__(self, client: Any, table: str, clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
        """Use *client* (boto3, DynamoDB) on *table*; *clock* dates events, *pause* (seconds) waits between tries of a
        throttled batch."""
        self._table = Table(client, table, pause)
        self._clock = clock

    def context(self, job: Job) -> SendContext:
        """Return the send of *job* with its conversation and message. One batch reads all, so that the item is as new as
        what the send is composed from. A job does not say which function received its message: both records are read."""
        send, conversation = keys.send(job.ledger), keys.conversation(job.conversation)
        received = [keys.message(job.source, "inbound"), keys.message(job.source, "reply")]
        found = self._table.get_many([send, conversation, *received])
        if send not in found:
            raise UnknownConversation("the table holds no such send")
        item = read(LedgerItem, found[send])
        message = keys.message(item.source, item.source_function)
        if message not in found or (item.conversation and conversation not in found):
            raise UnknownConversation("a send names a conversation or message that the table does not hold")
        return SendContext(
            item=item,
            conversation=read_optional(Conversation, found.get(conversation)),
            message=read(MessageRecord, found[message]),
        )

    def contact(self, address: EmailAddress) -> Contact | None:
        """Return what is known of the contact *address*."""
        return read_optional(Contact, self._table.get(keys.contact(address)))

    def _stored(self, ledger: LedgerId) -> Attributes:
        attributes = self._table.get(keys.send(ledger))
        if attributes is None:
            raise UnknownConversation("the table holds no such send")
        return attributes

    def claim(self, ledger: LedgerId, now: datetime, lease_until: datetime) -> LedgerItem | None:
        """Take the send for one attempt: one conditional write if it is queued, else a read and a second write.

        A random claim id lets a retried write recognise its own claim, so that it does not take itself for another
        worker. It then counts as two attempts. A repetition that comes late finds another state, and changes nothing.
        """
        changes = "#state = :sending, #attempt = #attempt + :one, #lease_until = :lease, #claim = :claim"
        values = {"sending": SendState.SENDING.value, "one": 1, "lease": timestamp(lease_until), "claim": uuid4().hex}
        if_queued = "#state = :queued OR (#state = :sending AND #claim = :claim)"
        queued = values | {"queued": SendState.QUEUED.value}
        claimed = self._table.write(self._table.update(keys.send(ledger), changes, if_queued, queued))
        if claimed is not None:
            return read(LedgerItem, claimed)
        item = read(LedgerItem, self._stored(ledger))
        if item.state not in {SendState.QUEUED, SendState.SENDING}:
            return None
        if item.lease_until is not None and item.lease_until <= now:
            if_expired = "#state = :sending AND (#attempt = :attempt OR #claim = :claim)"
            expired = values | {"attempt": item.attempt, "lost": item.lost + 1}
            changes += ", #lost = :lost"
            claimed = self._table.write(self._table.update(keys.send(ledger), changes, if_expired, expired))
            if claimed is not None:
                return read(LedgerItem, claimed)
        raise LeaseHeld("another worker is sending this; its lease still runs")

    def add(self, item: LedgerItem) -> None:
        """Store *item* unless there is one with its id. Idempotent."""
        attributes = keys.ledger_attributes(item)
        assignments = ", ".join(f"#{name} = :{name}" for name in attributes)
        self._table.write(self._table.update(keys.send(item.id), assignments, ABSENT, attributes))

    def sent(self, commit: SentCommit) -> bool:
        """Record SES's response in one transaction, conditional on the attempt. The same response again is harmless.
        Return whether this attempt has recorded it."""
        item = replace(commit.item, state=SendState.SENT, lease_until=None)
        writes = [
            self._change(item, commit.item.attempt, SendState.SENDING),
            # SES's ids are ours alone: even if a sender claimed this one before, it leads to this send.
            self._table.put(keys.reference(commit.reference.local_part), write(commit.reference)),
            *versioned(self._table, commit.conversation, commit.contact, self._clock()),
            *(self._table.put(keys.send(copy.id), keys.ledger_attributes(copy), ABSENT) for copy in commit.copies),
        ]
        try:
            self._table.transact(writes)
        except RecordChanged:
            stored = read(LedgerItem, self._stored(item.id))
            if stored.ses_id != item.ses_id:  # it is stored with SENT, or not at all
                raise
            return stored.attempt == item.attempt
        return True

    def published(self, ledger: LedgerId) -> None:
        """Take a send whose event is published out of the index, or, if it has come back meanwhile, put it where that one
        has those. Idempotent."""
        key, waits, states = keys.send(ledger), "#unpublished_since", "#state = :state"
        sent, bounced = {"state": SendState.SENT.value}, {"state": SendState.BOUNCED.value}
        if self._table.write(self._table.remove_from(key, f"{waits}, #by_send_state", states, sent)) is None:
            came_back = f"#by_send_state = :state REMOVE {waits}"
            self._table.write(self._table.update(key, came_back, states, bounced))

    def unpublished(self, before: datetime) -> Iterator[LedgerItem]:
        """Yield sends whose event is not published, those queued first before others, page after page. Eventually
        consistent."""
        for attributes in self._table.waiting(keys.send_state(SendState.QUEUED), before):
            item = read(LedgerItem, attributes)
            if item.unpublished_since is not None and item.unpublished_since < before:
                yield item

    def give_back(self, item: LedgerItem, state: SendState, reason: str, due: datetime) -> None:
        """End this attempt without a send, conditional on the attempt and state of *item*."""
        given = replace(item, state=state, reason=reason, due=due, lease_until=None)
        change = self._change(given, item.attempt, item.state)
        # A failed condition is no failure if the item is as wanted: the response to our own write was lost.
        if self._table.write(change) is None and read(LedgerItem, self._stored(item.id)) != given:
            raise RecordChanged("the send is no longer this attempt's")

    def by_id(self, ledger: LedgerId) -> LedgerItem | None:
        """Return the send *ledger*."""
        return read_optional(LedgerItem, self._table.get(keys.send(ledger)))

    def by_ses_id(self, ses_id: SesId) -> LedgerItem | None:
        """Return the send that SES knows as *ses_id*."""
        reference = read_optional(Reference, self._table.get(keys.reference(ses_id)))
        return self.by_id(reference.ledger) if reference and reference.ledger else None

    def _change(self, item: LedgerItem, attempt: int, state: SendState) -> Item:
        """Return the write that stores *item*, if the stored attempt and state are these."""
        attributes = keys.ledger_attributes(item)
        gone = [name for name in (*_FIELDS, "by_send_state") if name not in attributes]
        assignments = ", ".join(f"#{name} = :{name}" for name in attributes)
        removals = f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        return self._table.update(
            keys.send(item.id),
            assignments + removals,
            "#attempt = :read_attempt AND #state = :read_state",
            attributes | {"read_attempt": attempt, "read_state": state.value},
        )
