"""Mutates messages and takes each through reading, filter, forward and reply: nothing may raise (``make fuzz``).

A net catches what raises in production (mistakes.attempt); here, what it catches is what is searched for. The seed is
printed: the same seed, jobs and folders give the same cases. Further FOLDERs of messages are taken as they are first,
then mutated with the rest.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import SystemRandom

from tests.fuzz.searching import KEPT, PROJECT, Found, search


def main() -> int:
    """Run as the arguments say. Return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--cases", type=int, default=0, help="so many cases in all, however long they take")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=PROJECT / ".local" / "fuzz", help="where failing cases are kept")
    arguments = parser.parse_args()

    print(f"seed {arguments.seed}, {arguments.jobs} jobs", flush=True)
    began = time.monotonic()
    each = -(-arguments.cases // arguments.jobs)
    work = [
        (arguments.folders, arguments.seconds, each, arguments.seed, job, arguments.jobs)
        for job in range(arguments.jobs)
    ]
    if arguments.jobs == 1:
        results = [search(*work[0])]
    else:
        with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(search, *zip(*work, strict=True)))
    return _report(results, time.monotonic() - began, arguments.out)


def _report(results: Sequence[Found], took: float, out: Path) -> int:
    cases = sum(found.cases for found in results)
    wrong = sum((found.wrong for found in results), Counter[str]())
    slowest = max(found.slowest for found in results)
    print(f"{cases} cases, {cases / took:.0f} a second, the slowest {slowest:.2f} s, {len(wrong)} kinds of failure")
    for number, (what, times) in enumerate(wrong.most_common()):
        kept = [raw for found in results for raw in found.kept.get(what, [])][:KEPT]
        for place, raw in enumerate(kept):
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{number}-{place}.eml").write_bytes(raw)
        print(f"{times} times {what}: {out}/{number}-*.eml")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
