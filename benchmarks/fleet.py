"""Fleet: `python -m benchmarks.fleet`: 200 environments redeployed and waited for, and what a target costs.

Makespan in virtual time, builds of 30-90 s, ten requests a second counted in a sliding window at the other end of a
50 ms network. The bound is max(requests / 10, longest build): no run can end before it. A run's own time and memory are
measured on the clock, with a journal on disk, from 10 to 2000 targets.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Final, Self

import attrs

from benchmarks._launch import PROJECT, Build, Launch
from benchmarks._simulation import SlidingWindow, run
from launch_async import (
    FleetReport,
    LocalRateLimiter,
    RateLimit,
    RateLimiter,
    SqliteJournal,
    Target,
    UnlimitedRateLimiter,
)
from launch_async._transport import Request, Response

RATE: Final = 10
TARGETS: Final = 200
SEEDS: Final = range(5)
SIZES: Final = (10, 100, 500, 2000)
_REFUSAL: Final = b'{"errors":[{"code":"launch.ERROR","message":"too fast"}],"status":429}'


@attrs.define
class Fleet(Launch):
    """The service with one earlier build in each environment, and one more for each creation."""

    limit: SlidingWindow | None = None
    seconds: list[float] = attrs.field(factory=list[float])
    refused: int = 0

    @classmethod
    def of(cls, targets: int, *, seed: int, limit: SlidingWindow | None = None) -> Self:
        """Return a service whose next builds take 30-90 s, as the earlier ones did within a tenth."""
        dice = random.Random(seed)
        seconds = [dice.uniform(30, 90) for _ in range(targets)]
        earlier = [
            Build(created=-9999.0, begins=-9999.0, ends=-9999.0 + took * dice.uniform(0.9, 1.1), environment=number)
            for number, took in enumerate(seconds)
        ]
        return cls(builds=earlier, limit=limit, seconds=seconds)

    async def send(self, request: Request) -> Response:
        """Answer one request, or refuse it."""
        if self.limit is not None and not self.limit.accepts(asyncio.get_running_loop().time() + self.latency / 2):
            self.refused += 1
            await asyncio.sleep(self.latency)
            return Response(429, body=_REFUSAL)
        if request.operation == "getEnvironment":
            return Response(200, body=json.dumps({"environment": {"uid": "0" * 24, "name": "one"}}).encode())
        if request.operation != "createDeployment":
            return await super().send(request)
        await asyncio.sleep(self.latency)
        now = asyncio.get_running_loop().time()
        environment = int(request.url.split("/")[-2], 16)
        self.builds.append(
            Build(created=now, begins=now, ends=now + self.seconds[environment], environment=environment)
        )
        document = {"deployment": self._deployment(len(self.builds) - 1, now)}
        return Response(201, body=json.dumps(document).encode())


async def redeploy(
    fleet: Fleet, limiter: RateLimiter, *, known: bool = False, journal: Path | None = None
) -> FleetReport:
    """Redeploy every environment of a service once, and wait for all.

    Args:
        fleet: The service.
        limiter: The budget.
        known: Whether the selection has looked at the newest deployments, and so knows how long builds took.
        journal: File of the journal; None for none.
    """
    targets = [
        Target(
            project_uid=PROJECT,
            environment_uid=f"{number:024x}",
            environment_name=f"environment-{number}",
            last_seconds=fleet.builds[number].ends - fleet.builds[number].begins if known else None,
        )
        for number in range(len(fleet.seconds))
    ]
    async with fleet.client(limiter) as client:
        plan = await client.fleet.plan_redeploy(targets)
        kept = None if journal is None else SqliteJournal(journal)
        return await client.fleet.run(plan, confirm=len(targets), journal=kept)


def makespan(*, known: bool) -> None:
    """Print how near runs come to the bound."""
    print(
        f"\n{TARGETS} environments, builds of 30-90 s, {RATE} requests/s; earlier builds {'' if known else 'not '}known"
    )
    print("seed  makespan  requests  refused  longest build  bound   ratio  late")
    ratios: list[float] = []
    for seed in SEEDS:
        fleet = Fleet.of(TARGETS, seed=seed, limit=SlidingWindow(RATE))
        report = run(_paced(fleet, known=known))
        bound = max(report.requests / RATE, max(fleet.seconds))
        ratios.append(report.seconds / bound)
        late = report.seconds - max(build.ends for build in fleet.builds)
        print(
            f"{seed:4}  {report.seconds:6.1f} s  {report.requests:8}  {fleet.refused:7}  "
            f"{max(fleet.seconds):11.1f} s  {bound:5.1f} s  {ratios[-1]:.3f}  {late:.1f} s"
        )
        assert report.is_success
    print(f"median {statistics.median(ratios):.3f}, worst {max(ratios):.3f} (at most 1.10)")


async def _paced(fleet: Fleet, *, known: bool) -> FleetReport:
    return await redeploy(fleet, LocalRateLimiter(RateLimit(RATE, per=1.0)), known=known)


def growth() -> None:
    """Print what a run costs on the clock and in memory, by its number of targets."""
    print("\ntargets  time     per target  memory     per target")
    for targets in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            fleet = Fleet.of(targets, seed=1)
            gc.collect()
            began = time.perf_counter()
            run(redeploy(fleet, UnlimitedRateLimiter(), journal=Path(folder, "run.journal")))
            took = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            fleet = Fleet.of(targets, seed=1)
            gc.collect()
            tracemalloc.start()
            run(redeploy(fleet, UnlimitedRateLimiter(), journal=Path(folder, "run.journal")))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        print(
            f"{targets:7}  {took:5.2f} s  {took / targets * 1000:7.2f} ms  {peak / 2**20:5.1f} MiB  "
            f"{peak / targets / 1024:6.1f} KiB"
        )


if __name__ == "__main__":
    makespan(known=True)
    makespan(known=False)
    growth()
