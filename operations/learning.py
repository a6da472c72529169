"""The personal model as an operator sees and steers it; inbound's daily pass makes it (usecases/learning.py).

The pointer says what it does: ``off``; the document that a pass has put there, or ``builtin`` as long as there is none;
or any other, which the operator has chosen. Passes leave that one and ``off`` alone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

from email_handler.conversations.disposition import Outcome
from email_handler.conversations.keys import receipt_of
from email_handler.identifiers import ArchiveKey, EmailAddress
from email_handler.mail.parsing import parse
from email_handler.ports import BUILTIN, LEARNING_DUE, OFF
from email_handler.spam.learned import Act, Example, LearnedModel, counted, fit, learn, load_learned
from email_handler.spam.rules import builtin_rules, load_rules
from email_handler.spam.stages import assess_content, outcome_of
from email_handler.usecases.learning import IN_FORCE, STREAMS, checkpoint_of
from operations.backtest import decided
from operations.connection import Connection
from operations.documents import LEARNED, RULES, Pointer, Version, learned_in_force
from operations.errors import CommandError

if TYPE_CHECKING:
    from email_handler.adapters.dynamodb.judgements import DynamoJudgements

FOLDS = 5

type State = Literal["off", "learning", "chosen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What was learned, and what is in force."""

    state: State
    in_force: str  # a key, builtin (none yet) or off
    acts: dict[str, int]  # examples by what was done
    spam: int  # of the examples those that count: not too many of one sender, domain, or time
    ham: int
    model: dict[str, Any]  # the header of the model in force, {} without one
    waiting: bool  # whether the next daily pass makes it anew
    history: tuple[Version, ...]  # what was in force, oldest first


def judgements(connection: Connection) -> "DynamoJudgements":
    """Return the examples of a deployment."""
    from email_handler.adapters.dynamodb.judgements import DynamoJudgements  # noqa: PLC0415  (see operations.connection)

    return DynamoJudgements(connection.session.client("dynamodb"), connection.outputs["RecordsTable"])


def status(connection: Connection) -> Learned:
    """Return what was learned. Raises CommandError."""
    history = Pointer(LEARNED, connection).history()
    examples = [example for _, example in judgements(connection).examples()]
    kept = counted(examples)
    spam = sum(one.act.against for one in kept)
    model = learned_in_force(connection)
    return Learned(
        state=_state(history[-1].key, connection),
        in_force=history[-1].key,
        acts={act.value: count for act, count in Counter(one.act for one in examples).items()},
        spam=spam,
        ham=len(kept) - spam,
        model=dict(model.model.header) if model else {},
        waiting=bool(connection.records.checkpoint(LEARNING_DUE)),
        history=tuple(history),
    )


def _state(key: str, connection: Connection) -> State:
    if key == OFF:
        return "off"
    return "learning" if key in (BUILTIN, *connection.records.checkpoint(IN_FORCE).split()) else "chosen"


def switch_on(connection: Connection) -> tuple[str, str]:
    """Put in force what was learned last, and let the passes go on; return what was in force before, and what is now."""
    pointer = Pointer(LEARNED, connection)
    before = pointer.history()[-1].key
    if _state(before, connection) == "learning":
        return before, before
    key = (connection.records.checkpoint(IN_FORCE).split() or [BUILTIN])[-1]
    pointer.move(key)
    return before, key


def switch_off(connection: Connection) -> tuple[str, str]:
    """Let the model judge and learn nothing; return what was in force before, and ``off``."""
    pointer = Pointer(LEARNED, connection)
    before = pointer.history()[-1].key
    if before != OFF:
        pointer.move(OFF)
    return before, OFF


def roll_back(connection: Connection, to: str = "") -> tuple[str, str]:
    """Put the model *to* in force, or the one before if it is ""; return what was in force before, and what is now.

    If there is none before, learning is switched off: ``builtin`` would not keep passes from making a new one.
    """
    pointer = Pointer(LEARNED, connection)
    key = to or model_before(pointer.history())
    return switch_off(connection) if key in (BUILTIN, OFF) else pointer.back(key)


