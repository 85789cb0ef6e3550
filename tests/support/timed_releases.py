"""Releases and previews in virtual time, on an emulator without a socket, in any number."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest import mock

import attrs

from launch_async import Authtoken, Check, Commit, DeploymentUnhealthy, LaunchClient, LaunchError, ResponseLost
from launch_async.deploy.previews.marker import Marker
from launch_async.emulator import Clock, InMemoryTransport, LaunchEmulator
from launch_async.http import Request, ResponseLike
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.virtual_time import VirtualTimeLoop, loop_time, run

T = TypeVar("T")

COLD_S: Final = 30.0
"""Seconds after a deployment during which the site answers 503."""


def emulator_in_virtual_time(**options: float | None) -> LaunchEmulator:
    """Return an emulator whose builds use the clock of the loop."""
    settings: dict[str, float | None] = {"rate_limit": None, "build_seconds": 20.0, "latency": 0.02, **options}
    return LaunchEmulator(port=None, clock=Clock(loop_time), **settings)  # type: ignore[arg-type]


class KilledError(BaseException):
    """The simulated process was killed."""


@attrs.define
class Trouble:
    """A transport that loses answers and kills its process.

    Attributes:
        inner: The transport of the emulator.
        dice: The random numbers.
        lost: Share of requests without an answer, before or after the service acts.
        killed: Share of requests during which the process is killed, before or after the service acts.
    """

    inner: InMemoryTransport
    dice: random.Random
    lost: float = 0.0
    killed: float = 0.0

    async def send(self, request: Request) -> ResponseLike:
        """Send a request, lose the answer, or kill the process."""
        if self.dice.random() < self.killed / 2:
            raise KilledError
        if self.dice.random() < self.lost / 2:
            raise ResponseLost("the connection broke")
        answer = await self.inner.send(request)
        if self.dice.random() < self.killed / 2:
            raise KilledError
        if self.dice.random() < self.lost / 2:
            raise ResponseLost("the connection broke")
        return answer

    async def close(self) -> None:
        """Do nothing."""


def client_of(emulator: LaunchEmulator, dice: random.Random | None = None, **troubles: float) -> LaunchClient:
    """Return a client of an emulator in virtual time, with shares of lost answers and kills."""
    transport = emulator.transport()
    return LaunchClient(
        Authtoken(emulator.authtoken),
        base_url=emulator.url,
        organization_uid=emulator.organization_uid,
        transport=transport if dice is None else Trouble(transport, dice, **troubles),
        limiter=UnlimitedRateLimiter(),
    )


def healthy_releases(count: int, *, environments: int = 50, grace: float | None = None) -> int:
    """Release `count` times with default checks, behind a slow cache, and return the number of unhealthy releases."""
    check = Check() if grace is None else Check(grace=grace)

    async def main() -> int:
        emulator = emulator_in_virtual_time(site_cold_seconds=COLD_S)
        names = [f"environment-{number}" for number in range(environments)]
        project = emulator.add_project("shop", environments=names, git=True)
        failed = 0

        async def release(environment_uid: str, times: int) -> None:
            nonlocal failed
            for number in range(times):
                try:
                    await client.deploy(project.uid, environment_uid, Commit(f"{number:040x}"), verify=(check, _slow))
                except DeploymentUnhealthy:
                    failed += 1

        async with emulator, client_of(emulator) as client, asyncio.TaskGroup() as group:
            for place, uid in enumerate(project.environments):
                times = count // environments + (place < count % environments)
                group.create_task(release(uid, times))
        return failed

    return run(main())


async def _slow(url: str) -> bool:
    await asyncio.sleep(0.5)
    return url.startswith("http")


def requests_of_restoration(folder: Path) -> tuple[int, Mapping[str, int]]:
    """Return how many more requests a restored release needs than a release without checks, without polls."""

    async def main() -> tuple[int, Mapping[str, int]]:
        check = Check("/", contains="good", grace=0)
        async with emulator_in_virtual_time() as emulator, client_of(emulator) as client:
            site = await client.create_site("shop", _site(folder, "good"))
            uids = site.project.uid, site.environment.uid
            plain = await _counted(emulator, client.deploy(*uids, _site(folder, "plain")))
            await client.deploy(*uids, _site(folder, "good"))
            bad = await _counted(emulator, _release_and_restore(client, uids, _site(folder, "bad"), check))
        polls = plain - Counter({"getDeploymentUploadUrl": 1, "createDeployment": 1})
        extra = bad - plain - polls
        return extra.total(), extra

    with asyncio.Runner(loop_factory=_ThreadlessLoop) as runner:
        return runner.run(main())


class _ThreadlessLoop(VirtualTimeLoop):
    """Run functions for threads directly, because the virtual clock would jump while a thread works."""

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001, RUF100
            future.set_exception(error)
        return future


def _site(folder: Path, word: str) -> Path:
    site = folder / word
    site.mkdir(exist_ok=True)
    (site / "index.html").write_text(f"<h1>{word}</h1>" * 200)
    return site


async def _release_and_restore(client: LaunchClient, uids: tuple[str, str], site: Path, check: Check) -> None:
    with contextlib.suppress(DeploymentUnhealthy):
        await client.deploy(*uids, site, verify=check, on_failure="restore")


async def _counted(emulator: LaunchEmulator, work: Awaitable[object]) -> Counter[str]:
    before = len(emulator.ledger.requests)
    await work
    counted = (one.operation for one in emulator.ledger.requests[before:])
    return Counter(name for name in counted if name not in ("site", "uploadArchive", "downloadArchive"))


@attrs.define
class PreviewLife:
    """The results of many previews.

    Attributes:
        created: Previews that were created.
        kills: Processes that were killed.
        sweeps: Sweeps that ended.
        swept: Previews that sweeps deleted.
        outlived: Previews that still exist after a sweep that began after their end.
        protected_deleted: Deleted environments that are protected or not previews.
        early: Previews that were deleted before their end.
        doubled: Previews with two environments.
    """

    created: int = 0
    kills: int = 0
    sweeps: int = 0
    swept: int = 0
    outlived: int = 0
    protected_deleted: int = 0
    early: int = 0
    doubled: int = 0


def preview_life(count: int, seed: int) -> PreviewLife:
    """Create previews during sweeps. A share of all requests fails, processes are killed, and clocks are wrong."""
    return run(_PreviewWorld(count, seed).live())


class _PreviewWorld:
    def __init__(self, count: int, seed: int) -> None:
        self.life = PreviewLife()
        self._count = count
        self._dice = random.Random(f"previews {seed}")
        self._emulator = emulator_in_virtual_time(token_seconds=1e9)
        self._project = self._emulator.add_project("shop", environments=["production", "live", "by-hand"], git=True)
        self._kept = set(self._project.environments)
        self._ends: dict[str, datetime] = {}
        self._at_work = True
        self._ahead = 0.0

    async def live(self) -> PreviewLife:
        """Run the simulation, and return the results."""
        true_time = time.time

        def believed_time() -> float:
            return true_time() + self._ahead

        with mock.patch("time.time", believed_time):
            return await self._lived()

    async def _lived(self) -> PreviewLife:
        old = Marker(datetime(2020, 1, 1, tzinfo=UTC), "somebody", "branch x").text
        environments = list(self._project.environments)
        async with self._emulator, client_of(self._emulator) as client:
            for uid in environments[:2]:
                await client.environments.update(self._project.uid, uid, description=old)
            async with asyncio.TaskGroup() as group:
                sweeping = group.create_task(self._sweep_again_and_again())
                async with asyncio.TaskGroup() as creating:
                    for number in range(self._count):
                        creating.create_task(self._create(number))
                self._at_work = False
                await sweeping
        self.life.outlived += sum(one.uid not in self._kept for one in self._state())
        return self.life

    async def _create(self, number: int) -> None:
        """Create a preview, and try again in another process if the process is killed."""
        await asyncio.sleep(self._dice.uniform(0, 30 * 86400))
        ttl = timedelta(seconds=self._dice.choice([60, 3600, 86400, 3 * 86400]))
        for _ in range(self._dice.choice([1, 3, 20])):
            try:
                async with self._process(killed=0.03) as client:
                    preview = await client.previews.create(self._project.uid, branch=f"branch-{number}", ttl=ttl)
            except KilledError:
                self.life.kills += 1
            except LaunchError:
                # The answer was lost, or a sweep deleted the preview during the build. The next process tries again.
                pass
            else:
                self.life.created += 1
                self._ends[preview.environment_uid] = preview.expires_at
                return
            await asyncio.sleep(self._dice.uniform(1, 600))

    async def _sweep_again_and_again(self) -> None:
        rounds_left = 3
        while rounds_left:
            rounds_left -= not self._at_work
            await asyncio.sleep(6 * 3600 if self._at_work else 4 * 86400)
            await self._sweep()
            self._count_mistakes()

    async def _sweep(self) -> None:
        began = self._now()
        while True:
            try:
                async with self._process(killed=0.01) as client:
                    self.life.swept += len(await client.previews.sweep())
            except KilledError:
                self.life.kills += 1
            except LaunchError:
                pass
            else:
                break
        self.life.sweeps += 1
        for environment in self._state():
            marker = Marker.of(environment.description)
            if marker is not None and marker.expires_at <= began and environment.uid not in self._kept:
                self.life.outlived += 1

    def _count_mistakes(self) -> None:
        there = self._state()
        alive = {one.uid for one in there}
        self.life.protected_deleted += len(self._kept - alive)
        self.life.early += sum(end > self._now() and uid not in alive for uid, end in self._ends.items())
        self._ends = {uid: end for uid, end in self._ends.items() if uid in alive}
        names = Counter(one.name for one in there)
        self.life.doubled += sum(number > 1 for number in names.values())

    def _state(self) -> list[_Shown]:
        environments = self._emulator._service.state.environments.values()
        return [
            _Shown(one.uid, one.name, str(one.settings.get("description") or ""))
            for one in environments
            if not one.deleted
        ]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._emulator.clock.now(), UTC)

    def _process(self, *, killed: float) -> LaunchClient:
        """Return a client of a process that can be killed, on a machine with a wrong clock."""
        self._ahead = self._dice.choice([0.0, -7200.0, 7200.0, 1e6, -1e6])
        return client_of(self._emulator, self._dice, lost=0.2, killed=killed)


@attrs.frozen
class _Shown:
    uid: str
    name: str
    description: str
