"""reply's use case for commands by mail: a verified owner's message that changes something, and is sent to nobody."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from email_handler.conversations.commands import MEANINGS, OF_HELD, PREFILLED, Command, Verb, read_command
from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.evolve import contact_after_cancelling, is_snoozed, snooze
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import notice_id, reminder_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, fingerprint, message_record, verified_owner
from email_handler.conversations.records import Contact, Conversation, Decision, LedgerItem, MessageRecord, Status
from email_handler.conversations.thread_address import token_matches
from email_handler.errors import NotHeld
from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mistakes import Mistake, attempt
from email_handler.ports import Commit, Known, ListKind
from email_handler.senders.linkedin import is_linkedins
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.contact_message import message_question
from email_handler.usecases.context import Context
from email_handler.usecases.decision import build_commit, decide_once, new_send
from email_handler.usecases.held import confirm, release
from email_handler.usecases.refusals import hold, hourly_id, refusals, stop
from email_handler.usecases.unread import bare_question, hold_unread
from email_handler.usecases.waiting import can_be_cancelled, describe_cancelled, reminder, wakes_at
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did: one sentence for the owner, and what changes in the records."""

    said: str
    conversation: Conversation | None = None
    contact: Contact | None = None
    cancelled: tuple[LedgerItem, ...] = ()  # with the reason why they are not sent any more
    reminded_at: datetime | None = None  # when a new reminder is due
    listed: tuple[EmailAddress, ListKind] | None = None


