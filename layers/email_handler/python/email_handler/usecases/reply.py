"""reply's use case: mail to a thread address becomes an answer to the contact, or is held and the owner told."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind, ledger_id
from email_handler.conversations.owners import Owners
from email_handler.conversations.records import Conversation, Decision, LedgerItem, Link, Reference
from email_handler.conversations.threads import (
    ThreadTarget,
    fingerprint,
    local_part,
    renamed,
    takes_part,
    threading_for_contact,
    token_matches,
    with_link,
)
from email_handler.identifiers import ArchiveKey, EmailAddress, LedgerId, ReceiptId
from email_handler.mail.message import Message
from email_handler.outgoing.composed import Composed, ReplyContext
from email_handler.outgoing.notice import NoticeKind
from email_handler.outgoing.reply import compose_reply
from email_handler.ports import Commit, Known
from email_handler.senders.authentication import SesReceipt
from email_handler.usecases.context import (
    Context,
    ParsedMessage,
    decide_once,
    is_own_message,
    mailbox_of,
    message_record,
    plan_feedback,
    queued,
    read,
    settle,
)
from email_handler.usecases.inbound import decide_received, question_for

MAX_ANSWERED = 10  # recipients of one answer to all


def relay_reply(
    receipt: SesReceipt, archive_key: ArchiveKey, context: Context, *, acknowledge: bool = True
) -> Decision:
    """Decide about mail to a thread address: an answer leaves only when the token is right *and* the owner verified.

    The decision is taken at most once for a receipt; the answer is sent at least once. Machines come first: an
    owner's out-of-office or a daemon is recorded, never relayed, never answered. *acknowledge* is False for the
    reconciler, as for a contact's mail to a public address.
    Raises transient errors only; the invocation is then repeated and finds or takes the decision.
    """
    received = read(receipt, "reply", archive_key, context)
    received = replace(
        received, person=None, target=next(iter(context.owners.thread_targets(receipt.recipients)), None)
    )
    if _from_contact(received, context):
        return decide_received(received, context, acknowledge=acknowledge)
    question = question_for(received)
    question = replace(question, sends=(_hourly(question.conversation, received.at),))
    return decide_once(question, lambda known: plan_reply(received, known, context), context)


def _from_contact(received: ParsedMessage, context: Context) -> bool:
    """Tell whether a contact writes to the thread address of their own conversation, and not as the owner."""
    if received.target is None or received.automatic or received.feedback is not None:
        return False
    conversation = context.records.conversation(received.target.conversation)
    return (
        conversation is not None
        and token_matches(received.target, conversation)
        and not _claims_owner(received, conversation, context)
        and takes_part(conversation, received.sender)
    )


def _owners(conversation: Conversation | None, context: Context) -> frozenset[str]:
    return context.owners.addresses(conversation, further=context.routes.mailboxes)


def _claims_owner(received: ParsedMessage, conversation: Conversation | None, context: Context) -> bool:
    owners, routed = context.owners, context.routes.mailboxes
    return any(owners.is_private(mailbox.address, conversation, routed) for mailbox in received.message.from_)


def _hourly(conversation: str, at: datetime) -> LedgerId:
    """Return the ledger id of the one notice an hour that unverified senders can cause in a conversation."""
    return ledger_id(JobKind.NOTICE, conversation, at.strftime("%Y-%m-%dT%H"))


def plan_reply(received: ParsedMessage, known: Known, context: Context) -> Commit:
    """Return the transaction for *received* given what is *known*. Pure."""
    owners = context.owners
    if received.feedback is not None:
        record = message_record(received, Outcome.RECORD, [], owners=owners)
        feedback = plan_feedback(record, received.feedback, known)
        if feedback is not None:
            return feedback
    target = received.target
    conversation = known.by_id if token_matches(target, known.by_id) else None
    owner = received.verification.address if received.verification.address in _owners(known.by_id, context) else None
    stop = _stop(received, known, target, owner, owners)
    if stop is not None:
        outcome, reason = stop
        of = conversation.id if conversation else None
        return settle(message_record(received, outcome, [reason], owners=owners, conversation=of))
    several = len(owners.thread_targets(received.receipt.recipients)) > 1
    refusal = _refusal(received, owner, conversation, several=several)
    if refusal is not None:
        return _hold(received, known, context, owner, *refusal)
    assert owner is not None and conversation is not None, "_refusal answers for both"  # noqa: S101, PT018 - for mypy
    recipients = _recipients(received.message, conversation, everyone=bool(target and target.everyone))
    composed = compose_reply(
        received.message,
        reply_context(
            received.message, conversation, owners, context.routes.mailboxes, recipients, received.receipt.id
        ),
    )
    if composed.held:
        return _hold(received, known, context, owner, NoticeKind.LEAK, "leak", _places(composed))
    return _relay(received, known, context, owner, conversation, recipients)


def _stop(
    received: ParsedMessage, known: Known, target: ThreadTarget | None, owner: EmailAddress | None, owners: Owners
) -> tuple[Outcome, Reason] | None:
    """Return outcome and reason where *received* ends here, recorded, and nobody is told."""
    if target is None and (owner is None or owners.notices_address in received.receipt.recipients):
        return Outcome.DROP, Reason(stage="recipient", rule="no-thread-address", detail="names no conversation")
    if received.automatic or received.feedback is not None:
        why = received.automatic or "feedback"
        return Outcome.RECORD, Reason(stage="machine", rule=why.replace(" ", "-"), detail="not relayed, not answered")
    if known.duplicate_of is not None:
        return Outcome.RECORD, Reason(stage="duplicate", rule="same-mail", detail=f"copy of {known.duplicate_of}")
    ours = is_own_message(received, known, owners)
    return (Outcome.RECORD, ours) if ours else None


def _refusal(
    received: ParsedMessage, owner: EmailAddress | None, conversation: Conversation | None, *, several: bool
) -> tuple[NoticeKind, str, str] | None:
    """Return (notice, rule, detail) where nothing may leave; None where owner, token and mail are in order."""
    if owner is None:
        return NoticeKind.NOT_VERIFIED, "not-verified", received.verification.reason
    if several:
        return NoticeKind.SEVERAL, "several", "the answer names more than one thread address"
    if conversation is None:
        return NoticeKind.WRONG_TOKEN, "wrong-token", "the thread address opens no conversation"
    if received.receipt.virus == "FAIL":
        return NoticeKind.VIRUS, "virus", "SES found a virus in the answer"
    if not conversation.reply_address:
        return NoticeKind.NO_ADDRESS, "no-address", "the contact left no address to answer to"
    return None


def _hold(
    received: ParsedMessage,
    known: Known,
    context: Context,
    owner: EmailAddress | None,
    kind: NoticeKind,
    rule: str,
    detail: str,
) -> Commit:
    """Return the transaction that keeps *received* and tells the owner: always when the owner wrote it, at most
    once an hour a conversation when anybody else did."""
    conversation = known.by_id
    record = message_record(
        received,
        Outcome.HOLD,
        [Reason(stage="owner", rule=rule, detail=detail)],
        owners=context.owners,
        conversation=conversation.id if conversation else None,
    )
    of = conversation.id if conversation else ""
    notices: list[LedgerItem] = []
    if owner is not None:
        notices = [queued(JobKind.NOTICE, record, [owner], record.receipt, owner, note=kind, conversation=of)]
    elif conversation is not None and _hourly(conversation.id, received.at) not in known.sends:
        told = list(conversation.mailboxes)
        notices = [queued(JobKind.NOTICE, record, told, of, received.at.strftime("%Y-%m-%dT%H"), note=kind)]
    return settle(record, ledger=notices)


def _places(composed: Composed) -> str:
    held = [place for place in composed.places if place.action == "held"]
    return "; ".join(f"{place.what} in {place.where}" for place in held[:10])


def _parents(message: Message) -> tuple[str, ...]:
    """Return the local parts of the ids that *message* answers: In-Reply-To's, or the last of References, by which
    alone some clients say it (RFC 5322 §3.6.4)."""
    return tuple(map(local_part, message.in_reply_to or message.references[-1:]))


def _recipients(message: Message, conversation: Conversation, *, everyone: bool) -> tuple[EmailAddress, ...]:
    """Return the answer's envelope, from the record alone: the reply address of the mail it answers (by
    its ids), else of the last verified one; with *everyone* all who take part too."""
    known = {
        local_part(own): link.reply_address
        for link in conversation.links
        for own in link.owner_ids.values()
        if link.reply_address
    }
    answered = (known[i] for i in _parents(message) if i in known)
    first = next(answered, None) or conversation.reply_address
    others = conversation.participants if everyone else ()
    return tuple(dict.fromkeys(EmailAddress(a) for a in (first, *others) if a))[:MAX_ANSWERED]


def reply_context(
    message: Message,
    conversation: Conversation,
    owners: Owners,
    routed: Iterable[EmailAddress],
    recipients: Sequence[EmailAddress],
    receipt: ReceiptId,
) -> ReplyContext:
    """Return what composing the answer needs. The contact keeps their subject unless the owner changed it; no
    mailbox that any route names (*routed*) is shown to them, for one owner may quote another's mail."""
    subject = renamed(message.subject, conversation.owner_subject) or conversation.subject
    domain = conversation.public_address.rpartition("@")[2]
    return ReplyContext(
        identity=owners.identity(conversation, routed),
        threading=threading_for_contact(
            conversation, domain, f"Re: {subject}".rstrip(), answers=_answered(message, conversation, receipt)
        ),
        contact=EmailAddress(conversation.reply_address or conversation.contact),
        recipients=tuple(recipients),
        contact_name=conversation.contact_name,
    )


