"""What keeps a message to a thread address from doing what it asks for, and what becomes of it then: held, with a notice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import hourly_notice_id, notice_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import OWN_MESSAGE, ParsedMessage, is_own_message, message_record
from email_handler.conversations.thread_address import token_matches
from email_handler.identifiers import EmailAddress, LedgerId
from email_handler.ports import Commit, Known
from email_handler.senders.authentication import added_recipients
from email_handler.senders.machines import is_calendar_response, surely_automatic
from email_handler.usecases.decision import build_commit, new_send

type Refusal = tuple[NoticeKind, str, str]
"""Why nothing may leave: the notice's kind, the reason's rule and its detail."""


def stop(
    parsed: ParsedMessage, known: Known, owner: EmailAddress | None, owners: Owners
) -> tuple[Outcome, Reason] | None:
    """Return outcome and reason if *parsed* is only recorded, without a notice: of the owner's, only what a machine
    surely wrote, an exact copy of what was sent to the same conversation, and what may be a machine's response to a
    notice, which would cause another."""
    to_notices = parsed.target is None and owners.notices_address in parsed.receipt.recipients
    if (parsed.target is None and owner is None) or (to_notices and parsed.automatic):
        return Outcome.DROP, Reason(stage="recipient", rule="no-thread-address", detail="names no conversation")
    is_machine = bool(parsed.automatic or parsed.feedback)
    if owner is not None:  # a subject such as "On leave", or words of a bounce, prove nothing about a person
        is_machine = surely_automatic(parsed.message, parsed.receipt.envelope_sender)
    if is_machine:
        why = parsed.automatic or "feedback"
        return Outcome.RECORD, Reason(stage="machine", rule=why.replace(" ", "-"), detail="not relayed, no reply")
    if known.duplicate_of is not None:
        return Outcome.RECORD, Reason(stage="duplicate", rule="same-mail", detail=f"copy of {known.duplicate_of}")
    if owner is None and is_own_message(parsed, known.references, owners.thread_domain):
        return Outcome.RECORD, OWN_MESSAGE
    return None


def refusals(
    parsed: ParsedMessage, known: Known, owner: EmailAddress | None, owners: Owners, *, opened: bool
) -> Iterator[Refusal]:
    """Yield why nothing that *parsed* asks for may happen, the most important reason first; nothing if owner, words and
    address are in order. *opened*: the token is that of what the address names."""
    if owner is None:
        yield _refused_sender(parsed, known, owners)
    elif refused := _refused_words(parsed, known, owners):
        yield refused
    if len(owners.thread_targets(parsed.receipt.recipients)) > 1:
        yield NoticeKind.SEVERAL, "several", "the reply names more than one thread address"
    if not opened:
        yield NoticeKind.WRONG_TOKEN, "wrong-token", "the address opens nothing"
        return
    added = added_recipients(parsed.message, parsed.receipt)
    written = {"to": parsed.message.to, "cc": parsed.message.cc}
    named = owners.thread_targets([box.address for field in written.keys() - added for box in written[field]])
    to_one = [replace(target, tag="") for target in named if target.everyone]
    if parsed.target not in named and parsed.target not in to_one:
        yield NoticeKind.NOT_NAMED, "not-named", "no To or Cc that surely is the sender's names the thread address"
    if parsed.receipt.virus == "FAIL":
        yield NoticeKind.VIRUS, "virus", "SES found a virus in the reply"


def _refused_sender(parsed: ParsedMessage, known: Known, owners: Owners) -> Refusal:
    if any(owners.include(box.address, known.by_id) for box in parsed.message.from_):
        reason = parsed.verification.reason
        alone = "SPF alone does not verify an owner" if parsed.verification.verified else f"not verified: {reason}"
        return NoticeKind.NOT_VERIFIED, "not-verified", alone
    return NoticeKind.NOT_OWNER, "not-owner", "the sender is none of your mailboxes, and not in the conversation"


def _refused_words(parsed: ParsedMessage, known: Known, owners: Owners) -> Refusal | None:
    """Return why the verified owner's words do not leave although a person may have written them."""
    if parsed.target is None and owners.notices_address in parsed.receipt.recipients:
        return NoticeKind.TO_NOTICES, "to-notices", "notices take no reply"
    if is_own_message(parsed, known.references, owners.thread_domain):
        return NoticeKind.AUTOMATIC, "own-mail", OWN_MESSAGE.detail
    if parsed.automatic and not is_calendar_response(parsed.message):
        return NoticeKind.AUTOMATIC, "automatic", f"the sign of a machine: {parsed.automatic}"
    return None


def hold(
    parsed: ParsedMessage,
    known: Known,
    owners: Owners,
    owner: EmailAddress | None,
    kind: NoticeKind,
    rule: str,
    detail: str,
    mailboxes: Sequence[EmailAddress] = (),
) -> Commit:
    """Return the transaction that keeps *parsed* and sends a notice: always if the owner surely wrote it, at most once
    an hour and conversation if a machine of the owner's may have, or anybody else who has its token. Without a
    conversation, *mailboxes* hear of the latter."""
    conversation = known.by_id if owner or token_matches(parsed.target, known.by_id) else None
    stage = "sender" if kind is NoticeKind.NOT_OWNER else "owner"  # what is not in the owner's name can be released
    reason = Reason(stage=stage, rule=rule, detail=detail)
    outcome = Outcome.DROP if kind is NoticeKind.TO_NOTICES else Outcome.HOLD
    record = message_record(parsed, owners, outcome, [reason], conversation=conversation)
    recipients: Sequence[EmailAddress] = [owner] if owner else conversation.mailboxes if conversation else mailboxes
    named = parsed.target.conversation if parsed.target else ""  # as asked for, known or not
    notice = hourly_notice_id(named, parsed.at)
    if owner is not None:
        capped = kind is NoticeKind.AUTOMATIC or parsed.target is None
        notice = hourly_id(parsed, named) if capped else notice_id(record.receipt, owner)
    due = bool(recipients) and notice not in known.sends
    return build_commit(record, ledger=[new_send(JobKind.NOTICE, notice, record, recipients, note=kind)] if due else [])


def hourly_id(parsed: ParsedMessage, conversation: str) -> LedgerId:
    """Return the id of the one notice an hour about owners' messages to *conversation* with this one's sign of a
    machine, or without any. Messages of others do not count towards it: they must not silence it."""
    return hourly_notice_id(f"{conversation}.{parsed.automatic}", parsed.at)
