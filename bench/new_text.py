"""How well ``new_text`` and the libraries for it read replies: ``make bench B=new_text ARGS="FOLDER…"``.

A reply is right if what is left has the words that its author wrote, white space aside. Sets: the replies written for
this project (tests/data/new_text.toml), and each FOLDER, a copy of the replies of github/email_reply_parser,
crisp-oss/email-reply-parser or mailgun/talon, whose lines bench/new_text.toml numbers. Also printed: the mean F1 of the
words kept, and the slowest text of a set made to stall parsers.

``--before FILE`` reads an older copy of ``new_text.py`` too. The libraries are no dependencies of the project; those
that are not installed are left out. To have them:
``.venv-uv/bin/uv run --with mail-parser-reply --with email-reply-parser --with quotequail --with talon
python -m bench.new_text FOLDER…``
"""

import argparse
import fnmatch
import importlib.util
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from email_handler.mail.html import html_text
from email_handler.mail.new_text import new_text
from email_handler.mail.parsing import parse
from tests.support.replies import Reply, written_replies

type Reader = Callable[[str, str], str]

LINES: dict[str, list[str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["lines"]
TEMPLATES = ("email_with_date_headers.txt", "email_with_from_headers.txt")  # a placeholder stands for the header
LANGUAGES = ("en", "de", "fr", "it", "ja", "nl", "pl", "sv", "da", "no", "es", "pt", "ko", "cs", "zh")
TOO_LONG = 0.3  # seconds for a tenth of a hostile text: the whole of it is not tried

HOSTILE = {
    "100 kB of On": "On " * 33_000,
    "20,000 times On and a line break": "On\n" * 20_000,
    "100 kB of > marks": ">" * 100_000,
    "100 kB of dashes": "-" * 100_000,
    "20,000 header-like lines": "From: a\n" * 20_000,
    "100 kB of digits": "1 " * 50_000 + ":",
    "100 kB of blank lines": "\n" * 100_000,
    "20,000 closing lines": "Regards,\n" * 20_000,
    "20,000 attributions": "On 1 1 a@b.example wrote:\n" * 20_000,
    "20,000 warnings": "External email: be careful\n" * 20_000,
}


def main() -> None:
    """Read the command line, compare and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--before", type=Path, help="an older new_text.py")
    arguments.add_argument("folders", nargs="*", type=Path)
    options = arguments.parse_args()
    sets = {"our own": list(written_replies())} | {folder.name: list(public(folder)) for folder in options.folders}
    print("replies: " + ", ".join(f"{name} {len(replies)}" for name, replies in sets.items()) + "\n")
    print(f"| reader | {' | '.join(sets)} | all | F1 | slowest hostile |\n|---|{'---|' * (len(sets) + 3)}")
    for name, read in readers(options.before).items():
        scores = {one: [score(read, reply) for reply in replies] for one, replies in sets.items()}
        every = [each for one in scores.values() for each in one]
        right = [sum(each == 1.0 for each in one) for one in (*scores.values(), every)]
        f1 = sum(every) / len(every)
        print(f"| {name} | {' | '.join(map(str, right))} | {f1:.3f} | {slowest_hostile(read)} |", flush=True)
    for one, replies in sets.items():
        wrong = [reply.name for reply in replies if score(new_text, reply) < 1]
        print(f"\nnew_text is wrong on, of {one}: {', '.join(wrong) or 'none'}")


def public(folder: Path) -> Iterator[Reply]:
    """Yield the replies below *folder* whose lines are numbered."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = f"{path.parent.name}/{path.name}"
        signature = path.with_name(path.name.removesuffix("_body") + "_signature")
        if path.name.endswith("_body") and signature.exists():  # talon's signatures are files of their own
            body, end = (each.read_text(encoding="utf-8").replace("#sig#", "").strip() for each in (path, signature))
            yield Reply(name=name, text=body, html="", accepted=(body.removesuffix(end) if end else body,))
        elif path.suffix in (".txt", ".html", ".eml") and path.name not in TEMPLATES:
            readings = LINES.get(path.name) or next(
                (ranges for pattern, ranges in LINES.items() if fnmatch.fnmatchcase(name, f"*{pattern}")), None
            )
            if readings:
                text, html = _read(path)
                yield Reply(name=name, text=text, html=html, accepted=tuple(_picked(text, each) for each in readings))


def _read(path: Path) -> tuple[str, str]:
    if path.suffix == ".eml":
        message = parse(path.read_bytes())
        return message.text, message.html
    content = path.read_text(encoding="utf-8", errors="replace")
    return (html_text(content), content) if path.suffix == ".html" else (content, "")


def _picked(text: str, ranges: str) -> str:
    if ranges == "*":
        return text
    ends = [(first, last or first) for first, _, last in (piece.partition("-") for piece in ranges.split(","))]
    return "\n".join(line for first, last in ends for line in text.splitlines()[int(first) - 1 : int(last)])


def score(read: Reader, reply: Reply) -> float:
    """Return the F1 of the words that *read* keeps of *reply*, 1.0 only if they are right in their order."""
    try:
        got = read(reply.text, reply.html).split()
    except Exception:  # noqa: BLE001 - a library that raises kept nothing
        got = []
    return max(1.0 if got == wanted else min(f1(got, wanted), 0.999) for wanted in map(str.split, reply.accepted))


def f1(got: Sequence[str], wanted: Sequence[str]) -> float:
    """Return the harmonic mean of precision and recall of the words kept."""
    common = (Counter(got) & Counter(wanted)).total()
    return 2 * common / (len(got) + len(wanted))


def slowest_hostile(read: Reader) -> str:
    """Return the slowest hostile text; each is tried at a tenth of its size first."""
    worst, name = 0.0, ""
    for label, text in HOSTILE.items():
        for piece in (text[: len(text) // 10], text):
            started = time.perf_counter()
            try:
                read(piece, "")
            except Exception as error:  # noqa: BLE001 - a library's
                label += f", raised {type(error).__name__}"  # noqa: PLW2901 - the same text
            took = time.perf_counter() - started
            if took > worst:
                worst, name = took, label + (" (a tenth)" if piece is not text else "")
            if took > TOO_LONG:
                break
    return f"{worst:.2f} s: {name}"


def readers(before: Path | None) -> dict[str, Reader]:
    """Return the parsers to compare by name."""
    found: dict[str, Reader] = {"nothing removed": lambda text, _: text}
    for name, make in LIBRARIES.items():
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name} is left out: {error}")
    if before:
        specification = importlib.util.spec_from_file_location("new_text_before", before)
        assert specification
        assert specification.loader
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        found["new_text before"] = module.new_text
    return found | {"new_text": new_text}


def _mail_parser_reply() -> Reader:
    module = importlib.import_module("mailparser_reply")
    parser = module.EmailReplyParser(languages=[one for one in LANGUAGES if _supports(module, one)])
    return lambda text, _: str(parser.parse_reply(text=text) or "")


def _supports(module: Any, language: str) -> bool:
    try:
        module.EmailReplyParser(languages=[language]).read(text="x")
    except Exception:  # noqa: BLE001 - whatever it raises, the language is not there
        return False
    return True


def _email_reply_parser() -> Reader:
    module = importlib.import_module("email_reply_parser")
    return lambda text, _: str(module.EmailReplyParser.parse_reply(text))


def _quotequail() -> Reader:
    module = importlib.import_module("quotequail")

    def read(text: str, _: str) -> str:
        found = module.unwrap(text)
        return f"{found.get('text_top', '')}\n{found.get('text_bottom', '')}" if found else text

    return read


def _talon() -> Reader:
    quotations = importlib.import_module("talon.quotations")
    signatures = importlib.import_module("talon.signature.bruteforce")  # without its trained model
    return lambda text, _: str(signatures.extract_signature(quotations.extract_from_plain(text))[0])


LIBRARIES: dict[str, Callable[[], Reader]] = {
    "mail-parser-reply": _mail_parser_reply,
    "email-reply-parser": _email_reply_parser,
    "quotequail": _quotequail,
    "talon": _talon,
}


if __name__ == "__main__":
    main()
