"""What the three senders have in common: claim, compose, store, send, record, in the order that makes the guarantee."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta

from email_handler import errors
from email_handler.conversations.jobs import Job, JobKind, SendResult
from email_handler.conversations.keys import is_received, notice_id, sent_key, ses_id_key
from email_handler.conversations.notices import DIGEST, NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import (
    COPY,
    EVENTS,
    Contact,
    Conversation,
    LedgerItem,
    Reference,
    SendState,
)
from email_handler.conversations.routes import Routes, load_routes
from email_handler.conversations.signatures import Signatures, load_signatures
from email_handler.conversations.threads import wire_id
from email_handler.identifiers import EmailAddress, SesId
from email_handler.mistakes import Mistake, TookTooLong, attempt, attempt_or
from email_handler.ports import Archive, Clock, ConfigSource, Events, Jobs, Mailer, SendContext, SendLedger, SentCommit
from email_handler.usecases.decision import new_send, pause_after
from email_handler.usecases.retries import COPIES, delay, is_over, refused_again
from email_handler.usecases.side_by_side import SideBySide
from email_handler.values import dataclass

TRIES = 8  # times that a send is recorded while others write to the same conversation: at most 23 seconds of pauses


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
    signature_parameter: str
    owners: Owners  # as deployed, without the routes' mailboxes
    region: str
    lease: timedelta  # the function's time-out + 30 s: an older lease means a crash
    clock: Clock
    chance: Callable[[], float]  # 0 to 1, for pauses
    pause: Callable[[float], None]  # waits so many seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a sender composed: the bytes, and what sending them changes in the records."""

    raw: bytes
    sender: EmailAddress
    unwanted: str = ""  # why nobody wants it any more; it ends as CANCELLED with this reason
    held: str = ""  # why it must not leave after all; the job is dead-lettered with this reason
    conversation: Callable[[Conversation, str], Conversation] | None = None  # given the Message-ID on the wire
    contact: Callable[[Contact], Contact] | None = None  # sets fields only, so that nothing in it can raise
    mistake: Mistake | None = None  # of ours: what is sent is not what should be
    copies: tuple[LedgerItem, ...] = ()  # what is to be sent to the owner's mailboxes once it has left


type Compose = Callable[[SendContext, bytes], Draft]

_OF_ARCHIVE = frozenset(
    {DIGEST, COPY, NoticeKind.CHECK, NoticeKind.FILES}
)  # notices that show what was received or sent


def send(job: Job, compose: Compose, dispatch: Dispatch, documents: Sequence[str] = ()) -> SendResult:
    """Send *job* once. Forwards, replies, notices: at least once; another copy leaves only if SES's response was lost,
    at most :data:`COPIES` in all, and the ledger says so. Acknowledgements: at most once.

    What *compose* needs is read while the item is claimed; *documents* are the parameters of those that it asks for. The
    order of the lines is the guarantee: the claim is written before SES is asked, SES's response is recorded
    after. A response that the table does not accept is kept in the archive, where the next attempt finds it; so is the
    id that SES's own events bring. A lease that ran out without either means that the outcome is unknown. Raises
    RetryLater for what is put off, LeaseHeld while another worker has the job, and transient errors of the table or the
    archive; in each case the queue delivers the job again.
    """
    with SideBySide() as beside:
        reading = _Reading.begin(job, documents, dispatch, beside)
        now = dispatch.clock()
        try:
            item = dispatch.ledger.claim(job.ledger, now, now + dispatch.lease)
        except errors.UnknownConversation as error:
            dispatch.jobs.dead_letter(job.to_json(), job.kind, str(error), attempts=0)
            return SendResult.DEAD_LETTERED
        return SendResult.SKIPPED if item is None else _send(item, reading, compose, dispatch, beside)


