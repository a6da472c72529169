"""Loads that SES does not take at once: how many sends are dead-lettered, and how long the last one takes.

Simulated with the senders' own code and a clock of its own; nothing waits. ``make bench B=patience`` (a minute and a half).
"""

import argparse
import json
from dataclasses import asdict
from datetime import timedelta

from tests.support.loads import Limits, Outcome, drain


def measure() -> dict[str, Outcome]:
    """Return how each load ends."""
    return {
        "2,000 jobs, senders down for 13 hours, then 14 sends a second": drain(
            2000, Limits(14), down=timedelta(hours=13)
        ),
        "1,000 jobs, 1 send a second and 200 a day (SES's sandbox)": drain(1000, Limits(1, per_day=200)),
        "50,000 jobs, 1 send a second": drain(50_000, Limits(1)),
    }


def main() -> None:
    """Print one line for each load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    outcomes = measure()
    if parser.parse_args().json:
        print(json.dumps({load: asdict(outcome) for load, outcome in outcomes.items()}, default=str))
        return
    for load, outcome in outcomes.items():
        print(
            f"{load}: {outcome.sent} sent, {outcome.dead_lettered} dead-lettered, {outcome.lost_by_queue} lost by the"
            f" queue; {outcome.attempts} attempts, at most {outcome.most_attempts} of one; {outcome.took} in all"
        )


if __name__ == "__main__":
    main()
