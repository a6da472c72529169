"""reply's use case: a message to a thread address becomes a reply to the contact, starts a conversation, carries out the
owner's command, or is held and the owner notified."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from email_handler.conversations.commands import Command, Verb, read_command
from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.evolve import add_reply, contact_after_reply, is_repeated
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import notice_id, reminder_id, reply_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import (
    ParsedMessage,
    fingerprint,
    fingerprints,
    message_record,
    parse_received,
    text_digest,
    verified_owner,
)
from email_handler.conversations.records import Conversation, Decision
from email_handler.conversations.thread_address import ThreadTarget, token_matches
from email_handler.conversations.threads import own_reference, reply_recipients, takes_part
from email_handler.identifiers import ArchiveKey, EmailAddress, LedgerId
from email_handler.mail.message import Message
from email_handler.mistakes import Mistake, attempt
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.context import reply_context
from email_handler.outgoing.rehearsal import without_request
from email_handler.outgoing.reply import compose_reply
from email_handler.ports import Commit, Known, Question
from email_handler.senders.authentication import SesReceipt
from email_handler.senders.machines import is_null_sender
from email_handler.usecases.commands import (
    Done,
    carried_out,
    decide_about_held,
    is_about_held,
    plan_command,
)
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.contact_message import decide_contact_message, message_question
from email_handler.usecases.context import Context
from email_handler.usecases.decision import build_commit, decide_once, new_send
from email_handler.usecases.feedback_plan import plan_feedback
from email_handler.usecases.files import plan_files, sends_of_files
from email_handler.usecases.new_conversation import Begun, Starting, begin, started, starting_question, starts
from email_handler.usecases.refusals import Refusal, hold, hourly_id, refusals, stop
from email_handler.usecases.side_by_side import SideBySide
from email_handler.usecases.unread import bare_question, hold_unread
from email_handler.usecases.waiting import wakes_at
from email_handler.values import dataclass

MAX_RECIPIENTS = 10  # of one reply to all
LISTED = 10  # places, changes or unchecked parts that a record names


def relay_reply(
    receipt: SesReceipt,
    archive_key: ArchiveKey,
    context: Context,
    *,
    acknowledge: bool = True,
    mistake: Mistake | None = None,
) -> Decision:
    """Decide about a message to a thread address: a reply leaves only if the token is right *and* the owner verified.

    The decision is taken at most once for a receipt; the reply is sent at least once. Whatever the verified owner writes
    leaves, or comes back with a notice, even if a mistake of ours kept it from being read; only :func:`stop` records in
    silence, an owner's out-of-office reply for example. *acknowledge* is as for a contact's message to a public
    address; *mistake* is what kept it from rebuilding *receipt*. Raises transient errors only; the
    invocation is then repeated and finds or takes the decision.
    """
    targets = attempt(context.owners.thread_targets, receipt.recipients)
    target = None if isinstance(targets, Mistake) else next(iter(targets), None)
    with SideBySide() as beside:
        reading = beside.begin(context.archive.get, archive_key)
        opened = attempt(_opened, target, context)
        raw = reading.result()
    parsed = parse_received(raw, receipt, "reply", archive_key, context.clock(), mistake)
    parsed = replace(parsed, target=target, person=None)
    if isinstance(targets, Mistake):
        parsed = replace(parsed, mistake=targets)
    owners = context.configuration().owners
    from_contact = attempt(_from_contact, parsed, owners, opened) if isinstance(opened, Conversation) else opened
    if from_contact is True:
        return decide_contact_message(parsed, context, acknowledge=acknowledge)
    asked = attempt(_question, parsed, opened if isinstance(opened, Conversation) else None, owners)
    about_held = attempt(is_about_held, parsed)
    mistake = next(
        (found for found in (parsed.mistake, from_contact, about_held, asked) if isinstance(found, Mistake)), None
    )
    if mistake is None and about_held:
        return decide_about_held(parsed, context)

    def plan(known: Known, configuration: Configuration) -> Commit:
        starting = Starting(daily_cap=context.new_conversations_daily_cap, new_token=context.new_token)
        decide = partial(
            _plan_reply, starting=starting, hold_unchecked=context.hold_unchecked, delay=context.reply_delay
        )
        planned = attempt(decide, parsed, known, configuration) if mistake is None else mistake
        if isinstance(planned, Mistake):
            return hold_unread(parsed, planned, known, configuration.owners)
        return planned

    return decide_once(bare_question(parsed) if isinstance(asked, Mistake) else asked, plan, context)


def _question(parsed: ParsedMessage, opened: Conversation | None, owners: Owners) -> Question:
    question = message_question(parsed)
    named = question.conversation
    if starts(parsed):
        question = starting_question(question, parsed, owners)
    question = replace(
        question,
        fingerprints=fingerprints(parsed, to=named),
        sends=(
            *bare_question(parsed).sends,
            hourly_id(parsed, named),
        ),
    )
    if opened is None or parsed.feedback is not None:
        return question
    return replace(
        question, contact=opened.contact, sends=(*question.sends, *_sends_of_command(parsed, opened, owners))
    )


def _sends_of_command(parsed: ParsedMessage, conversation: Conversation, owners: Owners) -> tuple[LedgerId, ...]:
    """Return the sends that must be known to carry out the command that *parsed* may be, about *conversation*."""
    command = read_command(parsed.target.tag, parsed.message.subject) if parsed.target else None
    match command:
        case Command(verb=Verb.CANCEL):
            return conversation.replies
        case Command(verb=Verb.SNOOZE, days=days):
            return (reminder_id(conversation.id, wakes_at(parsed.at, days)),)
        case Command(verb=Verb.FILES):
            return sends_of_files(parsed, command, conversation, owners)
        case _:
            return ()


def _opened(target: ThreadTarget | None, context: Context) -> Conversation | None:
    """Return the conversation that *target*, the message's thread address, opens: its token included."""
    named = context.records.conversation(target.conversation) if target else None
    return named if token_matches(target, named) else None


