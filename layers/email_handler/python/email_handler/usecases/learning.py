"""Learning from the owner's decisions: the last step of inbound's daily pass.

What the owner decided stands in the records: who was answered, what was marked as spam, released or confirmed. Each such
message becomes an example, once, and all examples together make the personal model. So it does not matter in which order
they come, how often a pass looks, or where one ended. Only what the owner did makes an example: of a conversation the
message that began it, which was there before they answered or marked it.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import batched

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import learned_key
from email_handler.conversations.records import Conversation, Decision, MessageRecord, Status
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ReceiptId
from email_handler.mail.addresses import address_domain, mailbox_key, organizational_domain
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt
from email_handler.ports import BUILTIN, LEARNING_DUE, OFF, DocumentPointer, Judgements
from email_handler.spam.content import Content
from email_handler.spam.learned import MOST, Act, Example, counted, learn, sample
from email_handler.spam.rules import RuleSet
from email_handler.usecases.context import Context
from email_handler.usecases.reconcile import SETTLED
from email_handler.values import dataclass

IN_FORCE = "learned"
"""Checkpoint: the document that a pass has put in force last (two while it does). Any other is the owner's choice."""

HELD = "held"
"""The stream of what was decided about held messages; the others are the conversations of each status."""

STREAMS = (HELD, *Status)
_BATCH = 100  # examples that are looked for at once
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What only learning needs."""

    judgements: Judgements
    pointer: DocumentPointer  # to the personal model


@dataclass(frozen=True, slots=True)
class _Judged:
    """A message about which something was written, and what the owner has shown to think of it by now, if anything."""

    receipt: ReceiptId
    act: Act | None
    at: datetime


def learn_daily(context: Context, learning: Learning, late: Callable[[], bool]) -> int:
    """Make examples of what the owner decided since the last time, until it is *late*, and put the model that they make in
    force, unless the owner has put another there. Return how many examples are new, different or gone.

    If nothing was decided it is seven queries. If learning is off it is nothing, and goes on from there when it is on.
    """
    if learning.pointer.where() == OFF:
        return 0
    changed = sum(_gather(stream, context, learning.judgements, late) for stream in STREAMS)
    if due := context.records.checkpoint(LEARNING_DUE):
        _put_in_force(context, learning, due)
    return changed


def checkpoint_of(stream: str) -> str:
    """Return the name of the checkpoint of one of :data:`STREAMS`."""
    return f"learning {stream}"


def _gather(stream: str, context: Context, judgements: Judgements, late: Callable[[], bool]) -> int:
    """Make examples of what was written in *stream* since its checkpoint, oldest first, and return how many changed.

    The checkpoint follows batch by batch. What was written last is looked at again, which changes nothing.
    """
    name, until, changed = checkpoint_of(stream), context.clock() - SETTLED, 0
    stopped_at = context.records.checkpoint(name)
    since = datetime.fromisoformat(stopped_at) if stopped_at else _BEGINNING
    for batch in batched(_judged(stream, judgements, since, until), _BATCH):
        if late():
            break
        known = judgements.acts([one.receipt for one in batch])
        for one in batch:
            changed += _take(one, known.get(one.receipt), context, judgements, anew=stream != HELD)
        if batch[-1].at > since:
            context.records.set_checkpoint(name, batch[-1].at.isoformat())
    return changed


def _judged(stream: str, judgements: Judgements, since: datetime, until: datetime) -> Iterator[_Judged]:
    if stream == HELD:
        for at, decision in judgements.decided(since, until):
            yield _Judged(decision.receipt, act_about_held(decision), at)
    else:
        for at, conversation in judgements.conversations(Status(stream), since, until):
            if conversation.links and not conversation.started_with:
                yield _Judged(conversation.links[0].receipt, act_about(conversation), at)


def act_about(conversation: Conversation) -> Act | None:
    """Return what the owner has shown to think of the message that began *conversation*."""
    if conversation.status is Status.SPAM:
        return Act.SPAM
    return Act.REPLIED if conversation.sent else None


def act_about_held(decision: Decision) -> Act:
    """Return what the owner's *decision* about a held message shows."""
    return Act.CONFIRMED if decision.outcome is Outcome.HOLD else Act.RELEASED


def _take(one: _Judged, before: Act | None, context: Context, judgements: Judgements, *, anew: bool) -> bool:
    """Learn or forget *one*, which was learned as *before*, and return whether anything changed.

    What was done to a conversation counts more than what was decided *before* it, which is looked at again (not *anew*).
    """
    if one.act is None:
        if before is not Act.SPAM:  # else the owner has taken that back
            return False
        _mark_due(context)
        judgements.unlearn(one.receipt)
        return True
    if before and (not anew or before.against is one.act.against):
        return False
    record = _record(one.receipt, context)
    example = _example(record, one.act, one.at, context) if record else None
    if example is None:
        return False
    _mark_due(context)
    judgements.learn(one.receipt, example)
    return True


def _mark_due(context: Context) -> None:
    """Remember, before examples change, that the model is to be made anew: a pass that ends here leaves it to the next."""
    if not context.records.checkpoint(LEARNING_DUE):
        context.records.set_checkpoint(LEARNING_DUE, context.clock().isoformat())


def _record(receipt: ReceiptId, context: Context) -> MessageRecord | None:
    return context.records.message(receipt, "inbound") or context.records.message(receipt, "reply")


def _example(record: MessageRecord, act: Act, at: datetime, context: Context) -> Example | None:
    """Return the example that the message of *record* is, None if the archive does not have it or it says nothing."""
    try:
        raw = context.archive.get(record.archive_key)
    except ArchiveObjectMissing:
        return None
    found = attempt(features_of, raw, context.configuration().rules)
    if isinstance(found, Mistake) or not found:
        return None
    sender = mailbox_key(record.sender) or record.receipt
    domain = organizational_domain(address_domain(sender)) or sender
    return Example(act=act, at=at, sender=_digest(sender), domain=_digest(domain), features=found)


def features_of(raw: bytes, rules: RuleSet) -> tuple[int, ...]:
    """Return what is learned of the message *raw*: of its own text, or what its HTML shows if it has none. *rules* are
    those in force; they are not searched for."""
    subject, texts = Content(parse(raw), rules, ()).worded
    return sample(subject, texts[0])


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _put_in_force(context: Context, learning: Learning, due: str) -> None:
    """Make the model of all examples and point to it, unless the owner has put another in force or switched it off.

    While the pointer moves, both documents count as this pass's own: whatever ends it, the next goes on.
    """
    records, pointer = context.records, learning.pointer
    where, own = pointer.where(), records.checkpoint(IN_FORCE).split()
    if where not in (BUILTIN, *own):
        return
    stored = sorted(learning.judgements.examples(), key=lambda pair: (pair[1].at, pair[0]), reverse=True)
    document = learn([example for _, example in stored])
    key = learned_key(document, stored[0][1].at) if document else BUILTIN
    if key != where:
        if document:
            context.archive.put(key, document, "application/octet-stream")
        records.set_checkpoint(IN_FORCE, f"{where} {key}")
        pointer.move(key)
    records.set_checkpoint(IN_FORCE, key)
    counting = set(counted(example for _, example in stored))
    for receipt, example in stored[MOST:]:
        if example not in counting:
            learning.judgements.unlearn(receipt)
    if records.checkpoint(LEARNING_DUE) == due:  # else something was erased meanwhile
        records.set_checkpoint(LEARNING_DUE, "")
