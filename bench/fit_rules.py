"""Fits the weights of the spam rules to labelled messages, and measures them by cross-validation.

    python -m bench.fit_rules --spam FOLDER… --ham FOLDER… [--points FILE] [--write]

A message's score s is the sum of the weights of the rules that matched and of what the model of words adds (``--points``,
cross-validated). The fit treats it as log-odds, p(spam) =
1 / (1 + exp(flag - s)), and minimises the log loss by coordinate descent, with more weight on ham than on spam. Weights
stay between 0 and HEAVIEST of the flag threshold, so that a match never lowers a score and no fitted rule flags alone.
Only entries with ``fitted = true`` that matched enough messages change: those on form and advertising. Rules on topics
(SEO, loans, phishing) keep their weights, since no labelled set has tomorrow's topics. The cross-validated figures score
each message with weights fitted without it. With ``--points`` only the messages in that file are read. ``--write`` puts
the weights fitted on all messages into the rules file.
"""

import argparse
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from email_handler.mail.parsing import parse
from email_handler.spam.rules import RuleSet, load_rules
from email_handler.spam.stages import assess_content

BUILTIN = Path(__file__).parents[1] / "layers/email_handler/python/email_handler/builtin/spam-rules.toml"
FOLDS = 10
SWEEPS = 40
FEWEST_MATCHES = 10  # a rule that matches fewer messages keeps its weight
HAM_COUNTS = 5.0  # weight of one ham against one spam: a wrongly held message costs more than missed spam
PULL = 0.5  # strength of the pull towards PRIOR, in messages
PRIOR = 1.0
HEAVIEST = 0.6  # of the flag threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled message: its path and folder, the rules that matched, and what the model of words adds."""

    path: Path
    group: str
    spam: bool
    matched: tuple[str, ...]
    points: float = 0.0


def samples(folders: Sequence[Path], rules: RuleSet, points: Mapping[str, float], *, spam: bool) -> Iterator[Sample]:
    """Yield every file below *folders* as a sample, with its *points* by path."""
    for group, path in files(folders, points):
        matched = assess_content(parse(path.read_bytes()), rules).rules
        yield Sample(path=path, group=group, spam=spam, matched=matched, points=points.get(str(path), 0.0))


def files(folders: Sequence[Path], chosen: Container[str] = ()) -> Iterator[tuple[str, Path]]:
    """Yield the name of each of *folders* with every file below it, of the paths in *chosen* if there are any."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (not chosen or str(path) in chosen):
                yield folder.name, path


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights of a rules file, and which of them may be fitted."""

    by_rule: Mapping[str, float]
    fitted: frozenset[str]
    flag: float
    hold: float

    @classmethod
    def of(cls, document: bytes, rules: RuleSet) -> "Weights":
        """Read the weights from *document*, from which *rules* were loaded."""
        table = tomllib.loads(document.decode())
        entries = [*table.get("signal", []), *table["rule"]]
        signals = {signal.id: signal.weight for signal in rules.signals.values()}
        return cls(
            by_rule=signals | {rule.id: rule.weight for rule in rules.rules},
            fitted=frozenset(entry["id"] for entry in entries if entry.get("fitted")),
            flag=rules.flag,
            hold=rules.hold,
        )


def fit(labelled: Sequence[Sample], weights: Weights) -> dict[str, float]:
    """Return the weights by rule; those that may change and matched enough of *labelled* are fitted."""
    fitted = dict(weights.by_rule)
    matches: dict[str, list[int]] = {}
    for number, sample in enumerate(labelled):
        for rule in sample.matched:
            matches.setdefault(rule, []).append(number)
    free = [rule for rule in weights.fitted if len(matches.get(rule, ())) >= FEWEST_MATCHES]
    counts = [1.0 if sample.spam else HAM_COUNTS for sample in labelled]
    odds = [sample.points + sum(fitted[rule] for rule in sample.matched) - weights.flag for sample in labelled]
    for _ in range(SWEEPS):
        for rule in free:
            slope, curve = PULL * (fitted[rule] - PRIOR), PULL
            for number in matches[rule]:
                chance = 1 / (1 + math.exp(-max(-30.0, min(30.0, odds[number]))))
                slope += counts[number] * (chance - labelled[number].spam)
                curve += counts[number] * chance * (1 - chance)
            weight = min(max(fitted[rule] - slope / curve, 0.0), HEAVIEST * weights.flag)
            for number in matches[rule]:
                odds[number] += weight - fitted[rule]
            fitted[rule] = weight
    return {rule: round(weight, 1) for rule, weight in fitted.items()}


