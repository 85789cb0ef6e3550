"""A fleet in virtual time: a service whose environments take 30-90 s to build, and one run over all of them."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Final, Self

import attrs

from launch_async import RateLimit
from launch_async.fleet import FleetReport, SqliteJournal, Target
from launch_async.http.transport import Request, Response
from launch_async.rate_limit import LocalRateLimiter
from tests.support.rate_servers import SlidingWindow
from tests.support.timed_launch import PROJECT, Build, Launch

RATE: Final = 10
_REFUSAL: Final = b'{"errors":[{"code":"launch.ERROR","message":"too fast"}],"status":429}'


@attrs.define
class Fleet(Launch):
    """The service with one earlier build in each environment, and one more for each creation."""

    limit: SlidingWindow | None = None
    seconds: list[float] = attrs.field(factory=list[float])
    refused: int = 0
    _newer: dict[int, list[int]] = attrs.field(factory=dict[int, list[int]])

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
        self.begin(environment)
        document = {"deployment": self._deployment(len(self.builds) - 1, now)}
        return Response(201, body=json.dumps(document).encode())

    def begin(self, environment: int) -> None:
        """Begin a build now."""
        now = asyncio.get_running_loop().time()
        self._newer.setdefault(environment, []).append(len(self.builds))
        ends = now + self.seconds[environment]
        self.builds.append(Build(created=now, begins=now, ends=ends, environment=environment))

    def _page(self, environment: int, now: float, limit: int) -> dict[str, object]:
        # As the service does, without a look at everybody else's.
        own = [environment, *self._newer.get(environment, [])]
        page = [self._deployment(index, now) for index in own[::-1][:limit]]
        return {"pagination": {"count": len(own), "limit": limit, "skip": None}, "deployments": page}

    def targets(self, *, known: bool = False) -> list[Target]:
        """Return every environment, with the length of its earlier build if that is known."""
        return [
            Target(
                project_uid=PROJECT,
                environment_uid=f"{number:024x}",
                environment_name=f"environment-{number}",
                last_seconds=self.builds[number].ends - self.builds[number].begins if known else None,
            )
            for number in range(len(self.seconds))
        ]


async def redeploy(fleet: Fleet, *, known: bool = False, journal: Path | None = None) -> FleetReport:
    """Redeploy every environment of a service once, and wait for all.

    Args:
        fleet: The service.
        known: Whether the targets have been looked up, and so tell how long their builds took.
        journal: File of the journal; None for none.
    """
    async with fleet.client(LocalRateLimiter(RateLimit(RATE, per=1.0))) as client:
        plan = await client.fleet.plan_redeploy(fleet.targets(known=known))
        kept = None if journal is None else SqliteJournal(journal)
        return await client.fleet.run(plan, confirm=len(plan.operations), journal=kept)
