"""Workers at a real Redis whose clock is the virtual one of their loop: no time passes, and no load disturbs."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import inspect
import itertools
import math
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress

import attrs
from redis import Redis
from redis.exceptions import ConnectionError as ConnectionRefused, NoScriptError

from launch_async.rate_limit.redis.limiter import RedisRateLimiter
from launch_async.rate_limit.types import Answer, RateLimit
from tests.support.virtual_time import run


def in_virtual_time(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    """Run a test on a loop in virtual time."""

    @functools.wraps(test)
    def wrapper(**fixtures: object) -> None:
        run(test(**fixtures))

    del wrapper.__wrapped__
    wrapper.__signature__ = inspect.signature(test)
    return wrapper


class VirtualRedis:
    """The limiter's script as it is, but for the time, which is that of the loop, and the run of the server.

    Args:
        redis: A real server.
        seconds: How long a call is under way, one way.
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
        """Lose everything, as a server without persistence does when it is restarted."""
        self.run += 1
        self.forget_scripts()
        self._redis.delete(*self._keys)

    def forget_scripts(self) -> None:
        """Lose the scripts only."""
        self._digests.clear()

    async def evalsha(self, digest: str, numkeys: int, key: str, *arguments: str | bytes) -> object:
        """Run a script that is known."""
        return await self._run(lambda: self._digests.get(digest), key, arguments)

    async def eval(self, text: str, numkeys: int, key: str, *arguments: str | bytes) -> object:
        """Run a script, and know it from now on."""
        timed = text.replace("redis.call('TIME')", "{ARGV[#ARGV - 2], ARGV[#ARGV - 1]}")
        timed = timed.replace("redis.pcall('INFO', 'server')", "'run_id:' .. ARGV[#ARGV]")
        assert "TIME" not in timed
        assert "INFO" not in timed

        def load() -> str:
            self._digests[hashlib.sha1(text.encode()).hexdigest()] = self._redis.script_load(timed)
            return self._redis.script_load(timed)

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
        """There is nothing to close."""


@attrs.define
class Network:
    """How long things take, at random; times in seconds.

    Attributes:
        trip: Median round trip to the service.
        spread: Its sigma, as of a log-normal distribution.
        call: Median call to Redis.
        cold: What the first ten requests of a worker take longer on their way to the service.
        spikes: Share of the ways, of either kind, that take up to `spike` longer.
        spike: How much.
        seed: Of the dice.
    """

    trip: float = 0.003
    spread: float = 0.3
    call: float = 0.0014
    cold: float = 0.0
    spikes: float = 0.0
    spike: float = 0.15
    seed: int = 1
    dice: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def way(self, median: float) -> float:
        """Return how long one way takes."""
        seconds = self.dice.lognormvariate(math.log(median / 2), self.spread)
        return seconds + (self.dice.random() * self.spike if self.dice.random() < self.spikes else 0.0)


class Worker:
    """A process that sends as fast as it may, until it is killed."""

    def __init__(self, limiter: RedisRateLimiter, network: Network, arrivals: list[float]) -> None:
        self._limiter = limiter
        self._network = network
        self._arrivals = arrivals
        self._sent = itertools.count()
        self._callers = [asyncio.create_task(self._caller()) for _ in range(4)]

    async def _caller(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            permit = await self._limiter.acquire()
            there = self._network.way(self._network.trip) + (self._network.cold if next(self._sent) < 10 else 0.0)
            # What was sent arrives, whether its sender lives or not.
            loop.call_later(there, lambda: self._arrivals.append(loop.time()))
            await asyncio.sleep(there + self._network.way(self._network.trip))
            permit.answered(Answer(loop.time()))

    async def kill(self) -> None:
        """End without a word to anybody."""
        tasks = [
            *self._callers,
            *(worker._task for worker in self._limiter._budget._workers.values() if worker._task is not None),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@attrs.frozen
class Outcome:
    """What the service saw."""

    most_in_a_second: int
    goodput: float
    calls_per_request: float


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
    """Have workers send until enough requests have arrived."""
    arrivals: list[float] = []
    server = VirtualRedis(redis, lambda: network.way(network.call))

    def worker() -> Worker:
        limiter = RedisRateLimiter(lambda: server, organization, rate_limit=RateLimit(10, per=1.0))
        return Worker(limiter, network, arrivals)

    async def kill_one_after_the_other(every: float) -> None:
        for place in itertools.cycle(range(workers)):
            await asyncio.sleep(every * network.dice.uniform(0.5, 1.5))
            await crew[place].kill()
            await asyncio.sleep(0.1)
            crew[place] = worker()

    crew = [worker() for _ in range(workers)]
    killer = asyncio.create_task(kill_one_after_the_other(kill_every)) if kill_every else None
    restarted = 0
    while len(arrivals) < requests:
        await asyncio.sleep(0.05)
        if restarted < restarts and len(arrivals) >= requests * (restarted + 1) // (restarts + 1):
            server.is_down = True
            await asyncio.sleep(down)
            server.forget()
            server.is_down = False
            restarted += 1
    if killer is not None:
        killer.cancel()
        with suppress(asyncio.CancelledError):
            await killer
    for one in crew:
        await one.kill()
    arrivals.sort()
    return Outcome(
        most_in_any(1.0, arrivals), (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]), server.calls / len(arrivals)
    )


def most_in_any(seconds: float, times: list[float]) -> int:
    """Return the most of some moments that lie within any window, open at its end."""
    return max(sum(start <= when < start + seconds for when in times) for start in times)
