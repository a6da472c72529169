"""reply's use case for a message to a starting address: the owner writes to somebody first.

It is refused by all that refuses a reply (:mod:`refusals`, the leak gate, the cap on one text), and by what is said here. What
leaves is the first message of a conversation whose later messages are ordinary.
"""

from collections.abc import Iterator
from dataclasses import replace

from email_handler.conversations.commands import read_command
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.evolve import MAX_EARLIER, NewToken, start_by_owner
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.keys import new_conversations_counter, waits_notice_id
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.conversations.parsed import ParsedMessage, fingerprint
from email_handler.conversations.records import RECEIVED, Contact, Conversation, LedgerItem
from email_handler.conversations.starting_address import NotReadable, Start, UnknownPublicAddress, read_start
from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import displayed, mailbox_key, split_tag
from email_handler.outgoing.notice import MAX_NAME
from email_handler.ports import Commit, Known, Question
from email_handler.usecases.configuration import Configuration
from email_handler.usecases.decision import build_commit, new_send
from email_handler.usecases.refusals import Refusal
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """What starting conversations needs from the deployment."""

    daily_cap: int
    new_token: NewToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A conversation that an owner starts, before its first message is in it, and its contact."""

    conversation: Conversation
    contact: Contact
    owner: EmailAddress


def starts(parsed: ParsedMessage) -> bool:
    """Return whether *parsed* went to a starting address."""
    return parsed.target is not None and parsed.target.starts


def starting_question(question: Question, parsed: ParsedMessage, owners: Owners) -> Question:
    """Return *question* about *parsed*, to a starting address, with what must be known of its contact and of the day."""
    asked = _read(parsed, owners)
    return replace(
        question,
        contact=asked.contact if isinstance(asked, Start) else "",
        conversation="",
        counters=(new_conversations_counter(parsed.at),),
    )


def begin(
    parsed: ParsedMessage, known: Known, owner: EmailAddress, configuration: Configuration, starting: Starting
) -> Begun | Refusal:
    """Return what *owner*'s message *parsed* begins, without the message; or why it must not.

    Pure but for the new id. An open conversation with the same contact is no reason to join it: the owner chose to write
    under a subject of its own.
    """
    owners = configuration.owners
    asked = _read(parsed, owners)
    if not isinstance(asked, Start):
        return asked
    if refusal := _refused(asked.contact, parsed, known, owners, starting.daily_cap):
        return refusal
    contact = known.contact or Contact(
        address=asked.contact, name=_named(parsed, owners), first_at=parsed.at, updated_at=parsed.at
    )
    conversation = start_by_owner(
        parsed,
        asked.contact,
        contact.name,
        asked.public_address,
        owner,
        owners=owners,
        routes=configuration.routes,
        new_token=starting.new_token,
    )
    entry = (conversation.id, conversation.subject, parsed.at)
    contact = replace(contact, conversations=(entry, *contact.conversations)[:MAX_EARLIER])
    return Begun(conversation=conversation, contact=contact, owner=owner)


def started(commit: Commit, parsed: ParsedMessage, begun: Begun, starting: Starting) -> Commit:
    """Return *commit*, which relays *parsed*, with what starting the conversation *begun* adds: the event, the topic, one
    more in the day's counter, and, if the message waits, how to cancel it. A commit that holds it starts nothing."""
    if commit.decision.outcome is not Outcome.RELAY or parsed.target is None:
        return commit
    events = ("Conversation Started", RECEIVED)
    subject = begun.conversation.subject
    ledger = (*commit.ledger, *_waits(commit, begun))
    return replace(
        commit,
        ledger=ledger,
        decision=build_commit(commit.message, ledger=ledger, events=events).decision,
        topic=(begun.contact.address, subject) if subject else None,
        # A copy of it names the address, as it does; the conversation's id is only known here.
        fingerprint=fingerprint(parsed.message, verified=True, to=parsed.target.conversation),
        counted={new_conversations_counter(parsed.at): starting.daily_cap},
    )


def _waits(commit: Commit, begun: Begun) -> Iterator[LedgerItem]:
    """Yield a notice that the message waits, if it does: nothing else would tell its owner where to cancel it."""
    record, message = commit.message, commit.ledger[0]
    if message.due > record.at:
        notice = new_send(JobKind.NOTICE, waits_notice_id(message.id), record, [begun.owner], note=NoticeKind.WAITS)
        contact = begun.contact.name or displayed(begun.contact.address, MAX_NAME)
        said = f"Your email to {contact} leaves at {message.due:%H:%M} UTC. Until then you can cancel it."
        yield replace(notice, detail=said)


def _read(parsed: ParsedMessage, owners: Owners) -> Start | Refusal:
    assert parsed.target, "only what went to a starting address comes here"  # noqa: S101 - for mypy
    try:
        return read_start(parsed.target, owners.public_addresses)
    except UnknownPublicAddress as error:
        return NoticeKind.NEW_FROM, "new-from", str(error)
    except NotReadable as error:
        return NoticeKind.NEW_UNREADABLE, "new-unreadable", str(error)


def _refused(contact: EmailAddress, parsed: ParsedMessage, known: Known, owners: Owners, cap: int) -> Refusal | None:
    counter = new_conversations_counter(parsed.at)
    if _is_own(contact, owners):
        return NoticeKind.NEW_OURS, "new-ours", "the address is ours, or one of your own"
    if known.contact and known.contact.unreachable:
        return NoticeKind.NEW_UNREACHABLE, "new-unreachable", "what was sent there came back, or was a complaint"
    if known.listed == "block":
        return NoticeKind.NEW_BLOCKED, "new-blocked", "the contact is blocked"
    if read_command("", parsed.message.subject):
        return NoticeKind.NEW_COMMAND, "new-command", "a command is about a conversation that exists"
    if known.counts.get(counter, 0) >= cap:
        return NoticeKind.NEW_CAPPED, "new-capped", f"{cap} conversations a day may be started"
    return None


def _is_own(contact: EmailAddress, owners: Owners) -> bool:
    """Return whether *contact* is an address of ours or leads to an owner's mailbox, whatever its tag."""
    own = {mailbox_key(split_tag(address)[0]) for address in owners.addresses()}
    return not owners.may_be_written_to(contact) or mailbox_key(split_tag(contact)[0]) in own


def _named(parsed: ParsedMessage, owners: Owners) -> str:
    """Return the name that the owner's address book gives the contact; clients repeat an address there."""
    boxes = (*parsed.message.to, *parsed.message.cc)
    named = next((box.name for box in boxes if owners.thread_targets([box.address]) == (parsed.target,)), "")
    return "" if "@" in named else named
