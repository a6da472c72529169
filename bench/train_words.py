"""Trains the model of words on labelled messages, and measures it by cross-validation.

    python -m bench.train_words --spam FOLDER… --ham FOLDER… --plain FOLDER --points FILE [--without WORD…]
        [--date DATE] [--write]

Needs the dependency group ``bench`` (scikit-learn). A logistic regression on the words and pairs of each body, divided
by the root of how many of them count, is fitted twice: on all features, to find those that matter, and on these. Words
that are common in ordinary text of any language (``--plain``: the folder that bench.plain_texts made) count for nothing
alone: they would only tell letters from chat, or one language from another.

Folds are by subject, so that one campaign is in one fold. The figures are nested: strictness, gain, offset and the
patterns' weights that judge a fold were chosen, by what errors cost, without it. Then each folder is left out, and the
newest year of spam. ``--points`` gets each message's cross-validated points as JSON, for ``bench.fit_rules --points``.
``--without`` leaves out messages whose path has a word: those that lie in the wrong folder. The same messages give the
same bytes.
"""

import argparse
import json
import random
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import product, starmap
from operator import itemgetter
from pathlib import Path
from zlib import crc32

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from bench import fit_rules
from email_handler.mail.parsing import parse
from email_handler.spam.content import Content
from email_handler.spam.normalise import see
from email_handler.spam.rules import RuleSet, builtin_rules
from email_handler.spam.stages import assess_content
from email_handler.spam.words import SMOOTHING, features, parts, words, write_words

MODEL = Path(fit_rules.BUILTIN).with_name("spam-words.model")
OWN = Path(__file__).parent / "data/ordinary_mail.toml"
FOLDS = 5
SEED = 20261129
FEWEST = 4  # messages that have a feature; it is left out if fewer do
KEPT = 30_000  # features; five bytes each in the file
COMMON = 0.3  # share of a plain folder's texts from which a single word is common
OFTEN_ENOUGH = 40  # texts in a folder that can say which words are common
FEWEST_IN_LANGUAGE = 40  # plain texts in a folder; it is left out if it has fewer
RARE_COUNTS, OF = 4.0, 300  # a folder of ham with few messages counts up to so many times, as if it had OF
PLAIN = ("own-", "plain-")  # how the groups of plain texts begin
PLAIN_COUNTS = 0.5
HEAVIEST = 127  # of a weight in the file
STRICTNESSES = (150.0,)  # the inverse of the regularisation's strength
GAINS, OFFSETS = (2.0, 2.25), (0.25, 0.5)  # points for a unit of log-odds, and from how many on
WRONG_HOLD, WRONG_FLAG, NOT_HELD = 100.0, 8.0, 0.3  # what an error costs; spam that is delivered costs 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text to learn from: a message, or a plain text."""

    path: Path
    group: str  # its folder
    spam: bool
    subject: str
    bodies: tuple[tuple[int, ...], ...]  # the features of each
    singles: frozenset[str]  # its words
    year: int = 0
    matched: tuple[str, ...] = ()

    @property
    def fold(self) -> int:
        """Return the fold, the same for the same subject."""
        letters = re.sub(r"[^a-z]", "", self.subject.lower())[:25]
        return crc32((letters or self.path.name).encode()) % FOLDS


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """What is chosen by cross-validation."""

    strictness: float
    gain: float
    offset: float


def read(subject: str, bodies: Sequence[str], **known: object) -> Text:
    """Return a text with the features that the layer sees in it."""
    of_subject, of_bodies = words(subject), [part for body in bodies for part in parts(words(body))]
    return Text(
        subject=subject,
        bodies=tuple(tuple(sorted(set(features(of_subject, body)))) for body in of_bodies),
        singles=frozenset(of_bodies[0]),
        **known,  # type: ignore[arg-type]
    )


def mail(folders: Sequence[Path], without: Sequence[str], *, spam: bool) -> Iterator[Text]:
    """Yield every message below *folders* whose path has none of the words *without*."""
    for group, path in fit_rules.files(folders):
        if not any(word in str(path) for word in without):
            yield read_message(group, spam, path)


@cache
def rules_alone() -> RuleSet:
    """Return the patterns and signals without the model of words."""
    return replace(builtin_rules(), words=0.0)


