"""How much of the budget each pacing scheme gets through, against every server and network of the study.

Run `python -m benchmarks.pacing`; `--requests`, `--seeds`, `--json FILE`. Virtual time throughout: the figures depend
on the seeds only, not on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import random
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from aiolimiter import AsyncLimiter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._simulation import NETWORKS, SERVERS, Client, Outcome, Server, run, saturate, simulate
from launch_async.rate_limit import Answer, LocalRateLimiter, RateLimit

# The best that any fixed scheme reaches in that very cell with at most 1 % refused (1500 requests).
BEST_FIXED = {
    "sliding": {"none": 10.07, "lan": 9.95, "wan": 9.24, "bad": 7.97},
    "fixed": {"none": 10.07, "lan": 10.07, "wan": 10.07, "bad": 9.99},
    "bucket": {"none": 10.07, "lan": 10.07, "wan": 10.07, "bad": 10.06},
}
LEAST_SHARE = 0.97
MOST_REFUSED = 0.01


class _Plain:
    def record(self, answer: Answer) -> None:
        """Learn nothing."""


class LeakyBucket(_Plain):
    """`AsyncLimiter(10, 1)` by itself."""

    def __init__(self) -> None:
        self._limiter = AsyncLimiter(10, 1)
        self._turn = asyncio.Lock()

    async def acquire(self) -> float:
        """Wait for the bucket; the look before keeps it from spinning on a clock that stands still."""
        async with self._turn:
            while not self._limiter.has_capacity():  # noqa: ASYNC110 - the bucket has no event to wait for
                await asyncio.sleep(0.01)
            await self._limiter.acquire()
        return 0.0


class Paced(_Plain):
    """Eight per second, evenly."""

    def __init__(self) -> None:
        self._next = 0.0

    async def acquire(self) -> float:
        """Wait for one's turn."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next, now)
        self._next = turn + 1 / 8
        await asyncio.sleep(turn - now)
        return turn - now


class TenPerSlidingSecond(_Plain):
    """Never more than ten departures in any second."""

    def __init__(self) -> None:
        self._turns: collections.deque[float] = collections.deque(maxlen=10)

    async def acquire(self) -> float:
        """Wait until the tenth request before this one is a second old."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._turns[0] + 1) if len(self._turns) == 10 else now
        self._turns.append(turn)
        await asyncio.sleep(turn - now)
        return turn - now


SCHEMES: dict[str, Callable[[], Client]] = {
    "ours": lambda: LocalRateLimiter(RateLimit(10)),
    "aiolimiter 10/1": LeakyBucket,
    "paced 8/s": Paced,
    "10 per sliding s": TenPerSlidingSecond,
}


def cells(requests: int, seeds: int) -> list[dict[str, object]]:
    """Measure every scheme in every cell; the plain ones with one seed."""
    rows: list[dict[str, object]] = []
    for server in SERVERS:
        for network in NETWORKS:
            best = BEST_FIXED[server][network]
            row: dict[str, object] = {"server": server, "network": network, "design": best}
            for name, scheme in SCHEMES.items():
                count = seeds if name == "ours" else 1
                outcomes = [
                    simulate(scheme, server, network, requests=requests, seed=seed) for seed in range(1, count + 1)
                ]
                row[name] = {
                    "goodput": statistics.mean(outcome.goodput for outcome in outcomes),
                    "goodput_worst": min(outcome.goodput for outcome in outcomes),
                    "refused": statistics.mean(outcome.refused for outcome in outcomes),
                    "refused_worst": max(outcome.refused for outcome in outcomes),
                }
            ours = row["ours"]
            assert isinstance(ours, dict)
            row["met"] = ours["goodput_worst"] >= LEAST_SHARE * best and ours["refused_worst"] <= MOST_REFUSED
            rows.append(row)
            print_cell(row)
    return rows


def print_cell(row: dict[str, object]) -> None:
    figures = []
    for name in SCHEMES:
        figure = row[name]
        assert isinstance(figure, dict)
        figures.append(f"{figure['goodput']:6.2f} {100 * figure['refused']:5.2f} %")
        if name == "ours":
            figures.append(f"({figure['goodput_worst']:.2f} {100 * figure['refused_worst']:.2f} %)")
    verdict = "met" if row["met"] else "MISSED"
    print(f"{row['server']!s:8}{row['network']!s:5}{row['design']!s:>7} |", " | ".join(figures), "|", verdict)


PHASES = {"before": (50, 100), "first 10 s": (100, 110), "during": (110, 200), "after": (200, 240), "later": (240, 300)}


def disturbed(disturbance: str, server: str, network: str) -> dict[str, object]:
    """Measure a run of 300 s that is disturbed from 100 s to 200 s."""
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


async def somebody_else_uses_four(server: Server) -> None:
    """Send four requests per second, at random times, from another program."""
    chance = random.Random(1)
    loop = asyncio.get_running_loop()
    await asyncio.sleep(100)
    while loop.time() < 200:
        server.accepts(loop.time())
        await asyncio.sleep(chance.expovariate(4))


DISTURBANCES = {"limit 10 -> 6 -> 10": limit_falls_to_six, "another program, 4/s": somebody_else_uses_four}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000, help="accepted requests per run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of our limiter per cell")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    print("goodput per second and share refused after the first 300; ours: mean (worst)")
    print("server  net   design |", " | ".join(SCHEMES), "|")
    table = cells(options.requests, options.seeds)
    print("\ndisturbed from 100 s to 200 s: accepted per second and share refused;", ", ".join(PHASES))
    runs = []
    for disturbance in DISTURBANCES:
        print(disturbance)
        runs += [disturbed(disturbance, server, network) for server in SERVERS for network in ("lan", "wan", "bad")]
    if options.json:
        options.json.write_text(json.dumps({"cells": table, "disturbed": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
