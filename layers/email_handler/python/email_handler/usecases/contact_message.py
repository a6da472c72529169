"""A contact's message, to a public address or to its own thread address: stopped, filtered, or delivered."""

from dataclasses import replace

from email_handler.conversations.awaited import awaiting
from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.conversations.evolve import add_message, contact_after, start
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import acknowledgement_counters, acknowledgement_id, forward_id
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import (
    OWN_MESSAGE,
    ParsedMessage,
    fingerprints,
    is_own_message,
    judged,
    message_record,
    verified_owner,
)
from email_handler.conversations.records import RECEIVED, Contact, Conversation, Decision, MessageRecord
from email_handler.conversations.subjects import base_subject
from email_handler.conversations.thread_address import read_thread_address, token_matches
from email_handler.conversations.threads import (
    choose,
    choose_on_linkedin,
    local_part,
    named_references,
    own_reference,
    root_for_contact,
    takes_part,
)
from email_handler.identifiers import ConversationId, EmailAddress
from email_handler.mail.message import hops
from email_handler.mistakes import Mistake, attempt, attempt_or
from email_handler.ports import Commit, Known, Question
from email_handler.senders.auto_response import refuse_acknowledgement
from email_handler.senders.linkedin import linkedin_slug
from email_handler.senders.machines import is_null_sender
from email_handler.spam.stages import Listed, filter_message, filter_unread
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.context import Context
from email_handler.usecases.decision import Early, build_commit, decide_once, new_send
from email_handler.usecases.feedback_plan import plan_feedback
from email_handler.usecases.unread import bare_question, forward_unread

NAMESAKES = 20  # LinkedIn persons of one name that get a number of their own; the others' conversations have no name


MAX_HOPS = 3  # services like this one that may have forwarded a message before
LOOP = Reason(stage="machine", rule="loop", detail="services like this one forward it to each other")


def decide_contact_message(
    parsed: ParsedMessage, context: Context, *, acknowledge: bool, early: Early | None = None
) -> Decision:
    """Decide about a contact's message, at most once for its receipt. What is known *early* need not be looked up.

    Whatever a step raises, the message is recorded; if it would have been delivered, it is forwarded as it came.
    """
    if parsed.feedback is not None and attempt_or(False, _owner_quotes_feedback, parsed, context):
        parsed = replace(parsed, feedback=None)
    asked = attempt(message_question, parsed)
    question = bare_question(parsed) if isinstance(asked, Mistake) else asked

    def plan(known: Known, configuration: Configuration) -> Commit:
        planned = (
            asked
            if isinstance(asked, Mistake)
            else attempt(_plan, parsed, question, known, configuration, context, acknowledge)
        )
        if not isinstance(planned, Mistake):
            return planned
        stop = attempt_or(None, _stop, parsed, known, configuration.owners)
        return forward_unread(parsed, planned, stop, question, known, configuration, context)

    return decide_once(question, plan, context, early)


def _owner_quotes_feedback(parsed: ParsedMessage, context: Context) -> bool:
    """Return whether an owner wrote *parsed*, which only reads like a bounce: their words are not recorded in silence."""
    by_owner = verified_owner(parsed, context.configuration().owners) is not None
    return by_owner and not is_null_sender(parsed.receipt.envelope_sender)


def _plan(
    parsed: ParsedMessage,
    question: Question,
    known: Known,
    configuration: Configuration,
    context: Context,
    acknowledge: bool,
) -> Commit:
    """Return the transaction for *parsed* given what is *known*."""
    owners = configuration.owners
    record = message_record(parsed, owners, Outcome.RECORD)
    if parsed.feedback is not None and (feedback := plan_feedback(record, parsed.feedback, known)):
        return feedback
    if stop := _stop(parsed, known, owners):
        return build_commit(replace(record, reasons=(stop,)))
    if hops(parsed.message) >= MAX_HOPS:
        return build_commit(replace(record, outcome=Outcome.HOLD, reasons=(LOOP,)))
    record = judged(record, _filter(parsed, known, configuration), owners.reply_address(parsed.message))
    if record.outcome in (Outcome.HOLD, Outcome.DROP):
        return build_commit(record)  # no fingerprint: a copy that passes the filters is not a duplicate of this one
    return plan_delivery(parsed, record, question, known, configuration, context, acknowledge=acknowledge)


