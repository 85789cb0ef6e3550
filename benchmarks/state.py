"""Declared state: the cost of a drift check and an apply in virtual time, and the result after 50 kills.

A drift check of 1000 environments in 100 projects uses lists: one request for the projects, and one for each project.
An apply of 200 changes reads each environment before it writes: the benchmark compares its time with the time of its
reads and writes at ten requests per second. The last part kills processes that apply a document with SIGKILL, at 50
moments, while a fifth of all calls fails. Each round uses another seed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from benchmarks._report import Mark, Report, Row, present
from launch_async import RateLimit, State
from launch_async.rate_limit import LocalRateLimiter
from launch_async.state import DeclaredGroup
from tests.state.killed_applies import killed
from tests.support.timed_launch import Launch
from tests.support.virtual_time import run

RATE: Final = 10
PROJECTS: Final = 100
ENVIRONMENTS: Final = 10
CHANGED: Final = 200
KILLS: Final = 50


def fleet(projects: int) -> Launch:
    """Return a service with the given number of projects, each with ten environments."""
    service = Launch(environments=ENVIRONMENTS, rate_limit=RATE, is_dated=True)
    for number in range(projects - 1):
        names = [f"environment-{one}" for one in range(ENVIRONMENTS)]
        service.emulator.add_project(f"shop-{number}", environments=names, git=True, variables=[("FLAG", "off")])
    return service


def drift() -> float:
    """Return the requests of a drift check of 1000 environments."""
    service = fleet(PROJECTS)
    state = State(groups={"all": DeclaredGroup(git_branch="main")})

    async def main() -> int:
        async with service.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as launch:
            plan = await launch.state.diff(state)
            assert plan.is_empty
            return plan.diff_requests

    requests = run(main())
    assert requests == service.emulator.ledger.count()
    return float(requests)


def applied() -> tuple[float, float]:
    """Return the seconds of an apply of 200 changes, and the seconds of its reads and writes at ten per second."""
    service = fleet(CHANGED // ENVIRONMENTS)
    state = State(groups={"all": DeclaredGroup(projects=("*",), variables={"FLAG": "on"})})

    async def main() -> tuple[float, float]:
        async with service.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as launch:
            plan = await launch.state.diff(state)
            assert len(plan.changes) == CHANGED
            report = await launch.state.apply(plan, confirm=CHANGED)
            assert report.is_success
            return report.seconds, plan.requests / RATE

    return run(main())


def measure(rounds: int) -> Report:
    """Count and time each job once, and run the kills once for each round."""
    requests = drift()
    seconds, bound = applied()
    left, twice, kills = [], [], []
    print("seed  killed  left  twice")
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            ending = killed(Path(folder), seed=seed, kills=KILLS)
        twice.append(float(sum(count > 1 for (noun, _), count in ending.created.items() if noun != "deployment")))
        left.append(float(len(ending.left)))
        kills.append(float(ending.kills))
        print(f"{seed:4}  {kills[-1]:6.0f}  {left[-1]:4.0f}  {twice[-1]:5.0f}", flush=True)
    print()
    return Report(
        f"Declared state: {PROJECTS * ENVIRONMENTS} environments in {PROJECTS} projects; {CHANGED} changes",
        [
            Row("drift", "requests", [requests], "less"),
            Row(f"apply of {CHANGED} changes", "s", [seconds], "less"),
            Row("its reads and writes at 10 requests per second", "s", [bound], "less"),
            Row("processes killed", "in a round", kills),
        ],
        [
            Mark("drift", [requests], PROJECTS + 1, "less", "requests"),
            Mark("apply / its reads and writes", [seconds / bound], 1.1, "less"),
            Mark("changes left after the kills", left, 0, "less"),
            Mark("created twice", twice, 0, "less"),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
