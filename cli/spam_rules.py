"""``email-handler rules``: editing the spam rules by evidence. Pure: files in, tables out, no AWS."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cli.inspection import each_file, find_files, rules_of
from cli.terminal import AdminError, AsJson, ExitCode, err, out, print_json, tracked
from email_handler.conversations.disposition import Disposition, Outcome
from email_handler.mail.parsing import parse
from email_handler.spam import rules as spam_rules
from email_handler.spam.stages import assess_content

RULES_FILE = Path("config/spam-rules.toml")

app = typer.Typer(no_args_is_help=True, help="Check and try the spam rules.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The rules file.")]


@app.command()
def check(file: File = RULES_FILE, as_json: AsJson = False) -> None:
    """Check a rules file: its form, every rule's examples, and that no pattern can be made to stall.

    With --json one object a finding: rule, problem. Exit code 1 if there is any.
    """
    try:
        document = file.read_bytes()
    except OSError as error:
        raise AdminError(f"{file}: {error.strerror}. Name the rules file, such as {RULES_FILE}.") from error
    findings = spam_rules.check(document)
    for finding in findings:
        if as_json:
            print_json(asdict(finding))
        else:
            out.print(Text.assemble((finding.rule or str(file), "bold"), f" {finding.problem}"))
    if findings:
        raise typer.Exit(ExitCode.FAILED)
    loaded = spam_rules.load_rules(document, file.name)
    err.print(f"{file}: {len(loaded.rules)} rules and {len(loaded.signals)} signals, nothing to complain about.")


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the rules made of one folder of mail."""

    name: str
    label: str  # "spam" or "ham"
    outcomes: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)  # messages by rule
    decided: Counter[str] = field(default_factory=Counter)  # messages by rule without which they had ended otherwise
    wrong: list[str] = field(default_factory=list)  # paths: ham held or flagged, spam delivered

    def add(self, path: str, outcome: str, fired: Sequence[tuple[str, bool]]) -> None:
        """Count one message."""
        self.outcomes[outcome] += 1
        for rule, decisive in fired:
            self.fired[rule] += 1
            self.decided[rule] += decisive
        if (outcome == Outcome.DELIVER) == (self.label == "spam"):
            self.wrong.append(path)

    @property
    def messages(self) -> int:
        """Return how many there were."""
        return self.outcomes.total()


