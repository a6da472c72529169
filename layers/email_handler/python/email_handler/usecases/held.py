"""The operator's word about held mail: release it, or confirm that it was rightly held."""

from dataclasses import replace

from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.conversations.records import Decision, MessageRecord
from email_handler.errors import NotHeld
from email_handler.identifiers import EmailAddress, FunctionName, ReceiptId
from email_handler.mail.parsing import parse
from email_handler.ports import Commit, Known, ListKind
from email_handler.senders.authentication import SenderVerification, receipt_from_message
from email_handler.usecases.context import Context, ParsedMessage, decide_once, read, settle
from email_handler.usecases.inbound import ask, plan_delivery, question_for

RELEASED = Reason(stage="operator", rule="released", detail="released by the operator")
CONFIRMED = Reason(stage="operator", rule="confirmed", detail="confirmed by the operator")


def release(receipt: ReceiptId, function: FunctionName, context: Context, *, allow: bool = False) -> Decision:
    """Deliver a held message as if it had not been held: decided at most once, however often and by how many it is
    asked for; forwarded once, acknowledged if that is still due.

    *allow* puts the sender on the allow-list. Raises NotHeld for what is not held, for an owner's answer that was
    held (its owner sends it again), and for *allow* where the sender is not verified: the entry would help forgers.
    """
    record = _held(receipt, function, context)
    if any(reason.stage == "owner" for reason in record.reasons):
        raise NotHeld("an answer of the owner's is not released: mend it and send it again")
    if allow:
        _list(record, "allow", context)
    received = _received(record, context)
    question = replace(ask(received, context), function="release")

    def plan(known: Known) -> Commit:
        disposition = Disposition(
            outcome=Outcome.DELIVER,
            reasons=(*record.reasons, RELEASED),
            score=record.score,
            rules_version=record.rules_version,
        )
        commit = plan_delivery(received, question.conversation, known, context, disposition)
        return replace(
            commit,
            decision=replace(commit.decision, function="release"),
            message=replace(commit.message, at=record.at),
            fingerprint="" if known.duplicate_of else commit.fingerprint,  # a copy has passed: the operator knows
        )

    return decide_once(question, plan, context)


def confirm(receipt: ReceiptId, function: FunctionName, context: Context, *, block: bool = False) -> Decision:
    """Record that a message was rightly held; it stays until it expires. *block* puts the sender on the block-list.

    Raises NotHeld for what is not held, and for *block* where the sender is not verified: whoever was forged would
    be blocked.
    """
    record = _held(receipt, function, context)
    if block:
        _list(record, "block", context)
    question = replace(question_for(_received(record, context)), function="release")

    def plan(known: Known) -> Commit:
        del known
        commit = settle(replace(record, reasons=(*record.reasons, CONFIRMED)), events=())
        return replace(commit, decision=replace(commit.decision, function="release"))

    return decide_once(question, plan, context)


def is_open(record: MessageRecord) -> bool:
    """Tell whether *record* is held and waits for the operator's word."""
    return record.outcome is Outcome.HOLD and CONFIRMED not in record.reasons


def _held(receipt: ReceiptId, function: FunctionName, context: Context) -> MessageRecord:
    record = context.records.message(receipt, function)
    if record is None:
        raise NotHeld("there is no such message: `held list` shows those that are held")
    if record.outcome is not Outcome.HOLD and RELEASED not in record.reasons:
        raise NotHeld(f"the message is not held: it was decided as {record.outcome}")
    return record


def _list(record: MessageRecord, kind: ListKind, context: Context) -> None:
    if not record.verified or not record.sender:
        raise NotHeld(f"the sender is not verified ({record.verification}): leave out the {kind}-list entry")
    context.records.put_listed(record.sender, kind)


def _received(record: MessageRecord, context: Context) -> ParsedMessage:
    """Return the message as it was received: envelope and proof from the record, the verdicts from the object."""
    message, owners = parse(context.archive.get(record.archive_key)), context.owners
    receipt = receipt_from_message(message, record.receipt)
    named = (*receipt.recipients, *owners.header_recipients(message, "reply")) if record.function == "reply" else ()
    receipt = replace(receipt, envelope_sender=record.envelope_sender)
    if record.public_address:
        local, _, domain = record.public_address.rpartition("@")
        tagged = EmailAddress(f"{local}+{record.source}@{domain}" if record.source else record.public_address)
        receipt = replace(receipt, recipients=(tagged,))
    received = read(receipt, record.function, record.archive_key, context)
    verified = record.sender if record.verified and record.sender else None
    return replace(
        received,
        verification=SenderVerification(address=verified, reason=record.verification),
        feedback=None,
        target=next(iter(owners.thread_targets(named)), None),  # its token is compared, as it was when the mail came
    )