def _from_contact(parsed: ParsedMessage, owners: Owners, conversation: Conversation) -> bool:
    """Return whether a contact writes to the thread address of their own *conversation*, and not in an owner's name.

    Without From it is the envelope sender's if SPF verifies that; if a mistake kept From from being read, nobody's.
    """
    if not parsed.message.from_ and (parsed.mistake is not None or parsed.receipt.spf != "PASS"):
        return False
    return (
        not parsed.automatic
        and parsed.feedback is None
        and takes_part(conversation, parsed.sender)
        and not any(owners.include(box.address, conversation) for box in parsed.message.from_)
    )


def _plan_reply(
    parsed: ParsedMessage,
    known: Known,
    configuration: Configuration,
    *,
    starting: Starting,
    hold_unchecked: bool,
    delay: timedelta,
) -> Commit:
    """Return the transaction for *parsed* given what is *known*. Pure, but for the id of a conversation that it starts.

    *hold_unchecked*: hold a reply with parts that the leak gate did not read in full; else the owner is told. *delay*: for
    how long a reply waits, and can be cancelled.
    """
    owners, target = configuration.owners, parsed.target
    conversation = known.by_id if token_matches(target, known.by_id) else None
    owner = verified_owner(parsed, owners, known.by_id)
    # An owner's words about a bounce are no report of one: that has no envelope sender.
    if parsed.feedback is not None and (owner is None or is_null_sender(parsed.receipt.envelope_sender)):
        record = message_record(parsed, owners, Outcome.RECORD)
        if feedback := plan_feedback(record, parsed.feedback, known):
            return feedback
    if stopped := stop(parsed, known, owner, owners):
        outcome, reason = stopped
        return build_commit(message_record(parsed, owners, outcome, [reason], conversation=conversation))
    opened = conversation is not None or starts(parsed)
    refusal = next(refusals(parsed, known, owner, owners, opened=opened), None)
    if refusal is not None:
        return hold(parsed, known, owners, owner, *refusal)
    assert owner and target, "refusals covers them"  # noqa: S101, PT018 - for mypy
    if conversation is None:
        return _plan_start(parsed, known, configuration, owner, starting, hold_unchecked=hold_unchecked, delay=delay)
    asked = _Asked(
        parsed=parsed,
        known=known,
        configuration=configuration,
        owner=owner,
        conversation=conversation,
        hold_unchecked=hold_unchecked,
        delay=delay,
    )
    if command := read_command(target.tag, parsed.message.subject):
        return _plan_command(asked, command)
    return _plan_relay(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the verified owner asks for in a conversation, and what must be known to do it."""

    parsed: ParsedMessage
    known: Known
    configuration: Configuration
    owner: EmailAddress
    conversation: Conversation
    hold_unchecked: bool
    delay: timedelta

    @property
    def owners(self) -> Owners:
        """Return the owners in force."""
        return self.configuration.owners

    def composed(self, message: Message, recipients: Sequence[EmailAddress]) -> Composed:
        """Return *message* as *recipients* would get it."""
        about = reply_context(
            message,
            self.conversation,
            owners=self.owners,
            recipients=recipients,
            receipt=self.parsed.receipt.id,
            signature=self.configuration.signatures.of(self.conversation.public_address),
        )
        return compose_reply(message, about)


def _plan_command(asked: _Asked, command: Command) -> Commit:
    if command.verb is Verb.CHECK:
        return _plan_check(asked, command)
    plan = plan_files if command.verb is Verb.FILES else plan_command
    return plan(asked.parsed, command, asked.known, asked.owner, asked.conversation, asked.owners)


def _plan_start(
    parsed: ParsedMessage,
    known: Known,
    configuration: Configuration,
    owner: EmailAddress,
    starting: Starting,
    *,
    hold_unchecked: bool,
    delay: timedelta,
) -> Commit:
    begun = begin(parsed, known, owner, configuration, starting)
    if not isinstance(begun, Begun):
        return hold(parsed, known, configuration.owners, owner, *begun)
    asked = _Asked(
        parsed=parsed,
        known=replace(known, contact=begun.contact),
        configuration=configuration,
        owner=owner,
        conversation=begun.conversation,
        hold_unchecked=hold_unchecked,
        delay=delay,
    )
    return started(_plan_relay(asked), parsed, begun, starting)


def _plan_relay(asked: _Asked) -> Commit:
    parsed = asked.parsed
    everyone = parsed.target is not None and parsed.target.everyone
    recipients = reply_recipients(parsed.message, asked.conversation, everyone=everyone, at_most=MAX_RECIPIENTS)
    composed = asked.composed(parsed.message, recipients)
    digest = text_digest(parsed.message)
    refusal = next(_not_to_be_sent(asked, composed, digest), None)
    if refusal is not None:
        return hold(parsed, asked.known, asked.owners, asked.owner, *refusal)
    return _relay(asked, recipients, composed, digest)


def _plan_check(asked: _Asked, command: Command) -> Commit:
    """Return the transaction that sends the reply back to the owner as the contact would get it, with what would keep it."""
    message = without_request(asked.parsed.message, asked.conversation)
    recipients = reply_recipients(message, asked.conversation, everyone=False, at_most=1)
    refusal = next(_not_to_be_sent(asked, asked.composed(message, recipients), text_digest(message)), None)
    said = "This is your reply as the contact would get it. Nothing was sent to them."
    if refusal is not None:
        said = f"Your reply would not be sent: {refusal[2]}.\nNothing was sent to the contact."
    return carried_out(
        asked.parsed, command, Done(said), asked.owner, asked.owners, asked.conversation, NoticeKind.CHECK
    )


def _not_to_be_sent(asked: _Asked, composed: Composed, digest: str) -> Iterator[Refusal]:
    """Yield why the reply *composed* must not leave although its owner may send it, the most important reason first."""
    if not asked.conversation.reply_address:
        yield NoticeKind.NO_ADDRESS, "no-address", "the contact left no address to reply to"
    if is_repeated(asked.known.contact, digest, asked.parsed.at):
        yield NoticeKind.REPEATED, "repeated", "the same text went to the contact twice within an hour"
    if composed.held:
        yield NoticeKind.LEAK, "leak", _places(composed)
    if composed.unchecked and asked.hold_unchecked:
        yield NoticeKind.UNCHECKED, "unchecked", "; ".join(map(str, composed.unchecked[:LISTED]))


def _places(composed: Composed) -> str:
    held = [place for place in composed.places if place.action == "held"]
    return "; ".join(f"{place.what} in {place.where}" for place in held[:LISTED])


def _relay(asked: _Asked, recipients: Sequence[EmailAddress], composed: Composed, digest: str) -> Commit:
    parsed, known, owners, owner = asked.parsed, asked.known, asked.owners, asked.owner
    conversation = asked.conversation
    reason = Reason(stage="owner", rule="verified", detail=parsed.verification.reason)
    record = message_record(parsed, owners, Outcome.RELAY, [reason], conversation=conversation)
    unchecked = tuple(map(str, composed.unchecked[:LISTED]))
    record = replace(record, unchecked=unchecked, changes=tuple(map(str, composed.changes[:LISTED])))
    reply = new_send(JobKind.REPLY, reply_id(conversation.id, record.receipt, recipients), record, recipients)
    sends = [replace(reply, due=record.at + asked.delay)]
    if record.changes:
        changed = notice_id(record.receipt, owner)
        sends.append(new_send(JobKind.NOTICE, changed, record, [owner], note=NoticeKind.CHANGED))
    contact = known.contact and contact_after_reply(known.contact, digest, parsed.at)
    return replace(
        build_commit(record, ledger=sends, fingerprint=fingerprint(parsed.message, verified=True, to=conversation.id)),
        conversation=add_reply(conversation, parsed, owner, reply.id, untold=() if record.changes else unchecked),
        contact=contact,
        references=own_reference(parsed.message, conversation, record.receipt, known.references),
    )
