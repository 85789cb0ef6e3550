"""A saturating client, a jittering network and a counting server in virtual time.

The client is whatever has `acquire`; it runs as coroutines on `VirtualTimeLoop`, an event loop whose clock
jumps to the next timer instead of waiting for it.
"""

from __future__ import annotations

import asyncio
import collections
import math
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Protocol, TypeVar

import attrs

from launch_async.rate_limit.types import Answer, Permit

T = TypeVar("T")


class _NeverWaiting(selectors.DefaultSelector):
    """A selector that, asked to wait, moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self.now += timeout
        return super().select(0 if timeout is not None else None)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: what takes minutes on the clock takes milliseconds to run."""

    def __init__(self) -> None:
        self._waiting = _NeverWaiting()
        super().__init__(self._waiting)

    def time(self) -> float:
        """Return the virtual time in seconds; it begins at 0."""
        return self._waiting.now


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class Server(Protocol):
    """A way of counting: `limit` may change while it runs."""

    limit: int

    def accepts(self, now: float) -> bool:
        """Count a request that arrives now; return False if it is one too many (it is then not counted)."""
        ...


@attrs.define
class SlidingWindow:
    """At most `limit` accepted requests in any `per` seconds."""

    limit: int
    per: float = 1.0
    phase: float = 0.0
    _accepted: collections.deque[float] = attrs.field(factory=collections.deque)

    def accepts(self, now: float) -> bool:
        """Count a request that arrives now."""
        while self._accepted and self._accepted[0] <= now - self.per:
            self._accepted.popleft()
        if len(self._accepted) >= self.limit:
            return False
        self._accepted.append(now)
        return True


@attrs.define
class ClockWindow:
    """At most `limit` accepted requests in each `per` seconds of the server's clock, which is `phase` ahead of ours."""

    limit: int
    per: float = 1.0
    phase: float = 0.0
    _window: int = -1
    _count: int = 0

    def accepts(self, now: float) -> bool:
        """Count a request that arrives now."""
        window = math.floor((now + self.phase) / self.per)
        if window != self._window:
            self._window, self._count = window, 0
        if self._count >= self.limit:
            return False
        self._count += 1
        return True


@attrs.define
class TokenBucket:
    """`limit` tokens, refilled at `limit` per `per` seconds."""

    limit: int
    per: float = 1.0
    phase: float = 0.0
    _used: float = 0.0
    _seen: float = 0.0

    def accepts(self, now: float) -> bool:
        """Count a request that arrives now."""
        self._used = max(self._used - (now - self._seen) * self.limit / self.per, 0.0)
        self._seen = now
        if self._used > self.limit - 1 + 1e-9:
            return False
        self._used += 1
        return True


SERVERS: dict[str, type[SlidingWindow | ClockWindow | TokenBucket]] = {
    "sliding": SlidingWindow,
    "fixed": ClockWindow,
    "bucket": TokenBucket,
}

# Median and sigma of the log-normal one-way delay, in seconds.
NETWORKS: dict[str, tuple[float, float] | None] = {
    "none": None,
    "lan": (0.020, 0.2),
    "wan": (0.060, 0.5),
    "bad": (0.120, 0.9),
}


class Client(Protocol):
    """What is measured: a limiter or a plain scheme."""

    async def acquire(self) -> Permit:
        """Wait until a request may be sent."""
        ...


@attrs.frozen
class Outcome:
    """What a run came to.

    Attributes:
        goodput: Accepted requests per second over the whole run.
        refused: Share refused of those that arrived after the first 300.
        arrivals: When each request arrived, and whether it was accepted.
    """

    goodput: float
    refused: float
    arrivals: list[tuple[float, bool]]

    def between(self, start: float, end: float) -> tuple[float, float]:
        """Return accepted per second and share refused between two times, in seconds."""
        accepted = [accepted for when, accepted in self.arrivals if start <= when < end]
        return sum(accepted) / (end - start), 1 - sum(accepted) / max(len(accepted), 1)


async def saturate(
    client: Client,
    server: Server,
    network: tuple[float, float] | None,
    *,
    requests: int,
    seed: int,
    callers: int = 50,
    until: float = math.inf,
) -> Outcome:
    """Send requests as fast as the client lets `callers` concurrent callers, each again after a 429.

    Args:
        client: Who decides when to send.
        server: Who counts.
        network: Median and sigma of the one-way delay; None for no delay.
        requests: How many must be accepted.
        seed: Of the delays.
        callers: How many wait at once.
        until: Virtual time in seconds at which to stop.
    """
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    arrivals: list[tuple[float, bool]] = []
    begun = 0
    last_accepted = 0.0

    def delay() -> float:
        return 0.0 if network is None else network[0] * math.exp(network[1] * chance.gauss(0, 1))

    async def exchange() -> bool:
        permit = await client.acquire()
        await asyncio.sleep(delay())
        accepted = server.accepts(loop.time())
        arrivals.append((loop.time(), accepted))
        await asyncio.sleep(delay())
        permit.answered(Answer(loop.time(), refused=not accepted))
        return accepted

    async def caller() -> None:
        nonlocal begun, last_accepted
        while begun < requests and loop.time() < until:
            begun += 1
            while not await exchange():
                pass
            last_accepted = max(last_accepted, loop.time())

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    late = [accepted for _, accepted in arrivals[300:]]
    return Outcome(begun / last_accepted, late.count(False) / max(len(late), 1), arrivals)


def simulate(make_client: Callable[[], Client], server: str, network: str, *, requests: int, seed: int) -> Outcome:
    """Run one cell of the table with a server of 10 per second whose clock has some phase."""
    counting = SERVERS[server](10, phase=random.Random(seed).random())

    async def cell() -> Outcome:
        return await saturate(make_client(), counting, NETWORKS[network], requests=requests, seed=seed)

    return run(cell())
