"""Simulate programs that use the same rate limit without sharing a limiter, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence

import attrs

from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import RateLimit
from tests.support.rate_servers import NETWORKS, SERVERS, Client, Server, saturate
from tests.support.virtual_time import run

LOCAL = (0.0003, 0.7)
"""Median and sigma of the one-way delay to a server on the same machine."""
DELAYS = {**NETWORKS, "local": LOCAL}
ENDLESS = 10**9


@attrs.define
class Account:
    """The requests of one program at a server that several programs use."""

    server: Server
    arrivals: list[tuple[float, bool]] = attrs.field(factory=list[tuple[float, bool]])

    @property
    def limit(self) -> int:
        """The limit of the server."""
        return self.server.limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self.server.limit = limit

    def accepts(self, now: float) -> bool:
        """Count a request that arrives now."""
        accepted = self.server.accepts(now)
        self.arrivals.append((now, accepted))
        return accepted

    def accepted(self, start: float, end: float) -> float:
        """Return accepted requests per second between two times."""
        return sum(accepted for when, accepted in self.arrivals if start <= when < end) / (end - start)


def refused(accounts: Sequence[Account], start: float, end: float) -> float:
    """Return the share of refused requests of all programs between two times."""
    answers = [accepted for account in accounts for when, accepted in account.arrivals if start <= when < end]
    return answers.count(False) / max(len(answers), 1)


def saturating(
    server: str,
    network: str,
    *,
    starts: Sequence[float],
    until: float,
    seed: int,
    callers: int = 20,
    make: Callable[[], Client] = LocalRateLimiter,
) -> list[Account]:
    """Run programs of this SDK that send as fast as they can, at a limit of 10 requests per second.

    Each program begins at its time in `starts`.
    """
    budget = SERVERS[server](10, phase=random.Random(seed).random())
    accounts = [Account(budget) for _ in starts]

    async def program(number: int, start: float) -> None:
        await asyncio.sleep(start)
        limiter, chance = make(), seed * len(starts) + number
        delays = DELAYS[network]
        await saturate(limiter, accounts[number], delays, requests=ENDLESS, seed=chance, callers=callers, until=until)

    async def main() -> None:
        await asyncio.gather(*(program(number, start) for number, start in enumerate(starts)))

    run(main())
    return accounts


def next_to_another_program(
    server: str, network: str, *, rate: float, steady: bool, between: tuple[float, float], until: float, seed: int
) -> tuple[Account, Account]:
    """Run a program of this SDK next to another program, at a limit of 10 requests per second.

    The program of the SDK sends as fast as it can. The other program ignores answers. It sends at `rate` between two
    times, at even or at random intervals.

    Returns:
        The requests of the SDK, and the requests of the other program.
    """
    budget = SERVERS[server](10, phase=random.Random(seed).random())
    ours, theirs = Account(budget), Account(budget)

    async def other() -> None:
        chance, loop = random.Random(seed), asyncio.get_running_loop()
        await asyncio.sleep(between[0])
        while loop.time() < between[1]:
            theirs.accepts(loop.time())
            await asyncio.sleep(chance.uniform(0.9, 1.1) / rate if steady else chance.expovariate(rate))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            await saturate(
                LocalRateLimiter(RateLimit(10)), ours, DELAYS[network], requests=ENDLESS, seed=seed, until=until
            )

    run(main())
    return ours, theirs


@attrs.define
class Spurious:
    """A server that refuses the next request after each of some times, without a reason."""

    server: Server
    times: list[float]

    @property
    def limit(self) -> int:
        """The limit of the server."""
        return self.server.limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self.server.limit = limit

    def accepts(self, now: float) -> bool:
        """Count a request that arrives now."""
        if self.times and self.times[0] <= now:
            del self.times[0]
            return False
        return self.server.accepts(now)


def after_spurious_refusals(
    server: str, network: str, *, idle_rate: float, times: Sequence[float], busy_from: float, until: float, seed: int
) -> Account:
    """Run a program that sends at a low rate with some refusals without a reason, and then as fast as it can."""
    account = Account(Spurious(SERVERS[server](10, phase=0.3), list(times)))

    async def main() -> None:
        limiter, loop, delays = LocalRateLimiter(RateLimit(10)), asyncio.get_running_loop(), DELAYS[network]
        while loop.time() < busy_from:
            one = asyncio.create_task(
                saturate(limiter, account, delays, requests=1, seed=seed + int(loop.time()), callers=1)
            )
            await asyncio.sleep(1 / idle_rate)
            await one
        await saturate(limiter, account, delays, requests=ENDLESS, seed=seed, until=until)

    run(main())
    return account


def seconds_until_whole(account: Account, since: float, until: float) -> float:
    """Return the seconds until a window of two seconds has at least 95 % of the limit of 10 requests per second."""
    for second in range(math.ceil(since), int(until) - 1):
        if account.accepted(second, second + 2) >= 9.5:
            return second - since
    return math.inf
