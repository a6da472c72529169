"""reply's use case: a message to a thread address becomes a reply to the contact, or is held and the owner notified."""

from collections.abc import Sequence
from dataclasses import replace

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.evolve import add_reply
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import hourly_notice_id, notice_id, reply_id
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import (
    OWN_MESSAGE,
    ParsedMessage,
    fingerprint,
    is_own_message,
    message_record,
    parse_received,
)
from email_handler.conversations.records import Conversation, Decision
from email_handler.conversations.thread_address import token_matches
from email_handler.conversations.threads import own_reference, reply_recipients, takes_part
from email_handler.identifiers import ArchiveKey, EmailAddress
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.context import reply_context
from email_handler.outgoing.notice import NoticeKind
from email_handler.outgoing.reply import compose_reply
from email_handler.ports import Commit, Known
from email_handler.senders.authentication import SesReceipt
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.contact_message import decide_contact_message, message_question
from email_handler.usecases.context import Context
from email_handler.usecases.decision import build_commit, decide_once, new_send
from email_handler.usecases.feedback_plan import plan_feedback

MAX_RECIPIENTS = 10  # of one reply to all


def relay_reply(
    receipt: SesReceipt, archive_key: ArchiveKey, context: Context, *, acknowledge: bool = True
) -> Decision:
    """Decide about a message to a thread address: a reply leaves only if the token is right *and* the owner verified.

    The decision is taken at most once for a receipt; the reply is sent at least once. Machines come first: an owner's
    out-of-office or a daemon is recorded, never relayed, never replied to. *acknowledge* is False for the reconciler,
    as for a contact's message to a public address.
    Raises transient errors only; the invocation is then repeated and finds or takes the decision.
    """
    raw = context.archive.get(archive_key)
    parsed = parse_received(raw, receipt, "reply", archive_key, context.clock())
    owners = context.configuration().owners
    parsed = replace(parsed, person=None, target=next(iter(owners.thread_targets(receipt.recipients)), None))
    if _from_contact(parsed, owners, context):
        return decide_contact_message(parsed, context, acknowledge=acknowledge)
    question = message_question(parsed)
    question = replace(question, sends=(hourly_notice_id(question.conversation, parsed.at),))
    return decide_once(question, lambda known, configuration: plan_reply(parsed, known, configuration), context)


def _from_contact(parsed: ParsedMessage, owners: Owners, context: Context) -> bool:
    """Return whether a contact writes to the thread address of their own conversation, and not in an owner's name."""
    if parsed.target is None or parsed.automatic or parsed.feedback is not None:
        return False
    conversation = context.records.conversation(parsed.target.conversation)
    return (
        conversation is not None
        and takes_part(conversation, parsed.sender)
        and token_matches(parsed.target, conversation)
        and not any(owners.include(box.address, conversation) for box in parsed.message.from_)
    )


def plan_reply(parsed: ParsedMessage, known: Known, configuration: Configuration) -> Commit:
    """Return the transaction for *parsed* given what is *known*. Pure."""
    owners, target = configuration.owners, parsed.target
    if parsed.feedback is not None:
        record = message_record(parsed, owners, Outcome.RECORD)
        if feedback := plan_feedback(record, parsed.feedback, known):
            return feedback
    conversation = known.by_id if token_matches(target, known.by_id) else None
    owner = parsed.verification.address
    if owner not in owners.addresses(known.by_id):
        owner = None
    stop = _stop(parsed, known, owner, owners)
    if stop is not None:
        outcome, reason = stop
        return build_commit(message_record(parsed, owners, outcome, [reason], conversation=conversation))
    refusal = _refusal(parsed, owner, conversation, owners)
    if refusal is not None:
        return _hold(parsed, known, owners, owner, *refusal)
    assert owner and conversation and target, "_refusal covers them"  # noqa: S101, PT018 - for mypy
    recipients = reply_recipients(parsed.message, conversation, everyone=target.everyone, at_most=MAX_RECIPIENTS)
    composed = compose_reply(
        parsed.message,
        reply_context(parsed.message, conversation, owners=owners, recipients=recipients, receipt=parsed.receipt.id),
    )
    if composed.held:
        return _hold(parsed, known, owners, owner, NoticeKind.LEAK, "leak", _places(composed))
    return _relay(parsed, known, owners, owner, conversation, recipients)


