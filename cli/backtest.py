"""``email-handler rules backtest``: what a changed rule set would have done with mail that has its end.

Only the rules are tried. What SES's verdicts and the operator's lists decided stays as it was, save for released mail:
the operator's word is about what it says, so it counts as held again wherever the rules alone would hold it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from cli.connection import Connection, connect
from cli.inspection import each_file, find_files, read_rules
from cli.options import AsJson, Endpoint, Stack
from cli.terminal import CommandError, ExitCode, err, out, plain, print_json, tracked
from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.conversations.records import MessageRecord
from email_handler.errors import ArchiveObjectMissing
from email_handler.identifiers import ArchiveKey, EmailAddress, ReceiptId
from email_handler.mail.message import parse
from email_handler.spam.rules import RuleSet
from email_handler.spam.stages import assess_content
from email_handler.usecases.held import CONFIRMED, RELEASED

AT_ONCE = 8  # mails fetched side by side
GRAVITY = (Outcome.DELIVER, Outcome.FLAG, Outcome.HOLD)
HOLDING = {("verdicts", "virus"), ("verdicts", "spam"), ("verdicts", "dmarc"), ("list", "blocked")}
FLAGGING = {("verdicts", "virus-unsure"), ("verdicts", "virus-scan-failed"), ("verdicts", "spam-unsure")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One mail under the new rules."""

    id: str  # receipt, or path
    before: str  # deliver, flag, hold; released or confirmed by the operator
    after: str  # deliver, flag, hold
    score: float  # by the new rules
    rules: tuple[str, ...]
    sender: str
    subject: str

    @property
    def changed(self) -> bool:
        """Tell whether the new rules decide otherwise."""
        return self.after != {"released": "deliver", "confirmed": "hold"}.get(self.before, self.before)

    @property
    def newly_held(self) -> bool:
        """Tell whether mail that got through would be held: what must not go unseen."""
        return self.after == Outcome.HOLD and self.before in ("released", "deliver", "flag")


def backtest(
    new: Annotated[Path, typer.Argument(metavar="NEW.toml", help="The changed rules.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A folder of raw mail instead of the archive.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Of the archive: mail of the last DAYS.")] = 30,
    against: Annotated[
        Path | None, typer.Option(help="With FOLDER: the rules to compare with instead of the built-in set.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many mails to show of each kind.")] = 10,
    stack: Stack = "",
    endpoint: Endpoint = "",
    as_json: AsJson = False,
) -> None:
    """Try changed rules on mail of the archive or of a folder: what they would decide otherwise.

    Exit code 4 if mail that you have released would be held again. With --json one object a changed mail, and counts.
    """
    rules = read_rules(new)
    if folder:
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder of mail")
        files = list(find_files([folder]))
        tried: Iterable[Tried] = each_file(partial(_trial, new, against), files)
        total = len(files)
    else:
        connection = connect(stack, endpoint)
        stored = list(_stored(connection, datetime.now(UTC) - timedelta(days=days)))
        tried, total = try_archive(connection, stored, rules), len(stored)
    counts: Counter[tuple[str, str]] = Counter()
    changed: list[Tried] = []
    for one in tracked(tried, "mails", total):
        counts[one.before, one.after] += 1
        if one.changed or one.newly_held:
            changed.append(one)
            if as_json:
                print_json(asdict(one))
    held_again = sum(count for (before, after), count in counts.items() if (before, after) == ("released", "hold"))
    if as_json:
        newly = sum(one.newly_held for one in changed)
        moves = {f"{before} to {after}": count for (before, after), count in sorted(counts.items())}
        print_json({"mails": counts.total(), "changed": len(changed), "newly_held": newly, "held_again": held_again, "counts": moves})  # fmt: skip
    else:
        _print_changes(counts, changed, examples)
    if held_again:
        err.print(f"Held again would be: {held_again} of the mails that you released.", style="red")
        raise typer.Exit(ExitCode.HELD_AGAIN)


def _trial(new: Path, against: Path | None) -> Callable[[Path], Tried]:
    return partial(try_file, new=read_rules(new), against=read_rules(against))


