"""What the two receiving use cases share: what they work with, how a decision is made once, and how it is finished."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind, ledger_id
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import (
    TEXT_ONLY,
    Conversation,
    Decision,
    LedgerItem,
    MessageRecord,
    PendingEvent,
    SendState,
)
from email_handler.conversations.routes import Routes
from email_handler.conversations.threads import ThreadTarget, local_part, referred
from email_handler.errors import RecordChanged
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress, FunctionName, LedgerId
from email_handler.mail.message import Message, parse
from email_handler.mail.new_text import new_text
from email_handler.outgoing.notice import NoticeKind
from email_handler.ports import Archive, Clock, Commit, Events, Jobs, Known, NewToken, Question, Records, SendLedger
from email_handler.senders.authentication import SenderVerification, SesReceipt, verify_sender
from email_handler.senders.bounces.feedback import Feedback
from email_handler.senders.bounces.reading import read_feedback
from email_handler.senders.linkedin import LinkedInPerson, linkedin_person
from email_handler.senders.machines import automatic
from email_handler.spam.rules import RuleSet
from email_handler.usecases.configuration import Configuration

DECISIONS = 6  # times a decision is taken anew when somebody else wrote in between; then the invocation is retried
SNIPPET = 200  # characters of new text kept in the record
HELD_FOR = timedelta(days=90)  # held mail is kept that long, dropped mail's record too


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Ports and values that receiving needs. Built once per invocation, for rules and routes may change.

    ``configuration`` waits for them, which are read while the mail is fetched and the table asked.
    """

    archive: Archive
    records: Records
    ledger: SendLedger
    jobs: Jobs
    events: Events
    owners: Owners
    configuration: Callable[[], Configuration]
    ack_daily_cap: int
    clock: Clock
    new_token: NewToken

    @property
    def rules(self) -> RuleSet:
        """Return the spam rules in force."""
        return self.configuration().rules

    @property
    def routes(self) -> Routes:
        """Return the routes in force."""
        return self.configuration().routes


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedMessage:
    """One stored message as read: what every later step decides on."""

    receipt: SesReceipt
    function: FunctionName
    archive_key: ArchiveKey
    raw: bytes
    message: Message
    verification: SenderVerification
    automatic: str  # why it is machine mail, "" for a person's
    feedback: Feedback | None
    at: datetime
    person: LinkedInPerson | None = None  # who wrote through LinkedIn
    target: ThreadTarget | None = None  # the conversation whose token the mail bears; compared by the use case

    @property
    def sender(self) -> str:
        """Return From's first address, for display and records; the envelope sender where From has none."""
        return self.message.from_[0].address if self.message.from_ else self.receipt.envelope_sender

    @property
    def by_machine(self) -> bool:
        """Tell whether a machine wrote for itself; LinkedIn's machines write for persons."""
        return bool(self.automatic) and self.person is None

    @property
    def references(self) -> tuple[str, ...]:
        """Return the local parts of ids that tie this mail to others: for feedback the id it is about first, and
        last its own, which may be taken already."""
        original = local_part(self.feedback.original_message_id) if self.feedback else ""
        own = local_part(self.message.message_id)
        return tuple(dict.fromkeys(i for i in (original, *referred(self.message), own) if i))


def read(receipt: SesReceipt, function: FunctionName, archive_key: ArchiveKey, context: Context) -> ParsedMessage:
    """Fetch and read the stored message of *receipt*. Raises ArchiveObjectMissing; mail itself never fails."""
    raw = context.archive.get(archive_key)
    message = parse(raw)
    verification = verify_sender(message, receipt)
    domain = (verification.address or "").rpartition("@")[2]
    return ParsedMessage(
        receipt=receipt,
        function=function,
        archive_key=archive_key,
        raw=raw,
        message=message,
        verification=verification,
        automatic=automatic(message, receipt.envelope_sender),
        feedback=read_feedback(message, receipt.envelope_sender),
        at=context.clock(),
        person=linkedin_person(message, domain == "linkedin.com" or domain.endswith(".linkedin.com")),
    )


def decide_once(question: Question, plan: Callable[[Known], Commit], context: Context) -> Decision:
    """Decide about one receipt and finish what was decided: decided at most once, finished at least once.

    The decision, its jobs and its events are one transaction; only then is anything queued or published. A second
    run (SES's duplicate event, a retry after a crash, the reconciler) finds the decision and finishes it.
    Raises RecordChanged when others wrote in between each time.
    """
    for attempt in range(1, DECISIONS + 1):
        known = context.records.look_up(question)
        context.configuration()  # whether it is needed or not: no reading outlives the invocation
        if known.decision is not None:
            decision = known.decision
            break
        commit = plan(known)
        try:
            context.records.commit(commit)
        except RecordChanged:
            if attempt == DECISIONS:
                raise
            continue
        decision = commit.decision
        break
    if not decision.done:
        finish(decision, context)
    return decision


