"""One received message with all that was read from it, and the record it leaves."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, MessageRecord, Reference
from email_handler.conversations.thread_address import ThreadTarget
from email_handler.conversations.threads import local_part, named_references
from email_handler.identifiers import ArchiveKey, EmailAddress, FunctionName
from email_handler.mail.ignorable import IGNORABLE
from email_handler.mail.message import Message, unread
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt, attempt_or
from email_handler.senders.authentication import SenderVerification, SesReceipt, verify_sender
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.reading import read_feedback
from email_handler.senders.linkedin import LinkedInPerson, is_linkedins, linkedin_person
from email_handler.senders.machines import automatic
from email_handler.values import dataclass

SNIPPET = 200  # characters of new text kept in the record
MAX_SUBJECT = 500  # characters of the subject kept in the record

NOT_CHECKED = SenderVerification(address=None, reason="could not be checked")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedMessage:
    """A stored message as read: what every later step decides on."""

    receipt: SesReceipt
    function: FunctionName
    archive_key: ArchiveKey
    message: Message
    verification: SenderVerification
    automatic: str  # why a machine wrote it, "" for a person
    feedback: Feedback | None
    at: datetime
    person: LinkedInPerson | None = None  # who wrote through LinkedIn
    target: ThreadTarget | None = None  # the conversation its thread address claims; the token is compared later
    mistake: Mistake | None = None  # what kept it from being read in full: it must not be judged by what is missing

    @property
    def sender(self) -> EmailAddress:
        """Return From's first address, for display and records; the envelope sender if From has none."""
        return EmailAddress(self.message.from_[0].address if self.message.from_ else self.receipt.envelope_sender)

    @property
    def sender_name(self) -> str:
        """Return the name of the LinkedIn person, or From's display name."""
        if self.person:
            return self.person.name
        return self.message.from_[0].name if self.message.from_ else ""

    @property
    def by_machine(self) -> bool:
        """Return whether a machine wrote for itself; LinkedIn's machines write for persons."""
        return bool(self.automatic) and self.person is None

    @property
    def references(self) -> tuple[str, ...]:
        """Return the local parts of the ids that tie this message to others: for feedback the id it is about first,
        and its own id last, which may be taken already."""
        original = local_part(self.feedback.original_message_id) if self.feedback else ""
        own = local_part(self.message.message_id)
        return tuple(dict.fromkeys(i for i in (original, *named_references(self.message), own) if i))


def parse_received(
    raw: bytes,
    receipt: SesReceipt,
    function: FunctionName,
    archive_key: ArchiveKey,
    at: datetime,
    mistake: Mistake | None = None,
) -> ParsedMessage:
    """Read *raw*, stored at *archive_key*, as *function* received it under *receipt*.

    Never raises: whatever a step raises is the result's ``mistake``, and what could be read stands beside it. So is
    *mistake*, which the caller met when it rebuilt *receipt*.
    """
    parsed = attempt(_read, raw, receipt, function, archive_key, at)
    if not isinstance(parsed, Mistake):
        return replace(parsed, mistake=mistake) if mistake else parsed
    message = attempt_or(unread(raw, parsed), parse, raw)
    return ParsedMessage(
        receipt=receipt,
        function=function,
        archive_key=archive_key,
        message=message,
        verification=attempt_or(NOT_CHECKED, verify_sender, message, receipt),
        automatic="",
        feedback=None,
        at=at,
        mistake=parsed,
    )


def _read(
    raw: bytes, receipt: SesReceipt, function: FunctionName, archive_key: ArchiveKey, at: datetime
) -> ParsedMessage:
    message = parse(raw)
    verification = verify_sender(message, receipt)
    return ParsedMessage(
        receipt=receipt,
        function=function,
        archive_key=archive_key,
        message=message,
        verification=verification,
        automatic=automatic(message, receipt.envelope_sender),
        feedback=read_feedback(message, receipt.envelope_sender),
        at=at,
        person=linkedin_person(message, is_linkedins(verification.address or "")),
        mistake=message.mistake,
    )


def verified_owner(
    parsed: ParsedMessage, owners: Owners, conversation: Conversation | None = None
) -> EmailAddress | None:
    """Return the owner's address that *parsed* comes from, verified as an owner must be; None if no owner surely sent
    it. *conversation* may have mailboxes of its own."""
    address = parsed.verification.address
    return address if parsed.verification.suffices_for_owner and address in owners.addresses(conversation) else None


