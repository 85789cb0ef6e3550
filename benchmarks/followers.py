"""What it costs to follow many deployments at once: lines lost or repeated, requests, memory.

Run `python -m benchmarks.followers`; `--deployments`, `--seconds`, `--json FILE`. Builds, network and budget (10
requests a second) are simulated in virtual time, so that the figures do not depend on the machine.

The least. Somebody who knew in advance when each line can be read and when each build ends would need for each
deployment: one look at the status after the end, one at the log after that (for late lines), and in between the fewest
looks at the log that show every line no later than our reader showed it. The last look counts as one of those. The
second ratio asks less of that somebody: every line within the one limit that 95 of 100 lines kept within here, although
our reader looks more often once fewer builds are left.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import statistics
import sys
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._launch import Build, Launch, Line
from benchmarks._simulation import run
from launch_async import LocalRateLimiter, LogCursor, LogLine, LogStage, RateLimit

MOST_REQUESTS = 1.25
MOST_MEMORY = 64 * 1024


@attrs.frozen
class Figures:
    """What following cost."""

    deployments: int
    lines: int
    lost: int
    repeated: int
    requests: int
    least: int
    least_by_limit: int
    statuses: int
    logs: int
    freshness: float
    makespan: float

    @property
    def ratio(self) -> float:
        """Requests against the least that shows every line as early."""
        return self.requests / self.least

    @property
    def ratio_by_limit(self) -> float:
        """Requests against the least that shows every line within one limit."""
        return self.requests / self.least_by_limit


def builds(count: int, seconds: float, dice: random.Random) -> list[Build]:
    """Builds that take about `seconds`, in environments of their own, all created at once; lines come in bursts."""
    made: list[Build] = []
    for index in range(count):
        begins, length = dice.uniform(1, 5), seconds * dice.uniform(0.7, 1.3)
        lines, at, number = list[Line](), begins, 0
        while at < begins + length:
            late = dice.choice([0.0] * 19 + [dice.uniform(0, 8)])
            lines.append(Line(f"{index}-{number}", at=at, late=min(late, begins + length - at)))
            at += dice.choice([0.0, 0.0, 0.2, 0.5, 1.0, 2.0, 5.0])
            number += 1
        made.append(Build(begins=begins, ends=begins + length, lines=lines, environment=index))
    return made


def follow(count: int, seconds: float, seed: int = 1, *, created: bool = False) -> Figures:
    """Follow `count` deployments at once: that this program has just created, or that it only knows by reference."""
    dice = random.Random(seed)
    launch = Launch(builds(count, seconds, dice), latency=0.05)
    arrivals: dict[str, list[float]] = {}

    async def one(index: int) -> None:
        target = launch.deployment(index, 0.0) if created else launch.ref(index)
        async for line in client.follow_logs(target):
            arrivals.setdefault(line.message, []).append(asyncio.get_running_loop().time())

    async def main() -> float:
        async with asyncio.TaskGroup() as group:
            for index in range(count):
                group.create_task(one(index))
        return asyncio.get_running_loop().time()

    client = launch.client(LocalRateLimiter(RateLimit(10)))
    makespan = run(main())
    written = Counter(line.message for build in launch.builds for line in build.lines)
    readable = {line.message: line.at + line.late for build in launch.builds for line in build.lines}
    waits = [arrivals[message][0] - at for message, at in readable.items() if message in arrivals]
    freshness = statistics.quantiles(waits, n=20)[-1]
    return Figures(
        deployments=count,
        lines=written.total(),
        lost=sum(message not in arrivals for message in written),
        repeated=sum(len(times) - 1 for times in arrivals.values()),
        requests=len(launch.seen),
        least=sum(least(build, {name: times[0] for name, times in arrivals.items()}) for build in launch.builds),
        least_by_limit=sum(
            least(build, {line.message: line.at + line.late + freshness for line in build.lines})
            for build in launch.builds
        ),
        statuses=launch.asked["getDeployment"] + launch.asked["listDeployments"],
        logs=launch.asked["getDeploymentLogs"],
        freshness=freshness,
        makespan=makespan,
    )


def least(build: Build, deadlines: dict[str, float]) -> int:
    """Return the fewest requests that follow one build so that every line is shown by its deadline."""
    looks, last = 0, float("-inf")
    for line in sorted(build.lines, key=lambda line: deadlines[line.message]):
        if line.at + line.late > last:
            last = deadlines[line.message]
            looks += 1
    looks += last < build.ends
    return looks + 1


def memory_of_a_long_build(lines: int = 10_000) -> float:
    """Return the bytes that a follower of a build of an hour keeps for having given 10 000 lines."""
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


def main() -> int:
    """Print the table; return whether a figure misses its mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deployments", type=int, nargs="*", default=[1, 20, 200])
    parser.add_argument("--seconds", type=float, nargs="*", default=[60.0, 300.0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = [follow(count, seconds) for count in options.deployments for seconds in options.seconds]
    print("deployments  makespan   lines  lost  repeated  requests (status + log)  least  ratio  (by limit)  95 % in")
    for one in found:
        print(
            f"{one.deployments:11} {one.makespan:7.0f} s {one.lines:7} {one.lost:5} {one.repeated:9}"
            f" {one.requests:9} ({one.statuses:5} + {one.logs:5}) {one.least:8}"
            f" {one.ratio:6.2f} {one.ratio_by_limit:11.2f} {one.freshness:12.1f} s"
        )
    kept = memory_of_a_long_build()
    print(f"\nA follower of 10 000 lines in an hour keeps {kept / 1024:.0f} KiB (at most {MOST_MEMORY // 1024}).")
    if options.json:
        options.json.write_text(json.dumps([{**attrs.asdict(one), "ratio": one.ratio} for one in found], indent=2))
    wrong = any(one.lost or one.repeated for one in found)
    # Within a build of a minute or two hardly three looks fit: the first and the last weigh too much there.
    dear = any(one.ratio > MOST_REQUESTS for one in found if one.deployments >= 200 and one.makespan >= 300)
    return int(wrong or dear or kept > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