def try_file(path: Path, *, new: RuleSet, against: RuleSet) -> Tried:
    """Return the file at *path* under both rule sets. What cannot be read counts as an empty mail."""
    try:
        message = parse(path.read_bytes())
    except OSError:
        message = parse(b"")
    before, after = assess_content(message, against), assess_content(message, new)
    sender = message.from_[0].address if message.from_ else ""
    return _tried(str(path), before.outcome.value, after.outcome, after, sender, message.subject)


def try_archive(connection: Connection, stored: Sequence[ArchiveKey], rules: RuleSet) -> Iterator[Tried]:
    """Yield each of *stored* that the filter decided about, under *rules*. Mail that has no decision yet, or none of
    the filter's (bounces, duplicates, unknown recipients), is left out."""
    public = [EmailAddress(address) for address in connection.parameters["PublicAddresses"].split(",")]

    def fetch(key: ArchiveKey) -> tuple[MessageRecord, bytes] | None:
        record = connection.records.message(ReceiptId(key.rpartition("/")[2]), "inbound")
        if record is None or record.outcome not in GRAVITY:
            return None
        try:
            return record, connection.archive.get(key)
        except ArchiveObjectMissing:
            return None

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for batch in batched(stored, AT_ONCE):
            for found in pool.map(fetch, batch):
                if found:
                    yield try_record(*found, rules, public)


def try_record(record: MessageRecord, raw: bytes, rules: RuleSet, public: Sequence[EmailAddress]) -> Tried:
    """Return the mail of *record* under *rules*."""
    content = assess_content(parse(raw), rules, public_addresses=public)
    if RELEASED in record.reasons:
        before, after = "released", content.outcome
    else:
        before = "confirmed" if CONFIRMED in record.reasons else record.outcome.value
        after = _after(record.reasons, content.outcome)
    return _tried(record.receipt, before, after, content, record.sender, record.subject)


def _after(reasons: Sequence[Reason], by_rules: Outcome) -> Outcome:
    """Return the gravest of what the other stages said then and the rules say now."""
    told = {(reason.stage, reason.rule) for reason in reasons}
    if ("list", "allowed") in told:
        by_rules = Outcome.DELIVER
    others = Outcome.HOLD if told & HOLDING else Outcome.FLAG if told & FLAGGING else Outcome.DELIVER
    return max(others, by_rules, key=GRAVITY.index)


def _tried(identifier: str, before: str, after: Outcome, content: Disposition, sender: str, subject: str) -> Tried:
    return Tried(
        id=identifier,
        before=before,
        after=after.value,
        score=content.score,
        rules=content.rules,
        sender=plain(sender),
        subject=plain(subject),
    )


def _stored(connection: Connection, since: datetime) -> Iterator[ArchiveKey]:
    return (key for key, modified in connection.archive.keys("raw/inbound/") if modified >= since)


def _print_changes(counts: Counter[tuple[str, str]], changed: Sequence[Tried], examples: int) -> None:
    table = Table("Decided", "deliver", "flag", "hold", box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for before in ("deliver", "flag", "hold", "released", "confirmed"):
        if any(was == before for was, _ in counts):
            table.add_row(before, *(str(counts[before, after.value] or "-") for after in GRAVITY))
    out.print("What became of the mail (rows), and what the new rules would do (columns):")
    out.print(table)
    held = [one for one in changed if one.newly_held]
    others = [one for one in changed if not one.newly_held]
    for title, found in (("Got through, and would be held", held), ("Other changes", others)):
        if not found:
            continue
        out.print(f"\n{title}: {len(found)}", style="bold")
        for one in sorted(found, key=lambda one: one.before != "released")[:examples]:
            out.print(
                Text(f"{one.before} to {one.after}, score {one.score:g}: {one.sender}: {one.subject}"), soft_wrap=True
            )
            out.print(Text(f"  {one.id} {', '.join(one.rules)}", "dim"), soft_wrap=True)
        if len(found) > examples:
            out.print(f"and {len(found) - examples} more (--json tells all)", style="dim")
    out.print(f"\n{counts.total()} mails, {len(changed)} changed.")
