"""A fleet run that kills its own process with SIGKILL at a chosen moment: before or after a write or a request."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import attrs

from launch_async import Authtoken, LaunchClient, RetryPolicy
from launch_async.fleet.journal.file import FileJournal
from launch_async.fleet.journal.journal import Entry
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.report import FleetReport
from launch_async.http import Request, Response, Send
from launch_async.rate_limit import UnlimitedRateLimiter
from launch_async.watch import schedule


@attrs.define
class KillSwitch:
    """Count moments, and end the process at the chosen moment."""

    moment: int | None
    passed: int = 0

    def reach(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)

    async def around(self, request: Request, send: Send) -> Response:
        self.reach()
        response = await send(request)
        self.reach()
        return response


class KillingJournal(FileJournal):
    """A journal with a moment before and after each write."""

    def __init__(self, path: Path, switch: KillSwitch) -> None:
        super().__init__(path)
        self._switch = switch

    def write(self, entry: Entry) -> None:
        self._switch.reach()
        super().write(entry)
        self._switch.reach()


def client_of(server: dict[str, str], switch: KillSwitch | None = None) -> LaunchClient:
    return LaunchClient(
        Authtoken(server["authtoken"]),
        base_url=server["url"],
        organization_uid=server["organization_uid"],
        limiter=UnlimitedRateLimiter(),
        retry=RetryPolicy(look_up_delays=(0.05, 0.1), settle_after=0.05),
        middleware=[switch.around] if switch else (),
    )


async def run_or_resume(server: dict[str, str], plan: Plan, path: Path, moment: int | None) -> FleetReport:
    switch = KillSwitch(moment)
    async with client_of(server, switch) as client:
        journal = KillingJournal(path, switch)
        # Run few operations at a time, so that a kill finds the others at all stages.
        places = None if moment is None else 4
        if path.exists() and path.stat().st_size:
            return await client.fleet.resume(journal, concurrency=places)
        return await client.fleet.run(plan, journal=journal, confirm=len(plan.operations), concurrency=places)


def main(server: dict[str, str], plan_text: str, path: str, moment: int | None) -> None:
    schedule._SHORTEST = 0.02  # type: ignore[misc]  # builds take as long
    asyncio.run(run_or_resume(server, Plan.from_json(plan_text), Path(path), moment))


PRELOADED: Sequence[str] = ("tests.fleet.victim", "launch_async.fleet.fleet", "aiohttp", "launch_async.wire.converter")