def plan_command(
    parsed: ParsedMessage,
    command: Command,
    known: Known,
    owner: EmailAddress,
    conversation: Conversation,
    owners: Owners,
) -> Commit:
    """Return the transaction for *command* about *conversation*: the change, and one line to *owner* in its thread.

    Pure. Repeating a command changes nothing. One that nobody knows is answered with the list of those there are.
    """
    act = _ACTS.get(command.verb) if command.verb else None
    asked = _Asked(command=command, at=parsed.at, conversation=conversation, known=known, owners=owners)
    done = act(asked) if act else _unknown(command)
    commit = carried_out(parsed, command, done, owner, owners, conversation)
    return replace(
        commit, conversation=done.conversation, contact=done.contact, cancelled=done.cancelled, listed=done.listed
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A command about a conversation, and what must be known to carry it out."""

    command: Command
    at: datetime
    conversation: Conversation
    known: Known
    owners: Owners


def _close(asked: _Asked) -> Done:
    conversation = asked.conversation
    if conversation.status is Status.CLOSED:
        return Done("This conversation was closed already.")
    closed = replace(conversation, status=Status.CLOSED)
    return Done("This conversation is closed. A new message of the contact's opens it again.", closed)


def _spam(asked: _Asked) -> Done:
    conversation = asked.conversation
    if conversation.status is Status.SPAM:
        return Done("This conversation was marked as spam already.")
    return Done("This conversation is marked as spam.", replace(conversation, status=Status.SPAM))


def _block(asked: _Asked) -> Done:
    conversation, owners = asked.conversation, asked.owners
    contact = conversation.contact
    if not contact or owners.is_ours(contact) or owners.include(contact, conversation):
        return Done("Not blocked: the conversation has no contact who could be.")
    if is_linkedins(contact):
        return Done(
            "Not blocked: LinkedIn sends everybody's messages from one address. You can mark the conversation as spam, and "
            "block the person on LinkedIn."
        )
    if not conversation.verified:
        return Done(
            "Not blocked: it is not verified who wrote, and blocking would hold the messages of the person whose address was "
            "used. You can mark the conversation as spam."
        )
    if asked.known.listed == "block":
        return Done("The contact was blocked already.")
    is_spam = conversation.status is Status.SPAM  # which closes it for good
    closed = conversation if is_spam else replace(conversation, status=Status.CLOSED)
    said = "The contact is blocked: whatever they write from now on is held."
    return Done(said, closed, listed=(contact, "block"))


def _snooze(asked: _Asked) -> Done:
    conversation, until = asked.conversation, wakes_at(asked.at, asked.command.days)
    day = f"{until:%A}, {until.day} {until:%B}"
    if is_snoozed(conversation, until):
        return Done(f"You are reminded of this conversation on {day} already.")
    return Done(
        f"You are reminded of this conversation on {day}, unless the contact writes before.",
        snooze(conversation, until),
        # One of the same hour may be left from before the contact wrote, or from before it was moved: it counts again.
        reminded_at=None if reminder_id(conversation.id, until) in asked.known.sends else until,
    )


def _cancel(asked: _Asked) -> Done:
    sends = asked.known.sends
    replies = [sends[reply] for reply in asked.conversation.replies if reply in sends]
    waiting = list(filter(can_be_cancelled, replies))
    said = describe_cancelled(len(waiting), next((reply for reply in replies[-1:] if reply not in waiting), None))
    if not waiting:
        return Done(said)
    contact, times = asked.known.contact, {reply.queued_at for reply in waiting}
    conversation = asked.conversation
    never_began = conversation.started_with and not (conversation.sent or conversation.received)
    return Done(
        said,
        # What the owner wanted to start has not begun, and waits for nobody.
        replace(conversation, status=Status.CLOSED) if never_began and len(waiting) == len(replies) else None,
        contact=contact_after_cancelling(contact, times) if contact else None,
        cancelled=tuple(replace(reply, reason="cancelled by the owner") for reply in waiting),
    )


_ACTS: dict[Verb, Callable[[_Asked], Done]] = {
    Verb.CLOSE: _close,
    Verb.SPAM: _spam,
    Verb.BLOCK: _block,
    Verb.SNOOZE: _snooze,
    Verb.CANCEL: _cancel,
}


def _unknown(command: Command) -> Done:
    verbs = "\n".join(f"{verb}: {meaning}" for verb, meaning in MEANINGS.items())
    return Done(f"There is no command “{command.asked}” here, and nothing was sent. There are:\n{verbs}")


def carried_out(
    parsed: ParsedMessage,
    command: Command,
    done: Done,
    owner: EmailAddress,
    owners: Owners,
    conversation: Conversation | None = None,
    note: NoticeKind = NoticeKind.COMMAND,
    further: Sequence[LedgerItem] = (),
) -> Commit:
    """Return the transaction that records the command, and queues one line about it, its reminder and the *further*
    sends. Words of the owner's beside the command go to nobody, and they hear so."""
    rule = command.verb or "unknown"
    reason = Reason(stage="command", rule=rule, detail=done.said.partition("\n")[0])
    record = message_record(parsed, owners, Outcome.RECORD, [reason], conversation=conversation)
    notice = new_send(JobKind.NOTICE, notice_id(record.receipt, owner), record, [owner], note=note)
    beside = command.verb is not Verb.CHECK and record.snippet.replace(PREFILLED, "").strip()
    said = f"{done.said}\n{_WORDS_BESIDE}" if beside else done.said
    ledger = [replace(notice, detail=said), *further]
    if conversation and done.reminded_at:
        ledger.append(reminder(conversation, record, [owner], done.reminded_at))
    named = conversation.id if conversation else ""
    return build_commit(
        record,
        ledger=ledger,
        events=(),
        fingerprint=fingerprint(parsed.message, verified=True, to=named),
    )


_WORDS_BESIDE = (
    "What you wrote in that email was sent to nobody, since it asked for something. If it was meant for the contact, send "
    "it again as an ordinary reply."
)


# About held messages, which belong to no conversation


def is_about_held(parsed: ParsedMessage) -> bool:
    """Return whether *parsed* asks for something to be done with a held message."""
    command = _command(parsed)
    return command is not None and command.verb in OF_HELD


def decide_about_held(parsed: ParsedMessage, context: Context) -> Decision:
    """Carry out a command about the held message that *parsed*'s address names, by the same use cases as the operator's
    command; refused like a reply. Decided at most once, and repeating it changes nothing."""
    held = _held(parsed, context)
    question = message_question(parsed)
    question = replace(question, sends=(*bare_question(parsed).sends, hourly_id(parsed, question.conversation)))

    def plan(known: Known, configuration: Configuration) -> Commit:
        planned = attempt(_plan_about_held, parsed, held, known, configuration.owners, context)
        return hold_unread(parsed, planned, known, configuration.owners) if isinstance(planned, Mistake) else planned

    return decide_once(question, plan, context)


def _plan_about_held(
    parsed: ParsedMessage, held: MessageRecord | None, known: Known, owners: Owners, context: Context
) -> Commit:
    owner, command = verified_owner(parsed, owners), _command(parsed)
    if stopped := stop(parsed, known, owner, owners):
        outcome, reason = stopped
        return build_commit(message_record(parsed, owners, outcome, [reason]))
    refusal = next(refusals(parsed, known, owner, owners, opened=held is not None), None)
    if refusal is not None:
        return hold(parsed, known, owners, owner, *refusal, mailboxes=owners.forward_to if held else ())
    assert owner and held and command and command.verb, "refusals covers them"  # noqa: S101, PT018 - for mypy
    return carried_out(parsed, command, Done(_settle(command.verb, held, context)), owner, owners)


def _settle(verb: Verb, held: MessageRecord, context: Context) -> str:
    """Release or confirm *held*; an earlier decision stands. Return one sentence about it."""
    try:
        if verb is Verb.RELEASE:
            decision = release(held.receipt, held.function, context)
            confirmed = decision.outcome is Outcome.HOLD
            return "Not released: it was confirmed before." if confirmed else "It is released, and comes to you."
        decision = confirm(held.receipt, held.function, context)
    except NotHeld as error:
        return f"Nothing was done: {error}."
    released = decision.outcome is not Outcome.HOLD
    return "Not confirmed: it was released before." if released else "It stays held, and leaves the list."


def _held(parsed: ParsedMessage, context: Context) -> MessageRecord | None:
    """Return the held message whose address, token included, is *parsed*'s target."""
    if parsed.target is None:
        return None
    for function in ("inbound", "reply"):
        found = context.records.message(ReceiptId(parsed.target.conversation), function)
        if token_matches(parsed.target, found):
            return found
    return None


def _command(parsed: ParsedMessage) -> Command | None:
    return read_command(parsed.target.tag, parsed.message.subject) if parsed.target else None