def _answered(message: Message, conversation: Conversation, receipt: ReceiptId) -> ReceiptId:
    """Return the receipt of the mail that *message* answers by its ids; its own where it names none known
    (which has no id on the contact's side yet, so the last one is taken)."""
    named = set(_parents(message))
    for link in reversed(conversation.links):
        if any(local_part(own) in named for own in link.owner_ids.values()):
            return link.receipt
    return receipt


def _relay(
    received: ParsedMessage,
    known: Known,
    context: Context,
    owner: EmailAddress,
    conversation: Conversation,
    recipients: Sequence[EmailAddress],
) -> Commit:
    message = received.message
    record = message_record(
        received, Outcome.RELAY, [Reason(stage="owner", rule="verified", detail=received.verification.reason)],
        owners=context.owners, conversation=conversation.id,
    )  # fmt: skip
    item = queued(JobKind.REPLY, record, recipients, conversation.id, received.receipt.id, ",".join(sorted(recipients)))
    link = Link(
        receipt=received.receipt.id,
        contact_id="",
        owner_ids={mailbox_of(owner, conversation): message.message_id} if message.message_id else {},
    )
    subject = renamed(message.subject, conversation.owner_subject)
    own = local_part(message.message_id)
    taken = any(reference.local_part == own for reference in known.references)
    return replace(
        settle(record, ledger=[item], fingerprint=fingerprint(message, received.raw, verified=True)),
        conversation=replace(
            with_link(conversation, link),
            updated_at=received.at,
            owner_subject=subject or conversation.owner_subject,
            subject=subject or conversation.subject,
        ),
        references=(Reference(local_part=own, conversation=conversation.id, receipt=received.receipt.id),)
        if own and not taken
        else (),
    )
