"""The personal model: what the owner's own decisions say of a message's words.

It has the form of the model of words, and corrects it: it may add points to what that found or take some of them away,
within bounds, and nothing else. It is made anew from examples, each a message that the owner judged, as hashes of the
words it begins with. The same examples give the same bytes. ADR 28 says why.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from enum import StrEnum
from functools import partial

from email_handler.errors import BadWords
from email_handler.spam.words import (
    FEWEST_KNOWN,
    SMOOTHING,
    WordModel,
    WordPoints,
    features,
    load_words,
    words,
    write_words,
)
from email_handler.values import dataclass

FORM = 1
"""Raised when the same text gets other features: examples of another form are not learned from."""

FEWEST, FEWEST_OF_A_KIND = 200, 50
"""Examples, and examples of either kind, below which there is no model."""

MOST = 2000  # examples, the latest ones that count: what the owner thought years ago fades
MOST_OF_ONE = 5  # examples of a kind by one sender, or with one text
MOST_OF_A_DOMAIN, SHARE_OF_A_DOMAIN = 20, 0.2  # of a kind, whichever is more
RAISE, LOWER = 6.0, 4.0
"""The most points that the model adds, and takes from those of the model of words."""

_READ = 6000  # characters of a text of which
_OPENING, _SUBJECT = 150, 30  # words, and words of a subject, are learned and judged
_SENDERS = 2  # who must have used a word before it counts: nobody's own words are in the model
_KEPT = 15_000  # features, five bytes each in the document
# Log-odds that change no points yet: a warning too many costs more than one too few.
_SURE_OF_SPAM, _SURE_OF_HAM = 2.0, 1.0
_GAIN = 2.0  # points for a unit of log-odds beyond
_ROUNDS, _STEP, _SLOWING, _SEED = 6, 4.0, 0.5, 28
_HEAVIEST = 127  # of a weight in the document


class Act(StrEnum):
    """What the owner did that says what they think of a message."""

    RELEASED = "released"
    REPLIED = "replied"
    CONFIRMED = "confirmed"
    SPAM = "spam"

    @property
    def against(self) -> bool:
        """Whether it says that the message is spam."""
        return self in (Act.CONFIRMED, Act.SPAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A message that the owner judged, as it is learned from: no text, no address."""

    act: Act
    at: datetime  # of the act, as far as the records tell
    sender: str  # a digest of the address
    domain: str  # a digest of its organisational domain
    features: tuple[int, ...]  # hashes of 32 bits, each once, ascending
    form: int = FORM


def sample(subject: str, text: str) -> tuple[int, ...]:
    """Return the features of a *text* under *subject*: those of their first words, each once, ascending."""
    return tuple(sorted(set(features(*_opening(subject, text)))))


def _opening(subject: str, text: str) -> tuple[list[str], list[str]]:
    return words(subject)[:_SUBJECT], words(text[:_READ])[:_OPENING]


def counted(examples: Iterable[Example]) -> list[Example]:
    """Return those of *examples* that are learned from, the latest first: of each kind only a few of one sender or of one
    text, and no more than a share of one domain, so that nobody who writes a lot decides alone, or pushes out the others."""
    usable = [one for one in examples if one.form == FORM and one.features]
    latest = sorted(usable, key=lambda one: (one.at, one.sender, one.features), reverse=True)
    kinds = Counter(one.act.against for one in latest)
    so_far: Counter[object] = Counter()
    kept = []
    for one in latest:
        kind = one.act.against
        limits: dict[object, float] = {
            ("sender", kind, one.sender): MOST_OF_ONE,
            ("text", kind, one.features): MOST_OF_ONE,
            ("domain", kind, one.domain): max(MOST_OF_A_DOMAIN, SHARE_OF_A_DOMAIN * min(kinds[kind], MOST)),
        }
        if all(so_far[group] < most for group, most in limits.items()):
            so_far.update(limits.keys())
            kept.append(one)
    return kept[:MOST]


def enough(examples: Sequence[Example], kept: Sequence[Example]) -> bool:
    """Return whether *examples*, of which *kept* are learned from, make a model."""
    of_kinds = [sum(one.act.against is against for one in kept) for against in (True, False)]
    return len(examples) >= FEWEST and min(of_kinds) >= FEWEST_OF_A_KIND


