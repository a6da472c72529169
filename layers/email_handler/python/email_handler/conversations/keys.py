"""Every archive key and every ledger id, each spelled once.

The archive: ``raw/`` as received, ``sent/`` as sent, ``attachments/`` and ``text/`` by conversation and message, and
``config/`` (the operator's documents). A ledger id is a digest of what makes a send unique, so that a second send of
the same thing is visible as such.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime

from email_handler.conversations.jobs import JobKind
from email_handler.identifiers import ArchiveKey, ConversationId, FunctionName, LedgerId, ReceiptId
from email_handler.mail.addresses import address_domain, mailbox_key, organizational_domain, split_tag

NO_CONVERSATION = "none"  # the folder of messages that belong to no conversation
SETUP_OBJECT = ReceiptId("AMAZON_SES_SETUP_NOTIFICATION")  # SES writes it when a rule is created; it is not a message
MAX_NAME = 100  # characters of a file name in a key (S3 takes 1,024 bytes for a whole key)


def raw_prefix(function: FunctionName) -> str:
    """Return the prefix under which SES stores what *function* receives."""
    return f"raw/{function}/"


def raw_key(function: FunctionName, receipt: ReceiptId) -> ArchiveKey:
    """Return where SES stored the message *receipt*."""
    return ArchiveKey(f"{raw_prefix(function)}{receipt}")


def is_received(key: str) -> bool:
    """Return whether *key* is that of a received message, not of an event or a digest of ours."""
    return key.startswith((raw_prefix("inbound"), raw_prefix("reply")))


def receipt_of(raw: str) -> ReceiptId:
    """Return the receipt in the key *raw*."""
    return ReceiptId(raw.rpartition("/")[2])


def feedback_prefix() -> str:
    """Return the prefix under which SES's feedback events are kept."""
    return "raw/feedback/"


def feedback_key(receipt: ReceiptId) -> ArchiveKey:
    """Return where SES's feedback event *receipt* is kept."""
    return ArchiveKey(f"{feedback_prefix()}{receipt}")


def digest_key(day: date) -> ArchiveKey:
    """Return where the entries of *day*'s digest are kept."""
    return ArchiveKey(f"raw/digest/{day.isoformat()}")


SENT = ".eml"
"""How the key of a message as sent ends."""


def sent_key(kind: JobKind, ledger: LedgerId) -> ArchiveKey:
    """Return where the message of the send *ledger* is kept, as sent."""
    return ArchiveKey(f"{sent_prefix(kind)}{ledger}{SENT}")


def sent_prefix(kind: JobKind) -> str:
    """Return the prefix of everything that is kept of sends of *kind*."""
    return f"sent/{kind}/"


def ses_id_key(kind: JobKind, ledger: LedgerId) -> ArchiveKey:
    """Return where SES's id of a send is kept while the table does not accept it."""
    return ArchiveKey(f"{sent_prefix(kind)}{ledger}.ses-id")


def text_prefix(conversation: str, receipt: str = "") -> str:
    """Return the prefix of the texts of a conversation, or of one of its messages."""
    return f"text/{_folder(conversation, receipt)}"


def text_key(conversation: str, receipt: ReceiptId, name: str) -> ArchiveKey:
    """Return where one of a message's texts is kept. *name*: ``body``, ``new``, or an attachment's number ``01``."""
    return ArchiveKey(f"{text_prefix(conversation, receipt)}{name}.txt")


def attachments_prefix(conversation: str, receipt: str = "") -> str:
    """Return the prefix of the attachments of a conversation, or of one of its messages."""
    return f"attachments/{_folder(conversation, receipt)}"


def attachment_key(conversation: str, receipt: ReceiptId, number: int, name: str) -> ArchiveKey:
    """Return where a message's attachment *number* is kept, named *name* as far as a key can show that."""
    return ArchiveKey(f"{attachments_prefix(conversation, receipt)}{number:02d}-{safe_name(name)}")


def document_key(folder: str, suffix: str, body: bytes, at: datetime) -> str:
    """Return where a configuration document of the time *at* is kept: keys are in the order of time, and another body has
    another key."""
    return f"config/{folder}/{at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(body).hexdigest()[:8]}{suffix}"


LEARNED, MODEL = "learned", ".model"
"""Folder and suffix of the personal models."""


