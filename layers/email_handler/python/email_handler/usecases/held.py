"""The operator's decision about a held message: release it, or confirm that it was rightly held."""

from dataclasses import replace

from email_handler.conversations.disposition import Disposition, Outcome, Reason, mistaken
from email_handler.conversations.held import CONFIRMED, RELEASED
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, judged, message_record, parse_received
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.conversations.thread_address import ThreadTarget
from email_handler.errors import NotHeld
from email_handler.identifiers import EmailAddress, FunctionName, ReceiptId
from email_handler.mail.addresses import split_address
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt, attempt_or
from email_handler.ports import Commit, Known, ListKind, Question
from email_handler.senders.authentication import SenderVerification, bare_receipt, receipt_from_message
from email_handler.senders.linkedin import is_linkedins
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.contact_message import message_question, plan_delivery
from email_handler.usecases.context import Context
from email_handler.usecases.decision import build_commit, decide_once
from email_handler.usecases.unread import bare_question, deliver_unread


def release(receipt: ReceiptId, function: FunctionName, context: Context, *, allow: bool = False) -> Decision:
    """Deliver a held message as if it had not been held: decided at most once, however often it is asked for; forwarded
    once, acknowledged if that is still due. What a mistake of ours keeps from being placed is forwarded as it came.

    *allow* puts the sender on the allow-list. Raises NotHeld for a message that is not held, for an owner's reply that
    was held (its owner sends it again), and for *allow* if the sender is not verified, or writes through LinkedIn: the
    entry would help forgers, or everybody there.
    """
    record = _held(receipt, function, context)
    if not can_be_released(record, context.configuration().owners):
        raise NotHeld("an owner's reply is not released: correct it and send it again")
    listed = _entry(record, "allow", RELEASED, context) if allow else None
    parsed = _parse_again(record, context)
    asked = attempt(message_question, parsed)
    question = replace(bare_question(parsed) if isinstance(asked, Mistake) else asked, decider="operator")

    def plan(known: Known, configuration: Configuration) -> Commit:
        planned = (
            asked
            if isinstance(asked, Mistake)
            else attempt(_plan_release, parsed, record, question, known, configuration, context)
        )
        if isinstance(planned, Mistake):
            reasons = (*record.reasons, RELEASED, mistaken(planned))
            flagged = Disposition(outcome=Outcome.FLAG, reasons=reasons, score=record.score)
            planned = deliver_unread(parsed, flagged, question, known, configuration.owners, context)
        return replace(
            planned,
            decision=replace(planned.decision, decider="operator"),
            message=replace(planned.message, at=record.at, token=record.token),
            fingerprint="" if known.duplicate_of else planned.fingerprint,  # a copy has passed: the operator knows
            listed=listed,
        )

    return decide_once(question, plan, context)


def _plan_release(
    parsed: ParsedMessage,
    record: MessageRecord,
    question: Question,
    known: Known,
    configuration: Configuration,
    context: Context,
) -> Commit:
    owners = configuration.owners
    disposition = Disposition(
        outcome=Outcome.DELIVER,
        reasons=(*record.reasons, RELEASED),
        score=record.score,
        rules_version=record.rules_version,
    )
    released = message_record(parsed, owners, Outcome.DELIVER)
    released = judged(released, disposition, owners.reply_address(parsed.message))
    return plan_delivery(parsed, released, question, known, configuration, context)


def confirm(receipt: ReceiptId, function: FunctionName, context: Context, *, block: bool = False) -> Decision:
    """Record that a message was rightly held; it stays until it expires. *block* puts the sender on the block-list.

    Raises NotHeld for a message that is not held, and for *block* if the sender is not verified, or writes through
    LinkedIn: it would block the person whose address was forged, or everybody there.
    """
    record = _held(receipt, function, context)
    listed = _entry(record, "block", CONFIRMED, context) if block else None
    confirmed = replace(record, reasons=(*record.reasons, CONFIRMED))
    commit = replace(build_commit(confirmed, decider="operator", events=()), listed=listed)
    return decide_once(Question(receipt=receipt, decider="operator"), lambda *_: commit, context)


def can_be_released(record: MessageRecord, owners: Owners) -> bool:
    """Return whether the held message of *record* may be forwarded; an owner's is not, who corrects it and sends it
    again."""
    by_owner = record.function == "reply" and owners.include(record.sender)
    return not (by_owner or any(reason.stage == "owner" for reason in record.reasons))


def _held(receipt: ReceiptId, function: FunctionName, context: Context) -> MessageRecord:
    record = context.records.message(receipt, function)
    if record is None:
        raise NotHeld("there is no such message: `held list` shows the held ones")
    if record.outcome is not Outcome.HOLD and RELEASED not in record.reasons:
        raise NotHeld(f"the message is not held: it was decided as {record.outcome}")
    return record


def _entry(record: MessageRecord, kind: ListKind, decided: Reason, context: Context) -> tuple[EmailAddress, ListKind]:
    """Return the sender's entry of a list, to be stored with the decision: a list changes only if this decision is the
    one that counts. If it was *decided* in the same way before, the entry is stored at once."""
    if not record.verified:
        raise NotHeld(f"the sender is not verified ({record.verification}): leave out the {kind}-list entry")
    if is_linkedins(record.sender):
        raise NotHeld(f"LinkedIn sends everybody's messages from one address: leave out the {kind}-list entry")
    if decided in record.reasons:
        context.records.put_listed(record.sender, kind)
    return EmailAddress(record.sender), kind


def _parse_again(record: MessageRecord, context: Context) -> ParsedMessage:
    """Parse the stored message again, with the recorded envelope and verification, and the stored object's verdicts."""
    owners = context.configuration().owners
    raw = context.archive.get(record.archive_key)
    message = parse(raw)
    rebuilt = attempt(receipt_from_message, message, record.receipt)
    receipt = bare_receipt(record.receipt) if isinstance(rebuilt, Mistake) else rebuilt
    nobody: tuple[EmailAddress, ...] = ()
    recipients = attempt_or(nobody, owners.header_recipients, message, record.function)
    named = (*receipt.recipients, *recipients) if record.function == "reply" else ()
    receipt = replace(receipt, envelope_sender=record.envelope_sender)
    if record.public_address:
        receipt = replace(receipt, recipients=(_tagged(record),))
    parsed = parse_received(raw, receipt, record.function, record.archive_key, context.clock())
    verified = EmailAddress(record.sender) if record.verified else None
    no_target: tuple[ThreadTarget, ...] = ()
    targets = attempt_or(no_target, owners.thread_targets, named)
    return replace(
        parsed,
        verification=SenderVerification(address=verified, reason=record.verification),
        feedback=None,
        target=next(iter(targets), None),  # the token is compared again
    )


def _tagged(record: MessageRecord) -> EmailAddress:
    local, domain = split_address(record.public_address)
    return EmailAddress(f"{local}+{record.source}@{domain}" if record.source else record.public_address)
