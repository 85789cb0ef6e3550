"""Emulators with content, and probes of these emulators in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from launch_async import LaunchClient
from launch_async.auth.access_token import AccessToken
from launch_async.auth.tokens import Authtoken
from launch_async.emulator import Clock, LaunchEmulator, LogLine
from launch_async.http import Middleware
from launch_async.probe import ProbeReport, probe
from launch_async.rate_limit import RateLimit
from tests.support.virtual_time import loop_time, run

T = TypeVar("T")

SCRATCH = "zz-scratch"
LINES = [
    LogLine("Installing", "INSTALLING_DEPENDENCIES", at=0.0),
    LogLine("Installed", "INSTALLING_DEPENDENCIES", at=0.001),
    LogLine("Building", "BUILD", at=0.5),
    LogLine("Built", "BUILD", at=0.5),
    LogLine("Deployment is live", "BUILD", at=1.0),
]
LONG = [LogLine(f"line {number}", "BUILD", at=number / 1000) for number in range(5200)]


def emulator_with_content(*, long_log: bool = False, **options: Any) -> LaunchEmulator:
    """Return an emulator without a socket, with all kinds of objects that a probe can read."""
    chosen: dict[str, Any] = {"rate_limit": None, "build_seconds": 3.0, "seed": 7, **options}
    emulator = LaunchEmulator(port=None, clock=Clock(loop_time), **chosen)
    start = emulator.clock.now()
    for name, preset in {"shop": "NUXT", "landing": "CSR", "blog": "NUXT", "atlas": "GATSBY", "zoo": "ASTRO"}.items():
        project = emulator.add_project(name, environments=["production"], framework_preset=preset)
        emulator.advance(7)
        for environment_uid in project.environments:
            for number in range(6):
                emulator.add_deployment(
                    environment_uid,
                    seconds=2.0,
                    lines=LONG if long_log and (name, number) == ("zoo", 5) else LINES,
                    at=start - 86_400.0 * (6 - number),
                )
    for number in range(8):
        emulator.add_project(f"git {7 - number}", git=True)
        emulator.advance(7)
    return emulator


def client_of(
    emulator: LaunchEmulator,
    *,
    bearer: bool = False,
    middleware: tuple[Middleware, ...] = (),
    rate_limit: int = 1000,
) -> LaunchClient:
    """Return a client of an emulator without a socket."""
    return LaunchClient(
        AccessToken(emulator.access_token) if bearer else Authtoken(emulator.authtoken),
        organization_uid=emulator.organization_uid,
        base_url=emulator.url,
        transport=emulator.transport(),
        rate_limit=RateLimit(rate_limit),
        share_budget="process",
        middleware=middleware,
    )


async def _in_this_thread(function: Callable[..., T], /, *arguments: Any, **keywords: Any) -> T:
    return function(*arguments, **keywords)


def in_virtual_time(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine in virtual time and without threads, because a thread takes real time."""
    with mock.patch("asyncio.to_thread", _in_this_thread):
        return run(main)


def probed(
    emulator: LaunchEmulator,
    *,
    write: bool = True,
    bearer: bool = False,
    daring: bool = True,
    middleware: tuple[Middleware, ...] = (),
    tape: Path | None = None,
) -> ProbeReport:
    """Return the report of a probe of an emulator, in virtual time."""

    async def main() -> ProbeReport:
        async with emulator, client_of(emulator, bearer=bearer, middleware=middleware) as client:
            return await probe(client, write=write, project=SCRATCH if write else None, daring=daring, tape=tape)

    return in_virtual_time(main())
