"""What becomes of a message that a mistake of ours kept from being judged or placed: recorded and forwarded as it came.

Nothing here depends on what the message holds, so that no second mistake can follow from the same cause.
"""

from dataclasses import replace
from typing import Literal

from email_handler.conversations.disposition import Disposition, Outcome, Reason, mistaken
from email_handler.conversations.evolve import ID_LENGTH, NewToken, add_message
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import forward_id, hourly_notice_id, notice_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, unread_record, verified_owner
from email_handler.conversations.records import Conversation, Status
from email_handler.conversations.thread_address import TOKEN_LENGTH, token_matches
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mistakes import Mistake, attempt_or
from email_handler.ports import Commit, Known, Question
from email_handler.spam.stages import filter_unread
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import build_commit, new_send


def bare_question(parsed: ParsedMessage) -> Question:
    """Return what must be known about *parsed* if nothing can be asked by its content."""
    named: ConversationId | Literal[""] = parsed.target.conversation if parsed.target else ""
    hourly = (hourly_notice_id(named, parsed.at), hourly_notice_id("", parsed.at))
    return Question(receipt=parsed.receipt.id, decider=parsed.function, conversation=named, sends=hourly)


def forward_unread(
    parsed: ParsedMessage,
    mistake: Mistake,
    stop: Reason | None,
    question: Question,
    known: Known,
    configuration: Configuration,
    context: Context,
) -> Commit:
    """Return the transaction that forwards *parsed* with a warning (see :func:`deliver_unread`).

    *stop* is why it is recorded only (a copy, our own message), if that is known. What SES's verdicts, the recipients
    and the operator's lists hold or drop stays held or dropped.
    """
    owners, receipt = configuration.owners, parsed.receipt
    last_resort = Disposition(
        outcome=Outcome.HOLD if receipt.virus == "FAIL" else Outcome.FLAG, reasons=(mistaken(mistake),)
    )
    judged = attempt_or(last_resort, _judged, parsed, mistake, known, owners)
    if stop is not None:
        judged = replace(judged, outcome=Outcome.RECORD, reasons=(stop, *judged.reasons))
    if judged.outcome is not Outcome.FLAG:
        return build_commit(unread_record(parsed, owners, judged))
    return deliver_unread(parsed, judged, question, known, owners, context)


def deliver_unread(
    parsed: ParsedMessage, judged: Disposition, question: Question, known: Known, owners: Owners, context: Context
) -> Commit:
    """Return the transaction that forwards *parsed* as *judged*, in the conversation that its token opens, or in one of
    its own."""
    record = unread_record(parsed, owners, judged)
    found = attempt_or(None, owners.reply_address, parsed.message)
    reply_address: EmailAddress | Literal[""] = found or ""
    joined = known.by_id if attempt_or(False, token_matches, parsed.target, known.by_id) else None
    before = joined or bare_conversation(parsed, reply_address, owners, context.new_token)
    counted = replace(before, received=before.received + 1, updated_at=parsed.at)
    conversation = attempt_or(counted, add_message, before, parsed, reply_address, owners)
    record = replace(record, conversation=conversation.id, reply_address=reply_address)
    ledger = [
        new_send(JobKind.FORWARD, forward_id(conversation.id, record.receipt, mailbox), record, [mailbox])
        for mailbox in conversation.mailboxes
    ]
    return replace(
        build_commit(record, ledger=ledger, fingerprint=next(iter(question.fingerprints), "")),
        conversation=conversation,
    )


def _judged(parsed: ParsedMessage, mistake: Mistake, known: Known, owners: Owners) -> Disposition:
    receipt = parsed.receipt
    if parsed.target is not None:  # its token is what it is meant for
        receipt = replace(receipt, recipients=owners.public_addresses)
    return filter_unread(
        receipt,
        parsed.verification,
        mistake,
        public_addresses=owners.public_addresses,
        listed=known.listed,
    )


def bare_conversation(
    parsed: ParsedMessage, reply_address: EmailAddress | Literal[""], owners: Owners, new_token: NewToken
) -> Conversation:
    """Return a conversation for *parsed* that nothing it holds can prevent: no route, no older thread."""
    return Conversation(
        id=ConversationId(f"c-{new_token(ID_LENGTH)}"),
        token=new_token(TOKEN_LENGTH),
        contact=parsed.sender,
        contact_name=parsed.sender_name,
        public_address=owners.public_addresses[0],
        source="",
        subject=parsed.message.subject,
        owner_subject=parsed.message.subject,
        mailboxes=owners.forward_to,
        status=Status.OPEN,
        verified=parsed.verification.verified,
        reply_address=reply_address,
        reply_differs=False,
        started_at=parsed.at,
        updated_at=parsed.at,
    )


def hold_unread(parsed: ParsedMessage, mistake: Mistake, known: Known, owners: Owners) -> Commit:
    """Return the transaction that keeps a message to a thread address, and sends the owner a notice: each time if the
    verified owner wrote to a thread address, at most once an hour otherwise, for each conversation that exists and for
    all that do not."""
    record = unread_record(parsed, owners, Disposition(outcome=Outcome.HOLD, reasons=(mistaken(mistake),)))
    conversation = known.by_id
    owner = verified_owner(parsed, owners, conversation)
    if conversation is not None:
        record = replace(record, conversation=conversation.id)
    hourly = hourly_notice_id(record.conversation, parsed.at)
    mailboxes = [owner] if owner else conversation.mailboxes if conversation else owners.forward_to
    # What responds to a notice has no target: one notice each would be a loop.
    notice = notice_id(record.receipt, owner) if owner and parsed.target else hourly
    due = notice not in known.sends
    notices = [new_send(JobKind.NOTICE, notice, record, mailboxes, note=NoticeKind.MISTAKE)] if due else []
    return build_commit(record, ledger=notices)