def _send(
    item: LedgerItem, reading: "_Reading", compose: Compose, dispatch: Dispatch, beside: SideBySide
) -> SendResult:
    """Send what this attempt has claimed."""
    try:
        ses_id = _kept_ses_id(item, dispatch) if item.lost else None
        if ses_id is None and item.lost >= COPIES[item.kind]:
            return _undecided(item, "the attempt before ended without a record", dispatch)
        context = reading.context_of(item)
        if ses_id is not None:
            draft = _recomposed(compose, context, item, reading, dispatch)
            contact = _contact_of(context, draft, dispatch)
        else:
            draft = _composed(compose, context, item, reading, dispatch)
            if draft.held or draft.unwanted:
                return _not_to_be_sent(item, draft, dispatch)
            known = beside.begin(_contact_of, context, draft, dispatch) if draft.contact else None
            item = _stored(item, draft.raw, dispatch)
            contact = known.result() if known else None
            ses_id = dispatch.mailer.send(draft.raw, draft.sender, item.recipients, item.id)
    except errors.EmailHandlerError as error:
        return _not_sent(item, error, dispatch)
    try:
        recorded = _record(item, ses_id, draft, context, contact, dispatch)
    except Exception:  # whatever it is, the message has left
        dispatch.archive.put(ses_id_key(item.kind, item.id), ses_id.encode(), "text/plain")
        raise
    return _announced(recorded, draft, dispatch, beside)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What a send is composed from, while it is read beside the claim. Nothing of it counts before the claim succeeds."""

    context: Future[SendContext]
    original: Future[bytes] | None  # None: probably not needed

    @classmethod
    def begin(cls, job: Job, documents: Sequence[str], dispatch: Dispatch, beside: SideBySide) -> "_Reading":
        """Begin to read what *job* names, and *documents*, which the port keeps: composing asks for them again."""
        for document in documents:
            beside.begin(dispatch.config.read, document)
        of_record = job.kind is JobKind.NOTICE and is_received(job.archive_key)  # as most notices are
        needless = of_record or job.kind is JobKind.ACKNOWLEDGEMENT
        return cls(
            context=beside.begin(dispatch.ledger.context, job),
            original=None if needless else beside.begin(dispatch.archive.get, job.archive_key),
        )

    def context_of(self, item: LedgerItem) -> SendContext:
        """Return what the claimed *item* is composed from. Raises LeaseHeld if the item was another worker's by then:
        one by whose clock this one's lease was over. What that one has sent must not show in what this one sends."""
        context = self.context.result()
        if context.item.attempt > item.attempt:
            raise errors.LeaseHeld("another worker has taken this send over")
        return replace(context, item=item)  # it may have been read before it was claimed

    def original_of(self, item: LedgerItem, archive: Archive) -> bytes:
        """Return the message that *item* is composed from. Acknowledgements and most notices need the record only: the
        message may be what is missing."""
        if item.kind is JobKind.ACKNOWLEDGEMENT or (item.kind is JobKind.NOTICE and item.note not in _OF_ARCHIVE):
            return b""
        return archive.get(item.archive_key) if self.original is None else self.original.result()


def _announced(recorded: SentCommit | None, draft: Draft, dispatch: Dispatch, beside: SideBySide) -> SendResult:
    """Queue the copies and publish the event of what was *recorded*; None: another worker has, and goes on with it."""
    if recorded is None:
        return SendResult.SKIPPED
    queued = [beside.begin(dispatch.jobs.queue, [copy.job]) for copy in recorded.copies]
    if (event := recorded.item.event) is not None:
        dispatch.events.publish([event])
        dispatch.ledger.published(recorded.item.id)
    for one in queued:  # the hourly pass queues what this leaves
        one.result()
    return SendResult.SENT_DESPITE_MISTAKE if draft.mistake else SendResult.SENT


def _composed(compose: Compose, context: SendContext, item: LedgerItem, reading: _Reading, dispatch: Dispatch) -> Draft:
    """Compose. A mistake of ours dead-letters the job at once, with its type and place: retrying would repeat it.
    A document that AWS takes too long to give is no mistake of ours."""
    original = reading.original_of(item, dispatch.archive)
    draft = attempt(compose, context, original)
    if isinstance(draft, Mistake):
        if draft.kind == TookTooLong.__name__ and draft.place.startswith("adapters."):  # AWS's mistake, not ours
            raise errors.ConfigUnavailable("a configuration document took too long to read")
        raise errors.PermanentError(f"could not be composed: {draft}")
    return draft


def _recomposed(
    compose: Compose, context: SendContext, item: LedgerItem, reading: _Reading, dispatch: Dispatch
) -> Draft:
    """Compose what has left already, for what it changes in the records. Nothing keeps it from being recorded as sent."""
    try:
        return _composed(compose, context, item, reading, dispatch)
    except errors.PermanentError:
        return Draft(raw=b"", sender=EmailAddress(""))