@app.command("test")
def measure(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER…",
            help="Folders of raw mail with spam or ham in their names, such as spam_2 or easy-ham, or above such.",
        ),
    ],
    rules: Annotated[Path | None, typer.Option(help="A rules file instead of the built-in set.")] = None,
    wrong: Annotated[bool, typer.Option(help="List the messages that were judged wrongly as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try the rules on labelled mail: caught, flagged, missed and wrongly held, by folder and by rule.

    With --json one object a folder and one a rule; "decided" counts the messages that had ended otherwise without
    that rule.
    """
    labelled = [(name, label, list(find_files([folder]))) for name, label, folder in _labelled(folders)]
    total = sum(len(files) for _, _, files in labelled)
    tallies = []
    judged = tracked(_judged(labelled, rules), "messages", total)
    for name, label, files in labelled:
        tally = Tally(name=name, label=label)
        for path in files:
            tally.add(str(path), *next(judged))
        tallies.append(tally)
    weights = _weights(rules)
    if as_json:
        _print_lines(tallies, weights, wrong=wrong)
    else:
        _print_tables(tallies, weights, wrong=wrong)


def _judged(
    labelled: Sequence[tuple[str, str, list[Path]]], rules: Path | None
) -> Iterator[tuple[str, tuple[tuple[str, bool], ...]]]:
    files = [path for _, _, paths in labelled for path in paths]
    return each_file(partial(judge_file, rules_file=rules), files)


def _labelled(folders: Sequence[Path]) -> Iterator[tuple[str, str, Path]]:
    """Yield name, label and path of each folder of mail. Raises AdminError for one that says of itself nothing."""
    for folder in folders:
        if label := _label(folder):
            yield folder.name, label, folder
            continue
        if not folder.is_dir():
            raise AdminError(f"{folder} is no folder")
        below = [(sub.name, _label(sub), sub) for sub in sorted(folder.iterdir()) if sub.is_dir()]
        if not any(label for _, label, _ in below):
            raise AdminError(f"{folder}: neither its own name nor a sub-folder's has the word spam or ham")
        for name, label, sub in below:
            if label:
                yield name, label, sub
            else:
                err.print(f"{name}: left out, its name has neither spam nor ham", style="yellow", markup=False)


def _label(folder: Path) -> str:
    words = re.split(r"[^a-z]+", folder.name.lower())
    return next((label for label in ("spam", "ham") if label in words), "") if folder.is_dir() else ""


def judge_file(path: Path, rules_file: Path | None) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """Return the outcome for one file, and each rule that matched with whether it decided that."""
    rules = rules_of(rules_file)
    disposition = assess_content(parse(path.read_bytes()), rules)
    fired = tuple(
        (reason.rule, _outcome(disposition, rules, without=reason.weight) is not disposition.outcome)
        for reason in disposition.reasons
    )
    return disposition.outcome.value, fired


def _outcome(disposition: Disposition, rules: spam_rules.RuleSet, *, without: float) -> Outcome:
    score = disposition.score - without
    limited = any(reason.stage == "limit" for reason in disposition.reasons)
    if score >= rules.hold:
        return Outcome.HOLD
    return Outcome.FLAG if score >= rules.flag or limited else Outcome.DELIVER


def _weights(rules_file: Path | None) -> dict[str, float]:
    rules = rules_of(rules_file)
    weights = {rule.id: rule.weight for rule in rules.rules}
    return weights | {signal.id: signal.weight for signal in rules.signals.values()}


def _by_rule(tallies: Sequence[Tally], weights: dict[str, float]) -> Iterator[dict[str, Any]]:
    for rule, weight in weights.items():
        yield {"rule": rule, "weight": weight} | {
            f"{name}{label}": sum(getattr(tally, counted)[rule] for tally in tallies if tally.label == label)
            for label in ("spam", "ham")
            for name, counted in (("", "fired"), ("decided_", "decided"))
        }


def _print_lines(tallies: Sequence[Tally], weights: dict[str, float], *, wrong: bool) -> None:
    for tally in tallies:
        line = {
            "set": tally.name,
            "label": tally.label,
            "messages": tally.messages,
            "held": tally.outcomes[Outcome.HOLD],
            "flagged": tally.outcomes[Outcome.FLAG],
            "delivered": tally.outcomes[Outcome.DELIVER],
        }
        print_json(line | ({"wrong": tally.wrong} if wrong else {}))
    for line in _by_rule(tallies, weights):
        print_json(line)


def _print_tables(tallies: Sequence[Tally], weights: dict[str, float], *, wrong: bool) -> None:
    table = Table("Folder", "Mail", "Messages", "Held", "Flagged", "Delivered", "Right", box=None, header_style="bold")
    for tally in (*tallies, *_totals(tallies)):
        delivered = tally.outcomes[Outcome.DELIVER]
        right = delivered if tally.label == "ham" else tally.messages - delivered
        share = f"{right / tally.messages:.1%}" if tally.messages else "-"
        counts = (tally.outcomes[outcome] for outcome in (Outcome.HOLD, Outcome.FLAG, Outcome.DELIVER))
        table.add_row(tally.name, tally.label, str(tally.messages), *map(str, counts), share)
    by_rule = Table("Rule", "Weight", "Spam", "Ham", "Decided spam", "Decided ham", box=None, header_style="bold")
    lines = list(_by_rule(tallies, weights))
    fired = [line for line in lines if line["spam"] or line["ham"]]
    for line in sorted(fired, key=lambda line: -line["spam"]):
        counts = (line[name] for name in ("spam", "ham", "decided_spam", "decided_ham"))
        by_rule.add_row(line["rule"], f"{line['weight']:g}", *map(str, counts))
    for one in (table, by_rule):
        for column in one.columns[-4:]:
            column.justify = "right"
    out.print(table, "", *([by_rule] if fired else []))
    if silent := len(lines) - len(fired):
        out.print(f"{silent} rule{'s' * (silent > 1)} never fired (--json names them)")
    if wrong:
        for tally in tallies:
            for path in tally.wrong:
                out.print(Text(f"{tally.label} judged wrongly: {path}"), soft_wrap=True)


def _totals(tallies: Sequence[Tally]) -> Iterator[Tally]:
    for label in ("spam", "ham"):
        own = [tally for tally in tallies if tally.label == label]
        if len(own) > 1:
            total = Tally(name="together", label=label)
            for tally in own:
                total.outcomes.update(tally.outcomes)
            yield total