def model_before(history: Sequence[Version]) -> str:
    """Return the key of the model in force before the present one, ``off`` if there was none; *history* has the oldest
    first."""
    keys = (version.key for version in reversed(history))
    return next((key for key in keys if key not in (history[-1].key, BUILTIN, OFF)), OFF)


def reset(connection: Connection, now: datetime) -> int:
    """Forget all examples, and put no model in force; learn from what is decided from *now* on. Return how many there
    were. Earlier models stay in the archive. Learning that is off stays off."""
    records, known, pointer = connection.records, judgements(connection), Pointer(LEARNED, connection)
    for stream in STREAMS:
        records.set_checkpoint(checkpoint_of(stream), now.isoformat())
    if pointer.history()[-1].key not in (BUILTIN, OFF):
        pointer.move(BUILTIN)
    records.set_checkpoint(IN_FORCE, "")
    receipts = [receipt for receipt, _ in known.examples()]
    for receipt in receipts:
        known.unlearn(receipt)
    records.set_checkpoint(LEARNING_DUE, "")
    return len(receipts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One message of the past without the personal model and with one that was not learned from it or its sender."""

    id: str
    act: str  # what the owner did, "" for nothing that teaches
    without: str  # deliver, flag, hold
    with_: str
    points: float  # of the personal model
    sender: str
    subject: str


def backtest(connection: Connection, stored: Sequence[ArchiveKey]) -> Iterator[Tried]:
    """Yield each message of *stored* that the filter decided about, as the rules in force judge it by what was learned so
    far. Raises CommandError if that is too little."""
    examples = dict(judgements(connection).examples())
    if learn(list(examples.values())) is None:
        raise CommandError("too little was learned for a model: email-handler learn status")
    rules, pointer = builtin_rules(), Pointer(RULES, connection)
    if body := pointer.body(pointer.history()[-1].key):
        rules = load_rules(body, "in force")
    whole, without = _model(examples.values()), _without_a_fold(list(examples.values()))
    public = [EmailAddress(address) for address in connection.parameters["PublicAddresses"].split(",")]
    for record, raw in decided(connection, stored):
        example = examples.get(receipt_of(record.archive_key))
        model = without[_fold(example)] if example else whole
        message = parse(raw)
        contents = [
            assess_content(message, rules, public_addresses=public, verified=record.verified, learned=learned)
            for learned in (None, model)
        ]
        # Of what was released, SES's verdict and the lists were overruled: what remains is the content.
        released = example is not None and example.act is Act.RELEASED
        outcomes = [one.outcome if released else outcome_of(record.reasons, one.outcome) for one in contents]
        yield Tried(
            id=record.receipt,
            act=example.act.value if example else "",
            without=outcomes[0].value,
            with_=outcomes[1].value,
            points=contents[1].learned,
            sender=record.sender,
            subject=record.subject,
        )


def better(one: Tried) -> bool | None:
    """Return whether the personal model makes of *one* what the owner did, None if they did nothing or it changes
    nothing."""
    gravity = [Outcome.DELIVER.value, Outcome.FLAG.value, Outcome.HOLD.value, Outcome.DROP.value]
    if not one.act or one.without == one.with_:
        return None
    return (gravity.index(one.with_) > gravity.index(one.without)) is Act(one.act).against


def _without_a_fold(examples: Sequence[Example]) -> list[LearnedModel | None]:
    return [_model(one for one in examples if _fold(one) != fold) for fold in range(FOLDS)]


def _fold(example: Example) -> int:
    return crc32(example.sender.encode()) % FOLDS


def _model(examples: Iterable[Example]) -> LearnedModel | None:
    document = fit(counted(examples))
    return load_learned(document) if document else None
