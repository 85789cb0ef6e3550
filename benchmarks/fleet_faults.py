"""A fleet with faults: `python -m benchmarks.fleet_faults`. Counts lost and repeated operations.

A fifth of all calls fails like in a real network: a reset before or after the service acted, 502 and 504 after the
service acted, 429, or a truncated body. The benchmark interrupts the run again and again, and resumes it from its
journal. At the end, it reads the deployments from the service. `tests/fleet/test_killed_runs.py` has runs that are
killed with SIGKILL.
"""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks._report import Mark, Report, present
from launch_async import Authtoken, LaunchClient, RetryPolicy
from launch_async.emulator import LaunchEmulator
from launch_async.emulator.control.faults import FaultKind
from launch_async.fleet import FleetReport, OperationState, Plan
from launch_async.rate_limit import UnlimitedRateLimiter

TARGETS: Final = 60
INTERRUPTIONS: Final = 50
FAULTS: Final[tuple[tuple[FaultKind, int | None], ...]] = (
    ("reset_before", None),
    ("reset_after", None),
    ("status_after", 502),
    ("status_after", 504),
    ("status_before", 429),
    ("truncate", None),
)
SHARE: Final = 0.2
_RETRY: Final = RetryPolicy(
    attempts=6, backoff_base=0.01, backoff_cap=0.05, look_up_delays=(0.02, 0.05, 0.1), settle_after=0.2
)


def _client(emulator: LaunchEmulator) -> LaunchClient:
    return LaunchClient(
        Authtoken(emulator.authtoken),
        base_url=emulator.url,
        organization_uid=emulator.organization_uid,
        limiter=UnlimitedRateLimiter(),
        retry=_RETRY,
    )


async def _was_interrupted(client: LaunchClient, journal: Path, plan: Plan, after: float) -> bool:
    try:
        async with asyncio.timeout(after):
            # The same plan continues with its journal, too.
            await client.fleet.run(plan, journal=journal, confirm=TARGETS, stop_on_failures=1.0)
    except TimeoutError:
        return True
    return False


async def faulty(seed: int) -> tuple[FleetReport, Counter[str], int]:
    """Return the last report, the number of deployments of each environment, and the number of interruptions."""
    dice = random.Random(seed)
    interruptions = 0
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "run.journal")
        async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
            emulator.add_project("shop", environments=[f"environment-{number}" for number in range(TARGETS)], git=True)
            async with _client(emulator) as client:
                plan = await client.fleet.plan_redeploy(await client.fleet.select())
            for number, (kind, status) in enumerate(FAULTS):
                emulator.faults.add(kind, status=status, probability=SHARE / len(FAULTS), seed=seed * 100 + number)
            for _ in range(INTERRUPTIONS):
                # Each attempt has a separate client, which does not know the results of the last one.
                async with _client(emulator) as client:
                    interruptions += await _was_interrupted(client, journal, plan, dice.uniform(0.005, 0.03))
            emulator.faults.clear()
            async with _client(emulator) as client:
                report = await client.fleet.resume(journal, stop_on_failures=1.0)
            deployed = Counter(one.parent for one in emulator.ledger.created if one.noun == "deployment")
    return report, deployed, interruptions


def measure(rounds: int) -> Report:
    """Run with the given number of seeds, and print the result of each run."""
    logging.disable(logging.WARNING)
    print(f"{TARGETS} targets, {SHARE:.0%} of all calls fail, up to {INTERRUPTIONS} times interrupted and resumed")
    print("seed  stopped  done once  twice  lost  reported as ambiguous  failed")
    twice: list[float] = []
    lost: list[float] = []
    unknown: list[float] = []
    for seed in range(rounds):
        report, deployed, interruptions = asyncio.run(faulty(seed))
        reported = {one.target.environment_uid for one in report.failures}
        once = sum(count == 1 for count in deployed.values())
        twice.append(sum(count > 1 for count in deployed.values()))
        lost.append(
            sum(
                not deployed[one.target.environment_uid] and one.target.environment_uid not in reported
                for one in report.outcomes
            )
        )
        unknown.append(report.totals.get(OperationState.AMBIGUOUS, 0))
        failed = report.totals.get(OperationState.FAILED, 0)
        print(
            f"{seed:4}  {interruptions:7}  {once:9}  {twice[-1]:5}  {lost[-1]:4}  {unknown[-1]:21}  {failed:6}",
            flush=True,
        )
    print()
    return Report(
        f"Fleet with faults: {TARGETS} targets, {SHARE:.0%} of all calls fail, interrupted and resumed",
        [],
        [
            Mark("targets done twice", [sum(twice)], 0, "less"),
            Mark("targets lost", [sum(lost)], 0, "less"),
            Mark("targets reported as ambiguous", unknown, None, "less"),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