def finish(decision: Decision, context: Context) -> None:
    """Queue the decision's jobs, publish its events, let held mail expire, mark all done. Each may happen twice after
    a crash; the ledger and the events' ids make the second harmless. The calls go out side by side: none needs
    another."""
    calls: list[Callable[[], None]] = [partial(context.jobs.queue, [job]) for job in decision.jobs]
    if decision.events:
        calls.append(partial(context.events.publish, decision.events))
    if decision.function != "release" and decision.outcome in (Outcome.HOLD, Outcome.DROP):
        key = f"raw/{decision.function}/{decision.receipt}"
        calls.append(partial(context.archive.let_expire, key, expires=True))
    elif decision.function == "release" and decision.jobs:
        calls.append(partial(context.archive.let_expire, decision.jobs[0].archive_key, expires=False))
    if len(calls) > 1:
        with ThreadPoolExecutor(max_workers=len(calls)) as pool:
            for future in [pool.submit(call) for call in calls]:
                future.result()
    else:
        for call in calls:
            call()
    context.records.finish(decision.receipt, decision.function)


def message_record(
    received: ParsedMessage,
    outcome: Outcome,
    reasons: Sequence[Reason],
    *,
    owners: Owners,
    conversation: ConversationId | None = None,
    reply_address: str = "",
    score: float = 0.0,
    rules_version: str = "",
    sender_name: str = "",
) -> MessageRecord:
    """Return the record of *received* under *outcome*."""
    message = received.message
    public = next(iter(owners.public_recipients(received.receipt.recipients)), None)
    text = new_text(message.text, message.html)
    return MessageRecord(
        receipt=received.receipt.id,
        function=received.function,
        archive_key=received.archive_key,
        conversation=conversation or "",
        at=received.at,
        outcome=outcome,
        reasons=tuple(reasons),
        score=score,
        rules_version=rules_version,
        sender=EmailAddress(received.sender),
        sender_name=sender_name or (message.from_[0].name if message.from_ else ""),
        verified=received.verification.verified,
        verification=received.verification.reason,
        public_address=public[0] if public else "",
        source=public[1] if public else "",
        subject=message.subject[:500],
        message_id=message.message_id,
        reply_address=EmailAddress(reply_address),
        automatic=received.automatic,
        envelope_sender=received.receipt.envelope_sender,
        snippet=" ".join(text.split())[:SNIPPET],
        size=message.size,
        defects=message.defects,
        text_chars=len(message.text),
    )


_EVENTS = {
    Outcome.HOLD: ("Message Held",),
    Outcome.DROP: (),
}


def settle(
    record: MessageRecord,
    *,
    ledger: Sequence[LedgerItem] = (),
    fingerprint: str = "",
    events: Sequence[str] | None = None,
    bounced: LedgerId | None = None,
) -> Commit:
    """Return the transaction that makes *record* the decided end of its receipt, with *ledger*'s sends queued.

    *events* are detail types; None stands for what the outcome says.
    """
    names = _EVENTS.get(record.outcome, ("Message Received",)) if events is None else events
    kept = record.outcome not in (Outcome.HOLD, Outcome.DROP)
    return Commit(
        decision=Decision(
            receipt=record.receipt,
            function=record.function,
            outcome=record.outcome,
            conversation=record.conversation,
            jobs=tuple(item.job for item in ledger),
            events=tuple(_event(name, record) for name in names),
        ),
        message=record,
        ledger=tuple(ledger),
        fingerprint=fingerprint,
        expires_at=None if kept else record.at + HELD_FOR,
        bounced=bounced or "",
    )


def _event(detail_type: str, record: MessageRecord) -> PendingEvent:
    detail = {
        "version": 1,
        "receipt": record.receipt,
        "function": record.function,
        "conversation": record.conversation,
        "direction": "owner" if record.outcome is Outcome.RELAY else "contact",
        "outcome": record.outcome.value,
        "reasons": [str(reason) for reason in record.reasons],
        "archive_key": record.archive_key,
        "public_address": record.public_address,
        "source": record.source,
        "at": record.at.isoformat(),
    }
    if record.feedback:  # without its recipient, which may be the owner's mailbox
        detail["feedback"] = {name: record.feedback[name] for name in ("kind", "status", "ledger")}
    return PendingEvent(
        id=f"{record.receipt}-{record.function}-{detail_type.lower().replace(' ', '-')}",
        detail_type=detail_type,
        detail=detail,
        at=record.at,
    )


