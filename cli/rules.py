"""``email-handler rules check`` and ``test``, without AWS. Other ``rules`` commands are in ``backtest``, ``documents``."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli import backtest, documents
from cli.inspection import each_file, find_files, read_learned, read_rules
from cli.options import AsJson, LearnedFile, RulesFile
from cli.terminal import fail_if, new_table, out, print_json, print_line, print_note, tracked
from email_handler.conversations.disposition import Disposition, Outcome
from email_handler.mail.parsing import parse
from email_handler.spam import rules as spam_rules
from email_handler.spam.learned import RAISE
from email_handler.spam.stages import assess_content
from operations.documents import RULES
from operations.errors import CommandError

RULES_FILE = Path("config/spam-rules.toml")
OUTCOMES = {"held": Outcome.HOLD, "flagged": Outcome.FLAG, "delivered": Outcome.DELIVER}

app = typer.Typer(no_args_is_help=True, help="Check, try and change the spam rules.")

type Judgement = tuple[Outcome, Outcome, Sequence[tuple[str, bool]]]
"""The outcome for one message, that of the patterns alone, and each rule that matched (``words`` for the model of words)
with whether the outcome depends on it."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="The rules file.")]


@app.command()
def check(file: File = RULES_FILE, as_json: AsJson = False) -> None:
    """Check a rules file: its form, every rule's examples, and that no text can make a pattern stall.

    With --json one object for each finding: rule, problem. The exit code is 1 if there is any.
    """
    try:
        document = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}. Name the rules file, such as {RULES_FILE}.") from error
    findings = spam_rules.check(document)
    for finding in findings:
        if as_json:
            print_json(asdict(finding))
        else:
            out.print(Text.assemble((finding.rule or str(file), "bold"), f" {finding.problem}"))
    fail_if(findings)
    loaded = spam_rules.load_rules(document, file.name)
    print_note(f"{file}: {len(loaded.rules)} rules and {len(loaded.signals)} signals, no findings.")


@dataclass(slots=True, kw_only=True)
class Tally:
    """The outcomes of one folder of messages."""

    name: str
    label: str  # "spam" or "ham"
    outcomes: Counter[str] = field(default_factory=Counter)
    by_patterns: Counter[str] = field(default_factory=Counter)  # outcomes without the model of words
    fired: Counter[str] = field(default_factory=Counter)  # messages by rule
    decided: Counter[str] = field(default_factory=Counter)  # messages by rule that changed their outcome
    wrong: list[str] = field(default_factory=list)  # paths of ham that was held or flagged, and of delivered spam

    def add(self, path: str, judgement: Judgement) -> None:
        """Count one message."""
        outcome, by_patterns, fired = judgement
        self.outcomes[outcome] += 1
        self.by_patterns[by_patterns] += 1
        for rule, decisive in fired:
            self.fired[rule] += 1
            self.decided[rule] += decisive
        if (outcome == Outcome.DELIVER) == (self.label == "spam"):
            self.wrong.append(path)

    @property
    def messages(self) -> int:
        """Return the number of messages."""
        return self.outcomes.total()


