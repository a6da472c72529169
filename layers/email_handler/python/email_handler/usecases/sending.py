"""What the three senders share: claim, compose, store, send, record, in the order that makes the guarantee."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Contact, Conversation, LedgerItem, PendingEvent, Reference, SendState
from email_handler.conversations.threads import wire_id
from email_handler.errors import (
    ArchiveObjectMissing,
    EmailHandlerError,
    PermanentError,
    RecordChanged,
    RecordsUnavailable,
    RetryLater,
    SendingBlocked,
    SendOutcomeUnknown,
    UnknownConversation,
)
from email_handler.identifiers import ArchiveKey, EmailAddress, SesId
from email_handler.ports import Archive, Clock, ConfigSource, Events, Jobs, Mailer, SendContext, SendLedger, SentCommit
from email_handler.usecases.backoff import DEAD_LETTER_AFTER, DEAD_LETTER_BLOCKED_AFTER, delay

RECORDINGS = 6  # tries to record a send while others write to the same conversation


class SendResult(StrEnum):
    """What one run of a sender came to; also the metric's name."""

    SENT = "Sent"
    SKIPPED = "Skipped"  # the ledger had its end already
    DEAD_LETTERED = "DeadLettered"
    UNKNOWN = "Unknown"  # an acknowledgement that may have left: never sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Ports and values that sending needs."""

    archive: Archive
    ledger: SendLedger
    jobs: Jobs
    mailer: Mailer
    events: Events
    config: ConfigSource
    acknowledgement_parameter: str
    routes_parameter: str
    owners: Owners
    region: str
    lease: timedelta  # the function's time-out + 30 s: a lease older than that is a crash
    clock: Clock
    chance: Callable[[], float]  # 0 to 1, for the backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a sender's own composition returns: the bytes, and what the send changes in the record."""

    raw: bytes
    sender: EmailAddress
    held: str = ""  # why it must not leave after all; the job is parked with this
    conversation: Callable[[Conversation, str], Conversation] | None = None  # given the wire id of the sent mail
    contact: Callable[[Contact | None], Contact | None] | None = None
    event: str = ""  # detail type


type Compose = Callable[[SendContext, bytes], Outgoing]


def send(job: Job, compose: Compose, dispatch: Dispatch) -> SendResult:
    """Send *job* once. Forwards, replies, notices: at least once, a second copy only when SES's answer was lost,
    and the ledger says so. Acknowledgements: at most once.

    The order of the lines is the guarantee: the claim stands before SES is asked, SES's answer is recorded after.
    An answer that the table would not take is kept in the archive, where the next attempt finds it. A lease that ran
    out without either means that nobody knows (acknowledgement: UNKNOWN; others: sent again, marked). Raises
    RetryLater for what is put off, LeaseHeld while another worker has the job, and transient errors of the table or
    the archive; in each case the queue brings the job back.
    """
    now = dispatch.clock()
    try:
        item = dispatch.ledger.claim(job.ledger, now, now + dispatch.lease)
    except UnknownConversation as error:
        dispatch.jobs.dead_letter(job.to_json(), job.kind, str(error), attempts=0)
        return SendResult.DEAD_LETTERED
    if item is None:
        return SendResult.SKIPPED
    sent_key = ArchiveKey(f"sent/{item.kind}/{item.id}.eml")
    answer_key = f"sent/{item.kind}/{item.id}.ses-id"
    try:
        ses_id = _kept_answer(answer_key, dispatch) if item.possible_duplicate else None
        if ses_id is None and item.possible_duplicate and item.kind is JobKind.ACKNOWLEDGEMENT:
            dispatch.ledger.give_back(item, SendState.UNKNOWN, "the attempt before ended without a record", now)
            return SendResult.UNKNOWN
        context = dispatch.ledger.context(job.ledger)
        raw = dispatch.archive.get(item.archive_key)
        outgoing = _composed(compose, replace(context, item=item), raw)
        if outgoing.held and ses_id is None:  # else it has left
            return _dead_letter(item, outgoing.held, dispatch)
        if ses_id is None:
            dispatch.archive.put(sent_key, outgoing.raw, "message/rfc822")
            ses_id = dispatch.mailer.send(outgoing.raw, outgoing.sender, item.recipients)
    except EmailHandlerError as error:
        return _not_sent(item, error, dispatch)
    try:
        _record(replace(item, state=SendState.SENT, ses_id=ses_id, sent_key=sent_key), outgoing, context, dispatch)
    except (RecordsUnavailable, RecordChanged):
        dispatch.archive.put(answer_key, ses_id.encode(), "text/plain")
        raise
    return SendResult.SENT