def learned_key(body: bytes, at: datetime) -> str:
    """Return where the personal model *body* is kept whose latest example is of the time *at*."""
    return document_key(LEARNED, MODEL, body, at)


def safe_name(name: str) -> str:
    """Return *name* fit for an archive key: no separators, no control characters, never empty, extension kept."""
    clean = re.sub(r"[^\w.()+ -]", "_", name).strip(" .") or "unnamed"
    return clean[: MAX_NAME - 20] + clean[MAX_NAME - 20 :][-20:]


def _folder(conversation: str, receipt: str) -> str:
    return f"{conversation or NO_CONVERSATION}/" + (f"{receipt}/" if receipt else "")


# Ledger ids


def acknowledgement_id(contact: str) -> LedgerId:
    """Return the id of the one acknowledgement that *contact*'s mailbox gets, however its address is written."""
    return _ledger_id(JobKind.ACKNOWLEDGEMENT, split_tag(mailbox_key(contact) or contact)[0])


def acknowledgement_counters(contact: str, at: datetime) -> tuple[str, str]:
    """Return the names of the two counters of a day's acknowledgements: of all, and of those to *contact*'s domain.

    All subdomains are one domain: their owner makes as many as they like.
    """
    day = at.date().isoformat()
    return day, f"{day} {organizational_domain(address_domain(contact))}"


def new_conversations_counter(at: datetime) -> str:
    """Return the name of the counter of a day's conversations that owners start."""
    return f"{at.date().isoformat()} started"


def forward_id(conversation: ConversationId, receipt: ReceiptId, mailbox: str) -> LedgerId:
    """Return the id of the forward of *receipt* to *mailbox*."""
    return _ledger_id(JobKind.FORWARD, conversation, receipt, mailbox)


def text_only_forward_id(whole: LedgerId) -> LedgerId:
    """Return the id of the second forward, text only, of what the forward *whole* could not deliver."""
    return _ledger_id(JobKind.FORWARD, whole, "text-only")


def reply_id(conversation: ConversationId, receipt: ReceiptId, recipients: Iterable[str]) -> LedgerId:
    """Return the ledger id of the reply that came as *receipt* and goes to *recipients*."""
    return _ledger_id(JobKind.REPLY, conversation, receipt, ",".join(sorted(recipients)))


def copy_id(reply: LedgerId, mailbox: str) -> LedgerId:
    """Return the id of the copy of the send *reply* that *mailbox* gets."""
    return _ledger_id(JobKind.NOTICE, reply, "copy", mailbox)


def notice_id(about: ReceiptId | LedgerId, mailbox: str) -> LedgerId:
    """Return the id of the notice to *mailbox* about a received message or a send."""
    return _ledger_id(JobKind.NOTICE, about, mailbox)


def waits_notice_id(send: LedgerId) -> LedgerId:
    """Return the id of the notice that *send* waits and can be cancelled."""
    return _ledger_id(JobKind.NOTICE, send, "waits")


def delay_notice_id(send: LedgerId, recipient: str) -> LedgerId:
    """Return the id of the notice that the reply *send* has been on its way to *recipient* for long."""
    return _ledger_id(JobKind.NOTICE, send, "delayed", recipient)


def reminder_id(conversation: ConversationId, until: datetime) -> LedgerId:
    """Return the id of the notice at the end of a snooze of *conversation* until *until*."""
    return _ledger_id(JobKind.NOTICE, conversation, "reminder", until.astimezone(UTC).isoformat())


def files_id(receipt: ReceiptId, number: int, mailbox: str) -> LedgerId:
    """Return the id of the *number*-th message to *mailbox* with files that were left out of the forward of *receipt*."""
    return _ledger_id(JobKind.NOTICE, receipt, "files", str(number), mailbox)


def hourly_notice_id(conversation: str, at: datetime) -> LedgerId:
    """Return the id of the one notice an hour that unverified senders can cause in a conversation."""
    return _ledger_id(JobKind.NOTICE, conversation, at.strftime("%Y-%m-%dT%H"))


def _ledger_id(kind: JobKind, *parts: str) -> LedgerId:
    unique = "\x1f".join((kind, *(part.lower() for part in parts)))
    return LedgerId(f"{kind}-{hashlib.sha256(unique.encode('utf-8', 'backslashreplace')).hexdigest()[:24]}")
