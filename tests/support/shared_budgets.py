"""Processes that share one budget, in virtual time: a network with jitter, stalls and cold starts, and kills."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import math
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Protocol

import attrs

from launch_async.rate_limit.machine.layout import pack, unpack
from launch_async.rate_limit.shared.connection import Config
from launch_async.rate_limit.shared.limiter import SharedBudget
from launch_async.rate_limit.shared.messages import Ask, Reply
from launch_async.rate_limit.shared.state import BudgetState
from launch_async.rate_limit.types import Answer, LimiterStatus, Permit, Priority, RateLimit
from tests.support.virtual_time import run


class Limiter(Protocol):
    """What a process of a shared budget has."""

    _budget: SharedBudget

    async def acquire(self) -> Permit:
        """Wait until a request may be sent."""
        ...


class VirtualFile:
    """The file's state as it stands there, on the clock of the loop."""

    def __init__(self) -> None:
        self.calls = 0
        self.content = pack(BudgetState.begin(asyncio.get_running_loop().time()))

    def limiter(self, rate_limit: RateLimit = RateLimit(10)) -> FileLimiter:
        """Return what one process has."""
        return FileLimiter(self, rate_limit)

    async def exchange(self, ask: Ask) -> Reply:
        """Do what a worker asks for."""
        self.calls += 1
        state = unpack(self.content)
        assert state is not None
        reply = state.exchange(ask, asyncio.get_running_loop().time())
        self.content = pack(state)
        return reply

    async def close(self) -> None:
        """There is nothing to close."""


class FileLimiter:
    """The limiter of one process, without the file itself."""

    def __init__(self, file: VirtualFile, rate_limit: RateLimit) -> None:
        def configure() -> Config:
            return Config(
                name="the file",
                connect=lambda: file,
                rate_limit=rate_limit,
                patience=2.0,
                share=None,
                is_immediate=True,
                unavailable=RuntimeError,
            )

        self._budget = SharedBudget(configure)

    async def acquire(self, *, priority: Priority = Priority.INTERACTIVE, timeout: float | None = None) -> Permit:
        """Wait until a request may be sent."""
        return await self._budget.acquire(priority, timeout)

    def status(self) -> LimiterStatus:
        """Return what it is doing now."""
        return self._budget.status()


def in_virtual_time(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    """Run a test on a loop in virtual time."""

    @functools.wraps(test)
    def wrapper(**fixtures: object) -> None:
        run(test(**fixtures))

    del wrapper.__wrapped__
    wrapper.__signature__ = inspect.signature(test)
    return wrapper


@attrs.define
class Network:
    """How long things take, at random; times in seconds.

    Attributes:
        trip: Median round trip to the service.
        spread: Its sigma, as of a log-normal distribution.
        call: Median call to the store, if it is elsewhere.
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

    def __init__(self, limiter: Limiter, network: Network, arrivals: list[float], callers: int = 4) -> None:
        self.sent_at: list[float] = []
        self._limiter = limiter
        self._network = network
        self._arrivals = arrivals
        self._sent = itertools.count()
        self._callers = [asyncio.create_task(self._caller()) for _ in range(callers)]

    async def _caller(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            permit = await self._limiter.acquire()
            self.sent_at.append(loop.time())
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
    """What the service saw, and the share of the process that sent least, against that of the one that sent most."""

    most_in_a_second: int
    goodput: float
    calls_per_request: float
    least_share: float


async def saturate(
    make: Callable[[], Limiter],
    calls: Callable[[], int],
    network: Network,
    *,
    requests: int = 300,
    workers: int = 3,
    kill_every: float | None = None,
    restart: Callable[[], Coroutine[object, object, None]] | None = None,
    restarts: int = 0,
) -> Outcome:
    """Have workers send until enough requests have arrived.

    Args:
        make: Makes the limiter of one process.
        calls: Returns how many calls the store has had.
        network: How long things take.
        requests: How many are to arrive.
        workers: How many processes there are.
        kill_every: Seconds between two kills, on average; None for none.
        restart: Starts the store again.
        restarts: How often.
    """
    arrivals: list[float] = []

    def worker() -> Worker:
        return Worker(make(), network, arrivals)

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
        if (
            restart is not None
            and restarted < restarts
            and len(arrivals) >= requests * (restarted + 1) // (restarts + 1)
        ):
            await restart()
            restarted += 1
    if killer is not None:
        killer.cancel()
        with suppress(asyncio.CancelledError):
            await killer
    for one in crew:
        await one.kill()
    arrivals.sort()
    shares = sorted(len(one.sent_at) for one in crew)
    return Outcome(
        most_in_any(1.0, arrivals),
        (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]),
        calls() / len(arrivals),
        shares[0] / max(shares[-1], 1),
    )


def most_in_any(seconds: float, times: list[float]) -> int:
    """Return the most of some moments that lie within any window, open at its end."""
    return max(sum(start <= when < start + seconds for when in times) for start in times)
