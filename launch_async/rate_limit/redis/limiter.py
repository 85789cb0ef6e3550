"""The organization's rate limit in Redis, shared by all processes and machines that use the same Redis.

Pass a `RedisRateLimiter` as `LaunchClient(limiter=...)`, in either package. All limiters of one organization at one
API host share one key. A script in Redis gives the slots, on the clock of Redis and with one call per request. The
clocks of the machines do not matter. If one process receives a 429, all processes pause and learn from it. Within a
process, callers are served by priority. Processes take turns.

If Redis cannot be reached for longer than `patience`, each process continues with a small share of the rate limit
(`when_unreachable="local"`, with a warning in the log), or calls fail with `BudgetUnavailable` (`"error"`). This module
needs the extra `redis`. It works with Redis 5 and newer, and with servers that use the same protocol.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, cast
from urllib.parse import urlsplit

from launch_async.errors import ConfigurationError, ConnectError, InvalidArgumentError
from launch_async.rate_limit.redis.store import Client, RedisStore
from launch_async.rate_limit.shared.connection import Config
from launch_async.rate_limit.shared.limiter import SharedBudget
from launch_async.rate_limit.shared.local_share import LocalShare
from launch_async.rate_limit.types import LimiterStatus, Operation, Permit, Priority, RateLimit
from launch_async.settings import resolve_endpoint

__all__ = ["BudgetUnavailable", "RedisRateLimiter"]

_SCHEMES = ("redis", "rediss", "unix")
_KEY_PART = re.compile(r"[^\s{}]+")


class BudgetUnavailable(ConnectError):
    """The shared rate limit in Redis cannot be reached. The request was not sent, and the service did nothing."""


class RedisRateLimiter:
    """The rate limit of one organization, shared through Redis.

    Any number of event loops and threads can use one limiter. The limiter opens a connection per event loop when it is
    needed, and closes the connection some seconds after the last request or when the loop ends. The limiter does not
    need to be closed. After a restart or failover of Redis, requests that Redis may have forgotten count as sent.

    Args:
        url: Address of Redis, as in `redis.asyncio.Redis.from_url`: `redis://`, `rediss://` (TLS) or `unix://`, with
            user name and password if Redis requires them. Or a function that returns a `redis.asyncio` client, for
            example for Sentinel.
        organization_uid: The organization.
        region: Region of the organization, as in `LaunchClient`. Each API host has separate rate limits.
        base_url: Address of the API instead of a region, as in `LaunchClient`.
        rate_limit: The limit of the organization's plan.
        when_unreachable: Behaviour without Redis: "local" continues with a share of the rate limit in each process,
            and "error" makes calls fail.
        local_share: The share for "local", above 0 and at most 1. With *k* processes, 1/*k* or less is safe.
        patience: Seconds without an answer after which Redis counts as unreachable. A single call waits for half of
            them.
        cluster: Whether the URL is the address of a Redis Cluster.
        prefix: Start of the key. The key is `prefix:{host:organization_uid}`.

    Raises:
        ConfigurationError: The package `redis` is not installed, or the region, address or URL is malformed.
        InvalidArgumentError: A value is out of its range.
    """

    def __init__(
        self,
        url: str | Callable[[], object],
        organization_uid: str,
        *,
        region: str = "na",
        base_url: str | None = None,
        rate_limit: RateLimit = RateLimit(10, per=1.0),
        when_unreachable: Literal["local", "error"] = "local",
        local_share: float = 0.1,
        patience: float = 2.0,
        cluster: bool = False,
        prefix: str = "launch",
    ) -> None:
        if importlib.util.find_spec("redis") is None:
            raise ConfigurationError(
                "The package redis is not installed. Install it with: pip install 'contentstack-launch[redis]'"
            )
        _check_url(url)
        for name, text in {"organization_uid": organization_uid, "prefix": prefix}.items():
            if not text or not _KEY_PART.fullmatch(text):
                raise InvalidArgumentError(name, f"must not be empty or contain white space or braces, not {text!r}")
        if when_unreachable not in ("local", "error"):
            raise InvalidArgumentError("when_unreachable", f"must be 'local' or 'error', not {when_unreachable!r}")
        if not 0 < local_share <= 1:
            raise InvalidArgumentError("local_share", f"must be above 0 and at most 1, not {local_share}")
        if not (patience > 0 and math.isfinite(patience)):
            raise InvalidArgumentError("patience", f"must be a positive number of seconds, not {patience}")
        self._rate_limit = rate_limit
        self._key = f"{prefix}:{{{resolve_endpoint(region, base_url).host.lower()}:{organization_uid}}}"
        self._connect = partial(_client, url, cluster, patience) if isinstance(url, str) else url
        self._share = rate_limit.per / (local_share * rate_limit.requests) if when_unreachable == "local" else None
        self._patience = patience
        self._budget = SharedBudget(self._configure)

    def _configure(self) -> Config:
        return Config(
            name="The shared rate limit in Redis",
            connect=partial(RedisStore, cast("Callable[[], Client]", self._connect), self._key),
            rate_limit=self._rate_limit,
            patience=self._patience,
            share=None if self._share is None else LocalShare(self._share),
            unavailable=_unavailable,
        )

    def __repr__(self) -> str:
        return f"<RedisRateLimiter {self._key}>"

    @property
    def key(self) -> str:
        """The key in Redis. Delete the key to discard what the limiter has learned."""
        return self._key

    @property
    def rate_limit(self) -> RateLimit:
        """The limit of the plan that this limiter uses."""
        return self._rate_limit

    async def acquire(
        self,
        operation: Operation | None = None,  # noqa: ARG002, RUF100
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent. All operations share one limit.

        Raises:
            DeadlineExceeded: The wait would be longer than `timeout` seconds, or has become longer. Nothing was sent.
            BudgetUnavailable: Redis cannot be reached, and `when_unreachable` is "error".
        """
        return await self._budget.acquire(priority, timeout)

    def status(self) -> LimiterStatus:
        """Return the current state of the limiter, as far as this process knows it. Thread-safe."""
        return self._budget.status()


def _check_url(url: object) -> None:
    if not isinstance(url, str):
        if not callable(url):
            raise ConfigurationError(f"url must be an address or a function that returns a client, not {url!r}")
        return
    try:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            raise ConfigurationError("The URL of Redis must start with redis://, rediss:// or unix://")
        _ = parts.port
    except ValueError:
        # The text of the original error can contain a part of the password.
        raise ConfigurationError(
            "The URL of Redis is malformed. Write the port in digits, and / # ? @ in a password as %2F %23 %3F %40"
        ) from None


def _client(url: str, cluster: bool, patience: float) -> object:  # noqa: FBT001, RUF100
    """Return a client with short timeouts and without retries. A retry would take a second slot."""
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    kind = cast("type[_FromURL]", RedisCluster if cluster else Redis)
    return kind.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=patience / 2, socket_timeout=patience)


class _FromURL(Protocol):
    @classmethod
    def from_url(cls, url: str, **options: object) -> object: ...


def _unavailable(reason: str) -> BudgetUnavailable:
    return BudgetUnavailable(
        f"The shared rate limit in Redis cannot be reached ({reason}). The request was not sent. Check the URL and the "
        "server, or use when_unreachable='local' to continue with a share of the rate limit in each process."
    )
