"""The organization's budget in Redis: one for all processes and machines that are given the same Redis.

A `RedisRateLimiter` takes the place of the process's own budget: `LaunchClient(limiter=...)`, in either package. All
limiters of one organization at one API host share one key. Slots are given by one script, on the clock of Redis, with
one call per request; the clocks of the machines do not matter. A 429 that one process meets pauses all of them, and
what is learnt is shared. Within a process callers are served by priority, between processes in turn.

If Redis cannot be reached for longer than `patience`, either each process goes on with a small share of the budget
(`when_unreachable="local"`, with a warning in the log) or calls fail with `BudgetUnavailable` (`"error"`). Needs the
extra `redis`; made for Redis 5 and newer, and what speaks its protocol.
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
    """The shared budget in Redis cannot be reached, so the request was not sent; nothing happened at the service."""


class RedisRateLimiter:
    """The budget of one organization, shared through Redis.

    Any number of event loops and threads may use one limiter. A connection is made when it is needed, belongs to the
    event loop that needs it, and is closed some seconds after the last request or when the loop ends: there is nothing
    to close. What Redis may have forgotten by a restart or failover counts as spent.

    Args:
        url: Where Redis is: `redis://`, `rediss://` (TLS) or `unix://`, with user name and password where it has ACLs,
            as `redis.asyncio.Redis.from_url` takes it. Or a function that makes a `redis.asyncio` client, as for
            Sentinel.
        organization_uid: The organization whose budget it is.
        region: Region of the organization, as for `LaunchClient`; each API host has budgets of its own.
        base_url: Address of the API instead of a region's, as for `LaunchClient`.
        rate_limit: What the organization's plan allows.
        when_unreachable: What to do without Redis: go on with a share of the budget in each process, or fail.
        local_share: That share, above 0 and at most 1. With *k* processes, 1/*k* or less is safe.
        patience: Seconds that Redis may be away before that; a single call to it may take half of them.
        cluster: Whether the URL is that of a Redis Cluster.
        prefix: What the key begins with; the key is `prefix:{host:organization_uid}`.

    Raises:
        ConfigurationError: the package `redis` is missing, or region, address or URL is malformed.
        InvalidArgumentError: a figure is out of its range.
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
            raise ConfigurationError("the package redis is missing: pip install 'contentstack-launch[redis]'")
        _check_url(url)
        for name, text in {"organization_uid": organization_uid, "prefix": prefix}.items():
            if not text or not _KEY_PART.fullmatch(text):
                raise InvalidArgumentError(name, "must not be empty, and have neither white space nor braces")
        if when_unreachable not in ("local", "error"):
            raise InvalidArgumentError("when_unreachable", "must be 'local' or 'error'")
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
            name="the shared budget in Redis",
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
        """The budget's key in Redis; delete it to forget what was learnt."""
        return self._key

    @property
    def rate_limit(self) -> RateLimit:
        """What the plan allows, as far as the limiter was told."""
        return self._rate_limit

    async def acquire(
        self,
        operation: Operation | None = None,  # noqa: ARG002, RUF100
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent, as `RateLimiter.acquire` promises; all operations share one budget.

        `priority` says who goes first when several wait in this event loop.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout` seconds; nothing was spent.
            BudgetUnavailable: Redis cannot be reached, and `when_unreachable` is "error".
        """
        return await self._budget.acquire(priority, timeout)

    def status(self) -> LimiterStatus:
        """Return what the limiter is doing now, as far as this process knows; from any thread."""
        return self._budget.status()


def _check_url(url: object) -> None:
    if not isinstance(url, str):
        if not callable(url):
            raise ConfigurationError(f"url must be an address, or a function that makes a client, not {url!r}")
        return
    try:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES:
            raise ConfigurationError("the URL of Redis must begin with redis://, rediss:// or unix://")
        _ = parts.port
    except ValueError:
        # Its words would show a part of the password.
        raise ConfigurationError(
            "the URL of Redis cannot be read: give the port in digits, and / # ? @ of a password as %2F %23 %3F %40"
        ) from None


def _client(url: str, cluster: bool, patience: float) -> object:  # noqa: FBT001, RUF100
    """Return a client that neither retries by itself (its second try would take a second slot) nor waits for long."""
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
        f"the shared budget in Redis cannot be reached ({reason}); nothing was sent. Check the URL and the server, or "
        "use when_unreachable='local' to go on with a share of the budget"
    )
