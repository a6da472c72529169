"""Measures the personal model on simulated owners: error before and after, and what poisoned labels can do.

    make bench B=learn ARGS="--spam FOLDER… --ham FOLDER… [--points FILE]"

An owner judges messages of the folders one by one: the ham is answered, the spam is marked. Others of the folders, which
nobody judged, are filtered without the personal model and with it. ``--points`` has each message's points by a model of
words that has not seen it (``python -m bench.train_words --points``); without it those of the model that ships are
used, which has learned from such folders itself. "Patterns" is stage 3 without that model.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

from email_handler.mail.addresses import address_domain, organizational_domain
from email_handler.mail.dates import read_date
from email_handler.mail.parsing import parse
from email_handler.spam.content import Content
from email_handler.spam.learned import RAISE, Act, Example, LearnedModel, learn, load_learned, sample
from email_handler.spam.rules import RuleSet, builtin_rules
from email_handler.spam.stages import assess_content

SIZES = (200, 500, 1000, 2000)
SEEDS = (1, 2, 3)
POISONED = 50
AGAIN = 15  # messages that come again after they were answered 50 times
NEXT = 300  # messages of each kind that come after those that were judged
BEGAN = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2026, 12, 31, tzinfo=UTC)  # forged dates of the future say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What is needed of one message."""

    spam: bool
    group: str
    at: datetime  # when it was written
    sender: str
    domain: str
    subject: str
    texts: tuple[str, ...]
    patterns: float
    words: float

    @property
    def features(self) -> tuple[int, ...]:
        """Return what is learned of it."""
        return sample(self.subject, self.texts[0])


def read(points: dict[str, float], spam: bool, path: Path) -> Mail:
    """Return the message in the file *path*."""
    message, rules = parse(path.read_bytes()), builtin_rules()
    found = assess_content(message, rules)
    subject, texts = Content(message, rules, ()).worded
    sender = message.from_[0].address.lower() if message.from_ else path.name
    date = read_date(message.header("Date"))
    return Mail(
        spam=spam,
        group=path.parent.name,
        at=min(date.astimezone(UTC), LATEST) if date and date.tzinfo else BEGAN,
        sender=sender,
        domain=organizational_domain(address_domain(sender)),
        subject=subject,
        texts=tuple(texts),
        patterns=round(found.score - found.words, 1),
        words=points.get(str(path), found.words),
    )


def read_all(folders: Iterable[Path], points: dict[str, float], *, spam: bool) -> list[Mail]:
    """Return every message below *folders*, those that begin alike once."""
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(partial(read, points, spam), paths, chunksize=50))
    return list({one.features: one for one in found if one.features}.values())


def example(one: Mail, number: int, act: Act | None = None, sender: str = "") -> Example:
    """Return what the owner's *number*-th act teaches: that *one* is what it is, or what *act* says."""
    return Example(
        act=act or (Act.SPAM if one.spam else Act.REPLIED),
        at=BEGAN + timedelta(minutes=number),
        sender=_digest(sender or one.sender),
        domain=_digest(sender or one.domain),
        features=one.features,
    )


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def learned_from(examples: Iterable[Example]) -> LearnedModel | None:
    """Return the model that *examples* make, if they do."""
    document = learn(list(examples))
    return load_learned(document) if document else None


@dataclass(frozen=True, slots=True)
class Result:
    """How some messages were judged, in per cent."""

    wrong: float  # ham, held or flagged
    ham_held: float
    caught: float  # spam, held or flagged
    held: float

    def __str__(self) -> str:
        return f"{self.wrong:6.2f} {self.ham_held:6.2f} {self.caught:7.1f} {self.held:6.1f}"


def judge(mail: Sequence[Mail], model: LearnedModel | None, rules: RuleSet) -> Result:
    """Return how stage 3 judges *mail*, as it would with *rules* and *model* (``rules.words`` 0: without that model)."""
    shares: dict[bool, list[float]] = {True: [], False: []}
    for one in mail:
        of_words = min(one.words, rules.words)
        found = model.assess(one.subject, one.texts).points if model else 0.0
        most = max(rules.words, min(RAISE, rules.hold - 0.1))
        shares[one.spam].append(round(one.patterns + max(0.0, min(of_words + found, most)), 1))

    def per_cent(spam: bool, least: float) -> float:
        return 100 * sum(score >= least for score in shares[spam]) / max(1, len(shares[spam]))

    return Result(
        per_cent(False, rules.flag), per_cent(False, rules.hold), per_cent(True, rules.flag), per_cent(True, rules.hold)
    )


def row(name: str, results: Sequence[Result]) -> None:
    """Print one line: the mean of *results*."""
    fields = ("wrong", "ham_held", "caught", "held")
    print(f"{name:46}", Result(*(statistics.mean(getattr(one, field) for one in results) for field in fields)))


