"""Receipts and records for tests, with default values; keywords set the fields that a test is about."""

from typing import Any

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import acknowledgement_id, forward_id
from email_handler.conversations.records import (
    RECEIVED,
    Contact,
    Conversation,
    Decision,
    LedgerItem,
    Link,
    MessageRecord,
    PendingEvent,
    Reference,
    SendState,
    Status,
)
from email_handler.identifiers import (
    ArchiveKey,
    ConversationId,
    EmailAddress,
    FunctionName,
    LedgerId,
    ReceiptId,
)
from email_handler.ports import Commit
from email_handler.senders.authentication import SesReceipt
from tests.support.fakes import NOW

JANE = EmailAddress("jane@customer.example")
PUBLIC = EmailAddress("contact@example.com")
OWNER = EmailAddress("owner@private.example")
CONVERSATION = ConversationId("c-00000001")


def passed_receipt(**fields: Any) -> SesReceipt:
    """Return SES's receipt of a message from Jane that passed every check."""
    return SesReceipt(
        **{
            "id": ReceiptId("r1"),
            "envelope_sender": JANE,
            "recipients": (PUBLIC,),
            **dict.fromkeys(("spam", "virus", "spf", "dkim", "dmarc"), "PASS"),
            "dmarc_policy": "",
            **fields,
        }
    )


def conversation(**fields: Any) -> Conversation:
    """Return Jane's first conversation, before it is written."""
    return Conversation(
        **{
            "id": CONVERSATION,
            "token": "0123456789",
            "contact": JANE,
            "contact_name": "Jane",
            "public_address": PUBLIC,
            "source": "",
            "subject": "Hello",
            "owner_subject": "Hello",
            "mailboxes": (OWNER,),
            "status": Status.OPEN,
            "verified": True,
            "reply_address": JANE,
            "reply_differs": False,
            "started_at": NOW,
            "updated_at": NOW,
            "received": 1,
            **fields,
        }
    )


def link(receipt: str, contact_id: str = "", owner_id: str = "", **fields: Any) -> Link:
    """Return one message's ids on both sides."""
    owner_ids = {OWNER: owner_id} if owner_id else {}
    return Link(**{"receipt": ReceiptId(receipt), "contact_id": contact_id, "owner_ids": owner_ids, **fields})


def contact(**fields: Any) -> Contact:
    """Return Jane's contact record, before it is written."""
    return Contact(**{"address": JANE, "name": "Jane", "first_at": NOW, "updated_at": NOW, "messages": 1, **fields})


def message(receipt: str = "receipt-1", function: FunctionName = "inbound", **fields: Any) -> MessageRecord:
    """Return the record of a delivered first message."""
    return MessageRecord(
        **{
            "receipt": ReceiptId(receipt),
            "function": function,
            "archive_key": ArchiveKey(f"raw/{function}/{receipt}"),
            "conversation": CONVERSATION,
            "at": NOW,
            "outcome": Outcome.DELIVER,
            "reasons": (Reason(stage="patterns", rule="seo", weight=1.5, detail="sells links"),),
            "score": 1.5,
            "rules_version": "rules-1",
            "sender": JANE,
            "sender_name": "Jane",
            "verified": True,
            "verification": "dmarc pass",
            "public_address": PUBLIC,
            "source": "",
            "subject": "Hello",
            "message_id": "first@customer.example",
            "reply_address": JANE,
            "automatic": "",
            "snippet": "Hello, this is Jane.",
            "size": 1234,
            **fields,
        }
    )


def acknowledgement(receipt: str = "receipt-1", **fields: Any) -> LedgerItem:
    """Return the queued acknowledgement to Jane: the same send for every receipt."""
    return _send(JobKind.ACKNOWLEDGEMENT, acknowledgement_id(JANE), receipt, JANE, fields)


def forward(receipt: str = "receipt-1", **fields: Any) -> LedgerItem:
    """Return the queued forward of one receipt to the owner."""
    key = forward_id(CONVERSATION, ReceiptId(receipt), OWNER)
    return _send(JobKind.FORWARD, key, receipt, OWNER, fields)


def _send(kind: JobKind, key: LedgerId, receipt: str, to: EmailAddress, fields: dict[str, Any]) -> LedgerItem:
    return LedgerItem(
        **{
            "id": key,
            "kind": kind,
            "conversation": CONVERSATION,
            "source": ReceiptId(receipt),
            "source_function": "inbound",
            "archive_key": ArchiveKey(f"raw/inbound/{receipt}"),
            "recipients": (to,),
            "state": SendState.QUEUED,
            "queued_at": NOW,
            "due": NOW,
            **fields,
        }
    )


def reference(local_part: str = "first", **fields: Any) -> Reference:
    """Return the reference of Jane's first message."""
    defaults = {"conversation": CONVERSATION, "receipt": ReceiptId("receipt-1")}
    return Reference(**{"local_part": local_part, **defaults, **fields})


def event(key: str = "event-1") -> PendingEvent:
    """Return an event with a detail of every kind that JSON has."""
    detail = {"version": 1, "score": 1.5, "ids": ["a", "b"], "contact": {"verified": True, "name": None}}
    return PendingEvent(id=key, detail_type="Message Received", detail=detail, at=NOW)


def commit(
    receipt: str = "receipt-1",
    function: FunctionName = "inbound",
    *,
    record: MessageRecord | None = None,
    **fields: Any,
) -> Commit:
    """Return a commit of one receipt's decision and message alone; *fields* add the rest."""
    record = record or message(receipt, function)
    decision = Decision(
        receipt=record.receipt,
        decider=record.function,
        outcome=record.outcome,
        conversation=record.conversation,
        jobs=tuple(item.job for item in fields.get("ledger", ())),
        announces=(RECEIVED,),
        detail={**event().detail, "receipt": record.receipt, "function": record.function, "at": NOW.isoformat()},
    )
    return Commit(decision=decision, message=record, **fields)


def first_contact(receipt: str = "receipt-1", **fields: Any) -> Commit:
    """Return the commit of Jane's first message, acknowledged and forwarded."""
    whole: dict[str, Any] = {
        "conversation": conversation(),
        "contact": contact(),
        "topic": (JANE, "Hello"),
        "references": (reference(receipt=ReceiptId(receipt)),),
        "fingerprint": f"print of {receipt}",
        "ledger": (acknowledgement(receipt), forward(receipt)),
        "counted": {"2026-03-02": 200},
    }
    return commit(receipt, **(whole | fields))
