"""Requests of a job. A job waits for the rate limit of ten requests per second, so its requests are its cost.

The first job selects, plans and sets a variable that all environments already have. The second job redeploys 200
environments and waits for them, in virtual time with builds of 30-90 s, polls included: once in one wave, and once in
the default waves. The benchmark compares the requests with the forecast of the plan.
"""

from __future__ import annotations

from typing import Final

from benchmarks._report import Mark, Report, Row, present
from launch_async import RateLimit
from launch_async.fleet import FleetReport
from launch_async.rate_limit import LocalRateLimiter
from tests.support.timed_fleet import RATE, Fleet
from tests.support.timed_launch import Launch
from tests.support.virtual_time import run

PROJECTS: Final = 50
ENVIRONMENTS: Final = 4
TARGETS: Final = PROJECTS * ENVIRONMENTS
VALUES: Final = {"FLAG": "on"}


def unchanged_variable() -> float:
    """Return the requests for setting a variable that every environment already has."""
    service = Launch(rate_limit=RATE)
    for number in range(PROJECTS):
        names = [f"environment-{one}" for one in range(ENVIRONMENTS)]
        service.emulator.add_project(f"shop-{number}", environments=names, variables=[*VALUES.items()])

    async def main() -> FleetReport:
        async with service.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as launch:
            selection = await launch.fleet.select(projects="shop-*")
            plan = await launch.fleet.plan_variables(selection, VALUES)
            return await launch.fleet.run(plan, variables=VALUES, confirm=len(plan.operations))

    report = run(main())
    assert report.is_success
    assert len(report.outcomes) == TARGETS
    return float(service.emulator.ledger.count())


def redeployed(seed: int, *, stop_on_failures: float | None) -> tuple[float, float]:
    """Return the requests for each target of a redeployment, counted by the service and forecast by the plan."""
    service = Fleet.of(TARGETS, seed=seed, rate_limit=RATE)

    async def main() -> tuple[float, float]:
        async with service.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as launch:
            plan = await launch.fleet.plan_redeploy(service.targets(known=True))
            forecast = plan.cost.requests
            report = await launch.fleet.run(plan, confirm=TARGETS, stop_on_failures=stop_on_failures)
            assert report.is_success
            return report.requests / TARGETS, forecast / TARGETS

    return run(main())


def measure(rounds: int) -> Report:
    """Do each job with one seed for each round."""
    unchanged = unchanged_variable()
    one_wave = [redeployed(seed, stop_on_failures=None)[0] for seed in range(rounds)]
    in_waves = [redeployed(seed, stop_on_failures=0.25) for seed in range(rounds)]
    return Report(
        f"Requests of a job: {TARGETS} environments, builds of 30-90 s",
        [
            Row("set a variable that all already have", "requests", [unchanged], "less"),
            Row("redeploy in one wave", "requests per target", one_wave, "less"),
            Row("redeploy in the default waves", "requests per target", [sent for sent, _ in in_waves], "less"),
            Row("redeploy in the default waves, forecast", "requests per target", [said for _, said in in_waves]),
        ],
        [
            Mark("set a variable that all already have", [unchanged], PROJECTS + 1, "less", "requests"),
            Mark("redeploy in one wave, per target", one_wave, 4.0, "less", "requests"),
            Mark("forecast / sent", [said / sent for sent, said in in_waves], 0.8),
            Mark("sent / forecast", [sent / said for sent, said in in_waves], 0.8),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