def learn(examples: Sequence[Example]) -> bytes | None:
    """Return the model that *examples* make, as a document; None if there are too few."""
    kept = counted(examples)
    return fit(kept) if enough(examples, kept) else None


def fit(kept: Sequence[Example]) -> bytes | None:
    """Return the model of *kept*, the latest first, however few; None if one kind is missing.

    A logistic regression on presence, divided by the root of how many features of the text are known, by stochastic
    gradient descent. Both kinds weigh the same in sum.
    """
    spam = sum(one.act.against for one in kept)
    if spam in (0, len(kept)):
        return None
    weights = _fit(kept, spam)
    unit = max(map(abs, weights.values()), default=1.0) / _HEAVIEST
    whole = {feature: round(weight / unit) for feature, weight in weights.items()}
    header = {
        "gain": unit,
        "base": 0.0,
        "personal": FORM,
        "spam": spam,
        "ham": len(kept) - spam,
        "until": kept[0].at.isoformat(timespec="seconds"),
    }
    return write_words(header, {feature: weight for feature, weight in whole.items() if weight})


def _fit(kept: Sequence[Example], spam: int) -> dict[int, float]:
    """Return the weights of the features that matter most, in log-odds."""
    senders: dict[int, set[str]] = defaultdict(set)
    for one in kept:
        for feature in one.features:
            senders[feature].add(one.sender)
    weights = {feature: 0.0 for feature, those in senders.items() if len(those) >= _SENDERS}
    counts = {True: len(kept) / 2 / spam, False: len(kept) / 2 / (len(kept) - spam)}
    known = [([feature for feature in one.features if feature in weights], one.act.against) for one in kept]
    rows = [(row, against, 1 / math.sqrt(len(row) + SMOOTHING)) for row, against in known]
    order = random.Random(_SEED)  # noqa: S311 - the same order each time is wanted
    for number in range(_ROUNDS):
        order.shuffle(rows)
        step = _STEP / (1 + _SLOWING * number)
        for row, against, scale in rows:
            odds = scale * sum(map(weights.__getitem__, row))
            change = step * scale * counts[against] * (against - _probability(odds))
            for feature in row:
                weights[feature] += change
    heaviest = sorted(weights, key=lambda one: (-abs(weights[one]) * math.sqrt(len(senders[one])), one))[:_KEPT]
    return {feature: weights[feature] for feature in heaviest}


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A personal model in force."""

    model: WordModel

    def assess(self, subject: str, texts: Iterable[str]) -> WordPoints:
        """Return what the model says of a message's words, from -LOWER to RAISE: of the one of its *texts* that says most
        for spam, under its *subject*. Words are named if they speak for what it says."""
        judged = [self._judged(*_opening(subject, text)) for text in texts]
        odds, name = max(judged, key=lambda one: one[0], default=(0.0, None))
        more, less = _GAIN * (odds - _SURE_OF_SPAM), _GAIN * (-odds - _SURE_OF_HAM)
        points = round(min(max(more, 0.0), RAISE) - min(max(less, 0.0), LOWER), 1)
        return WordPoints(points=points, named=name(1 if points > 0 else -1) if name and points else ())

    def _judged(self, subject: Sequence[str], text: Sequence[str]) -> tuple[float, Callable[[int], tuple[str, ...]]]:
        """Return the odds of a text, and what names the words that speak for spam (1) or against it (-1). If hardly any of
        its words are known, it is in a language that the owner has not judged, and a few of them say nothing of it."""
        hashed = features(subject, text)
        known: Set[int] = self.model.weights.keys() & hashed
        if len(known) < FEWEST_KNOWN * len(set(text)):
            known = frozenset()
        return self.model.odds(known), partial(self.model.named, subject, text, hashed, known)


def load_learned(document: bytes) -> LearnedModel:
    """Return the model in *document*, which :func:`learn` made. Raises :class:`BadWords` for any other."""
    model = load_words(document)
    if model.header.get("personal") != FORM:
        raise BadWords("the personal model was learned by another version: a daily pass makes it anew")
    return LearnedModel(model)
