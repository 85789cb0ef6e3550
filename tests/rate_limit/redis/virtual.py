"""Workers with a real Redis that uses the virtual clock of their loop, so that load has no effect."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from redis import Redis
from redis.exceptions import ConnectionError as ConnectionRefused, NoScriptError

from launch_async.rate_limit.redis.limiter import RedisRateLimiter
from launch_async.rate_limit.types import RateLimit
from tests.support.shared_budgets import Network, Outcome, saturate as saturated


def timed(text: str) -> str:
    """Return a script whose last arguments are the server's time, in seconds and microseconds, and its run."""
    text = text.replace("redis.call('TIME')", "{ARGV[#ARGV - 2], ARGV[#ARGV - 1]}")
    text = text.replace("redis.pcall('INFO', 'server')", "'run_id:' .. ARGV[#ARGV]")
    assert "TIME" not in text.replace("_TIME", "")
    assert "INFO" not in text
    return text


class VirtualRedis:
    """The limiter's script with the time of the loop, and with a replaceable run id of the server.

    Args:
        redis: A real server.
        seconds: Duration of a call, one way.
    """

    def __init__(self, redis: Redis, seconds: Callable[[], float] = lambda: 0.0005) -> None:
        self.calls = 0
        self.is_down = False
        self.run = 1
        self._redis = redis
        self._seconds = seconds
        self._digests: dict[str, str] = {}
        self._keys: set[str] = set()

    def forget(self) -> None:
        """Lose all data, like a server without persistence after a restart."""
        self.run += 1
        self.forget_scripts()
        self._redis.delete(*self._keys)

    def forget_scripts(self) -> None:
        """Lose the scripts only."""
        self._digests.clear()

    async def evalsha(self, digest: str, numkeys: int, key: str, *arguments: str | bytes) -> object:
        """Run a script that is in the cache."""
        return await self._run(lambda: self._digests.get(digest), key, arguments)

    async def eval(self, text: str, numkeys: int, key: str, *arguments: str | bytes) -> object:
        """Run a script, and add it to the cache."""

        def load() -> str:
            self._digests[hashlib.sha1(text.encode()).hexdigest()] = self._redis.script_load(timed(text))
            return self._redis.script_load(timed(text))

        return await self._run(load, key, arguments)

    async def _run(self, script: Callable[[], str | None], key: str, arguments: tuple[str | bytes, ...]) -> object:
        await self._travel()
        digest = script()
        if digest is None:
            raise NoScriptError
        self.calls += 1
        self._keys.add(key)
        seconds, part = divmod(1e9 + asyncio.get_running_loop().time(), 1)
        reply = self._redis.evalsha(digest, 1, key, *arguments, int(seconds), int(part * 1e6), self.run)
        await self._travel()
        return reply

    async def _travel(self) -> None:
        await asyncio.sleep(self._seconds())
        if self.is_down:
            raise ConnectionRefused

    async def aclose(self) -> None:
        """Do nothing, because there is nothing to close."""


async def saturate(
    redis: Redis,
    organization: str,
    network: Network,
    *,
    requests: int = 300,
    workers: int = 3,
    kill_every: float | None = None,
    restarts: int = 0,
    down: float = 0.15,
) -> Outcome:
    """Let workers send until enough requests have arrived."""
    server = VirtualRedis(redis, lambda: network.way(network.call))

    def limiter() -> RedisRateLimiter:
        return RedisRateLimiter(lambda: server, organization, rate_limit=RateLimit(10, per=1.0))

    async def restart() -> None:
        server.is_down = True
        await asyncio.sleep(down)
        server.forget()
        server.is_down = False

    return await saturated(
        limiter,
        lambda: server.calls,
        network,
        requests=requests,
        workers=workers,
        kill_every=kill_every,
        restart=restart,
        restarts=restarts,
    )
