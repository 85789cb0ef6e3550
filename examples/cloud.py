"""Open a client for the examples: for an emulator, or for your organization.

The examples use your organization if the environment variables contain credentials.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import launch_async
import launch_sync
from launch_async.emulator import LaunchEmulator
from launch_sync.emulator import LaunchEmulator as SyncLaunchEmulator

_CREDENTIALS = ("CONTENTSTACK_ACCESS_TOKEN", "CONTENTSTACK_CLIENT_ID", "CONTENTSTACK_AUTHTOKEN")


def is_real() -> bool:
    """Return whether the environment variables contain credentials of a real organization."""
    return any(os.environ.get(name) for name in _CREDENTIALS)


@asynccontextmanager
async def open_cloud(
    prepare: Callable[[LaunchEmulator], object] | None = None,
) -> AsyncGenerator[launch_async.LaunchClient, None]:
    """Open a client for your organization, or for an emulator that `prepare` has filled."""
    if is_real():
        async with launch_async.LaunchClient.from_env() as launch:
            yield launch
        return
    async with LaunchEmulator() as emulator:
        if prepare:
            prepare(emulator)
        async with launch_async.LaunchClient(
            launch_async.Authtoken(emulator.authtoken),
            base_url=emulator.url,
            organization_uid=emulator.organization_uid,
        ) as launch:
            yield launch


@contextmanager
def open_cloud_sync(
    prepare: Callable[[SyncLaunchEmulator], object] | None = None,
) -> Generator[launch_sync.LaunchClient, None, None]:
    """Open the client like `open_cloud`, without `await`."""
    if is_real():
        with launch_sync.LaunchClient.from_env() as launch:
            yield launch
        return
    with SyncLaunchEmulator() as emulator:
        if prepare:
            prepare(emulator)
        with launch_sync.LaunchClient(
            launch_sync.Authtoken(emulator.authtoken),
            base_url=emulator.url,
            organization_uid=emulator.organization_uid,
        ) as launch:
            yield launch