def read_message(group: str, spam: bool, path: Path) -> Text:
    """Return the message in the file *path*."""
    message, rules = parse(path.read_bytes()), rules_alone()
    subject, bodies = Content(message, rules, ()).worded
    found = re.search(r"\b(?:19|20)\d\d\b", message.header("Date"))
    return read(
        subject,
        bodies,
        path=path,
        group=group,
        spam=spam,
        year=int(found[0]) if found else 0,
        matched=assess_content(message, rules).rules,
    )


def plain(folder: Path) -> Iterator[Text]:
    """Yield the plain texts in *folder* (a subject, then a body), and messages mixed from our own sentences."""
    for known in sorted(folder.glob("plain-*")):
        paths = sorted(known.iterdir())
        for file in paths if len(paths) >= FEWEST_IN_LANGUAGE else ():
            text = file.read_text(encoding="utf-8")
            yield read(text.partition("\n")[0], see(text).normalised[:1], path=file, group=known.name, spam=False)
    chosen = random.Random(SEED)
    for language, said in tomllib.loads(OWN.read_text(encoding="utf-8")).items():
        for number in range(4 * len(said["sentences"])):
            some = chosen.sample(said["sentences"], chosen.choice((1, 1, 2, 2, 3, 4)))
            subject = chosen.choice(said["subjects"])
            text = "\n".join([subject, chosen.choice(said["greetings"]), *some, chosen.choice(said["closings"])])
            name = Path(f"own/{language}/{number}")
            yield read(subject, see(text).normalised[:1], path=name, group=f"own-{language}", spam=False)


def without_copies(texts: Sequence[Text]) -> list[Text]:
    """Return *texts* less those that say the same as an earlier one."""
    return list({(text.spam, text.bodies[0]): text for text in reversed(texts)}.values())[::-1]


class Trainer:
    """The features of all texts, and models fitted to some of them."""

    def __init__(self, texts: Sequence[Text]) -> None:
        seen = Counter(feature for text in texts for feature in set().union(*text.bodies))
        unwanted = {feature for word in common_words(texts) for feature in features([word], [word])}
        self.vocabulary = sorted(
            feature for feature, count in seen.items() if count >= FEWEST and feature not in unwanted
        )
        column = {feature: number for number, feature in enumerate(self.vocabulary)}
        rows = [(number, body) for number, text in enumerate(texts) for body in text.bodies]
        columns = [[column[feature] for feature in body if feature in column] for _, body in rows]
        ends = np.cumsum([0, *map(len, columns)])
        flat = np.fromiter((one for some in columns for one in some), np.int32)
        self.matrix = sparse.csr_matrix((np.ones(len(flat)), flat, ends), shape=(len(rows), len(column)))
        self.owner = np.array([number for number, _ in rows])  # the text of each row
        self.spam = np.array([texts[number].spam for number in self.owner])
        sizes = Counter(text.group for text in texts)
        parts = Counter(self.owner.tolist())  # a window of spam need not be spam, so all of them count as one text
        self.counts = np.array([self._count(texts[n], sizes) / (parts[n] if texts[n].spam else 1) for n in self.owner])
        self.texts = len(texts)

    @staticmethod
    def _count(text: Text, sizes: Mapping[str, int]) -> float:
        if text.spam:
            return 1.0
        if text.group.startswith(PLAIN):
            return PLAIN_COUNTS
        return min(RARE_COUNTS, max(1.0, OF / sizes[text.group]))

    def fit(self, chosen: np.ndarray, strictness: float) -> tuple[np.ndarray, dict[int, int], float, float]:
        """Fit to the texts of the mask *chosen*: return log-odds of all texts, integer weights, their unit, the base."""
        rows = chosen[self.owner]
        first = self._regress(self.matrix, rows, strictness)
        often = np.sqrt(np.asarray(self.matrix[rows].sum(0)).ravel())
        kept = np.sort(np.argsort(-np.abs(first.coef_[0]) * often, kind="stable")[:KEPT])
        second = self._regress(self.matrix[:, kept], rows, strictness)
        unit = np.abs(second.coef_[0]).max() / HEAVIEST
        whole = np.rint(second.coef_[0] / unit).astype(int)
        base = float(second.intercept_[0])
        nonzero = kept[whole != 0]
        used = self.matrix[:, nonzero]
        known = np.asarray(used.sum(1)).ravel()
        odds = unit * (used @ whole[whole != 0]) / np.sqrt(known + SMOOTHING) + base
        best = np.full(self.texts, -np.inf)
        np.maximum.at(best, self.owner, odds)
        weights = {self.vocabulary[at]: int(weight) for at, weight in zip(kept, whole, strict=True) if weight}
        return best, weights, float(unit), base

    def _regress(self, matrix: sparse.csr_matrix, rows: np.ndarray, strictness: float) -> LogisticRegression:
        some = matrix[rows]
        scaled = sparse.diags(1 / np.sqrt(np.asarray(some.sum(1)).ravel() + SMOOTHING)) @ some
        model = LogisticRegression(C=strictness, solver="liblinear", tol=1e-2, random_state=SEED)
        return model.fit(scaled, self.spam[rows], sample_weight=self.counts[rows])