def outcome(sample: Sample, by_rule: Mapping[str, float], thresholds: Weights) -> str:
    """Return stage 3's outcome with the weights *by_rule*."""
    score = round(sample.points + sum(by_rule[rule] for rule in sample.matched), 3)
    return "held" if score >= thresholds.hold else "flagged" if score >= thresholds.flag else "delivered"


def cross_validated(labelled: Sequence[Sample], weights: Weights, also: str = "") -> list[str]:
    """Return each sample's outcome with weights that were fitted without its fold, as if the rule *also* matched."""
    outcomes = [""] * len(labelled)
    for fold in range(FOLDS):
        seen = [sample for number, sample in enumerate(labelled) if number % FOLDS != fold]
        fitted = fit(seen, weights)
        for number in range(fold, len(labelled), FOLDS):
            sample = labelled[number]
            matched = (*sample.matched, also) if also else sample.matched
            outcomes[number] = outcome(replace(sample, matched=matched), fitted, weights)
    return outcomes


def table(labelled: Sequence[Sample], outcomes: Sequence[str]) -> None:
    """Print counts and shares by folder, then for all ham and all spam."""
    counts: dict[str, Counter[str]] = {}
    for sample, result in zip(labelled, outcomes, strict=True):
        for name in (f"  {sample.group}", "all spam" if sample.spam else "all ham"):
            counts.setdefault(name, Counter())[result] += 1
    print(f"{'':30} {'files':>6} {'held':>6} {'flagged':>8} {'held %':>8} {'held or flagged %':>18}")
    for name, count in sorted(counts.items()):
        total, held, flagged = count.total(), count["held"], count["flagged"]
        print(
            f"{name:30} {total:6} {held:6} {flagged:8} {100 * held / total:8.2f} {100 * (held + flagged) / total:18.2f}"
        )


def write(path: Path, weights: Mapping[str, float]) -> None:
    """Replace the weights in the rules file, and nothing else."""
    text = path.read_text(encoding="utf-8")
    for rule, weight in weights.items():
        text = re.sub(rf'(?m)(^id = "{re.escape(rule)}"\n(?:(?!\[).*\n)*?weight = )[\d.]+', rf"\g<1>{weight}", text)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Fit, print, and write with ``--write``."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spam", type=Path, nargs="+", required=True)
    arguments.add_argument("--ham", type=Path, nargs="+", required=True)
    arguments.add_argument("--rules", type=Path, default=BUILTIN)
    arguments.add_argument("--points", type=Path, help="what the model of words adds, from bench.train_words --points")
    arguments.add_argument(
        "--write", action="store_true", help="put the weights fitted on all messages into the rules file"
    )
    given = arguments.parse_args()
    document = given.rules.read_bytes()
    rules = replace(load_rules(document, "fitted"), words=0.0)
    weights = Weights.of(document, rules)
    before = weights.by_rule
    points = json.loads(given.points.read_text(encoding="utf-8")) if given.points else {}
    labelled = [*samples(given.spam, rules, points, spam=True), *samples(given.ham, rules, points, spam=False)]

    print(f"\nwith the weights of {given.rules.name} (not cross-validated)")
    table(labelled, [outcome(sample, before, weights) for sample in labelled])
    print(f"\nfitted, {FOLDS}-fold cross-validated")
    table(labelled, cross_validated(labelled, weights))
    print("\nthe same if no sender were verified")
    table(labelled, cross_validated(labelled, weights, "not-verified"))

    after = fit(labelled, weights)
    on_spam = Counter(rule for sample in labelled if sample.spam for rule in sample.matched)
    on_ham = Counter(rule for sample in labelled if not sample.spam for rule in sample.matched)
    print(f"\n{'rule':28} {'spam':>6} {'ham':>6} {'before':>7} {'fitted':>7}")
    for rule in sorted(after, key=lambda name: -on_spam[name]):
        fitted = f"{after[rule]:7}" if rule in weights.fitted else ""
        print(f"{rule:28} {on_spam[rule]:6} {on_ham[rule]:6} {before[rule]:7} {fitted}".rstrip())
    if given.write:
        write(given.rules, after)


if __name__ == "__main__":
    main()
