"""Measures the throughput of spam stage 3, and the cost of hostile text.

    python -m bench.spam FOLDER… [--spamd] [--quick]

It reads every file below the folders as a message and prints messages and megabytes per second of: parsing; stage 3 (on
parsed messages), the first time and then with what it remembers of their words, and without the model of words; parsing
and stage 3, as a function runs them; and, with ``--spamd``, SpamAssassin's ``spamd -L`` with one child, called through
``spamc`` (Debian's packages spamd and spamc). With ``--quick`` that is all. Then it prints the rate of the same rules in
Python's ``re`` if that supports them, the slowest messages, and the time that all rules take for messages of a megabyte
made to slow down one rule. Of about 14,000 such texts it runs the three that are slowest for each rule, and every 40th of
all. Each is put where its rule looks: body, HTML, link, file name or header.

Seconds are CPU time, also those of spamd (on Linux), so that other work of the machine does not count.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pcre2

from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from email_handler.spam.rules import RuleSet, adversarial_texts, builtin_rules, views
from email_handler.spam.stages import assess_content

ROUNDS = 3  # the best counts: other work of the machine can only slow a round down
SPAMD_MESSAGES = 500
MEGABYTE = 1_000_000
EVERY, SLOWEST = 40, 3  # of the texts made to slow down the rules


def best_seconds(work: Callable[[], object]) -> float:
    """Return the shortest of a few runs."""
    return min(cpu_seconds(work) for _ in range(ROUNDS))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of one run."""
    start = time.process_time()
    work()
    return time.process_time() - start


def row(name: str, seconds: float, messages: int, size: int, unit: float) -> float:
    """Print one line, with the rate as a multiple of *unit*; return the rate in messages per second."""
    rate = messages / seconds
    share = f"{rate / unit:8.1f} x" if unit else ""
    print(f"{name:32} {rate:10.0f} messages/s {size / seconds / 1e6:8.2f} MB/s {share}")
    return rate


def under_python(rules: RuleSet) -> tuple[list[tuple[str, re.Pattern[str]]], int]:
    """Return the rules that Python's ``re`` supports, as field and pattern, and how many it does not."""
    taken = []
    for rule in rules.rules:
        source = rule.source
        flags = re.IGNORECASE
        if "(?-i)" in source:
            source, flags = source.replace("(?-i)", ""), re.NOFLAG
        try:
            taken.append((rule.field, re.compile(source, flags)))
        except re.error:
            continue
    return taken, len(rules.rules) - len(taken)


def search_with_re(messages: Sequence[Message], patterns: Sequence[tuple[str, re.Pattern[str]]]) -> int:
    """Search subject and text of every message with all patterns on these fields."""
    found = 0
    for message in messages:
        seen = {
            "subject": views("subject", message.subject),
            "text": views("text", f"{message.subject}\n{message.text}"),
        }
        for field, pattern in patterns:
            found += any(pattern.search(view) is not None for view in seen.get(field, ()))
    return found


def search_with_pcre2(messages: Sequence[Message], rules: RuleSet) -> int:
    """Do the same as :func:`search_with_re`, without the sieve."""
    found = 0
    for message in messages:
        seen = {
            "subject": views("subject", message.subject),
            "text": views("text", f"{message.subject}\n{message.text}"),
        }
        for rule in rules.rules:
            found += any(map(rule.search, seen.get(rule.field, ())))
    return found