def fingerprint(message: Message, *, verified: bool, to: str = "") -> str:
    """Return what makes two receipts the same message: Message-ID, From, Subject, Date, body, and whether the sender is
    *verified*; "" without a Message-ID, since a person may write the same text twice.

    An owner's message to two conversations is one to each: *to* is the conversation that its receipt's address names.
    Programs that write every alarm under one constant id differ in the others. Verified and unverified copies differ:
    a forged copy must not stand for the person's own message.
    """
    if not message.message_id:
        return ""
    gap = b"\r\n\r\n" if b"\r\n\r\n" in message.raw else b"\n\n"
    body = message.raw.partition(gap)[2]
    sender = ",".join(mailbox.address for mailbox in message.from_)
    told = (
        "verified" if verified else "unverified",
        message.message_id,
        sender,
        message.subject,
        message.header("Date"),
        *([to] if to else []),
    )
    head = (text.encode("utf-8", "backslashreplace") for text in told)
    return hashlib.sha256(b"\x1f".join((*head, body))).hexdigest()


def fingerprints(parsed: ParsedMessage, *, to: str = "") -> tuple[str, ...]:
    """Return the fingerprints that make *parsed* a copy, its own first.

    An unverified message may be a copy of a verified one, never the other way round. Without a Message-ID only the
    same receipt, seen by both functions, is the same message.
    """
    if not parsed.message.message_id:
        return (f"receipt {parsed.receipt.id}",)
    kinds = (True,) if parsed.verification.verified else (False, True)
    return tuple(fingerprint(parsed.message, verified=kind, to=to) for kind in kinds)


def text_digest(message: Message) -> str:
    """Return what makes two replies say the same: their new text but for white space, case and what no reader sees, and
    their files."""
    text = IGNORABLE.sub("", new_text(message.text, message.html))
    digest = hashlib.sha256(" ".join(text.casefold().split()).encode("utf-8", "replace"))
    for attachment in message.attachments:
        digest.update(hashlib.sha256(attachment.payload).digest())
    return digest.hexdigest()[:32]


OWN_MESSAGE = Reason(stage="machine", rule="own-mail", detail="a message that we sent came back")


def is_own_message(parsed: ParsedMessage, known: Iterable[Reference], thread_domain: str) -> bool:
    """Return whether *parsed* is a message we sent that somebody's rule sent back: it has the id of one of our sends
    (*known*), or comes from the thread subdomain. Forwarding our own message would loop."""
    own = local_part(parsed.message.message_id)
    return any(reference.ledger and reference.local_part == own for reference in known) or any(
        box.address.endswith(f"@{thread_domain}") for box in parsed.message.from_
    )


def message_record(
    parsed: ParsedMessage,
    owners: Owners,
    outcome: Outcome,
    reasons: Sequence[Reason] = (),
    *,
    conversation: Conversation | None = None,
) -> MessageRecord:
    """Return the record of *parsed* under *outcome*."""
    message = parsed.message
    public = next(iter(owners.public_recipients(parsed.receipt.recipients)), None)
    text = new_text(message.text, message.html)
    return MessageRecord(
        receipt=parsed.receipt.id,
        function=parsed.function,
        archive_key=parsed.archive_key,
        conversation=conversation.id if conversation else "",
        at=parsed.at,
        outcome=outcome,
        reasons=tuple(reasons),
        sender=parsed.sender,
        sender_name=parsed.sender_name,
        verified=parsed.verification.verified,
        verification=parsed.verification.reason,
        public_address=public[0] if public else "",
        source=public[1] if public else "",
        subject=message.subject[:MAX_SUBJECT],
        message_id=message.message_id,
        automatic=parsed.automatic,
        envelope_sender=parsed.receipt.envelope_sender,
        snippet=" ".join(text.split())[:SNIPPET],
        size=message.size,
        files=None if message.mistake else len(message.attachments),
        defects=message.defects,
        text_chars=len(message.text),
    )


def unread_record(parsed: ParsedMessage, owners: Owners, disposition: Disposition) -> MessageRecord:
    """Return the record of *parsed* if :func:`message_record` cannot: what is known without reading the message."""
    message = parsed.message
    return MessageRecord(
        receipt=parsed.receipt.id,
        function=parsed.function,
        archive_key=parsed.archive_key,
        at=parsed.at,
        outcome=disposition.outcome,
        reasons=disposition.reasons,
        sender=parsed.sender,
        sender_name=parsed.sender_name,
        verified=parsed.verification.verified,
        verification=parsed.verification.reason,
        public_address=owners.public_addresses[0],
        subject=message.subject[:MAX_SUBJECT],
        message_id=message.message_id,
        envelope_sender=parsed.receipt.envelope_sender,
        size=message.size,
        defects=message.defects,
    )


def judged(record: MessageRecord, disposition: Disposition, reply_address: EmailAddress | None) -> MessageRecord:
    """Return *record* with the filter's *disposition*, and where a reply to its message goes."""
    return replace(
        record,
        outcome=disposition.outcome,
        reasons=disposition.reasons,
        score=disposition.score,
        rules_version=disposition.rules_version,
        reply_address=reply_address or "",
    )