def queued(
    kind: JobKind, record: MessageRecord, recipients: Sequence[str], *key: str, note: str = "", conversation: str = ""
) -> LedgerItem:
    """Return a new ledger item that *record* causes, due now; *key* determines its id."""
    return LedgerItem(
        id=ledger_id(kind, *key),
        kind=kind,
        conversation=ConversationId(conversation or record.conversation),
        source=record.receipt,
        source_function=record.function,
        archive_key=record.archive_key,
        recipients=tuple(EmailAddress(address) for address in recipients),
        state=SendState.QUEUED,
        queued_at=record.at,
        due=record.at,
        note=note,
    )


def plan_feedback(record: MessageRecord, feedback: Feedback, known: Known) -> Commit | None:
    """Return what a bounce or complaint about a mail of ours becomes; None where it is tied to nothing we sent.

    *record* is the feedback's own; the conversation gets it. The send becomes BOUNCED where the failure is final,
    a contact who cannot be reached is never acknowledged again, and the owner is told, once, where it was their
    answer. A forward refused for content or size goes out once more, as text and a list.
    """
    send = next((known.sends[r.ledger] for r in known.references if r.ledger and r.ledger in known.sends), None)
    if send is None:
        return None
    record = replace(
        record,
        outcome=Outcome.RECORD,
        reasons=(Reason(stage="feedback", rule=feedback.kind, detail=f"about our {send.kind}"),),
        conversation=send.conversation,
        feedback={
            "kind": feedback.kind,
            "status": feedback.status,
            "recipient": next(iter(feedback.recipients), ""),
            "ledger": send.id,
        },
    )
    final = feedback.permanent or feedback.kind == "complaint"
    news = final and send.state is not SendState.BOUNCED
    conversation = next((c for c in known.by_reference if c.id == send.conversation), None)
    notices = (
        [
            queued(JobKind.NOTICE, record, [mailbox], send.id, mailbox, note=NoticeKind.BOUNCED)
            for mailbox in conversation.mailboxes
        ]
        if news and conversation and send.kind is JobKind.REPLY
        else []
    )
    failed = ("Delivery Failed",) if final else ()
    mailed = ("Message Received",) if record.archive_key.startswith(("raw/inbound/", "raw/reply/")) else ()
    again = [_text_only(send, record.at)] if news and feedback.refuses_content and _may_go_again(send) else []
    commit = settle(record, ledger=[*notices, *again], bounced=send.id if news else None, events=(*mailed, *failed))
    if news and known.contact is not None and known.contact.address.lower() in map(str.lower, send.recipients):
        commit = replace(commit, contact=replace(known.contact, unreachable=True, updated_at=record.at))
    return commit


def is_own_message(received: ParsedMessage, known: Known, owners: Owners) -> Reason | None:
    """Return why *received* ends here where it is a mail of our own that somebody's rule sent on: it bears an id of a
    send of ours, or comes from the thread subdomain, where nobody writes mail. Forwarded once, it would be for ever."""
    own = local_part(received.message.message_id)
    ours = any(reference.ledger and reference.local_part == own for reference in known.references)
    if ours or any(m.address.endswith(f"@{owners.thread_domain}") for m in received.message.from_):
        return Reason(stage="machine", rule="own-mail", detail="a mail that we sent came back")
    return None


def _may_go_again(send: LedgerItem) -> bool:
    return send.kind is JobKind.FORWARD and send.note != TEXT_ONLY


def _text_only(send: LedgerItem, at: datetime) -> LedgerItem:
    """Return the one further forward of what *send* forwarded. Its id is *send*'s, so there is never a third."""
    return LedgerItem(
        id=ledger_id(send.kind, send.id, TEXT_ONLY),
        kind=send.kind,
        conversation=send.conversation,
        source=send.source,
        source_function=send.source_function,
        archive_key=send.archive_key,
        recipients=send.recipients,
        state=SendState.QUEUED,
        queued_at=at,
        due=at,
        note=TEXT_ONLY,
    )


def mailbox_of(address: str, conversation: Conversation) -> EmailAddress:
    """Return the mailbox of *conversation* that the owner's *address* stands for: itself, or the first (an alias)."""
    mine = EmailAddress(address.lower())
    return mine if mine in conversation.mailboxes or not conversation.mailboxes else conversation.mailboxes[0]
