"""inbound's use case: a message to a public address becomes one recorded decision."""

from collections.abc import Sequence
from dataclasses import replace

from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.conversations.jobs import JobKind, ledger_id
from email_handler.conversations.records import (
    Contact,
    Conversation,
    Decision,
    Link,
    Reference,
    Status,
)
from email_handler.conversations.routes import MAX_MAILBOXES
from email_handler.conversations.threads import (
    MAX_PARTICIPANTS,
    TOKEN_LENGTH,
    base_subject,
    choose,
    fingerprint,
    local_part,
    new_id,
    read_thread_address,
    renamed,
    token_matches,
    with_link,
)
from email_handler.identifiers import ArchiveKey, ConversationId, EmailAddress, LedgerId
from email_handler.mail.addresses import address_domain, aligned, can_be_written_to, split_tag
from email_handler.ports import Commit, Known, Question
from email_handler.senders.authentication import SesReceipt
from email_handler.senders.auto_response import refuse_acknowledgement
from email_handler.senders.linkedin import LinkedInPerson, linkedin_slug
from email_handler.spam.stages import filter_message
from email_handler.usecases.context import (
    Context,
    ParsedMessage,
    decide_once,
    is_own_message,
    message_record,
    plan_feedback,
    queued,
    read,
    settle,
)

MAX_EARLIER = 5  # conversations kept with a contact for the banner
NAMESAKES = 20  # LinkedIn persons of one name that are told apart by number; more share the last


def receive(receipt: SesReceipt, archive_key: ArchiveKey, context: Context, *, acknowledge: bool = True) -> Decision:
    """Decide about a message to a public address: exactly one recorded state, whatever the mail.

    The decision is taken at most once for a receipt; its forward is sent at least once, its acknowledgement at
    most once per contact. *acknowledge* is False for the reconciler: hours later nobody wants one.
    Raises transient errors only; the invocation is then repeated and finds or takes the decision.
    """
    received = read(receipt, "inbound", archive_key, context)
    return decide_received(received, context, acknowledge=acknowledge)


def decide_received(received: ParsedMessage, context: Context, *, acknowledge: bool = True) -> Decision:
    """Decide about mail that is a contact's: from inbound, or from a thread address whose token is right."""
    return decide_once(
        question := ask(received, context),
        lambda known: plan_received(received, question.conversation, known, context, acknowledge=acknowledge),
        context,
    )


def ask(received: ParsedMessage, context: Context) -> Question:
    """Return what must be known before anything is decided about *received*.

    For a LinkedIn person this settles the conversation's id: the first of ``linkedin-name``, ``-2``, ``-3`` … that
    is free or this person's own. Two persons of one name are told apart by the thread's URL; without one, only ids
    can join.
    """
    question = question_for(received)
    person = received.person
    if person is None or not question.conversation:
        return question
    for number in range(1, NAMESAKES + 1):
        name = ConversationId(question.conversation if number == 1 else f"{question.conversation}-{number}")
        taken = context.records.conversation(name)
        if taken is None or (person.thread_url and taken.linkedin_thread == person.thread_url):
            break
    return replace(question, conversation=name)


def question_for(received: ParsedMessage) -> Question:
    """Return what *received* itself says must be known."""
    failed = next(iter(received.feedback.recipients), "") if received.feedback else ""
    named = linkedin_slug(received.person.name) if received.person else ""
    return Question(
        receipt=received.receipt.id,
        function=received.function,
        fingerprints=_prints(received),
        contact=EmailAddress(failed or received.sender),
        subject=base_subject(received.message.subject),
        references=received.references,
        conversation=received.target.conversation if received.target else ConversationId(named),
        day=received.at.date().isoformat(),
        sends=(_acknowledgement_id(received.sender),),
    )


def _acknowledgement_id(contact: str) -> LedgerId:
    """Return the ledger id of the one acknowledgement that *contact*'s mailbox gets, under whatever tag it writes."""
    return ledger_id(JobKind.ACKNOWLEDGEMENT, split_tag(contact)[0])


