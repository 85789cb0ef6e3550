"""Clients of an emulator, without a rate limit and with the credentials of its first organization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

import launch_async
import launch_async.emulator
import launch_sync
import launch_sync.emulator
from launch_async.http import Middleware
from launch_async.rate_limit import RateLimiter, UnlimitedRateLimiter

Emulator = launch_async.emulator.LaunchEmulator | launch_sync.emulator.LaunchEmulator


class Options(TypedDict, total=False):
    """The arguments of the client that a test can change."""

    credentials: launch_async.Credentials
    base_url: str
    organization_uid: str
    limiter: RateLimiter
    retry: launch_async.RetryPolicy
    middleware: Sequence[Middleware]
    attempt_timeout: float


def client_of(emulator: Emulator, **options: Unpack[Options]) -> launch_async.LaunchClient:
    """Return a client. Open the client with `async with`."""
    return launch_async.LaunchClient(**_with_defaults(emulator, options))


def plain_client_of(emulator: Emulator, **options: Unpack[Options]) -> launch_sync.LaunchClient:
    """Return a client without asyncio."""
    return launch_sync.LaunchClient(**_with_defaults(emulator, options))


def _with_defaults(emulator: Emulator, options: Options) -> Options:
    return {
        "credentials": launch_async.Authtoken(emulator.authtoken),
        "base_url": emulator.url,
        "organization_uid": emulator.organization_uid,
        "limiter": UnlimitedRateLimiter(),
        **options,
    }
