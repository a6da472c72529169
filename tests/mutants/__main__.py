"""Changes the core in small ways, one at a time, and lists the changes that no test notices: ``make mutants``.

A small tool of our own: it needs no dependency, its changes are those that this code can suffer from (a condition
dropped, two writes in reverse order), and forks make it quick enough to be used. Nothing is written to the working
tree. Constants of modules and fields of dataclasses are not changed: they are settings, and tests use them by name.

What no test can notice because it changes no behaviour is listed with its reason in ``equivalent.toml``. An entry that
names no change is stale.
"""

import argparse
import random
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.changes import PACKAGE, Mutant, mutants
from tests.mutants.running import End, Runner, run

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
NO_CLOUD = ("-m", "not cloud")
GROUPS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "core": (
        ("usecases/*.py", "conversations/*.py"),
        ("tests/unit/usecases", "tests/unit/conversations", *NO_CLOUD),
    ),
    "senders": (
        ("senders/authentication.py",),
        ("tests/unit/senders/test_authentication.py", "tests/unit/usecases/test_reconcile.py", *NO_CLOUD),
    ),
    "personal model": (
        ("spam/learned.py",),
        ("tests/unit/spam/test_learned.py", "tests/unit/usecases/test_learning.py"),
    ),
    "leak gate": (("outgoing/leak_gate/*.py",), ("tests/unit/outgoing/leak_gate", "tests/unit/outgoing/test_reply.py")),
    "table": (
        ("adapters/dynamodb/ledger.py", "adapters/dynamodb/records.py"),
        ("tests/contract/test_ledger.py", "tests/contract/test_records.py", "tests/contract/test_dynamodb.py"),
    ),
}
"""Files, and the tests that must notice a change in them. The table's run against the emulator."""


def main() -> int:
    """Run as the arguments say. Return 1 if a mutant survived that is not known to be equivalent, or an entry of those
    that are is stale."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--file", default="", help="only files whose path contains this")
    parser.add_argument("--limit", type=int, default=0, help="only so many mutants of each group, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()

    began = time.monotonic()
    known = {(e["file"], e["line"], e["mutation"]): e["reason"] for e in _equivalent()}
    stale = {key for key in known if arguments.file in key[0]} if not arguments.limit else set()
    counts = dict.fromkeys(("mutants", "killed", "equivalent", "survivors"), 0)
    equivalent: list[tuple[Mutant, str]] = []
    survivors: list[tuple[Mutant, End]] = []
    for files, tests in GROUPS.values():
        chosen = _chosen(files, arguments.file, arguments.limit, arguments.seed)
        if not chosen:
            continue
        ends = run(chosen, tests, Runner(chosen, arguments.workers, _report))
        for number, mutant in enumerate(chosen):
            key = (mutant.file, mutant.text, mutant.change)
            stale.discard(key)
            if ends[number] is End.KILLED:
                counts["killed"] += 1
            elif key in known:
                equivalent.append((mutant, known[key]))
            else:
                survivors.append((mutant, ends[number]))
        counts["mutants"] += len(chosen)
    counts |= {"equivalent": len(equivalent), "survivors": len(survivors)}

    for mutant, reason in equivalent:
        sys.stdout.write(f"\nequivalent: {_where(mutant)}\n    {mutant.change}\n    {reason}\n")
    for mutant, end in survivors:
        sys.stdout.write(f"\n{end}: {_where(mutant)}\n    {mutant.text}\n    {mutant.change}\n")
    for key in sorted(stale):
        sys.stdout.write("\nstale in {}: {}\n    {}\n    {}\n".format(EQUIVALENT.name, *key))
    minutes = (time.monotonic() - began) / 60
    summary = ", ".join(f"{number} {what}" for what, number in counts.items())
    sys.stdout.write(f"\n{summary}; {minutes:.1f} minutes\n")
    return 1 if survivors or stale else 0


def _equivalent() -> list[dict[str, str]]:
    entries: list[dict[str, str]] = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    return entries


def _chosen(patterns: Sequence[str], name: str, limit: int, seed: int) -> list[Mutant]:
    paths = sorted(path for pattern in patterns for path in PACKAGE.glob(pattern))
    found = [
        mutant
        for path in paths
        if name in path.relative_to(PACKAGE).as_posix()
        for mutant in sorted(mutants(path), key=lambda one: one.line)
    ]
    if 0 < limit < len(found):
        places = sorted(random.Random(seed).sample(range(len(found)), limit))
        return [found[place] for place in places]
    return found


def _where(mutant: Mutant) -> str:
    return f"{mutant.file}:{mutant.line} in {mutant.function}"


def _report(mutant: Mutant, end: End, seconds: float) -> None:
    sys.stderr.write(f"{end:<10} {seconds:5.1f} s  {_where(mutant)}: {mutant.change}\n")


if __name__ == "__main__":
    raise SystemExit(main())
