"""``email-handler inspect``: what the functions would see in a message. Pure: files in, values out, no AWS."""

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
from rich.text import Text

from cli.options import AsJson, LearnedFile, RulesFile
from cli.terminal import STYLES, describe_files, fail_if, new_table, out, plain, print_json, print_pairs, tracked
from email_handler.conversations.disposition import Disposition
from email_handler.identifiers import ReceiptId
from email_handler.mail.message import Message
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from email_handler.mistakes import Mistake, attempt
from email_handler.senders.authentication import receipt_from_message, verify_sender
from email_handler.senders.bounces.reading import read_feedback
from email_handler.senders.linkedin import linkedin_person
from email_handler.senders.machines import automatic
from email_handler.spam.learned import LearnedModel, load_learned
from email_handler.spam.rules import RuleSet, builtin_rules, load_rules
from email_handler.spam.stages import assess_content
from operations.errors import CommandError

MANY = 200  # files from which a second process is worth its start (0.5 s)
HANDED_IN = "handed-in"  # where an outbox keeps the bytes that SES was given (cloud.ses)

type Inspection = dict[str, Any]
"""One message as ``--json`` prints it: the keys of :func:`inspect_bytes`, and path, ok, error and seconds."""


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files of raw messages, and folders of them.", metavar="PATH…")],
    rules: RulesFile = None,
    learned: LearnedFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what the functions would see in raw messages: sender, text, attachments, machine, bounce, spam, LinkedIn.

    Needs no AWS. Every file is listed, also one that cannot be read (then the exit code is 1). Of the local cloud's
    outbox only the messages are read: NAME.json beside NAME.eml is left out, and so is its folder handed-in.

    A file that SES stored carries SES's verdicts, which decide whether its sender is verified. In any other file the
    sender counts as verified unless an Authentication-Results field reports that DMARC failed.
    """
    files = list(find_files(paths))
    failed, kept = 0, []
    for inspection in tracked(inspect_files(files, rules, learned), "messages", len(files)):
        failed += not inspection["ok"]
        if as_json:
            print_json(inspection)
        else:
            kept.append(inspection)
    if len(kept) == 1 and not failed:
        _print_one(kept[0])
    elif not as_json:
        _print_table(kept)
    fail_if(failed)


def find_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each of *paths*; for a folder, every file below it instead, in the order of names.

    Only what the local cloud's outbox keeps beside its messages is left out: envelopes (``NAME.json`` beside
    ``NAME.eml``) and, in such a folder, ``handed-in``. A path that is not a readable file fails when it is read.
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


def inspect_files(
    files: Sequence[Path], rules_file: Path | None = None, learned_file: Path | None = None
) -> Iterator[Inspection]:
    """Return an iterator over the inspection of each of *files*, in their order.

    Raises CommandError, BadRules or BadWords at once if the rules or the personal model cannot be used.
    """
    read_rules(rules_file)
    read_learned(learned_file)
    return each_file(partial(_inspect, rules_file, learned_file), files)


def _inspect(rules_file: Path | None, learned_file: Path | None, path: Path) -> Inspection:
    return inspect_file(path, read_rules(rules_file), read_learned(learned_file))


def each_file[T](work: Callable[[Path], T], files: Sequence[Path]) -> Iterator[T]:
    """Yield the result of *work* for each of *files*, in their order; many are shared among processes.

    *work* is a function of a module, or a partial of one. Compiled rules cannot be sent to another process, so it takes
    a rules file and calls :func:`read_rules`.
    """
    if len(files) < MANY:
        yield from map(work, files)
        return
    # Spawned, because forked processes would inherit the progress bar's thread in a broken state.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, files, chunksize=16)


def read_rules(rules_file: Path | None) -> RuleSet:
    """Return the rules in *rules_file*, or the built-in set, compiled once. Raises CommandError, BadRules."""
    if rules_file is None:
        return builtin_rules()
    try:
        return _compiled(rules_file.read_bytes(), rules_file.name)
    except OSError as error:
        raise CommandError(f"{rules_file}: {error.strerror}. Name a rules file with --rules.") from error


_compiled = cache(load_rules)


@cache
def read_learned(file: Path | None) -> LearnedModel | None:
    """Return the personal model in *file*, None without one. Raises CommandError, BadWords."""
    if file is None:
        return None
    try:
        return load_learned(file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}. Name a file that email-handler learn save wrote.") from error


def inspect_file(path: Path, rules: RuleSet, learned: LearnedModel | None = None) -> Inspection:
    """Return what is in the file *path*. Never raises: ``error`` names why it could not be read, and ``ok`` is false.

    A message is always ``ok``; if an error of ours kept some of it from being seen, ``error`` names that.
    ``seconds`` is the time the message took, without reading the file.
    """
    inspection: Inspection = {"path": str(path), "ok": False, "error": None, "seconds": 0.0, **_NOTHING}
    try:
        raw = read_file(path)
    except OSError as error:
        return inspection | {"error": error.strerror or str(error)}
    began = time.perf_counter()
    inspection |= inspect_bytes(raw, rules, learned) | {"ok": True}
    return inspection | {"seconds": round(time.perf_counter() - began, 6)}


def read_file(path: Path) -> bytes:
    """Return the content of the file *path*. Raises OSError, for what is no regular file too: a pipe may never end."""
    if not path.is_file():
        raise FileNotFoundError("no such file" if not path.exists() else "not a regular file")
    return path.read_bytes()


_NOTHING: Inspection = {"from": None, "subject": None, "text_chars": 0, "attachments": []} | dict.fromkeys(
    ("automatic", "bounce", "spam", "new_text", "linkedin")
)


def inspect_bytes(raw: bytes, rules: RuleSet, learned: LearnedModel | None = None) -> Inspection:
    """Return what the functions would see in *raw*.

    ``from`` is an address or null; ``attachments`` have ``name``, ``type`` (as declared) and ``size`` in bytes;
    ``bounce`` is null or has ``recipient``, ``status`` and ``original_message_id`` (each null if it isn't stated);
    ``spam`` is the result of the filter's third stage: ``rules`` are the patterns and signals that matched, ``words`` has
    the ``points`` of the model of words, and ``why``, ``learned`` those of the personal model. If an error of ours
    prevents that, ``error`` has its type and place, and what the header shows is there, or nothing.
    """
    message = attempt(parse, raw)
    if isinstance(message, Mistake):
        return _NOTHING | {"error": str(message)}
    if message.mistake is not None:
        return _seen(message) | {"error": str(message.mistake)}
    inspection = attempt(_inspect_message, message, rules, learned)
    return _seen(message) | {"error": str(inspection)} if isinstance(inspection, Mistake) else inspection


def _seen(message: Message) -> Inspection:
    return _NOTHING | {
        "from": message.from_[0].address if message.from_ else None,
        "subject": message.subject,
        "text_chars": len(message.text),
        "attachments": _describe_attachments(message),
    }


def _describe_attachments(message: Message) -> list[dict[str, Any]]:
    return [
        {"name": found.name, "type": found.content_type, "size": len(found.payload)} for found in message.attachments
    ]


def _inspect_message(message: Message, rules: RuleSet, learned: LearnedModel | None) -> Inspection:
    return_path = message.header("Return-Path").strip() if message.header_all("Return-Path") else None
    envelope_sender = return_path if return_path is None else return_path.strip("<>")
    feedback = read_feedback(message, envelope_sender)
    person = linkedin_person(message, believed(message))
    spam = assess_content(message, rules, learned=learned)
    sender = message.from_[0].address if message.from_ else ""
    return {
        "from": sender or envelope_sender or None,
        "subject": message.subject,
        "text_chars": len(message.text),
        "attachments": _describe_attachments(message),
        "automatic": automatic(message, envelope_sender) or None,
        "bounce": feedback
        and {
            "recipient": next(iter(feedback.recipients), None),
            "status": feedback.status or None,
            "original_message_id": feedback.original_message_id or None,
        },
        "spam": {
            "outcome": spam.outcome.value,
            "score": spam.score,
            "rules": list(spam.rules),
            "words": _source(spam, "words"),
            "learned": _source(spam, "learned"),
        },
        "new_text": new_text(message.text, message.html),
        "linkedin": person.name if person else None,
    }


def _source(spam: Disposition, stage: str) -> dict[str, Any]:
    """Return the points of the model of words, or of the personal one, and why: what ``why`` says."""
    found = next((reason for reason in spam.reasons if reason.stage == stage), None)
    return {"points": found.weight if found else 0.0, "why": found.detail if found else ""}


def believed(message: Message) -> bool:
    """Return whether From counts as verified (see :func:`inspect`)."""
    receipt = receipt_from_message(message, ReceiptId("inspected"))
    if receipt.spf or receipt.dkim or receipt.dmarc:
        return verify_sender(message, receipt).verified
    results = message.header_all("Authentication-Results")
    return not any("dmarc=fail" in field.lower() for field in results)


def _print_table(inspections: Sequence[Inspection]) -> None:
    table = new_table("Spam", "Files", "ms", "Message", right=("Files", "ms"))
    outcomes = []
    for one in inspections:
        lines = [Text(plain(Path(one["path"]).name), "bold")]
        spam, files = Text(), ""
        if one["ok"]:
            sender = f"{one['linkedin']} (LinkedIn)" if one["linkedin"] else one["from"] or "nobody"
            lines.append(Text(plain(f"{sender}: {one['subject'] or ''}")))
            if one["error"]:
                lines.append(Text(f"not read in full: {one['error']}", "red"))
            if machine := "bounce" if one["bounce"] else one["automatic"]:
                lines.append(Text(machine, "cyan"))
            outcome = one["spam"]["outcome"] if one["spam"] else "flag"  # as inbound flags what it cannot read
            outcomes.append(outcome)
            spam = Text(f"{outcome} {one['spam']['score']:g}" if one["spam"] else outcome, STYLES[outcome])
            files = str(len(one["attachments"]) or "")
        else:
            lines.append(Text(plain(f"not read: {one['error']}"), "red"))
        table.add_row(spam, files, f"{one['seconds'] * 1000:.1f}", Group(*lines))
    out.print(table)
    counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in ("deliver", "flag", "hold"))
    failed = len(inspections) - len(outcomes)
    out.print(
        Text.assemble(f"{len(inspections)} messages: {counts}", (f", {failed} not read" if failed else "", "red"))
    )


def _print_one(one: Inspection) -> None:
    bounce, spam = one["bounce"] or {}, one["spam"]
    returned = f"{bounce.get('recipient') or 'recipient not stated'}, {bounce.get('status') or 'no status'}"
    print_pairs(**{
        "From": one["from"] or "-",
        "Subject": one["subject"] or "-",
        "LinkedIn": one["linkedin"] or "",
        "Machine": one["automatic"] or "",
        "Bounce": returned if bounce else "",
        "Files": describe_files(one["attachments"]),
        "Spam": f"{spam['outcome']} {spam['score']:g}  {', '.join(spam['rules'])}" if spam else "",
        "Words": f"{spam['words']['points']:g}  {spam['words']['why']}" if spam and spam["words"]["points"] else "",
        "Learned": f"{spam['learned']['points']:g}  {spam['learned']['why']}" if spam and spam["learned"]["points"] else "",
        "Not read": one["error"] or "",
        "New text": (one["new_text"] or "").strip() or "(none)",
    })  # fmt: skip