def _stored(item: LedgerItem, raw: bytes, dispatch: Dispatch) -> LedgerItem:
    """Keep *raw* below ``sent/`` unless a refused attempt has kept the same, and return the item that says so."""
    digest = hashlib.sha256(raw).hexdigest()
    if item.sent_sha256 != digest:
        dispatch.archive.put(sent_key(item.kind, item.id), raw, "message/rfc822")
    return replace(item, sent_sha256=digest)


def _kept_ses_id(item: LedgerItem, dispatch: Dispatch) -> SesId | None:
    """Return SES's id for an earlier attempt whose record only the archive accepted."""
    try:
        return SesId(dispatch.archive.get(ses_id_key(item.kind, item.id)).decode())
    except errors.ArchiveObjectMissing:
        return None


def _not_to_be_sent(item: LedgerItem, draft: Draft, dispatch: Dispatch) -> SendResult:
    """End the send as FAILED if *draft* must not leave, as CANCELLED if nobody wants it any more."""
    if draft.held:
        return _dead_letter(item, draft.held, dispatch)
    dispatch.ledger.give_back(item, SendState.CANCELLED, draft.unwanted, item.due)
    return SendResult.CANCELLED


def _not_sent(item: LedgerItem, error: errors.EmailHandlerError, dispatch: Dispatch) -> SendResult:
    """Do with the item what *error* asks for: dead-letter it, leave it UNKNOWN, or put it off. What SES's events have
    confirmed meanwhile is put off: the next attempt records it. What another worker has is left to that one."""
    if isinstance(error, errors.LeaseHeld):
        raise error
    reason = str(error) or type(error).__name__
    if isinstance(error, errors.SendOutcomeUnknown):
        item = replace(item, lost=item.lost + 1)
        ends = item.lost >= COPIES[item.kind]
    else:
        ends = isinstance(error, errors.PermanentError)
    if ends and not (item.lost and _kept_ses_id(item, dispatch)):
        end = _dead_letter if isinstance(error, errors.PermanentError) else _undecided
        return end(item, reason, dispatch)
    return _put_off(item, error, reason, dispatch)


def _put_off(item: LedgerItem, error: errors.EmailHandlerError, reason: str, dispatch: Dispatch) -> SendResult:
    """Give the item back and say when it is due, or dead-letter it if it was refused for long enough."""
    now = dispatch.clock()
    refusals = refused_again(item.refusals, error, now)
    item = replace(item, refusals=refusals)
    if is_over(refusals, now):
        end = _undecided if item.lost >= COPIES[item.kind] else _dead_letter
        return end(item, reason, dispatch)
    pause = delay(refusals, dispatch.chance())
    dispatch.ledger.give_back(item, SendState.QUEUED, reason, now + pause)
    raise errors.RetryLater(reason, int(pause.total_seconds())) from error


def _undecided(item: LedgerItem, reason: str, dispatch: Dispatch) -> SendResult:
    """End as UNKNOWN what may have left as often as it may. An acknowledgement is not missed; about anything else a
    person decides, so that it is dead-lettered as well."""
    if item.kind is not JobKind.ACKNOWLEDGEMENT:
        reason = f"it may have been sent already ({reason})"
        _leave_letter(item, reason, NoticeKind.MAY_BE_SENT, dispatch)
    dispatch.ledger.give_back(item, SendState.UNKNOWN, reason, dispatch.clock())
    return SendResult.UNKNOWN


def _dead_letter(item: LedgerItem, reason: str, dispatch: Dispatch) -> SendResult:
    _leave_letter(item, reason, NoticeKind.MAY_BE_SENT if item.lost else NoticeKind.NOT_SENT, dispatch)
    dispatch.ledger.give_back(item, SendState.FAILED, reason, dispatch.clock())
    return SendResult.DEAD_LETTERED


def _leave_letter(item: LedgerItem, reason: str, kind: NoticeKind, dispatch: Dispatch) -> None:
    """Dead-letter the job. The letter comes before the ledger's end, so that a crash in between leaves one letter too
    many rather than none. The owner gets a notice about a reply of theirs, once however often it is dead-lettered."""
    dispatch.jobs.dead_letter(item.job.to_json(), item.kind, reason, item.attempt)
    if item.kind is JobKind.REPLY:
        _report_to_owner(item, reason, kind, dispatch)


