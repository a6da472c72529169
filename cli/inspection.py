"""``email-handler inspect``: what the functions would see in a mail. Pure: files in, values out, no AWS."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from cli.terminal import AdminError, AsJson, ExitCode, out, print_json, print_pairs, tracked
from email_handler.conversations.disposition import Disposition
from email_handler.identifiers import ReceiptId
from email_handler.mail.message import Message
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from email_handler.senders.authentication import receipt_from_message, verify_sender
from email_handler.senders.bounces.reading import read_feedback
from email_handler.senders.linkedin import linkedin_person
from email_handler.senders.machines import automatic
from email_handler.spam.rules import RuleSet, builtin_rules, load_rules
from email_handler.spam.stages import assess_content

MANY = 200  # files from which on a second process earns its start (0.5 s)
HANDED_IN = "handed-in"  # where an outbox keeps the bytes that SES was given (cloud.ses)
STYLES = {"deliver": "green", "flag": "yellow", "hold": "red"}

type Inspection = dict[str, Any]
"""One message as ``--json`` prints it; the keys of :func:`inspect_bytes` with ``path`` and ``seconds``."""


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files of raw mail, and folders of them.", metavar="PATH…")],
    rules: Annotated[Path | None, typer.Option(help="A rules file instead of the built-in set.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the functions would see in raw mail: sender, text, attachments, machine, bounce, spam, LinkedIn.

    Needs no AWS. Every file is told, one that cannot be read as well (exit code 1 then). Of the local cloud's outbox
    only the mails are read: NAME.json beside NAME.eml is left out, and so is its folder handed-in.

    A file that SES stored carries SES's verdicts, and these decide whether its sender is believed. Any other file is
    read as though its sender were verified, unless an Authentication-Results field says that DMARC failed.
    """
    files = list(find_files(paths))
    inspections = tracked(inspect_files(files, rules), "messages", len(files))
    failed = 0
    if as_json:
        for inspection in inspections:
            print_json(inspection)
            failed += not inspection["ok"]
    else:
        done = list(inspections)
        failed = sum(not inspection["ok"] for inspection in done)
        if len(done) == 1 and not failed:
            _show_one(done[0])
        else:
            _show_table(done)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def find_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield *paths* themselves, and in place of a folder everything below it in the order of names.

    Nothing is left out but what the local cloud's outbox keeps beside its mails: envelopes (``NAME.json`` beside
    ``NAME.eml``) and, in such a folder, ``handed-in``. What is no readable file fails when it is read, and is told.
    """
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                envelopes = {f"{name.removesuffix('.eml')}.json" for name in names if name.endswith(".eml")}
                envelopes.intersection_update(names)
                folders[:] = sorted(name for name in folders if not (envelopes and name == HANDED_IN))
                yield from (Path(folder, name) for name in sorted(names) if name not in envelopes)
        else:
            yield path


def inspect_files(files: Sequence[Path], rules_file: Path | None = None) -> Iterator[Inspection]:
    """Return an iterator over the inspection of each of *files*, in their order. Raises AdminError, BadRules at once
    where the rules file cannot be used."""
    rules_of(rules_file)
    return each_file(partial(inspect_file, rules_file=rules_file), files)


def each_file[T](work: Callable[[Path], T], files: Sequence[Path]) -> Iterator[T]:
    """Yield what *work* (a function of a module, or a partial of one) returns for each of *files*, in their order;
    many are shared among the processors."""
    if len(files) < MANY:
        yield from map(work, files)
        return
    # Forked workers would inherit the progress bar's thread half alive.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, files, chunksize=16)


@cache
def rules_of(rules_file: Path | None) -> RuleSet:
    """Return the rules in *rules_file*, or the built-in set, compiled once. Raises AdminError, BadRules."""
    if rules_file is None:
        return builtin_rules()
    try:
        return load_rules(rules_file.read_bytes(), rules_file.name)
    except OSError as error:
        raise AdminError(f"{rules_file}: {error.strerror}. Name a rules file with --rules.") from error


def inspect_file(path: Path, rules_file: Path | None = None) -> Inspection:
    """Return what is in the file *path*. Never raises: what went wrong is in ``error``, and ``ok`` is false.

    ``seconds`` is the time the message took, without reading the file.
    """
    inspection: Inspection = {"path": str(path), "ok": False, "error": None, "seconds": 0.0, **_NOTHING}
    try:
        if not path.is_file():
            raise FileNotFoundError("no such file" if not path.exists() else "not a regular file")
        raw = path.read_bytes()
    except OSError as error:
        return inspection | {"error": error.strerror or str(error)}
    began = time.perf_counter()
    try:
        found = inspect_bytes(raw, rules_of(rules_file))
    except Exception as error:  # noqa: BLE001  (a fault of ours in one message must not hide the others)
        return inspection | {
            "error": f"{type(error).__name__}: please report this message",
            "seconds": round(time.perf_counter() - began, 6),
        }
    return inspection | found | {"ok": True, "seconds": round(time.perf_counter() - began, 6)}


_NOTHING: Inspection = {
    "from": None,
    "subject": None,
    "text_chars": 0,
    "attachments": [],
    "automatic": None,
    "bounce": None,
    "spam": None,
    "new_text": None,
    "linkedin": None,
}


def inspect_bytes(raw: bytes, rules: RuleSet) -> Inspection:
    """Return what the functions would see in *raw*.

    ``from`` is an address or null; ``attachments`` have ``name``, ``type`` (as declared) and ``size`` in octets;
    ``bounce`` is null or ``recipient``, ``status``, ``original_message_id`` (each null where it isn't stated);
    ``spam`` is the filter's third stage.
    """
    message = parse(raw)
    return_path = message.header("Return-Path").strip() if message.header_all("Return-Path") else None
    envelope_sender = return_path if return_path is None else return_path.strip("<>")
    machine = automatic(message, envelope_sender)
    feedback = read_feedback(message, envelope_sender)
    spam = assess_content(message, rules)
    person = linkedin_person(message, believed(message))
    sender = message.from_[0].address if message.from_ else ""
    return {
        "from": sender or envelope_sender or None,
        "subject": message.subject,
        "text_chars": len(message.text),
        "attachments": [
            {"name": found.name, "type": found.content_type, "size": len(found.payload)}
            for found in message.attachments
        ],
        "automatic": machine or None,
        "bounce": feedback
        and {
            "recipient": next(iter(feedback.recipients), None),
            "status": feedback.status or None,
            "original_message_id": feedback.original_message_id or None,
        },
        "spam": told(spam),
        "new_text": new_text(message.text, message.html),
        "linkedin": person.name if person else None,
    }


def told(spam: Disposition) -> dict[str, Any]:
    """Return the third stage's answer as ``--json`` prints it."""
    return {"outcome": spam.outcome.value, "score": spam.score, "rules": list(spam.rules)}


def believed(message: Message) -> bool:
    """Tell whether From is taken at its word (see :func:`inspect`)."""
    receipt = receipt_from_message(message, ReceiptId("inspected"))
    if receipt.spf or receipt.dkim or receipt.dmarc:
        return verify_sender(message, receipt).verified
    results = message.header_all("Authentication-Results")
    return not any("dmarc=fail" in field.lower() for field in results)


def _show_table(inspections: Sequence[Inspection]) -> None:
    table = Table("Spam", "Files", "ms", "Mail", box=None, header_style="bold")
    for one in inspections:
        milliseconds = Text(f"{one['seconds'] * 1000:.1f}", justify="right")
        lines = [Text(Path(one["path"]).name, "bold")]
        if not one["ok"]:
            lines.append(Text(f"not read: {one['error']}", "red"))
            table.add_row("", "", milliseconds, Group(*lines))
            continue
        sender = f"{one['linkedin']} (LinkedIn)" if one["linkedin"] else one["from"] or "nobody"
        lines.append(Text(f"{sender}: {one['subject']}"))
        if machine := "bounce" if one["bounce"] else one["automatic"]:
            lines.append(Text(machine, "cyan"))
        files = Text(str(len(one["attachments"]) or ""), justify="right")
        table.add_row(_spam(one["spam"]), files, milliseconds, Group(*lines))
    out.print(table)
    outcomes = [one["spam"]["outcome"] for one in inspections if one["ok"]]
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in STYLES)
    failed = len(inspections) - len(outcomes)
    out.print(f"{len(inspections)} messages: {counts}" + (f", [red]{failed} not read[/]" if failed else ""))


def _spam(spam: dict[str, Any]) -> Text:
    return Text(f"{spam['outcome']} {spam['score']:g}", STYLES[spam["outcome"]])


def _show_one(one: Inspection) -> None:
    bounce, spam = one["bounce"] or {}, one["spam"]
    files = [f"{file['name']} ({file['type']}, {decimal(file['size'])})" for file in one["attachments"]]
    returned = f"{bounce.get('recipient') or 'recipient not stated'}, {bounce.get('status') or 'no status'}"
    print_pairs(**{
        "From": one["from"] or "-",
        "Subject": one["subject"] or "-",
        "LinkedIn": one["linkedin"] or "",
        "Machine": one["automatic"] or "",
        "Bounce": returned if bounce else "",
        "Files": "\n".join(files),
        "Spam": f"{spam['outcome']} {spam['score']:g}  {', '.join(spam['rules'])}",
        "New text": one["new_text"].strip() or "(none)",
    })  # fmt: skip
