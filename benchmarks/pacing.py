"""Throughput of each pacing scheme, against every server and network of the study.

Run `python -m benchmarks.pacing`; options: `--requests`, `--rounds` (seeds), `--json FILE`. The contestants are
`aiolimiter` with its defaults, even spacing below the limit, and never more than ten requests in any second. The first
row of each case is the best fixed scheme, tuned for that case alone. It is not known how the service counts, so a
scheme must do well in all cases. Throughput alone proves nothing, so the share of refused requests is next to it.
Virtual time: the figures depend on the seeds only, not on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
from aiolimiter import AsyncLimiter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._report import Mark, Report, Row, arguments, write_report
from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import Permit, RateLimit
from tests.support.rate_servers import (
    BEST_FIXED,
    NETWORKS,
    SERVERS,
    Client,
    Outcome,
    Server,
    least_share,
    saturate,
    simulate,
)
from tests.support.virtual_time import run

MOST_REFUSED = 0.01
COUNTS = {"sliding": "any second", "fixed": "the clock's second", "bucket": "a token bucket"}
DELAYS = {"none": "no delay", "lan": "20 ms", "wan": "60 ms, uneven", "bad": "120 ms, very uneven"}


class LeakyBucket:
    """`AsyncLimiter(10, 1)` alone."""

    def __init__(self) -> None:
        self._limiter = AsyncLimiter(10, 1)
        self._turn = asyncio.Lock()

    async def acquire(self) -> Permit:
        """Wait for the bucket. The check before avoids an endless loop on a clock that does not move."""
        async with self._turn:
            while not self._limiter.has_capacity():  # noqa: ASYNC110 - the bucket has no event to wait for
                await asyncio.sleep(0.01)
            await self._limiter.acquire()
        return Permit()


class Paced:
    """Eight per second, evenly."""

    def __init__(self) -> None:
        self._next = 0.0

    async def acquire(self) -> Permit:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next, now)
        self._next = turn + 1 / 8
        await asyncio.sleep(turn - now)
        return Permit(turn - now)


class TenPerSlidingSecond:
    """Never more than ten departures in any second."""

    def __init__(self) -> None:
        self._turns: collections.deque[float] = collections.deque(maxlen=10)

    async def acquire(self) -> Permit:
        """Wait until the tenth request before this one is one second old."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._turns[0] + 1) if len(self._turns) == 10 else now
        self._turns.append(turn)
        await asyncio.sleep(turn - now)
        return Permit(turn - now)


SCHEMES: dict[str, Callable[[], Client]] = {
    "ours": lambda: LocalRateLimiter(RateLimit(10)),
    "aiolimiter 10/1": LeakyBucket,
    "paced 8/s": Paced,
    "10 per sliding s": TenPerSlidingSecond,
}


@attrs.frozen
class Cell:
    """The results of every scheme against one server behind one network."""

    server: str
    network: str
    outcomes: dict[str, list[Outcome]]

    @property
    def best(self) -> float:
        """Throughput of the best fixed scheme."""
        return BEST_FIXED[self.server][self.network]

    @property
    def share(self) -> float:
        """Throughput of this SDK with its worst seed, as a share of the best fixed scheme."""
        return min(one.goodput for one in self.outcomes["ours"]) / self.best

    @property
    def margin(self) -> float:
        """Margin of the share above its goal."""
        return self.share - least_share(self.server, self.network)

    @property
    def refused(self) -> float:
        """Share of refused requests of this SDK, with its worst seed."""
        return max(one.refused for one in self.outcomes["ours"])

    @property
    def is_met(self) -> bool:
        """Whether the case reaches its goals."""
        return self.margin >= 0 and self.refused <= MOST_REFUSED

    def rows(self) -> list[Row]:
        """Return the case as rows, with the best fixed scheme first."""
        name, unit = DELAYS[self.network], f"accepted per second, and refused, if {COUNTS[self.server]} counts"
        return [
            Row(f"{name}: best fixed scheme", unit, [self.best], reference=True, note="at most 1 %"),
            *(
                Row(
                    f"{name}: {'launch_async' if scheme == 'ours' else scheme}",
                    unit,
                    [one.goodput for one in outcomes],
                    note=f"{100 * statistics.median(one.refused for one in outcomes):.1f} %",
                )
                for scheme, outcomes in self.outcomes.items()
            ),
        ]

    def document(self) -> dict[str, object]:
        """Return the cell as JSON."""
        return {
            "server": self.server,
            "network": self.network,
            "best fixed": self.best,
            "met": self.is_met,
            **{
                scheme: {
                    "goodput": statistics.mean(one.goodput for one in outcomes),
                    "goodput_worst": min(one.goodput for one in outcomes),
                    "refused": statistics.mean(one.refused for one in outcomes),
                    "refused_worst": max(one.refused for one in outcomes),
                }
                for scheme, outcomes in self.outcomes.items()
            },
        }