def _report_to_owner(item: LedgerItem, reason: str, kind: NoticeKind, dispatch: Dispatch) -> None:
    try:
        record = dispatch.ledger.context(item.job).message
    except errors.UnknownConversation:  # it was erased meanwhile
        return
    owner = EmailAddress(record.sender.lower())
    notice = new_send(JobKind.NOTICE, notice_id(item.id, owner), record, [owner], note=kind)
    now = dispatch.clock()
    dispatch.ledger.add(replace(notice, queued_at=now, due=now, detail=reason))
    dispatch.jobs.queue([notice.job])


def _record(
    item: LedgerItem,
    ses_id: SesId,
    draft: Draft,
    context: SendContext,
    contact: Contact | None,
    dispatch: Dispatch,
) -> SentCommit | None:
    """Record SES's response, and return what was recorded; None if another worker has recorded the same response."""
    sent = replace(item, ses_id=ses_id, sent_key=sent_key(item.kind, item.id), refusals=None)
    sent = replace(sent, copies=tuple(copy.id for copy in draft.copies))
    if draft.mistake:
        sent = replace(sent, reason=f"sent despite an error of ours: {draft.mistake}")
    if item.kind in EVENTS:
        sent = replace(sent, unpublished_since=dispatch.clock())
    reference = Reference(local_part=ses_id, conversation=item.conversation, receipt=item.source, ledger=item.id)
    commit = SentCommit(item=sent, reference=reference, copies=draft.copies)
    return commit if _commit(commit, draft, context, contact, dispatch) else None


def _commit(
    commit: SentCommit,
    draft: Draft,
    context: SendContext,
    contact: Contact | None,
    dispatch: Dispatch,
    *,
    tries: int = TRIES,
) -> bool:
    """Write *commit* with what *draft* changes in the conversation and the contact as they were read before the send;
    read them again if others have written. Return whether this attempt has recorded it."""
    conversation = None
    if draft.conversation is not None:
        wire = wire_id(commit.reference.local_part, dispatch.region)
        conversation = attempt_or(None, draft.conversation, conversation_of(context), wire)  # it left, whatever raises
    changed = draft.contact(contact) if contact and draft.contact else None
    try:
        return dispatch.ledger.sent(replace(commit, conversation=conversation, contact=changed))
    except errors.RecordChanged:
        if tries == 1:
            raise
        dispatch.pause(pause_after(TRIES + 1 - tries, dispatch.chance()))
        context = dispatch.ledger.context(commit.item.job)
        if context.item.attempt != commit.item.attempt:  # another worker has the send: no try will succeed
            raise
        contact = _contact_of(context, draft, dispatch)
        return _commit(commit, draft, context, contact, dispatch, tries=tries - 1)


def _contact_of(context: SendContext, draft: Draft, dispatch: Dispatch) -> Contact | None:
    """Return the contact that *draft* changes; None if it changes none, or the contact was erased."""
    address = context.conversation.contact if context.conversation else ""
    return dispatch.ledger.contact(address) if draft.contact and address else None


def conversation_of(context: SendContext) -> Conversation:
    """Return the send's conversation. Raises UnknownConversation."""
    if context.conversation is None:
        raise errors.UnknownConversation("the send names a conversation that the table does not hold")
    return context.conversation


def owners_in_force(dispatch: Dispatch) -> Owners:
    """Return the owners with every mailbox of the routes in force.

    Raises ConfigUnavailable if those cannot be read: a reply waits until the leak gate knows all mailboxes.
    """
    document = dispatch.config.read(dispatch.routes_parameter)
    routes = load_routes(document.body) if document else Routes()
    if routes.problems and not routes.mailboxes:
        raise errors.ConfigUnavailable(routes.problems[0])
    return replace(dispatch.owners, routed=routes.mailboxes)


def signature_in_force(dispatch: Dispatch, conversation: Conversation) -> str:
    """Return the signature of replies in *conversation*, "" if there is none or its document cannot be used: no reply
    waits for it."""
    try:
        document = dispatch.config.read(dispatch.signature_parameter)
    except errors.ConfigUnavailable:
        document = None
    return (load_signatures(document.body) if document else Signatures()).of(conversation.public_address)
