"""A real Redis for all tests of this folder, and limiters that share it like processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
from redis import Redis
from redis_server import PROGRAM, RedisServer
from virtual import VirtualRedis

from launch_async.rate_limit.redis.limiter import RedisRateLimiter
from launch_async.rate_limit.types import RateLimit
from tests.support.gates import lacking

_ORGANIZATIONS = itertools.count(1)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if not Path(PROGRAM).exists():
        lacking("redis-server", "Debian: apt-get install redis-server")
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def organization() -> str:
    return f"blt{next(_ORGANIZATIONS):016x}"


@pytest.fixture
def limiter(redis_server: RedisServer, organization: str) -> Callable[..., RedisRateLimiter]:
    """Create limiters of one budget. Each limiter acts like a separate process."""

    def make(**options: object) -> RedisRateLimiter:
        settings = {"rate_limit": RateLimit(10, per=0.05), "patience": 1.0}
        return RedisRateLimiter(redis_server.url, organization, **(settings | options))

    return make


@attrs.frozen
class VirtualLimiters:
    """Create limiters of one budget for a loop in virtual time."""

    server: VirtualRedis
    organization: str

    def __call__(self, **options: object) -> RedisRateLimiter:
        settings = {"rate_limit": RateLimit(10, per=0.25), "patience": 1.0}
        return RedisRateLimiter(lambda: self.server, self.organization, **(settings | options))


@pytest.fixture
def virtual_limiter(redis: Redis, organization: str) -> VirtualLimiters:
    return VirtualLimiters(VirtualRedis(redis), organization)


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as redis:
        yield redis