def common_words(texts: Sequence[Text]) -> set[str]:
    """Return the words that are common in the plain texts of any folder."""
    by_group: dict[str, list[Text]] = defaultdict(list)
    for text in texts:
        if text.group.startswith(PLAIN):
            by_group[text.group].append(text)
    common: set[str] = set()
    for group in by_group.values():
        if len(group) >= OFTEN_ENOUGH:
            counts = Counter(word for text in group for word in text.singles)
            common |= {word for word, count in counts.items() if count >= COMMON * len(group)}
    return common


def cross_validated(trainer: Trainer, folds: np.ndarray, strictness: float) -> np.ndarray:
    """Return each text's log-odds by a model fitted without its fold."""
    odds = np.zeros(trainer.texts)
    for fold in range(FOLDS):
        odds[folds == fold] = trainer.fit(folds != fold, strictness)[0][folds == fold]
    return odds


def left_out(
    trainer: Trainer, texts: Sequence[Text], by_rule: Mapping[str, float], setting: Setting, rules: RuleSet
) -> None:
    """Print how each folder, and the newest year of spam, is judged by a model that has not seen it; with patterns, by
    weights *by_rule*, which were fitted on all."""
    groups = np.array([text.group for text in texts])
    newest = max(text.year for text in texts if text.spam and text.year < datetime.now(UTC).year + 1)
    parts = {name: groups == name for name in dict.fromkeys(groups) if not name.startswith(PLAIN)}
    parts[f"spam of {newest}"] = np.array([text.spam and text.year >= newest for text in texts])
    languages = sorted({name for name in groups if name.startswith("plain-")})
    parts |= {f"plain texts, part {part + 1} of 3": np.isin(groups, languages[part::3]) for part in range(3)}
    of_patterns = np.array([sum(by_rule.get(rule, 0.0) for rule in text.matched) for text in texts])
    print(f"\n{'left out':24} {'texts':>6} {'by words %':>11} {'and patterns %':>15} {'held %':>7}")
    for name, part in parts.items():
        odds = trainer.fit(~part, setting.strictness)[0][part]
        points = np.clip(setting.gain * (odds - setting.offset), 0, rules.words)
        both = points + of_patterns[part]
        shares = [100 * found.mean() for found in (points >= rules.flag, both >= rules.flag, both >= rules.hold)]
        print(f"{name:24} {part.sum():6} {shares[0]:11.2f} {shares[1]:15.2f} {shares[2]:7.2f}", flush=True)


def samples(texts: Sequence[Text], odds: np.ndarray, setting: Setting, cap: float) -> list[fit_rules.Sample]:
    """Return the messages among *texts* with the points of *odds*."""
    points = np.clip(setting.gain * (odds - setting.offset), 0, cap).round(1)
    return [
        fit_rules.Sample(path=text.path, group=text.group, spam=text.spam, matched=text.matched, points=float(found))
        for text, found in zip(texts, points, strict=True)
        if not text.group.startswith(PLAIN)
    ]


def cost(labelled: Sequence[fit_rules.Sample], outcomes: Sequence[str]) -> float:
    """Return what the errors in *outcomes* cost."""
    spam = {"held": 0.0, "flagged": NOT_HELD, "delivered": 1.0}
    ham = {"held": WRONG_HOLD, "flagged": WRONG_FLAG, "delivered": 0.0}
    return sum((spam if sample.spam else ham)[result] for sample, result in zip(labelled, outcomes, strict=True))


