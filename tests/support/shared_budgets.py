"""Simulate processes that share one budget, in virtual time: jitter, stalls, slow first requests and kills."""

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
    """The limiter of one process with a shared budget."""

    _budget: SharedBudget

    async def acquire(self) -> Permit:
        """Wait until a request may be sent."""
        ...


class VirtualFile:
    """The content of the shared file, on the clock of the loop."""

    def __init__(self) -> None:
        self.calls = 0
        self.content = pack(BudgetState.begin(asyncio.get_running_loop().time()))

    def limiter(self, rate_limit: RateLimit = RateLimit(10)) -> FileLimiter:
        """Return the limiter of one process."""
        return FileLimiter(self, rate_limit)

    async def exchange(self, ask: Ask) -> Reply:
        """Answer a message of a worker."""
        self.calls += 1
        state = unpack(self.content)
        assert state is not None
        reply = state.exchange(ask, asyncio.get_running_loop().time())
        self.content = pack(state)
        return reply

    async def close(self) -> None:
        """Do nothing."""


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
        """Return the state of the limiter."""
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
    """Random durations, in seconds.

    Attributes:
        trip: Median of the round trip to the service.
        spread: Sigma of the round trip, which has a log-normal distribution.
        call: Median of a call to the store on another machine.
        cold: Additional time of each of the first ten requests of a worker.
        spikes: Share of requests and calls that take up to `spike` longer, in each direction.
        spike: Longest additional time of a spike.
        seed: Seed of the random numbers.
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
        """Return the duration of one direction."""
        seconds = self.dice.lognormvariate(math.log(median / 2), self.spread)
        return seconds + (self.dice.random() * self.spike if self.dice.random() < self.spikes else 0.0)


class Worker:
    """A process that sends as fast as the budget permits, until it is killed."""

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
            # A request arrives even if its sender is killed in the meantime.
            loop.call_later(there, lambda: self._arrivals.append(loop.time()))
            await asyncio.sleep(there + self._network.way(self._network.trip))
            permit.answered(Answer(loop.time()))

    async def kill(self) -> None:
        """End without releasing any part of the budget."""
        tasks = [
            *self._callers,
            *(worker._task for worker in self._limiter._budget._workers.values() if worker._task is not None),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@attrs.frozen
class Outcome:
    """The requests at the service, and the smallest share of a process relative to the largest share."""

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
    """Let workers send until enough requests have arrived.

    Args:
        make: Return the limiter of one process.
        calls: Return the number of calls to the store.
        network: The durations of requests and calls.
        requests: The number of requests that must arrive.
        workers: The number of processes.
        kill_every: Average seconds between two kills. None means no kills.
        restart: Restart the store.
        restarts: The number of restarts.
    """
    arrivals: list[float] = []

    def worker() -> Worker:
        return Worker(make(), network, arrivals)

    async def kill_in_turn(every: float) -> None:
        for place in itertools.cycle(range(workers)):
            await asyncio.sleep(every * network.dice.uniform(0.5, 1.5))
            await running[place].kill()
            await asyncio.sleep(0.1)
            running[place] = worker()

    running = [worker() for _ in range(workers)]
    killer = asyncio.create_task(kill_in_turn(kill_every)) if kill_every else None
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
    for one in running:
        await one.kill()
    arrivals.sort()
    shares = sorted(len(one.sent_at) for one in running)
    return Outcome(
        most_in_any(1.0, arrivals),
        (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]),
        calls() / len(arrivals),
        shares[0] / max(shares[-1], 1),
    )


def most_in_any(seconds: float, times: list[float]) -> int:
    """Return the largest number of times within any window of `seconds`. The end of a window is exclusive."""
    return max(sum(start <= when < start + seconds for when in times) for start in times)
