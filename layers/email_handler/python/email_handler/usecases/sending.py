"""What the three senders have in common: claim, compose, store, send, record, in the order that makes the guarantee."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from email_handler import errors
from email_handler.conversations.jobs import Job, JobKind
from email_handler.conversations.keys import notice_id, sent_key, ses_id_key
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Contact, Conversation, LedgerItem, PendingEvent, Reference, SendState
from email_handler.conversations.threads import wire_id
from email_handler.identifiers import EmailAddress, SesId
from email_handler.mistakes import Mistake, attempt, attempt_or
from email_handler.outgoing.digest import DIGEST
from email_handler.outgoing.notice import NoticeKind
from email_handler.ports import Archive, Clock, ConfigSource, Events, Jobs, Mailer, SendContext, SendLedger, SentCommit
from email_handler.usecases.backoff import DEAD_LETTER_AFTER, DEAD_LETTER_BLOCKED_AFTER, delay
from email_handler.usecases.decision import new_send

TRIES = 6  # times that a send is recorded while others write to the same conversation


class SendResult(StrEnum):
    """The result of one run of a sender; also the metric's name."""

    SENT = "Sent"
    SENT_DESPITE_MISTAKE = (
        "SentDespiteMistake"  # a forward as it came, or a notice without details; `why` has the place
    )
    SKIPPED = "Skipped"  # the ledger item had ended already
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
    owners: Owners  # as deployed, without the routes' mailboxes
    region: str
    lease: timedelta  # the function's time-out + 30 s: an older lease means a crash
    clock: Clock
    chance: Callable[[], float]  # 0 to 1, for the backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a sender composed: the bytes, and what sending them changes in the records."""

    raw: bytes
    sender: EmailAddress
    held: str = ""  # why it must not leave after all; the job is dead-lettered with this reason
    conversation: Callable[[Conversation, str], Conversation] | None = None  # given the Message-ID on the wire
    contact: Callable[[Contact], Contact] | None = None  # sets fields only, so that nothing in it can raise
    event: str = ""  # detail type
    mistake: Mistake | None = None  # of ours: what is sent is not what should be


type Compose = Callable[[SendContext, bytes], Draft]


def send(job: Job, compose: Compose, dispatch: Dispatch) -> SendResult:
    """Send *job* once. Forwards, replies, notices: at least once, a second copy only if SES's response was lost, and
    the ledger says so. Acknowledgements: at most once.

    The order of the lines is the guarantee: the claim is written before SES is asked, SES's response is recorded
    after. A response that the table does not accept is kept in the archive, where the next attempt finds it. A lease
    that ran out without either means that the outcome is unknown (acknowledgement: UNKNOWN; others: sent again, as a
    possible duplicate). Raises RetryLater for what is put off, LeaseHeld while another worker has the job, and
    transient errors of the table or the archive; in each case the queue delivers the job again.
    """
    now = dispatch.clock()
    try:
        item = dispatch.ledger.claim(job.ledger, now, now + dispatch.lease)
    except errors.UnknownConversation as error:
        dispatch.jobs.dead_letter(job.to_json(), job.kind, str(error), attempts=0)
        return SendResult.DEAD_LETTERED
    if item is None:
        return SendResult.SKIPPED
    try:
        ses_id = _kept_ses_id(item, dispatch) if item.possible_duplicate else None
        if ses_id is None and item.possible_duplicate and item.kind is JobKind.ACKNOWLEDGEMENT:
            dispatch.ledger.give_back(item, SendState.UNKNOWN, "the attempt before ended without a record", now)
            return SendResult.UNKNOWN
        context = dispatch.ledger.context(job.ledger)
        draft = _composed(compose, context, _original(item, dispatch))
        if draft.held and ses_id is None:  # with an id it has left already
            return _dead_letter(item, draft.held, dispatch)
        if ses_id is None:
            dispatch.archive.put(sent_key(item.kind, item.id), draft.raw, "message/rfc822")
            ses_id = dispatch.mailer.send(draft.raw, draft.sender, item.recipients)
    except errors.EmailHandlerError as error:
        return _not_sent(item, error, dispatch)
    try:
        _record(item, ses_id, draft, context, dispatch)
    except (errors.RecordsUnavailable, errors.RecordChanged):
        dispatch.archive.put(ses_id_key(item.kind, item.id), ses_id.encode(), "text/plain")
        raise
    return SendResult.SENT_DESPITE_MISTAKE if draft.mistake else SendResult.SENT


def _composed(compose: Compose, context: SendContext, raw: bytes) -> Draft:
    """Compose. A mistake of ours dead-letters the job at once, with its type and place: retrying would repeat it."""
    draft = attempt(compose, context, raw)
    if isinstance(draft, Mistake):
        raise errors.PermanentError(f"could not be composed: {draft}")
    return draft


def _original(item: LedgerItem, dispatch: Dispatch) -> bytes:
    """Return what *item* is composed from. A notice needs the record only: the message may be what is missing."""
    of_record = item.kind is JobKind.NOTICE and item.note != DIGEST
    return b"" if of_record else dispatch.archive.get(item.archive_key)