class Settings:
    """All settings, with the messages as each judges them by cross-validation."""

    def __init__(self, texts: Sequence[Text], odds: Mapping[float, np.ndarray], rules: RuleSet) -> None:
        self.weights = fit_rules.Weights.of(fit_rules.BUILTIN.read_bytes(), rules)
        self.folds = [text.fold for text in texts if not text.group.startswith(PLAIN)]
        self.judged = {
            setting: samples(texts, odds[setting.strictness], setting, rules.words)
            for setting in starmap(Setting, product(STRICTNESSES, GAINS, OFFSETS))
        }

    def choose(self, without: int | None = None) -> tuple[Setting, dict[str, float]]:
        """Return the setting that costs least, and the patterns' weights fitted to it, on all folds *without* one."""
        costs = {}
        for setting, judged in self.judged.items():
            seen = [sample for sample, fold in zip(judged, self.folds, strict=True) if fold != without]
            by_rule = fit_rules.fit(seen, self.weights)
            outcomes = [fit_rules.outcome(sample, by_rule, self.weights) for sample in seen]
            costs[setting] = (cost(seen, outcomes), setting, by_rule)
        _, setting, by_rule = min(costs.values(), key=itemgetter(0, 1))
        return setting, by_rule

    def nested(self) -> tuple[list[fit_rules.Sample], list[str]]:
        """Return all messages and their outcomes, each by what was chosen without its fold."""
        outcomes = [""] * len(self.folds)
        found = list(next(iter(self.judged.values())))
        for held_out in range(FOLDS):
            setting, by_rule = self.choose(held_out)
            print(f"without fold {held_out}: {setting}", flush=True)
            for number, sample in enumerate(self.judged[setting]):
                if self.folds[number] == held_out:
                    found[number] = sample
                    outcomes[number] = fit_rules.outcome(sample, by_rule, self.weights)
        return found, outcomes


def main() -> None:
    """Train, print, and write with ``--write``."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--spam", type=Path, nargs="+", required=True)
    arguments.add_argument("--ham", type=Path, nargs="+", required=True)
    arguments.add_argument("--plain", type=Path, required=True)
    arguments.add_argument("--without", nargs="*", default=[])
    arguments.add_argument("--points", type=Path, required=True)
    arguments.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}")
    arguments.add_argument("--quick", action="store_true", help="leave nothing out in turn")
    arguments.add_argument("--write", action="store_true", help="write the model that ships with the layer")
    given = arguments.parse_args()
    rules = builtin_rules()
    labelled = [*mail(given.spam, given.without, spam=True), *mail(given.ham, given.without, spam=False)]
    texts = [*labelled, *plain(given.plain)]
    learned = without_copies(texts)
    print(f"{len(labelled)} messages, {len(texts)} texts, {len(learned)} different", flush=True)

    trainer = Trainer(learned)
    folds = np.array([text.fold for text in learned])
    odds = {strictness: cross_validated(trainer, folds, strictness) for strictness in STRICTNESSES}
    settings = Settings(learned, odds, rules)
    judged, outcomes = settings.nested()
    print("\nnested cross-validation: nothing that judges a message has seen its fold")
    fit_rules.table(judged, outcomes)
    setting, by_rule = settings.choose()
    print(f"\nall folds: {setting}")
    points = {str(sample.path): sample.points for sample in settings.judged[setting]}
    given.points.write_text(json.dumps(points), encoding="utf-8")
    _, weights_of_words, unit, base = trainer.fit(np.ones(len(learned), bool), setting.strictness)
    header = {
        "made": given.date,
        "by": "bench/train_words.py",
        "learned": dict(sorted(Counter(text.group.split("-")[0] for text in learned).items())),
        "spam": sum(text.spam for text in learned),
        "folds": FOLDS,
        "seed": SEED,
        "chosen": asdict(setting),
        "gain": round(setting.gain * unit, 8),
        "base": round(setting.gain * (base - setting.offset), 6),
    }
    document = write_words(header, weights_of_words)
    print(
        f"\n{len(weights_of_words)} features, {len(document)} bytes, CRC-32 {crc32(document):08x}: {json.dumps(header)}"
    )
    if given.write:
        MODEL.write_bytes(document)
        fit_rules.write(fit_rules.BUILTIN, by_rule)
    if not given.quick:
        left_out(trainer, learned, by_rule, setting, rules)


if __name__ == "__main__":
    main()
