"""The search of one process: cases from its own random generator, until there are enough or time is up."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz.mutations import LARGEST, mutated
from tests.fuzz.running import timed

PROJECT = Path(__file__).resolve().parents[2]
SEEDS = (PROJECT / "events" / "mail", PROJECT / "tests" / "data" / "golden")
PROGRESS = 2000  # cases between two lines of progress
KEPT = 3  # cases kept of each thing that went wrong


@dataclass
class Found:
    """What one process found."""

    cases: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[bytes]] = field(default_factory=dict)
    slowest: float = 0.0


def search(folders: Sequence[Path], seconds: float, cases: int, seed: int, job: int, jobs: int) -> Found:
    """Return what *job* of *jobs* finds in *seconds*, or in so many *cases*."""
    random = Random(f"{seed}.{job}")
    found = Found()
    end = time.monotonic() + seconds
    for raw in each_case(list(folders), random, job, jobs):
        if found.cases >= cases if cases else time.monotonic() > end:
            break
        wrong, took = timed(raw, random)
        found.cases += 1
        if found.cases % PROGRESS == 0:
            sys.stderr.write(f"job {job}: {found.cases} cases, {len(found.wrong)} kinds of failure\n")
        found.slowest = max(found.slowest, took)
        for what in dict.fromkeys(wrong):
            found.wrong[what] += 1
            kept = found.kept.setdefault(what, [])
            if len(kept) < KEPT:
                kept.append(raw)
    return found


def each_case(folders: list[Path], random: Random, job: int, jobs: int) -> Iterator[bytes]:
    """Yield what *folders* hold, of *jobs* only the share of *job*, then mutated messages without end."""
    given = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in given[job::jobs]:
        yield path.read_bytes()
    files = [path for folder in SEEDS for path in sorted(folder.rglob("*.eml"))] + given
    seeds = [path.read_bytes()[:LARGEST] for path in files]
    while True:
        yield mutated(random.choice(seeds), random, seeds)
