"""Follow many deployments at the same time, in virtual time, and count lines and requests."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections import Counter

import attrs

from launch_async import RateLimit
from launch_async.rate_limit import LocalRateLimiter
from tests.support.timed_launch import Build, Launch, Line
from tests.support.virtual_time import run


@attrs.frozen
class Figures:
    """The lost and repeated lines, and the requests compared with the minimum."""

    lost: int
    repeated: int
    requests: int
    least: int
    least_by_limit: int
    freshness: float

    @property
    def ratio(self) -> float:
        """The requests, divided by the minimum that shows every line as early as here."""
        return self.requests / self.least

    @property
    def ratio_by_limit(self) -> float:
        """The requests, divided by the minimum that shows every line within the same time after it was written."""
        return self.requests / self.least_by_limit


def builds(count: int, shortest: float, longest: float, dice: random.Random) -> list[Build]:
    """Return builds in separate environments, created at the same time. Lines come in bursts, and 5 % are late."""
    made = list[Build]()
    for index in range(count):
        begins, length = dice.uniform(1, 5), dice.uniform(shortest, longest)
        lines, at, number = list[Line](), begins, 0
        while at < begins + length:
            late = dice.choice([0.0] * 19 + [dice.uniform(0, 8)])
            lines.append(Line(f"{index}-{number}", at=at, late=min(late, begins + length - at)))
            at += dice.choice([0.0, 0.0, 0.2, 0.5, 1.0, 2.0, 5.0])
            number += 1
        made.append(Build(begins=begins, ends=begins + length, lines=lines, environment=index))
    return made


def follow(count: int, shortest: float, longest: float, *, created: bool, seed: int = 1) -> Figures:
    """Follow `count` deployments at the same time, either just created by this program or known by reference."""
    launch = Launch(builds(count, shortest, longest, random.Random(seed)), latency=0.05)
    arrivals: dict[str, list[float]] = {}

    async def one(index: int) -> None:
        target = launch.deployment(index) if created else launch.ref(index)
        async for line in client.follow_logs(target):
            arrivals.setdefault(line.message, []).append(asyncio.get_running_loop().time())

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for index in range(count):
                group.create_task(one(index))

    client = launch.client(LocalRateLimiter(RateLimit(10)))
    run(main())
    written = Counter(line.message for build in launch.builds for line in build.lines)
    readable = {line.message: line.at + line.late for build in launch.builds for line in build.lines}
    waits = [arrivals[message][0] - at for message, at in readable.items() if message in arrivals]
    freshness = statistics.quantiles(waits, n=20)[-1]
    return Figures(
        lost=sum(message not in arrivals for message in written),
        repeated=sum(len(times) - 1 for times in arrivals.values()),
        requests=len(launch.seen),
        least=sum(least(build, {name: times[0] for name, times in arrivals.items()}) for build in launch.builds),
        least_by_limit=sum(
            least(build, {line.message: line.at + line.late + freshness for line in build.lines})
            for build in launch.builds
        ),
        freshness=freshness,
    )


def least(build: Build, deadlines: dict[str, float]) -> int:
    """Return the minimum of requests that shows every line of one build by its deadline."""
    requests, last = 0, float("-inf")
    for line in sorted(build.lines, key=lambda line: deadlines[line.message]):
        if line.at + line.late > last:
            last = deadlines[line.message]
            requests += 1
    requests += last < build.ends
    return requests + 1