def plan_received(
    received: ParsedMessage, conversation: str, known: Known, context: Context, *, acknowledge: bool
) -> Commit:
    """Return the transaction for *received* given what is *known*. Pure but for fresh ids.

    *conversation* is the id that was asked for: of the thread address, or a LinkedIn person's.
    """
    owners = context.owners
    if received.feedback is not None:
        record = message_record(received, Outcome.RECORD, [], owners=owners)
        feedback = plan_feedback(record, received.feedback, known)
        if feedback is not None:
            return feedback
    stopped = _stop(received, known, context)
    if stopped is not None:
        return settle(message_record(received, Outcome.RECORD, [stopped], owners=owners))
    disposition = _filter(received, known, context)
    if disposition.outcome in (Outcome.HOLD, Outcome.DROP):
        record = message_record(
            received,
            disposition.outcome,
            disposition.reasons,
            owners=owners,
            score=disposition.score,
            rules_version=disposition.rules_version,
            reply_address=_reply_address(received, context),
        )
        return settle(record)  # without a fingerprint: a copy that passes the filters is not to end with this one
    return plan_delivery(received, conversation, known, context, disposition, acknowledge=acknowledge)


def _prints(received: ParsedMessage) -> tuple[str, ...]:
    """Return the fingerprints that make *received* a copy of another mail, its own first: what is not verified may be
    a copy of verified mail, never the other way round. Without a Message-ID only one receipt seen by both functions is
    the same mail."""
    if not received.message.message_id:
        return (f"receipt {received.receipt.id}",)
    verifications = (True,) if received.verification.verified else (False, True)
    return tuple(fingerprint(received.message, received.raw, verified=verification) for verification in verifications)


def _stop(received: ParsedMessage, known: Known, context: Context) -> Reason | None:
    """Return why *received* ends here, recorded: a second copy, our own mail, or the owner's own reply-all."""
    owners = context.owners
    if known.duplicate_of is not None:
        return Reason(stage="duplicate", rule="same-mail", detail=f"a copy of receipt {known.duplicate_of}")
    if ours := is_own_message(received, known, owners):
        return ours
    header_recipients = (*received.message.to, *received.message.cc)
    if (
        received.function == "inbound"
        and received.verification.address in owners.addresses(further={*context.routes.mailboxes, *_routed(known)})
        and any(read_thread_address(mailbox.address, owners.thread_domain) for mailbox in header_recipients)
    ):
        # Our forward names the public address in To, so the owner's "reply to all" reaches both rules. The copy
        # at the thread address is answered for by the reply function.
        return Reason(stage="owner", rule="reply-all", detail="the thread address has the same mail")
    return None


def _routed(known: Known) -> frozenset[EmailAddress]:
    return frozenset(mailbox for conversation in known.by_reference for mailbox in conversation.mailboxes)


def _filter(received: ParsedMessage, known: Known, context: Context) -> Disposition:
    receipt = received.receipt
    if received.target is not None:
        # The token has shown that this mail is meant for us, though its recipient is no public address.
        receipt = replace(receipt, recipients=context.owners.public_addresses[:1])
    return filter_message(
        received.message,
        receipt,
        received.verification,
        context.rules,
        public_addresses=context.owners.public_addresses,
        listed="" if received.feedback else known.listed,  # of a report it was asked for the address that it names
    )


def _reply_address(received: ParsedMessage, context: Context) -> str:
    """Return where an answer to this mail goes: Reply-To's first address, else From's; never one of ours or the
    owner's, nor one that SES would refuse."""
    first = (*received.message.reply_to[:1], *received.message.from_[:1])
    return next((m.address for m in first if _may_be_answered(m.address, context)), "")


def _may_be_answered(address: str, context: Context, conversation: Conversation | None = None) -> bool:
    """Tell whether *address* can be written to and is neither ours nor, with *conversation*'s mailboxes, the owner's."""
    owners = context.owners
    private = owners.is_private(address, conversation, context.routes.mailboxes)
    return can_be_written_to(address) and not owners.is_ours(address) and not private


