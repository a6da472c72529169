"""The table's keys and what its indexes see of each item.

Keys, as ``pk / sk``:

====================== ================================= ==========================================================
RECEIPT#<receipt>      DECISION#<decider>                Decision; ``by_send_state`` = ``unfinished`` until finished;
                                                         the operator's have ``by_verdict`` = ``decided``
RECEIPT#<receipt>      MESSAGE#<function>                MessageRecord
CONV#<conversation>    CONV                              Conversation
CONV#<conversation>    MESSAGE#<at>#<receipt>#<function> which messages are its own, in order
CONTACT#<address>      CONTACT                           Contact
TOPIC#<address>        SUBJECT#<base subject>            the contact's latest conversation with that subject
REF#<local part>       REF                               Reference
PRINT#<fingerprint>    PRINT                             first (receipt, decider) of a message, for 3 days
SEND#<ledger id>       SEND                              LedgerItem
COUNT#<counter>        COUNT                             how much was counted: a day's acknowledgements
LIST                   <address or domain>               the operator's allow-list and block-list
CAUTION                CAUTION                           whether doubtful messages are held instead of forwarded
PASS                   <name>                            where a pass goes on that did not end, or what it did last
LEARNED                <receipt>                         Example, which the personal model is made of
ERASED                 COUNT                             how often something was erased
ERASED                 <at>#<digest>                     that a conversation or a message was erased, for search indexes
====================== ================================= ==========================================================

Addresses are written as :func:`email_handler.mail.addresses.mailbox_key` has them: one mailbox is one contact.
"""

import hashlib
from datetime import UTC, datetime

from email_handler.adapters.dynamodb.items import Attributes, key_part, read, timestamp, write
from email_handler.adapters.dynamodb.table import Key
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.records import Conversation, Decision, LedgerItem, MessageRecord, SendState
from email_handler.identifiers import Decider, FunctionName, LedgerId, ReceiptId
from email_handler.mail.addresses import address_domain, ascii_domain, mailbox_key

INDEXES = {
    **dict.fromkeys(("contact", "domain", "public_address", "source", "day"), "started_at"),
    **dict.fromkeys(("status", "verdict", "send_state"), "at"),
}
"""The table's indexes, each with hash key ``by_<name>``, and their range keys. They hold keys and what :data:`STAMPS` names;
all else is read from the table. A conversation keeps its place in the first five (``started_at`` is its own), so that
what happens in it later costs nothing there."""

STAMPS = {"status": ("id", "version"), "verdict": ("receipt", "function", "conversation", "reasons")}
"""What tells the search index, without a read of the table, whether something has changed."""

UNFINISHED = "unfinished"
"""Value of ``by_send_state`` that is not the state of a send."""

DECIDED = "decided"
"""Value of ``by_verdict`` of the operator's decisions about held messages."""

_VERDICTS = {Outcome.HOLD: "held", Outcome.FLAG: "flagged", Outcome.DROP: "dropped"}


def decision(receipt: ReceiptId, decider: Decider) -> Key:
    """Return the key of a decision."""
    return f"RECEIPT#{key_part(receipt)}", f"DECISION#{decider}"


def message(receipt: ReceiptId, function: FunctionName) -> Key:
    """Return the key of a message."""
    return f"RECEIPT#{key_part(receipt)}", f"MESSAGE#{function}"


def conversation(conversation: str) -> Key:
    """Return the key of a conversation."""
    return f"CONV#{key_part(conversation)}", "CONV"


def pointer(message: MessageRecord) -> Key:
    """Return the key by which a conversation lists *message*."""
    at = timestamp(message.at)
    return f"CONV#{key_part(message.conversation)}", f"MESSAGE#{at}#{key_part(message.receipt)}#{message.function}"


def contact(address: str) -> Key:
    """Return the key of a contact."""
    return f"CONTACT#{key_part(mailbox(address))}", "CONTACT"


def topic(contact: str, subject: str) -> Key:
    """Return the key of a contact's latest conversation with a base subject."""
    return f"TOPIC#{key_part(mailbox(contact))}", f"SUBJECT#{key_part(subject.casefold())}"


def reference(local_part: str) -> Key:
    """Return the key of a Message-ID's part before ``@``."""
    return f"REF#{key_part(local_part)}", "REF"