def _stop(
    parsed: ParsedMessage, known: Known, owner: EmailAddress | None, owners: Owners
) -> tuple[Outcome, Reason] | None:
    """Return outcome and reason if *parsed* is only recorded, without a notice."""
    if parsed.target is None and (owner is None or owners.notices_address in parsed.receipt.recipients):
        return Outcome.DROP, Reason(stage="recipient", rule="no-thread-address", detail="names no conversation")
    if parsed.automatic or parsed.feedback is not None:
        why = parsed.automatic or "feedback"
        return Outcome.RECORD, Reason(stage="machine", rule=why.replace(" ", "-"), detail="not relayed, no reply")
    if known.duplicate_of is not None:
        return Outcome.RECORD, Reason(stage="duplicate", rule="same-mail", detail=f"copy of {known.duplicate_of}")
    if is_own_message(parsed, known.references, owners.thread_domain):
        return Outcome.RECORD, OWN_MESSAGE
    return None


def _refusal(
    parsed: ParsedMessage, owner: EmailAddress | None, conversation: Conversation | None, owners: Owners
) -> tuple[NoticeKind, str, str] | None:
    """Return (notice, rule, detail) if nothing may leave; None if owner, token and message are in order."""
    if owner is None:
        return NoticeKind.NOT_VERIFIED, "not-verified", parsed.verification.reason
    if len(owners.thread_targets(parsed.receipt.recipients)) > 1:
        return NoticeKind.SEVERAL, "several", "the reply names more than one thread address"
    if conversation is None:
        return NoticeKind.WRONG_TOKEN, "wrong-token", "the thread address opens no conversation"
    if parsed.receipt.virus == "FAIL":
        return NoticeKind.VIRUS, "virus", "SES found a virus in the reply"
    if not conversation.reply_address:
        return NoticeKind.NO_ADDRESS, "no-address", "the contact left no address to reply to"
    return None


def _hold(
    parsed: ParsedMessage,
    known: Known,
    owners: Owners,
    owner: EmailAddress | None,
    kind: NoticeKind,
    rule: str,
    detail: str,
) -> Commit:
    """Return the transaction that keeps *parsed* and sends a notice: always if the owner wrote it, at most once an hour
    and conversation if anybody else did."""
    conversation = known.by_id
    reason = Reason(stage="owner", rule=rule, detail=detail)
    record = message_record(parsed, owners, Outcome.HOLD, [reason], conversation=conversation)
    notices = []
    if owner is not None:
        notices = [new_send(JobKind.NOTICE, notice_id(record.receipt, owner), record, [owner], note=kind)]
    elif conversation is not None:
        hourly = hourly_notice_id(conversation.id, parsed.at)
        if hourly not in known.sends:
            notices = [new_send(JobKind.NOTICE, hourly, record, conversation.mailboxes, note=kind)]
    return build_commit(record, ledger=notices)


def _places(composed: Composed) -> str:
    held = [place for place in composed.places if place.action == "held"]
    return "; ".join(f"{place.what} in {place.where}" for place in held[:10])


def _relay(
    parsed: ParsedMessage,
    known: Known,
    owners: Owners,
    owner: EmailAddress,
    conversation: Conversation,
    recipients: Sequence[EmailAddress],
) -> Commit:
    reason = Reason(stage="owner", rule="verified", detail=parsed.verification.reason)
    record = message_record(parsed, owners, Outcome.RELAY, [reason], conversation=conversation)
    send = new_send(JobKind.REPLY, reply_id(conversation.id, record.receipt, recipients), record, recipients)
    return replace(
        build_commit(record, ledger=[send], fingerprint=fingerprint(parsed.message, verified=True)),
        conversation=add_reply(conversation, parsed, owner),
        references=own_reference(parsed.message, conversation, record.receipt, known.references),
    )
