"""Programs that use one budget and know nothing of each other, in virtual time: each with a limiter of its own."""

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
    """What one program's requests came to, at a server that it shares with others."""

    server: Server
    arrivals: list[tuple[float, bool]] = attrs.field(factory=list[tuple[float, bool]])

    @property
    def limit(self) -> int:
        """What the server allows."""
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
    """Return the share that was refused of everybody's requests between two times."""
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
    """Let as many programs of this SDK use a budget of 10 as fast as they can, each from its start on."""
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


def beside_a_foreign_program(
    server: str, network: str, *, rate: float, steady: bool, between: tuple[float, float], until: float, seed: int
) -> tuple[Account, Account]:
    """Let a program of this SDK use a budget of 10 as fast as it can; another one sends at a rate for a while.

    The foreign program does not look at answers; it sends at even intervals, or at random ones.

    Returns:
        The SDK's account, and the foreign program's.
    """
    budget = SERVERS[server](10, phase=random.Random(seed).random())
    ours, theirs = Account(budget), Account(budget)

    async def foreign() -> None:
        chance, loop = random.Random(seed), asyncio.get_running_loop()
        await asyncio.sleep(between[0])
        while loop.time() < between[1]:
            theirs.accepts(loop.time())
            await asyncio.sleep(chance.uniform(0.9, 1.1) / rate if steady else chance.expovariate(rate))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(foreign())
            await saturate(
                LocalRateLimiter(RateLimit(10)), ours, DELAYS[network], requests=ENDLESS, seed=seed, until=until
            )

    run(main())
    return ours, theirs


@attrs.define
class Spurious:
    """A server that refuses single requests for no reason: the next one after each of some times."""

    server: Server
    times: list[float]

    @property
    def limit(self) -> int:
        """What the server allows."""
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
    """Let a program send at a low rate, and be refused for no reason at some times; then as fast as it can."""
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
    """Return the seconds from a moment until two seconds in a row have 95 % of the budget of 10."""
    for second in range(math.ceil(since), int(until) - 1):
        if account.accepted(second, second + 2) >= 9.5:
            return second - since
    return math.inf