def fingerprint(fingerprint: str) -> Key:
    """Return the key of a fingerprint."""
    return f"PRINT#{key_part(fingerprint)}", "PRINT"


def send(ledger: LedgerId | str) -> Key:
    """Return the key of a send."""
    return f"SEND#{key_part(ledger)}", "SEND"


def count(counter: str) -> Key:
    """Return the key of a counter."""
    return f"COUNT#{key_part(counter)}", "COUNT"


CAUTION: Key = ("CAUTION", "CAUTION")
"""The key of whether doubtful messages are held."""


def checkpoint(name: str) -> Key:
    """Return the key of where the work *name* goes on."""
    return "PASS", key_part(name)


LEARNED = "LEARNED"
"""The partition of what the personal model is made of."""


def learned(receipt: ReceiptId) -> Key:
    """Return the key of the example that a message is."""
    return LEARNED, key_part(receipt)


ERASURES: Key = ("ERASED", "COUNT")
"""The key of how often something was erased."""


def erased(id_: str, at: datetime) -> Key:
    """Return the key that tells those who know the id of a conversation or a message that it was erased."""
    return ERASURES[0], f"{timestamp(at)}#{digest(id_)}"


def digest(id_: str) -> str:
    """Return what is kept of an id that was erased: those of LinkedIn persons are names."""
    return hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()


def listed(entry: str) -> Key:
    """Return the key of an entry of the operator's lists."""
    return "LIST", key_part(mailbox(entry)) or "-"


def mailbox(address: str) -> str:
    """Return *address* as keys and indexes have it; an address that is none, or a domain, as domains are compared."""
    return mailbox_key(address) or ascii_domain(address)


# Index attributes: none for a missing value, since a sparse index costs only what it holds.


def indexed(at: datetime, **values: str) -> Attributes:
    """Return the attributes that put an item of time *at* into the indexes named, under their values."""
    by = {f"by_{name}": key_part(mailbox(value)) for name, value in values.items() if value}
    return by | {"at": timestamp(at)} if by else {}


def conversation_attributes(conversation: Conversation, now: datetime) -> Attributes:
    """Return a conversation's item, written *now*, without its key.

    Its time in the indexes is that of the write, whatever was changed: who looks for changes need not look further back.
    """
    by_index = indexed(
        max(now, conversation.updated_at),
        contact=conversation.contact,
        domain=address_domain(conversation.contact),
        status=conversation.status,
        public_address=conversation.public_address,
        source=conversation.source,
        day=conversation.started_at.astimezone(UTC).date().isoformat(),
    )
    return {"type": "conversation", **write(conversation), **by_index}


def decision_attributes(decision: Decision) -> Attributes:
    """Return a decision's item without its key and its places in the indexes. Its jobs say only what the decision does
    not: most are about its own message."""
    attributes = write(decision)
    shared = _shared(attributes)
    own = [{name: value for name, value in job.items() if shared.get(name) != value} for job in attributes["jobs"]]
    return {**attributes, "jobs": own}


def read_decision(attributes: Attributes) -> Decision:
    """Return the decision that *attributes* hold."""
    return read(Decision, {**attributes, "jobs": [_shared(attributes) | job for job in attributes["jobs"]]})


def _shared(decision: Attributes) -> Attributes:
    return {
        "conversation": decision["conversation"],
        "source": decision["receipt"],
        "archive_key": decision.get("detail", {}).get("archive_key"),
    }


def message_attributes(message: MessageRecord) -> Attributes:
    """Return a message's item without its key."""
    by_index = indexed(message.at, verdict=_VERDICTS.get(message.outcome, ""))
    return {"type": "message", **write(message), **by_index}


def ledger_attributes(item: LedgerItem) -> Attributes:
    """Return a send's item without its key."""
    state = send_state(SendState.QUEUED if item.unpublished_since else item.state)
    return {"type": "send", **write(item), **indexed(item.queued_at, send_state=state)}


def send_state(state: str) -> str:
    """Return under what the index has a send in *state*, "" if it is not there. Queued and sending are one, and so is sent
    until the event is published: a claim and SES's response, which every send needs, then change nothing in the index."""
    return {"sent": "", "sending": "queued"}.get(state, state)