def plan_delivery(
    received: ParsedMessage,
    conversation_id: str,
    known: Known,
    context: Context,
    disposition: Disposition,
    *,
    acknowledge: bool = True,
) -> Commit:
    """Return the transaction that forwards *received* in its conversation and acknowledges it where that is due."""
    owners, verified = context.owners, received.verification.address
    reply_address = _reply_address(received, context)
    person = received.person
    joined = (
        _joined_on_linkedin(person, known)
        if person
        else choose(
            by_token=known.by_id if token_matches(received.target, known.by_id) else None,
            by_reference=known.by_reference,
            by_topic=known.by_topic,
            verified=verified,
            now=received.at,
        )
    )
    before = joined or _started(received, conversation_id, context, reply_address)
    conversation = _continued(before, received, context, reply_address)
    record = message_record(
        received,
        disposition.outcome,
        disposition.reasons,
        owners=owners,
        conversation=conversation.id,
        reply_address=reply_address,
        score=disposition.score,
        rules_version=disposition.rules_version,
        sender_name=person.name if person else "",
    )
    ledger = [
        queued(JobKind.FORWARD, record, [mailbox], conversation.id, received.receipt.id, mailbox)
        for mailbox in conversation.mailboxes
    ]
    acknowledged = acknowledge and _acknowledgement_due(received, known, context, disposition)
    if acknowledged and verified:
        ledger.append(queued(JobKind.ACKNOWLEDGEMENT, record, [verified], split_tag(verified)[0]))
    else:
        acknowledged = False
    commit = settle(
        record,
        ledger=ledger,
        fingerprint=_prints(received)[0],
        events=("Message Received",) if joined else ("Conversation Started", "Message Received"),
    )
    return replace(
        commit,
        conversation=conversation,
        contact=None if person else _contact(received, known, conversation),
        topic=(verified, conversation.subject) if verified and not person else None,
        references=_references(received, conversation, known),
        acknowledgement_day=received.at.date().isoformat() if acknowledged else "",
    )


def _joined_on_linkedin(person: LinkedInPerson, known: Known) -> Conversation | None:
    """Return the person's conversation: by the thread's URL (_namesake saw to it), else by ids and name."""
    if known.by_id is not None:
        return known.by_id
    return next((c for c in known.by_reference if c.linkedin_thread and c.contact_name == person.name), None)


def _started(received: ParsedMessage, conversation_id: str, context: Context, reply_address: str) -> Conversation:
    person = received.person
    owners = context.owners
    named = owners.public_recipients(received.receipt.recipients) or ((owners.public_addresses[0], ""),)
    address, tag = named[0]
    subject = base_subject(received.message.subject)
    return Conversation(
        id=ConversationId(conversation_id) if person and conversation_id else new_id(context.new_token),
        token=context.new_token(TOKEN_LENGTH),
        contact=EmailAddress(received.sender),
        contact_name=person.name if person else (received.message.from_[0].name if received.message.from_ else ""),
        public_address=address,
        source=tag,
        subject=subject,
        owner_subject=subject,
        mailboxes=_mailboxes(named, received, context),
        status=Status.OPEN,
        verified=received.verification.verified,
        reply_address=EmailAddress(reply_address),
        reply_differs=_differs(received, reply_address),
        started_at=received.at,
        updated_at=received.at,
        linkedin_thread=person.thread_url if person else "",
    )


def _mailboxes(
    named: Sequence[tuple[EmailAddress, str]], received: ParsedMessage, context: Context
) -> tuple[EmailAddress, ...]:
    """Return whom the routes give a mail to the public addresses and tags *named*: each address's own mailboxes, once."""
    owners = context.owners
    routed = (
        mailbox
        for address, tag in named
        for mailbox in context.routes.mailboxes_for(
            address=address,
            tag=tag,
            subject=received.message.subject,
            sender=received.sender,
            otherwise=owners.forward_to,
        )
        if not owners.is_ours(mailbox)  # it would come back to us
    )
    return tuple(dict.fromkeys(routed))[:MAX_MAILBOXES] or owners.forward_to


