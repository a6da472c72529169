"""Scores ``new_text`` and two libraries on folders of real replies: ``python -m bench.new_text FOLDER…``.

A file counts as right if the result equals the lines that a person marked as the writer's own (bench/new_text.toml),
apart from white space. Also printed: the mean F1 of the words kept, and the slowest of a set of hostile texts.
The project does not depend on the libraries; those that are not installed are skipped:
``uv run --with mail-parser-reply --with email-reply-parser --with quotequail python -m bench.new_text FOLDER…``
"""

import fnmatch
import importlib
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from email_handler.mail.html import html_text
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse

type Reader = Callable[[str, str], str]

MARKS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One reply: its text and HTML, and the results that count as right."""

    name: str
    text: str
    html: str
    accepted: tuple[str, ...]


def cases(folder: Path) -> Iterator[Case]:
    """Yield the replies below *folder* that are in the table."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        relative = f"{path.parent.name}/{path.name}"
        texts = next((v for k, v in MARKS["texts"].items() if fnmatch.fnmatchcase(relative, k) or k == path.name), None)
        lines = MARKS["lines"].get(path.name) or next(
            (v for k, v in MARKS["lines"].items() if "*" in k and fnmatch.fnmatchcase(path.name, k)), None
        )
        signature = path.with_name(path.name.removesuffix("_body") + "_signature")
        if texts and path.suffix == ".eml":
            message = parse(path.read_bytes())
            yield Case(name=relative, text=message.text, html=message.html, accepted=tuple(texts))
        elif texts:
            html = path.read_text(encoding="utf-8", errors="replace")
            yield Case(name=relative, text=html_text(html), html=html, accepted=tuple(texts))
        elif path.name.endswith("_body") and signature.exists():
            body = path.read_text(encoding="utf-8").replace("#sig#", "")
            end = signature.read_text(encoding="utf-8").replace("#sig#", "").strip()
            own = body.strip().removesuffix(end) if end else body
            yield Case(name=relative, text=body, html="", accepted=(own,))
        elif lines and path.name not in MARKS["skip"]["names"] and path.suffix == ".txt":
            text = path.read_text(encoding="utf-8")
            yield Case(name=relative, text=text, html="", accepted=tuple(_pick(text, ranges) for ranges in lines))


def _pick(text: str, ranges: str) -> str:
    lines = text.splitlines()
    if ranges == "*":
        return text
    picked: list[str] = []
    for piece in ranges.split(","):
        first, _, last = piece.partition("-")
        picked += lines[int(first) - 1 : int(last or first)]
    return "\n".join(picked)


def readers() -> dict[str, Reader]:
    """Return the parsers to compare by name."""
    found: dict[str, Reader] = {"nothing removed": lambda text, _html: text, "new_text": new_text}
    for name, make in (
        ("mailparser_reply", _mail_parser_reply),
        ("email_reply_parser", _reply_parser),
        ("quotequail", _quail),
    ):
        try:
            found[name] = make(importlib.import_module(name))
        except ImportError:
            print(f"{name} is not installed: skipped")
    return found


def _mail_parser_reply(module: Any) -> Reader:
    languages = ["en", "de", "fr", "it", "ja", "nl", "pl", "sv", "da", "no", "es", "pt", "ko", "cs", "zh"]
    supported = [one for one in languages if _supports(module, one)]
    parser = module.EmailReplyParser(languages=supported)
    return lambda text, _html: str(parser.parse_reply(text=text) or "")


def _supports(module: Any, language: str) -> bool:
    try:
        module.EmailReplyParser(languages=[language]).read(text="x")
    except Exception:  # noqa: BLE001 - any exception means that the language is not supported
        return False
    return True


def _reply_parser(module: Any) -> Reader:
    return lambda text, _html: str(module.EmailReplyParser.parse_reply(text))


def _quail(module: Any) -> Reader:
    def read(text: str, _html: str) -> str:
        found = module.unwrap(text)
        return f"{found.get('text_top', '')}\n{found.get('text_bottom', '')}" if found else text

    return read


def f1(got: str, wanted: str) -> float:
    """Return the harmonic mean of precision and recall of the words kept."""
    a, b = Counter(got.split()), Counter(wanted.split())
    common = sum((a & b).values())
    return 1.0 if a == b else 2 * common / (sum(a.values()) + sum(b.values()))


HOSTILE = {
    "100 kB of On": "On " * 33_000,
    "20,000 times On and a line break": "On\n" * 20_000,
    "100 kB of > marks": ">" * 100_000,
    "100 kB of dashes": "-" * 100_000,
    "20,000 header-like lines": "From: a\n" * 20_000,
    "100 kB of digits": "1 " * 50_000 + ":",
    "100 kB of blank lines": "\n" * 100_000,
    "20,000 closing lines": "Regards,\n" * 20_000,
}


def main() -> None:
    """Print the table for the given folders."""
    all_cases = [case for folder in sys.argv[1:] for case in cases(Path(folder))]
    print(f"{len(all_cases)} replies\n\n| reader | right | F1 | slowest | slowest hostile |\n|---|---|---|---|---|")
    wrong: list[str] = []
    for name, read in readers().items():
        right, total, slowest = 0, 0.0, 0.0
        for case in all_cases:
            started = time.perf_counter()
            try:
                got = read(case.text, case.html)
            except Exception as error:  # noqa: BLE001 - a library that raises has no result
                got = f"raised {type(error).__name__}"
            slowest = max(slowest, time.perf_counter() - started)
            ok = any(got.split() == wanted.split() for wanted in case.accepted)
            right += ok
            total += max(f1(got, wanted) for wanted in case.accepted)
            if not ok and name == "new_text":
                wrong.append(case.name)
        worst = _worst(read)
        print(
            f"| {name} | {right} ({right / len(all_cases):.1%}) | {total / len(all_cases):.3f} | {slowest:.3f} s | {worst} |"
        )
    print("\nnew_text differs on: " + ", ".join(wrong))


def _worst(read: Reader) -> str:
    """Return the slowest hostile text. Each is tried at a tenth of its size first, and no further if that takes 0.3 s."""
    worst, name = 0.0, ""
    for label, text in HOSTILE.items():
        for piece in (text[: len(text) // 10], text):
            started = time.perf_counter()
            read(piece, "")
            took = time.perf_counter() - started
            if took > worst:
                worst, name = took, label + (" (a tenth)" if piece is not text else "")
            if took > 0.3:
                break
    return f"{worst:.3f} s: {name}"


if __name__ == "__main__":
    main()
