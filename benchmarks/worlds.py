"""Whole worlds in virtual time: `python -m benchmarks.worlds --seeds 10000`, and `--seed N` to repeat one world.

Each seed is a separate world. Its processes create, deploy and run fleets, and they are killed at any await and
resumed. At the same time, colleagues deploy, answers are lost, clocks change, and disks get full. At the end, an oracle
compares the actions of the service with the results that the callers got. `tests/worlds` creates the worlds.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from typing import Final

import attrs

from benchmarks._report import Mark, Report, arguments, write_report
from tests.worlds import SCENARIOS
from tests.worlds.claims import Reported
from tests.worlds.oracle import Kind
from tests.worlds.world import Ending, run_world

SEEDS: Final = 1000
WRONG: Final = {
    Kind.TWICE: "done twice",
    Kind.LOST: "reported as done, and not done",
    Kind.FOREIGN: "deployments of other programs that were adopted",
    Kind.DENIED: "done, and reported as not done",
    Kind.DISHONEST: "unknown without a reason",
    Kind.HANG: "worlds that did not end",
    Kind.CRASH: "errors outside of the SDK's classes",
}


@attrs.define
class Tally:
    """The results of all worlds together."""

    worlds: Counter[str] = attrs.field(factory=Counter[str])
    requests: int = 0
    faults: Counter[str] = attrs.field(factory=Counter[str])
    reported: Counter[Reported] = attrs.field(factory=Counter[Reported])
    wrong: Counter[Kind] = attrs.field(factory=Counter[Kind])
    virtual_seconds: float = 0.0

    def add(self, ending: Ending) -> None:
        """Add one world."""
        self.worlds[ending.scenario] += 1
        self.requests += ending.account.requests
        self.faults += ending.account.faults
        self.reported.update(claim.reported for claim in ending.claims)
        self.wrong.update(violation.kind for violation in ending.violations)
        self.virtual_seconds += ending.seconds

    @property
    def unknown(self) -> float:
        """Operations with an unknown outcome, for each hundred faults."""
        return 100 * self.reported[Reported.UNKNOWN] / max(self.faults.total(), 1)


def measure(first: int, seeds: int) -> Report:
    """Run the given number of worlds, and print the trace of each world with a fault."""
    logging.disable(logging.WARNING)
    tally, began = Tally(), time.perf_counter()
    for seed in range(first, first + seeds):
        ending = run_world(seed, SCENARIOS)
        tally.add(ending)
        if ending.violations:
            print(ending, flush=True)
    seconds = time.perf_counter() - began
    shares = ", ".join(f"{name} {count}" for name, count in tally.worlds.most_common())
    print(f"{seeds} worlds ({shares}), {tally.virtual_seconds / 3600:.0f} virtual hours, {tally.requests} requests")
    print(f"{100 * seconds / seeds:.1f} s for each hundred worlds")
    print("faults:", ", ".join(f"{name} {count}" for name, count in tally.faults.most_common()))
    print("reported:", ", ".join(f"{reported} {count}" for reported, count in tally.reported.most_common()))
    print()
    return Report(
        f"{seeds} worlds: {tally.reported.total()} operations, {tally.faults.total()} faults",
        [],
        [
            *(Mark(text, [tally.wrong[kind]], 0, "less") for kind, text in WRONG.items()),
            Mark("unknown, for each hundred faults", [tally.unknown], None, "less"),
        ],
    )


def main() -> None:
    """Run many worlds, or show one world."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many worlds; default {SEEDS}")
    parser.add_argument("--first", type=int, default=0, help="the first seed; default 0")
    parser.add_argument("--seed", type=int, help="run the world of this seed alone, and print its trace")
    options = parser.parse_args()
    if options.seed is None:
        write_report(measure(options.first, options.rounds * options.seeds), options.json)
        return
    logging.disable(logging.WARNING)
    ending = run_world(options.seed, SCENARIOS)
    print(ending)
    sys.exit(bool(ending.violations))


if __name__ == "__main__":
    main()