def cells(requests: int, seeds: int) -> list[Cell]:
    """Measure every scheme in every case, the fixed schemes with one seed."""
    found: list[Cell] = []
    for server in SERVERS:
        for network in NETWORKS:
            cell = Cell(
                server,
                network,
                {
                    name: [
                        simulate(scheme, server, network, requests=requests, seed=seed)
                        for seed in range(1, (seeds if name == "ours" else 1) + 1)
                    ]
                    for name, scheme in SCHEMES.items()
                },
            )
            found.append(cell)
            print_cell(cell)
    return found


def print_cell(cell: Cell) -> None:
    """Print a line of the table of cells."""
    figures: list[str] = []
    for name, outcomes in cell.outcomes.items():
        goodput = statistics.mean(one.goodput for one in outcomes)
        refused = statistics.mean(one.refused for one in outcomes)
        figures.append(f"{goodput:6.2f} {100 * refused:5.2f} %")
        if name == "ours":
            figures.append(f"({cell.share * cell.best:.2f} {100 * cell.refused:.2f} %)")
    verdict = "met" if cell.is_met else "MISSED"
    print(f"{cell.server:8}{cell.network:5}{cell.best:7.2f} |", " | ".join(figures), "|", verdict, flush=True)


PHASES = {"before": (50, 100), "first 10 s": (100, 110), "during": (110, 200), "after": (200, 240), "later": (240, 300)}


def disturbed(disturbance: str, server: str, network: str) -> dict[str, object]:
    """Measure a run of 300 s with a disturbance from 100 s to 200 s."""
    counting = SERVERS[server](10, phase=0.3)

    async def main() -> Outcome:
        async with asyncio.TaskGroup() as group:
            group.create_task(DISTURBANCES[disturbance](counting))
            return await saturate(
                LocalRateLimiter(RateLimit(10)), counting, NETWORKS[network], requests=10_000, seed=1, until=300
            )

    outcome = run(main())
    row: dict[str, object] = {"disturbance": disturbance, "server": server, "network": network}
    row |= {phase: outcome.between(*times) for phase, times in PHASES.items()}
    figures = [
        f"{goodput:5.2f} {100 * refused:4.1f} %" for goodput, refused in (outcome.between(*t) for t in PHASES.values())
    ]
    print(f"{server:8}{network:5}|", " | ".join(figures))
    return row


async def limit_falls_to_six(server: Server) -> None:
    """Let the server allow 6 instead of 10 for a while."""
    await asyncio.sleep(100)
    server.limit = 6
    await asyncio.sleep(100)
    server.limit = 10


async def another_program_sends_four(server: Server) -> None:
    """Send four requests per second, at random times, from another program."""
    chance = random.Random(1)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(100)
    while loop.time() < 200:
        server.accepts(loop.time())
        await asyncio.sleep(chance.expovariate(4))


DISTURBANCES = {"limit 10 -> 6 -> 10": limit_falls_to_six, "another program, 4/s": another_program_sends_four}


def report(requests: int, seeds: int) -> Report:
    """Measure all cases and all disturbances."""
    print("goodput per second and share refused after the first 300; ours: mean (worst)")
    print("server  net   design |", " | ".join(SCHEMES), "|")
    table = cells(requests, seeds)
    print("\ndisturbed from 100 s to 200 s: accepted per second and share refused;", ", ".join(PHASES))
    runs: list[dict[str, object]] = []
    for disturbance in DISTURBANCES:
        print(disturbance)
        runs += [disturbed(disturbance, server, network) for server in SERVERS for network in ("lan", "wan", "bad")]
    print()
    return Report(
        "Accepted requests of 10 per second, by way of counting and network",
        [row for cell in table for row in cell.rows()],
        [mark for server in SERVERS for mark in marks(server, [cell for cell in table if cell.server == server])],
        {"cells": [cell.document() for cell in table], "disturbed": runs},
    )


def marks(server: str, table: Sequence[Cell]) -> list[Mark]:
    """Return the goals for one way of counting. They apply to every network and seed."""
    goals = sorted({least_share(cell.server, cell.network) for cell in table}, reverse=True)
    shares = {goal: [cell for cell in table if least_share(cell.server, cell.network) == goal] for goal in goals}
    return [
        *(
            Mark(
                f"{COUNTS[server]}{'' if goal == goals[0] else ', ' + found[0].network}: smallest share of the best",
                [min(cell.share for cell in found)],
                goal,
            )
            for goal, found in shares.items()
        ),
        Mark(
            f"{COUNTS[server]}: largest share refused",
            [100 * max(cell.refused for cell in table)],
            1.0,
            "less",
            "percent",
        ),
    ]


def main() -> None:
    """Measure, and write the report."""
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--requests", type=int, default=3000, help="accepted requests per run; default 3000")
    parser.add_argument("--seeds", dest="rounds", type=int, default=argparse.SUPPRESS, help="the same as --rounds")
    options = parser.parse_args()
    write_report(report(options.requests, options.rounds), options.json)


if __name__ == "__main__":
    main()