def message_question(parsed: ParsedMessage) -> Question:
    """Return what must be known before anything is decided about *parsed*."""
    failed = next(iter(parsed.feedback.recipients), None) if parsed.feedback else None
    return Question(
        receipt=parsed.receipt.id,
        decider=parsed.function,
        fingerprints=fingerprints(parsed),
        contact=failed or parsed.sender,
        subject=base_subject(parsed.message.subject),
        references=parsed.references,
        conversation=parsed.target.conversation if parsed.target else "",
        namesakes=_namesakes(parsed.person.name) if parsed.person and not parsed.target else (),
        counters=acknowledgement_counters(parsed.sender, parsed.at),
        sends=(acknowledgement_id(parsed.sender),),
    )


def _namesakes(name: str) -> tuple[ConversationId, ...]:
    """Return what conversations with LinkedIn persons called *name* are called: ``linkedin-name``, ``-2``, ``-3`` etc."""
    slug = linkedin_slug(name)
    return tuple(ConversationId(slug if number == 1 else f"{slug}-{number}") for number in range(1, NAMESAKES + 1))


def _stop(parsed: ParsedMessage, known: Known, owners: Owners) -> Reason | None:
    """Return why *parsed* is only recorded: a second copy, our own message, or the owner's "reply to all"."""
    if known.duplicate_of is not None:
        return Reason(stage="duplicate", rule="same-mail", detail=f"a copy of receipt {known.duplicate_of}")
    if is_own_message(parsed, known.references, owners.thread_domain):
        return OWN_MESSAGE
    of_conversations = {mailbox for conversation in known.by_reference for mailbox in conversation.mailboxes}
    if (
        parsed.function == "inbound"
        and parsed.verification.address in owners.addresses() | of_conversations
        and any(
            read_thread_address(box.address, owners.thread_domain) for box in (*parsed.message.to, *parsed.message.cc)
        )
    ):
        # Our forward names the public address in To, so the owner's "reply to all" reaches both functions. The reply
        # function handles the copy at the thread address.
        return Reason(stage="owner", rule="reply-all", detail="the thread address has the same message")
    return None


def _filter(parsed: ParsedMessage, known: Known, configuration: Configuration) -> Disposition:
    public_addresses = configuration.owners.public_addresses
    receipt = parsed.receipt
    if parsed.target is not None:
        # The token proves that this message is meant for us, though its recipient is not a public address.
        receipt = replace(receipt, recipients=public_addresses)
    listed: Listed = "" if parsed.feedback else known.listed  # for a report, the failed address was looked up

    def by_content() -> Disposition:
        return filter_message(
            parsed.message,
            receipt,
            parsed.verification,
            configuration.rules,
            public_addresses=public_addresses,
            listed=listed,
            learned=configuration.learned,
            cautious=known.cautious,
        )

    found = attempt(by_content) if parsed.mistake is None else parsed.mistake
    if isinstance(found, Mistake):
        return filter_unread(
            receipt,
            parsed.verification,
            found,
            public_addresses=public_addresses,
            listed=listed,
        )
    return found