def _composed(compose: Compose, context: SendContext, raw: bytes) -> Outgoing:
    """Compose, and let a mistake of ours park the job at once with its name: retrying would repeat it for hours."""
    try:
        return compose(context, raw)
    except EmailHandlerError:
        raise
    except Exception as error:
        raise PermanentError(f"could not be composed: {type(error).__name__}") from error


def _kept_answer(answer_key: str, dispatch: Dispatch) -> SesId | None:
    """Return SES's answer to an earlier attempt, which only the archive would take."""
    try:
        return SesId(dispatch.archive.get(answer_key).decode())
    except ArchiveObjectMissing:
        return None


def _not_sent(item: LedgerItem, error: EmailHandlerError, dispatch: Dispatch) -> SendResult:
    """Do with the item what *error* asks for: park it, leave it UNKNOWN, or put it off."""
    if isinstance(error, PermanentError):
        return _dead_letter(item, str(error) or type(error).__name__, dispatch)
    if isinstance(error, SendOutcomeUnknown):
        if item.kind is JobKind.ACKNOWLEDGEMENT:
            dispatch.ledger.give_back(item, SendState.UNKNOWN, str(error), dispatch.clock())
            return SendResult.UNKNOWN
        return _put_off(replace(item, possible_duplicate=True), error, dispatch)
    return _put_off(item, error, dispatch)


def _put_off(item: LedgerItem, error: EmailHandlerError, dispatch: Dispatch) -> SendResult:
    """Give the item back and say when it is due, or park it when it has waited long enough."""
    now = dispatch.clock()
    patience = DEAD_LETTER_BLOCKED_AFTER if isinstance(error, SendingBlocked) else DEAD_LETTER_AFTER
    reason = str(error) or type(error).__name__
    if now - item.queued_at > patience:
        return _dead_letter(item, reason, dispatch)
    pause = delay(item.attempt, dispatch.chance())
    dispatch.ledger.give_back(item, SendState.QUEUED, reason, now + pause)
    raise RetryLater(reason, int(pause.total_seconds())) from error


def _dead_letter(item: LedgerItem, reason: str, dispatch: Dispatch) -> SendResult:
    """Park the job: first the dead letter, then the ledger, so that a crash in between parks it twice, never not
    at all."""
    dispatch.jobs.dead_letter(item.job.to_json(), item.kind, reason, item.attempt)
    dispatch.ledger.give_back(item, SendState.FAILED, reason, dispatch.clock())
    return SendResult.DEAD_LETTERED


def _record(item: LedgerItem, outgoing: Outgoing, context: SendContext, dispatch: Dispatch) -> None:
    """Record SES's answer on the conversation as it was read before the send; read anew where others have written."""
    event = _event(outgoing.event, item, dispatch) if outgoing.event else None
    reference = Reference(local_part=item.ses_id, conversation=item.conversation, receipt=item.source, ledger=item.id)
    for attempt in range(1, RECORDINGS + 1):
        conversation = None
        if context.conversation is not None and outgoing.conversation is not None:
            conversation = outgoing.conversation(context.conversation, wire_id(item.ses_id, dispatch.region))
        contact = outgoing.contact(context.contact) if outgoing.contact else None
        try:
            dispatch.ledger.sent(
                SentCommit(item=item, reference=reference, conversation=conversation, contact=contact, event=event)
            )
        except RecordChanged:
            if attempt == RECORDINGS:
                raise
            context = dispatch.ledger.context(item.id)
            continue
        break
    if event is not None:
        dispatch.events.publish([event])
        dispatch.ledger.published(item.id)


def _event(detail_type: str, item: LedgerItem, dispatch: Dispatch) -> PendingEvent:
    at = dispatch.clock()
    return PendingEvent(
        id=f"{item.id}-{detail_type.lower().replace(' ', '-')}",
        detail_type=detail_type,
        detail={
            "version": 1,
            "conversation": item.conversation,
            "receipt": item.source,
            "function": item.source_function,
            "ledger": item.id,
            "ses_id": item.ses_id,
            "archive_key": item.sent_key,
            "possible_duplicate": item.possible_duplicate,
            "at": at.isoformat(),
        },
        at=at,
    )


def conversation_of(context: SendContext) -> Conversation:
    """Return the send's conversation. Raises UnknownConversation."""
    if context.conversation is None:
        raise UnknownConversation("the send names a conversation that the table does not hold")
    return context.conversation
