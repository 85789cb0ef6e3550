"""A fleet in virtual time: environments with builds of 30 to 90 s, and a run over all environments."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from launch_async import RateLimit
from launch_async.fleet import FileJournal, FleetReport, Target
from launch_async.rate_limit import LocalRateLimiter
from tests.support.timed_launch import Build, Launch

RATE: Final = 10


class Fleet(Launch):
    """The service with one earlier build in each environment. Each creation starts another build.

    Args:
        seconds: The durations of the next builds, one for each environment.
        earlier: The durations of the earlier builds. By default they are the same.
        latency: Seconds for a request and its answer.
        rate_limit: Accepted requests per second. None means no limit.
    """

    def __init__(
        self,
        seconds: Sequence[float],
        earlier: Sequence[float] | None = None,
        *,
        latency: float = 0.05,
        rate_limit: int | None = None,
    ) -> None:
        self.seconds = list(seconds)
        self.earlier = list(seconds if earlier is None else earlier)
        builds = [
            Build(created=-9999.0, begins=-9999.0, ends=-9999.0 + took, environment=number)
            for number, took in enumerate(self.earlier)
        ]
        super().__init__(builds, latency=latency, rate_limit=rate_limit, is_dated=True)
        for uid, took in zip(self.environment_uids, self.seconds, strict=True):
            self.emulator.script(seconds=took, times=None, environment_uid=uid)

    @classmethod
    def of(cls, targets: int, *, seed: int, latency: float = 0.05, rate_limit: int | None = None) -> Self:
        """Return a service whose next builds take 30 to 90 s, at most 10 % more or less than the earlier builds."""
        dice = random.Random(seed)
        seconds = [dice.uniform(30, 90) for _ in range(targets)]
        earlier = [took * dice.uniform(0.9, 1.1) for took in seconds]
        return cls(seconds, earlier, latency=latency, rate_limit=rate_limit)

    @property
    def refused(self) -> int:
        """The number of requests that were refused with 429."""
        return self.emulator.ledger.count(status=429)

    @property
    def creations(self) -> list[float]:
        """The arrival times of the creations."""
        return [at for at, operation, _ in self.seen if operation == "createDeployment"]

    @property
    def deployed(self) -> list[int]:
        """The environments that were deployed since the beginning, in the order of the deployments."""
        made = [one for one in self.emulator._service.state.deployments.values() if one.uid not in self.uids]
        late = [build.environment for build in self.builds if build.created >= 0]
        return [*(self.environment_uids.index(one.environment.uid) for one in made), *late]

    @property
    def last_end(self) -> float:
        """The end of the last build, in the time of the loop."""
        return max((one.ended_at or 0.0) for one in self.emulator._service.state.deployments.values()) - self._start

    @property
    def is_deployed_once(self) -> bool:
        """Whether every environment was deployed exactly once since the beginning."""
        return Counter(self.deployed) == Counter(range(len(self.seconds)))

    def targets(self, *, known: bool = False) -> list[Target]:
        """Return every environment, with the length of its earlier build if that is known."""
        return [
            Target(
                project_uid=self.project_uid,
                environment_uid=uid,
                environment_name=f"environment-{number}",
                last_seconds=took if known else None,
            )
            for number, (uid, took) in enumerate(zip(self.environment_uids, self.earlier, strict=True))
        ]


async def redeploy(
    fleet: Fleet, *, known: bool = False, journal: Path | None = None, stop_on_failures: float | None = None
) -> FleetReport:
    """Redeploy every environment of a service once, and wait for all deployments.

    Args:
        fleet: The service.
        known: Whether the targets contain the durations of their last builds.
        journal: The file of the journal. None means no journal.
        stop_on_failures: Share of failures that stops the run, which then has waves. None means one wave.
    """
    async with fleet.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as client:
        plan = await client.fleet.plan_redeploy(fleet.targets(known=known))
        kept = None if journal is None else FileJournal(journal)
        return await client.fleet.run(
            plan, confirm=len(plan.operations), journal=kept, stop_on_failures=stop_on_failures
        )