def cpu_of(pid: int) -> float:
    """Return the CPU time of a running process and its running children (proc_pid_stat(5))."""
    found = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return sum(map(int, found[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_of, map(int, children)))


def spamd_seconds(messages: Sequence[bytes]) -> float:
    """Return the CPU time of ``spamd -L`` for *messages*, one after another through ``spamc``, whose own is left out."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as home:
        Path(home).chmod(0o777)  # started by root, spamd becomes the user nobody, who writes here
        spamd = subprocess.Popen(
            ["spamd", "-L", "-x", "-H", home, "-m", "1", "--port", str(port), "--listen", "127.0.0.1"],
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ask = ["spamc", "-x", "-c", "-d", "127.0.0.1", "-p", str(port)]
        try:
            until = time.monotonic() + 60
            while subprocess.run(ask, input=messages[0], capture_output=True, check=False).returncode not in (0, 1):
                if spamd.poll() is not None or time.monotonic() > until:
                    raise SystemExit("spamd did not start: is Debian's package spamd complete?")
                time.sleep(0.5)
            start = cpu_of(spamd.pid)
            for message in messages:
                if subprocess.run(ask, input=message, capture_output=True, check=False).returncode not in (0, 1):
                    raise SystemExit("spamd did not answer")
            return cpu_of(spamd.pid) - start
        finally:
            spamd.terminate()
            spamd.wait()


def hostile_texts(rules: RuleSet) -> dict[tuple[str, str], str]:
    """Return a sample of the texts made to slow down a rule: the rule's id by field and text."""
    made = {(rule.field, text): rule for rule in rules.rules for text in adversarial_texts(rule)}
    sample = list(made)[::EVERY]
    own: dict[str, list[tuple[float, str]]] = {}
    for (_, text), rule in made.items():
        with suppress(pcre2.LibraryError):  # counted when all rules run on it
            own.setdefault(rule.id, []).append((cpu_seconds(partial(rule.search, text)), text))
    for rule in rules.rules:
        sample += [(rule.field, text) for _, text in sorted(own.get(rule.id, ()), reverse=True)[:SLOWEST]]
    print(f"\n{len(made)} texts made to slow down a rule, of which run:", end=" ", flush=True)
    return {one: made[one].id for one in sample}


def hostile_message(field: str, text: str) -> bytes:
    """Return a message whose *field* is a megabyte of *text*."""
    line = text.replace("\n", " ")
    header, kind, body = "", "text/plain", ""
    match field:
        case "text":
            body = text * (MEGABYTE // len(text) + 1)
        case "html":
            kind, body = "text/html", text * (MEGABYTE // len(text) + 1)
        case "urls":
            kind, body = "text/html", f'<a href="{line}">x</a>' * (MEGABYTE // len(line) + 1)
        case "attachment names":
            header = f'Content-Disposition: attachment; filename="{line * (MEGABYTE // len(line) + 1)}"\r\n'
        case _:
            header = f"{field.removeprefix('header ')}: {line * (MEGABYTE // len(line) + 1)}\r\n"
    return f"{header}Content-Type: {kind}; charset=utf-8\r\n\r\n{body}".encode()


def hostile(rules: RuleSet) -> None:
    """Print the longest times that all rules take for a megabyte made to slow down one rule."""
    worst: list[tuple[float, int, str, Message]] = []
    texts, limits = hostile_texts(rules), Counter[str]()
    for number, ((field, text), name) in enumerate(texts.items()):
        message = parse(hostile_message(field, text))
        limits.update(reason.rule for reason in assess_content(message, rules).reasons if reason.stage == "limit")
        worst.append((cpu_seconds(partial(assess_content, message, rules)), number, name, message))
        worst = sorted(worst, reverse=True)[:10]
    reached = ", ".join(f"{name} {count}" for name, count in limits.items()) or "none"
    print(f"{len(texts)}, a megabyte each; limits reached: {reached}")
    again = [(best_seconds(partial(assess_content, message, rules)), name) for _, _, name, message in worst]
    for seconds, name in sorted(again, reverse=True)[:5]:
        print(f"{seconds * 1000:8.1f} ms  made to slow down {name}")


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    arguments.add_argument("--spamd", action="store_true", help="compare with SpamAssassin's daemon")
    arguments.add_argument("--quick", action="store_true", help="only spamd, parsing and stage 3")
    given = arguments.parse_args()
    if given.spamd and not (shutil.which("spamd") and shutil.which("spamc")):
        raise SystemExit("--spamd needs the programs spamd and spamc: apt-get install spamd spamc")
    paths = sorted(path for folder in given.folders for path in folder.rglob("*") if path.is_file())
    raws = [path.read_bytes() for path in paths]
    size = sum(map(len, raws))
    rules = builtin_rules()
    messages = [parse(raw) for raw in raws]
    print(
        f"{len(raws)} messages, {size / 1e6:.1f} MB, {len(rules.rules)} rules, {len(rules.signals)} signals, one core\n"
    )

    unit = 0.0
    if given.spamd:
        few = raws[:: max(1, len(raws) // SPAMD_MESSAGES)]
        unit = row("spamd -L through spamc", spamd_seconds(few), len(few), sum(map(len, few)), 0)
    row("parse", best_seconds(lambda: [parse(raw) for raw in raws]), len(raws), size, unit)
    first = cpu_seconds(lambda: [assess_content(m, rules) for m in messages])
    row("stage 3, the first time", first, len(raws), size, unit)
    row("stage 3", best_seconds(lambda: [assess_content(m, rules) for m in messages]), len(raws), size, unit)
    alone = replace(rules, words=0.0)
    seconds = best_seconds(lambda: [assess_content(m, alone) for m in messages])
    row("stage 3 without words", seconds, len(raws), size, unit)
    row(
        "parse and stage 3",
        best_seconds(lambda: [assess_content(parse(r), rules) for r in raws]),
        len(raws),
        size,
        unit,
    )

    if given.quick:
        return

    taken, refused = under_python(rules)
    print(f"\nsubject and text, every pattern one by one (without {refused} rules that Python's re does not support)")
    row("pcre2", best_seconds(lambda: search_with_pcre2(messages, rules)), len(raws), size, 0)
    row("re", cpu_seconds(lambda: search_with_re(messages, taken)), len(raws), size, 0)

    timed = []
    for path, message in zip(paths, messages, strict=True):
        timed.append((cpu_seconds(partial(assess_content, message, rules)), path, message.size))
    print("\nslowest messages in stage 3")
    for seconds, path, length in sorted(timed, reverse=True)[:5]:
        print(f"{seconds * 1000:8.1f} ms {length:9} bytes  {path}")
    hostile(rules)


if __name__ == "__main__":
    main()
