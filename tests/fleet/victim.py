"""A fleet run that kills its own process with SIGKILL at a chosen moment: before or after a write or an exchange."""

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
class Fuse:
    """Counts moments, and ends the process at the chosen one."""

    moment: int | None
    passed: int = 0

    def burn(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)

    async def around(self, request: Request, send: Send) -> Response:
        self.burn()
        response = await send(request)
        self.burn()
        return response


class FusedJournal(FileJournal):
    """A journal with a moment before and after each write."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def write(self, entry: Entry) -> None:
        self._fuse.burn()
        super().write(entry)
        self._fuse.burn()


def client_of(server: dict[str, str], fuse: Fuse | None = None) -> LaunchClient:
    return LaunchClient(
        Authtoken(server["authtoken"]),
        base_url=server["url"],
        organization_uid=server["organization_uid"],
        limiter=UnlimitedRateLimiter(),
        retry=RetryPolicy(look_up_delays=(0.05, 0.1), settle_after=0.05),
        middleware=[fuse.around] if fuse else (),
    )


async def run_or_resume(server: dict[str, str], plan: Plan, path: Path, moment: int | None) -> FleetReport:
    fuse = Fuse(moment)
    async with client_of(server, fuse) as client:
        journal = FusedJournal(path, fuse)
        # A few at a time, so that kills find the others at all stages.
        places = None if moment is None else 4
        if path.exists() and path.stat().st_size:
            return await client.fleet.resume(journal, concurrency=places)
        return await client.fleet.run(plan, journal=journal, confirm=len(plan.operations), concurrency=places)


def main(server: dict[str, str], plan_text: str, path: str, moment: int | None) -> None:
    schedule._SHORTEST = 0.02  # type: ignore[misc]  # builds take as long
    asyncio.run(run_or_resume(server, Plan.from_json(plan_text), Path(path), moment))


PRELOADED: Sequence[str] = ("tests.fleet.victim", "launch_async.fleet.fleet", "aiohttp", "launch_async.wire.converter")