def _kept_ses_id(item: LedgerItem, dispatch: Dispatch) -> SesId | None:
    """Return SES's id for an earlier attempt whose record only the archive accepted."""
    try:
        return SesId(dispatch.archive.get(ses_id_key(item.kind, item.id)).decode())
    except errors.ArchiveObjectMissing:
        return None


def _not_sent(item: LedgerItem, error: errors.EmailHandlerError, dispatch: Dispatch) -> SendResult:
    """Do with the item what *error* asks for: dead-letter it, leave it UNKNOWN, or put it off."""
    if isinstance(error, errors.PermanentError):
        return _dead_letter(item, str(error) or type(error).__name__, dispatch)
    if isinstance(error, errors.SendOutcomeUnknown):
        if item.kind is JobKind.ACKNOWLEDGEMENT:
            dispatch.ledger.give_back(item, SendState.UNKNOWN, str(error), dispatch.clock())
            return SendResult.UNKNOWN
        item = replace(item, possible_duplicate=True)
    return _put_off(item, error, dispatch)


def _put_off(item: LedgerItem, error: errors.EmailHandlerError, dispatch: Dispatch) -> SendResult:
    """Give the item back and say when it is due, or dead-letter it if it has waited long enough."""
    now = dispatch.clock()
    patience = DEAD_LETTER_BLOCKED_AFTER if isinstance(error, errors.SendingBlocked) else DEAD_LETTER_AFTER
    reason = str(error) or type(error).__name__
    if now - item.queued_at > patience:
        return _dead_letter(item, reason, dispatch)
    pause = delay(item.attempt, dispatch.chance())
    dispatch.ledger.give_back(item, SendState.QUEUED, reason, now + pause)
    raise errors.RetryLater(reason, int(pause.total_seconds())) from error


def _dead_letter(item: LedgerItem, reason: str, dispatch: Dispatch) -> SendResult:
    """Dead-letter the job: first the letter, then the ledger, so that a crash in between leaves one letter too many
    rather than none. The owner gets a notice about a reply of theirs, once however often it is dead-lettered."""
    dispatch.jobs.dead_letter(item.job.to_json(), item.kind, reason, item.attempt)
    if item.kind is JobKind.REPLY:
        _report_to_owner(item, reason, dispatch)
    dispatch.ledger.give_back(item, SendState.FAILED, reason, dispatch.clock())
    return SendResult.DEAD_LETTERED


def _report_to_owner(item: LedgerItem, reason: str, dispatch: Dispatch) -> None:
    record = dispatch.ledger.context(item.id).message
    owner = EmailAddress(record.sender.lower())
    notice = new_send(JobKind.NOTICE, notice_id(item.id, owner), record, [owner], note=NoticeKind.NOT_SENT)
    now = dispatch.clock()
    dispatch.ledger.add(replace(notice, queued_at=now, due=now, detail=reason))
    dispatch.jobs.queue([notice.job])


def _record(item: LedgerItem, ses_id: SesId, draft: Draft, context: SendContext, dispatch: Dispatch) -> None:
    """Record SES's response, then publish the event."""
    sent = replace(item, ses_id=ses_id, sent_key=sent_key(item.kind, item.id))
    if draft.mistake:
        sent = replace(sent, reason=f"sent despite an error of ours: {draft.mistake}")
    event = _event(draft.event, sent, dispatch) if draft.event else None
    reference = Reference(local_part=ses_id, conversation=item.conversation, receipt=item.source, ledger=item.id)
    _commit(SentCommit(item=sent, reference=reference, event=event), draft, context, dispatch)
    if event is not None:
        dispatch.events.publish([event])
        dispatch.ledger.published(item.id)


def _commit(commit: SentCommit, draft: Draft, context: SendContext, dispatch: Dispatch, *, tries: int = TRIES) -> None:
    """Write *commit* with what *draft* changes in the conversation and the contact as they were read before the send;
    read them again if others have written."""
    conversation = contact = None
    if draft.conversation is not None:
        wire = wire_id(commit.reference.local_part, dispatch.region)
        conversation = attempt_or(None, draft.conversation, conversation_of(context), wire)  # it left, whatever raises
    if context.contact is not None and draft.contact is not None:
        contact = draft.contact(context.contact)
    try:
        dispatch.ledger.sent(replace(commit, conversation=conversation, contact=contact))
    except errors.RecordChanged:
        if tries == 1:
            raise
        _commit(commit, draft, dispatch.ledger.context(commit.item.id), dispatch, tries=tries - 1)


def _event(detail_type: str, item: LedgerItem, dispatch: Dispatch) -> PendingEvent:
    at = dispatch.clock()
    detail = {
        "version": 1,
        "conversation": item.conversation,
        "receipt": item.source,
        "function": item.source_function,
        "ledger": item.id,
        "ses_id": item.ses_id,
        "archive_key": item.sent_key,
        "possible_duplicate": item.possible_duplicate,
        "at": at.isoformat(),
    }
    return PendingEvent.of(detail_type, detail, (item.id,), at)


def conversation_of(context: SendContext) -> Conversation:
    """Return the send's conversation. Raises UnknownConversation."""
    if context.conversation is None:
        raise errors.UnknownConversation("the send names a conversation that the table does not hold")
    return context.conversation