def _differs(received: ParsedMessage, reply_address: str) -> bool:
    return not aligned(address_domain(reply_address), address_domain(received.sender))


def _continued(before: Conversation, received: ParsedMessage, context: Context, reply_address: str) -> Conversation:
    """Return the conversation with this message in it. Unverified mail and a machine's add themselves and change
    nothing else: where answers go and what the talk is called is for a person to say."""
    believed = received.verification.address is not None and not received.by_machine
    link = Link(
        receipt=received.receipt.id,
        contact_id=received.message.message_id,
        owner_ids={},
        reply_address=EmailAddress(reply_address) if believed or not before.received else before.reply_address,
    )
    conversation = replace(with_link(before, link), received=before.received + 1, updated_at=received.at)
    if before.status in (Status.ANSWERED, Status.CLOSED) and not received.by_machine:
        conversation = replace(conversation, status=Status.WAITING)
    if not believed:
        return conversation
    subject = renamed(received.message.subject, before.subject)
    return replace(
        conversation,
        verified=True,
        subject=subject or before.subject,
        owner_subject=subject or before.owner_subject,
        reply_address=EmailAddress(reply_address or before.reply_address),
        reply_differs=_differs(received, reply_address) if reply_address else before.reply_differs,
        participants=_participants(before, received, context),
    )


def _participants(before: Conversation, received: ParsedMessage, context: Context) -> tuple[EmailAddress, ...]:
    message = received.message
    named = (m.address for m in (*message.from_, *message.to, *message.cc))
    others: dict[str, EmailAddress] = {}  # by lower case: who is written in two ways gets one copy
    for address in (*before.participants, *map(EmailAddress, named)):
        if _may_be_answered(address, context, before):
            others.setdefault(address.lower(), address)
    others.pop(before.contact.lower(), None)
    return tuple(others.values())[:MAX_PARTICIPANTS]


def _acknowledgement_due(received: ParsedMessage, known: Known, context: Context, disposition: Disposition) -> bool:
    contact = known.contact
    return (
        disposition.outcome is Outcome.DELIVER
        and received.feedback is None
        and not known.acknowledged
        and _acknowledgement_id(received.sender) not in known.sends
        and not any(reference.ledger for reference in known.references)  # it answers us: a desk's answer, say
        and not (contact and (contact.written_to or contact.unreachable))
        and known.acknowledgements_today < context.ack_daily_cap
        and not refuse_acknowledgement(
            received.message,
            received.receipt,
            received.verification,
            own_addresses=context.owners.public_addresses,
            thread_domain=context.owners.thread_domain,
            owners=tuple(context.owners.addresses(further=context.routes.mailboxes)),
        )
    )


def _contact(received: ParsedMessage, known: Known, conversation: Conversation) -> Contact | None:
    if "@" not in received.sender or received.feedback is not None:
        return None
    before = known.contact or Contact(
        address=EmailAddress(received.sender),
        name=conversation.contact_name,
        first_at=received.at,
        updated_at=received.at,
    )
    others = [c for c in before.conversations if c[0] != conversation.id]
    return replace(
        before,
        updated_at=received.at,
        messages=before.messages + 1,
        conversations=((conversation.id, conversation.subject, conversation.started_at), *others)[:MAX_EARLIER],
    )


def _references(received: ParsedMessage, conversation: Conversation, known: Known) -> tuple[Reference, ...]:
    """Return the reference of this mail's own id, unless that id is taken: whoever repeats another's Message-ID
    must not take over where its answers go."""
    own = local_part(received.message.message_id)
    if not own:
        return ()
    taken = any(reference.local_part == own for reference in known.references)
    return () if taken else (Reference(local_part=own, conversation=conversation.id, receipt=received.receipt.id),)