@app.command("test")
def measure(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER…",
            help="Folders of raw messages with spam or ham in their names, such as spam_2 or easy-ham, or their parents.",
        ),
    ],
    rules: RulesFile = None,
    learned: LearnedFile = None,
    wrong: Annotated[bool, typer.Option(help="Also list the messages that were judged wrongly.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try the rules and the model of words on labelled messages: held, flagged, missed and wrongly held, by folder and
    by rule.

    The model of words is the rule "words", a personal model "learned"; "Patterns alone" is what the rules do without
    them. With --json one object for each folder and each rule; "decided" counts the messages that would have had another
    outcome without that rule.
    """
    compiled = read_rules(rules)
    read_learned(learned)
    labelled = [(name, label, list(find_files([folder]))) for name, label, folder in _labelled(folders)]
    files = [path for _, _, paths in labelled for path in paths]
    judged = tracked(each_file(partial(_judge, rules, learned), files), "messages", len(files))
    tallies = []
    for name, label, paths in labelled:
        tally = Tally(name=name, label=label)
        for path in paths:
            tally.add(str(path), next(judged))
        tallies.append(tally)
    by_rule = list(_by_rule(tallies, compiled))
    if as_json:
        _print_lines(tallies, by_rule, wrong=wrong)
    else:
        _print_tables(tallies, by_rule, wrong=wrong)


def _labelled(folders: Sequence[Path]) -> Iterator[tuple[str, str, Path]]:
    """Yield name, label and path of each folder of messages. Raises CommandError if one has no label."""
    for folder in folders:
        if label := _label(folder):
            yield folder.name, label, folder
            continue
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder")
        below = [(sub.name, _label(sub), sub) for sub in sorted(folder.iterdir()) if sub.is_dir()]
        if not any(label for _, label, _ in below):
            raise CommandError(f"{folder}: neither its own name nor a sub-folder's has the word spam or ham")
        for name, label, sub in below:
            if label:
                yield name, label, sub
            else:
                print_note(f"{name}: left out, its name has neither spam nor ham", "yellow")


def _label(folder: Path) -> str:
    words = re.split(r"[^a-z]+", folder.name.lower())
    return next((label for label in ("spam", "ham") if label in words), "") if folder.is_dir() else ""


def _judge(rules_file: Path | None, learned_file: Path | None, path: Path) -> Judgement:
    rules = read_rules(rules_file)
    disposition = assess_content(parse(path.read_bytes()), rules, learned=read_learned(learned_file))
    return (
        disposition.outcome,
        _outcome(disposition, rules, without=disposition.words + disposition.learned),
        [
            (reason.rule, _outcome(disposition, rules, without=reason.weight) is not disposition.outcome)
            for reason in disposition.reasons
        ],
    )


def _outcome(disposition: Disposition, rules: spam_rules.RuleSet, *, without: float) -> Outcome:
    score = round(disposition.score - without, 3)
    limited = any(reason.stage == "limit" for reason in disposition.reasons)
    if score >= rules.hold:
        return Outcome.HOLD
    return Outcome.FLAG if score >= rules.flag or limited else Outcome.DELIVER


def _by_rule(tallies: Sequence[Tally], rules: spam_rules.RuleSet) -> Iterator[dict[str, Any]]:
    weights = [(rule.id, rule.weight) for rule in rules.rules]
    weights += [(signal.id, signal.weight) for signal in rules.signals.values()]
    weights += [("words", rules.words), ("learned", RAISE)]
    for rule, weight in weights:
        yield {"rule": rule, "weight": weight} | {
            f"{name}{label}": sum(getattr(tally, counted)[rule] for tally in tallies if tally.label == label)
            for label in ("spam", "ham")
            for name, counted in (("", "fired"), ("decided_", "decided"))
        }


def _print_lines(tallies: Sequence[Tally], by_rule: Sequence[dict[str, Any]], *, wrong: bool) -> None:
    for tally in tallies:
        counts = {name: tally.outcomes[outcome] for name, outcome in OUTCOMES.items()}
        alone = {name: tally.by_patterns[outcome] for name, outcome in OUTCOMES.items()}
        line = {"set": tally.name, "label": tally.label, "messages": tally.messages, **counts, "by_patterns": alone}
        print_json(line | ({"wrong": tally.wrong} if wrong else {}))
    for line in by_rule:
        print_json(line)


def _print_tables(tallies: Sequence[Tally], by_rule: Sequence[dict[str, Any]], *, wrong: bool) -> None:
    numbers = ("Messages", "Held", "Flagged", "Delivered", "Right", "Patterns alone")
    table = new_table("Folder", "Label", *numbers, right=numbers)
    for tally in (*tallies, *_totals(tallies)):
        shares = (_right(tally, outcomes) for outcomes in (tally.outcomes, tally.by_patterns))
        counts = (tally.outcomes[outcome] for outcome in OUTCOMES.values())
        table.add_row(tally.name, tally.label, str(tally.messages), *map(str, counts), *shares)
    out.print(table, "")
    if fired := [line for line in by_rule if line["spam"] or line["ham"]]:
        counted = ("Spam", "Ham", "Decided spam", "Decided ham")
        table = new_table("Rule", "Weight", *counted, right=counted)
        for line in sorted(fired, key=lambda line: -line["spam"]):
            counts = (line[name] for name in ("spam", "ham", "decided_spam", "decided_ham"))
            table.add_row(line["rule"], f"{line['weight']:g}", *map(str, counts))
        out.print(table)
    if silent := len(by_rule) - len(fired):
        out.print(f"{silent} rule{'s' * (silent > 1)} never fired (--json names them)")
    if wrong:
        for tally in tallies:
            for path in tally.wrong:
                print_line(f"{tally.label} judged wrongly: {path}")


def _right(tally: Tally, outcomes: Counter[str]) -> str:
    right = outcomes[Outcome.DELIVER] if tally.label == "ham" else tally.messages - outcomes[Outcome.DELIVER]
    return f"{right / tally.messages:.1%}" if tally.messages else "-"


def _totals(tallies: Sequence[Tally]) -> Iterator[Tally]:
    for label in ("spam", "ham"):
        own = [tally for tally in tallies if tally.label == label]
        if len(own) > 1:
            total = Tally(name="together", label=label)
            for tally in own:
                total.outcomes.update(tally.outcomes)
                total.by_patterns.update(tally.by_patterns)
            yield total


app.command()(backtest.backtest)
documents.add_commands(app, RULES)
