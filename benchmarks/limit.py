"""Accepted and refused requests of five ways to send ten requests per second.

A client that always has a request to send runs in virtual time. The server has one of two ways of counting, and the
network delays by 20 ms or 60 ms. The contestants are `aiolimiter` with its defaults, two schemes that programs write
by hand, and the behaviour of generated clients. Those have no pacing, and after a 429 they wait for half a second,
one second, and so on up to eight. `benchmarks.pacing` has all cases and the goals.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter

from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks.pacing import SCHEMES
from launch_async.rate_limit.types import Answer, Permit
from tests.support.rate_servers import BEST_FIXED, Outcome, simulate

OURS = "launch_async"
CELLS = {
    ("sliding", "lan"): "any second, 20 ms",
    ("sliding", "wan"): "any second, 60 ms",
    ("fixed", "lan"): "clock's seconds, 20 ms",
}
REQUESTS = 1500


class WaitsWhenRefused:
    """No pacing: each caller sends immediately, and waits longer after each 429 in a row."""

    def __init__(self) -> None:
        self._refusals: Counter[object] = Counter()
        self._chance = random.Random(1)

    async def acquire(self) -> Permit:
        """Wait if the last answer was a 429. A caller is identified by its task."""
        task = asyncio.current_task()
        refusals = self._refusals[task]
        delay = min(8.0, 0.5 * 2.0 ** (refusals - 1)) * self._chance.uniform(0.75, 1.0) if refusals else 0.0
        await asyncio.sleep(delay)
        return Permit(delay, functools.partial(self._count, task))

    def _count(self, task: object, answer: Answer | None) -> None:
        """Count the 429 in a row."""
        self._refusals[task] = self._refusals[task] + 1 if answer is not None and answer.refused else 0


def measure(rounds: int) -> Report:
    """Run each way in each cell, with one seed for each round."""
    ways = {OURS: SCHEMES["ours"], **{name: way for name, way in SCHEMES.items() if name != "ours"}}
    ways["retries without pacing"] = WaitsWhenRefused
    found: dict[str, dict[str, list[Outcome]]] = {
        cell: {
            name: [simulate(way, *where, requests=REQUESTS, seed=seed) for seed in range(1, rounds + 1)]
            for name, way in ways.items()
        }
        for where, cell in CELLS.items()
    }
    best = {cell: [BEST_FIXED[server][network]] * rounds for (server, network), cell in CELLS.items()}
    each = [(f"{cell}, {name}", runs) for cell, of_cell in found.items() for name, runs in of_cell.items()]
    return Report(
        "Accepted requests of 10 per second, by scheme",
        [
            *(Row(name, "accepted per second", [one.goodput for one in runs]) for name, runs in each),
            *(Row(name, "percent refused", [100 * one.refused for one in runs], "less") for name, runs in each),
        ],
        [
            Mark(
                f"{cell}: share of the best fixed scheme",
                ratios([one.goodput for one in found[cell][OURS]], best[cell]),
            )
            for cell in CELLS.values()
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