def plan_delivery(
    parsed: ParsedMessage,
    record: MessageRecord,
    question: Question,
    known: Known,
    configuration: Configuration,
    context: Context,
    *,
    acknowledge: bool = True,
) -> Commit:
    """Return the transaction for a delivered message: it joins its conversation and is forwarded, and acknowledged if
    that is due. *record* holds the decision about it."""
    owners, verified = configuration.owners, parsed.verification.address
    person = parsed.person if parsed.target is None else None
    if person:
        joined = choose_on_linkedin(person, namesakes=known.namesakes, by_reference=known.by_reference)
    else:
        joined = choose(
            by_token=known.by_id if token_matches(parsed.target, known.by_id) else None,
            by_reference=known.by_reference,
            by_awaited=known.by_awaited,
            by_topic=known.by_topic,
            verified=verified,
            now=parsed.at,
        )
    taken = {namesake.id for namesake in known.namesakes}
    before = joined or start(
        parsed,
        next((name for name in question.namesakes if name not in taken), ""),
        record.reply_address,
        owners=owners,
        routes=configuration.routes,
        new_token=context.new_token,
    )
    conversation = add_message(before, parsed, record.reply_address, owners)
    record = replace(record, conversation=conversation.id, tells=conversation.untold)
    conversation = replace(conversation, untold=())
    ledger = [
        new_send(JobKind.FORWARD, forward_id(conversation.id, record.receipt, mailbox), record, [mailbox])
        for mailbox in conversation.mailboxes
    ]
    counted: dict[str, int] = {}
    if verified and acknowledge and _acknowledgement_due(parsed, record, question, known, owners, context):
        counted = _caps(question, context)
        ledger.append(new_send(JobKind.ACKNOWLEDGEMENT, acknowledgement_id(verified), record, [verified]))
    commit = build_commit(
        record,
        ledger=ledger,
        fingerprint=question.fingerprints[0],
        events=(RECEIVED,) if joined else ("Conversation Started", RECEIVED),
    )
    return replace(
        commit,
        conversation=conversation,
        contact=_contact(parsed, conversation, known),
        topic=_topic(parsed, conversation, question, known),
        references=own_reference(parsed.message, conversation, record.receipt, known.references),
        counted=counted,
    )


def _contact(parsed: ParsedMessage, conversation: Conversation, known: Known) -> Contact | None:
    """Return the contact after *parsed*. If it is verified, they await what it names from now on: but for our own root
    and the ids that lead them to a conversation already."""
    contact, verified = contact_after(parsed, known.contact, conversation), parsed.verification.address
    if contact is None or verified is None:
        return contact
    theirs = {conversation.id, *(c.id for c in known.by_reference if takes_part(c, verified))}
    leading = {reference.local_part for reference in known.references if reference.conversation in theirs}
    return awaiting(
        contact,
        conversation.id,
        named=named_references(parsed.message),
        known=leading | {root_for_contact(conversation)},
        arrived=local_part(parsed.message.message_id),
        now=parsed.at,
    )


def _topic(
    parsed: ParsedMessage, conversation: Conversation, question: Question, known: Known
) -> tuple[EmailAddress, str] | None:
    """Return the topic that leads to *conversation* from now on; None if it does already: what many messages at once
    write, each of them may have to write again."""
    verified = parsed.verification.address
    if verified is None or parsed.person:
        return None
    asked = (verified, conversation.subject.casefold()) == (question.contact, question.subject.casefold())
    leads_there = known.by_topic is not None and known.by_topic.id == conversation.id
    return None if asked and leads_there else (verified, conversation.subject)


def _acknowledgement_due(
    parsed: ParsedMessage, record: MessageRecord, question: Question, known: Known, owners: Owners, context: Context
) -> bool:
    contact = known.contact
    return (
        record.outcome is Outcome.DELIVER
        and parsed.feedback is None
        and acknowledgement_id(parsed.sender) not in known.sends
        and not any(reference.ledger for reference in known.references)  # it replies to us: a help desk's reply, say
        and not (contact and (contact.written_to or contact.unreachable))
        and all(known.counts.get(counter, 0) < cap for counter, cap in _caps(question, context).items())
        and not refuse_acknowledgement(
            parsed.message,
            parsed.receipt,
            parsed.verification,
            own_addresses=owners.public_addresses,
            thread_domain=owners.thread_domain,
            owners=tuple(owners.addresses()),
        )
    )


def _caps(question: Question, context: Context) -> dict[str, int]:
    """Return the counters of a day's acknowledgements, in all and to the contact's domain, with their caps."""
    in_all, to_domain = question.counters
    return {in_all: context.ack_daily_cap, to_domain: context.ack_daily_cap_per_domain}
