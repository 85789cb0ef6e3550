"""The cost of following many deployments at the same time: lost or repeated lines, requests, memory.

Builds, network and rate limit (10 requests per second) run in virtual time, so the figures do not depend on the
machine. A round is a seed. Builds take 60 s or 300 s, plus or minus a third, or 30 to 90 s. The benchmark follows a
build by the `Deployment` that its creation returned, or only by a reference.

The benchmark compares the requests with a minimum. The minimum is the number of requests of a reader that knows in
advance when each line appears and when each build ends. For each deployment, this reader needs one poll of the status
after the end, and one read of the log after that, for late lines. It also needs the smallest number of reads that show
every line no later than our reader. The last read counts as one of those. The second ratio uses a weaker reader. It
only has to show every line within the time in which our reader shows 95 of 100 lines, although our reader reads more
often when few builds are left.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from benchmarks._report import Mark, Report, Row, present
from launch_async import LogCursor, LogLine, LogStage
from tests.support.timed_following import Figures, follow

MOST: Final = 1.25
MOST_MEMORY: Final = 64
MANY: Final = 200
CREATED: Final = "created"
LENGTHS: Final = {"x 30-90 s": (30.0, 90.0), "x 60 s": (40.0, 80.0), "x 300 s": (200.0, 400.0)}
CASES: Final = [
    *((count, "x 60 s", CREATED) for count in (1, 20)),
    *((MANY, length, known) for length in LENGTHS for known in (CREATED, "by reference")),
]


UNITS: Final[dict[str, Callable[[Figures], float]]] = {
    "requests": lambda one: one.requests,
    "s until 95 % of the lines were shown": lambda one: one.freshness,
}


def memory_of_a_long_build(lines: int = 50_000) -> float:
    """Return the bytes that a follower of a build of one hour keeps after it has returned the lines."""
    gc.collect()
    tracemalloc.start()
    cursor, start = LogCursor(), datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(lines):
        stamp = start + timedelta(seconds=3600 * number / lines)
        cursor.give(LogLine(message=f"line {number}", stage=LogStage.BUILD, timestamp=stamp))
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept


def measure(rounds: int) -> Report:
    """Follow builds of all lengths, with one seed for each round."""
    found = {
        (count, length, known): [
            follow(count, *LENGTHS[length], created=known == CREATED, seed=seed) for seed in range(rounds)
        ]
        for count, length, known in CASES
    }
    everything = [one for figures in found.values() for one in figures]
    many = {case: figures for case, figures in found.items() if case[0] == MANY}
    return Report(
        "Following deployments in virtual time, 10 requests per second",
        [
            Row(f"launch_async, {' '.join(map(str, case))}", unit, [of(one) for one in figures], "less")
            for unit, of in UNITS.items()
            for case, figures in found.items()
        ],
        [
            Mark("lines lost or repeated", [sum(one.lost + one.repeated for one in everything)], 0, "less"),
            *(
                Mark(f"requests / minimum, {' '.join(map(str, case))}", [one.ratio for one in figures], MOST, "less")
                for case, figures in many.items()
            ),
            *(
                Mark(f"requests / weaker minimum, {' '.join(map(str, case))}", [one.ratio_by_limit for one in figures])
                for case, figures in many.items()
            ),
            Mark(
                "memory of a follower after 50 000 lines", [memory_of_a_long_build() / 1024], MOST_MEMORY, "less", "KiB"
            ),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