def at_random(ham: Sequence[Mail], spam: Sequence[Mail], seed: int) -> tuple[list[Mail], list[Mail]]:
    """Return as many of each kind as the smaller half has in random order, and all others."""
    chosen, half = random.Random(seed), min(max(SIZES) // 2, len(ham) // 2, len(spam) // 2)
    ham, spam = chosen.sample(ham, len(ham)), chosen.sample(spam, len(spam))
    judged = [*ham[:half], *spam[:half]]
    chosen.shuffle(judged)
    return judged, [*ham[half:], *spam[half:]]


def drifting(ham: Sequence[Mail], spam: Sequence[Mail], size: int) -> tuple[list[Mail], list[Mail]]:
    """Return the *size* messages judged first, in order of their dates, and those that came next; each kind spreads over
    the whole time, however many years that was."""
    half = size // 2
    ham, spam = (sorted(kind, key=lambda one: one.at) for kind in (ham, spam))
    judged = [one for pair in zip(ham[:half], spam[:half], strict=False) for one in pair]
    return judged, [*ham[half : half + NEXT], *spam[half : half + NEXT]]


def poison(mail: Sequence[Mail], act: Act) -> list[Example]:
    """Return labels of an attacker's making: the texts of *mail*, each from a sender and a domain of its own, judged last
    as *act* says."""
    return [example(one, 10**6 + number, act, f"attacker-{number}.test") for number, one in enumerate(mail)]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spam", type=Path, nargs="+", required=True)
    arguments.add_argument("--ham", type=Path, nargs="+", required=True)
    arguments.add_argument("--unwanted", type=Path, nargs="*", default=[], help="ham that another owner marks as spam")
    arguments.add_argument("--wanted", type=Path, nargs="*", default=[], help="spam that another owner releases")
    arguments.add_argument("--points", type=Path)
    given = arguments.parse_args()
    points = json.loads(given.points.read_text(encoding="utf-8")) if given.points else {}
    ham, spam = read_all(given.ham, points, spam=False), read_all(given.spam, points, spam=True)
    rules, began = builtin_rules(), time.process_time()
    print(f"{len(ham)} ham, {len(spam)} spam. In per cent: ham wrong, ham held, spam caught, spam held")
    for title, used in (("patterns and words", rules), ("patterns alone", replace(rules, words=0.0))):
        print(f"\n{title}")
        orders = [at_random(ham, spam, seed) for seed in SEEDS]
        row("random order, before", [judge(others, None, used) for _, others in orders])
        for size in SIZES:
            results = [
                judge(others, learned_from(example(one, n) for n, one in enumerate(judged[:size])), used)
                for judged, others in orders
            ]
            row(f"random order, {size} labels", results)
        for size in SIZES:
            judged, later = drifting(ham, spam, size)
            if len(judged) < size or not any(one.spam for one in later) or all(one.spam for one in later):
                continue
            model = learned_from(example(one, n) for n, one in enumerate(judged))
            row(f"drifting, what came after {size}, before", [judge(later, None, used)])
            row(f"drifting, {size} labels", [judge(later, model, used)])
    poisoned(ham, spam, rules)
    for folders, title in ((given.unwanted, "marked as spam"), (given.wanted, "released")):
        of_another_mind([folder.name for folder in folders], title, ham, spam, rules)
    print(f"\n{time.process_time() - began:.0f} s of CPU time")


def poisoned(ham: Sequence[Mail], spam: Sequence[Mail], rules: RuleSet) -> None:
    """Print what an attacker does who gets 50 labels, by the number of honest ones: other spam is answered, ham's texts are
    marked as spam, or the very message is answered that comes again."""
    print(f"\n{POISONED} poisoned labels, patterns and words")
    for size in (SIZES[0], SIZES[2]):
        judged, others = at_random(ham, spam, SEEDS[0])
        honest = [example(one, number) for number, one in enumerate(judged[:size])]
        victims, used = [one for one in others if one.spam], [one for one in others if not one.spam]
        tries: dict[str, list[Example]] = {
            "none": [],
            "spam's texts answered": poison(victims[:POISONED], Act.REPLIED),
            "ham's texts marked": poison(used[:POISONED], Act.SPAM),
        }
        rest = [*victims[POISONED:], *used[POISONED:]]
        for name, labels in tries.items():
            row(f"{size} honest, {name}", [judge(rest, learned_from([*honest, *labels]), rules)])
        again = victims[-AGAIN:]
        row(f"{size} honest, {AGAIN} messages", [judge(again, learned_from(honest), rules)])
        answered = [learned_from([*honest, *poison([one] * POISONED, Act.REPLIED)]) for one in again]
        row(
            f"{size} honest, each answered before",
            [judge([one], model, rules) for one, model in zip(again, answered, strict=True)],
        )


def of_another_mind(
    groups: Sequence[str], title: str, ham: Sequence[Mail], spam: Sequence[Mail], rules: RuleSet
) -> None:
    """Print what becomes of the messages of *groups* if the owner has judged half of them otherwise, and of the others."""
    chosen = random.Random(SEEDS[0])
    own = [one for one in (*ham, *spam) if one.group in groups]
    if not own:
        return
    ham, spam = ([one for one in chosen.sample(kind, len(kind)) if one.group not in groups] for kind in (ham, spam))
    half, kind = len(own) // 2, not own[0].spam
    own = [replace(one, spam=kind) for one in chosen.sample(own, len(own))]
    print(f"\n{', '.join(groups)} {title}, patterns and words")
    row("half of them, before", [judge(own[half:], None, rules)])
    row("others, before", [judge([*ham[SIZES[2] :], *spam[SIZES[2] :]], None, rules)])
    for size in (SIZES[1], SIZES[2]):
        others = (size - half) // 2
        judged = [*own[:half], *ham[:others], *spam[:others]]
        chosen.shuffle(judged)
        model = learned_from(example(one, number) for number, one in enumerate(judged))
        row(f"half of them, {size} labels", [judge(own[half:], model, rules)])
        row(f"others, {size} labels", [judge([*ham[SIZES[2] :], *spam[SIZES[2] :]], model, rules)])


if __name__ == "__main__":
    main()
