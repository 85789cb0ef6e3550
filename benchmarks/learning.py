"""How the pacing learns, as the figures of the charts in `docs/explanation/the-budget.md`.

Run `python -m benchmarks.learning` and copy what it prints. Virtual time throughout: the figures depend on the seeds
only, not on the machine.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from benchmarks._simulation import NETWORKS, SERVERS, Client, Outcome, Server, run, saturate
from benchmarks.pacing import DISTURBANCES, SCHEMES
from launch_async.rate_limit import LocalRateLimiter, RateLimit

ENDLESS = 100_000
NAMES = {"sliding": "sliding second", "fixed": "its clock's second", "bucket": "token bucket"}


def main() -> None:
    """Print the figures of three charts."""
    print("What is accepted while it learns, behind an uneven network\n")
    outcomes = {
        f"counts by {name}": follow(server, "bad", until=60, client=lambda: LocalRateLimiter(RateLimit(10)))
        for server, name in NAMES.items()
    }
    print("accepted per second; seconds since the first request")
    print_lines(outcomes, until=60, step=4, figure=lambda outcome, times: outcome.between(*times)[0])

    print("\nWhat is refused by a sliding second, with and without learning\n")
    schemes = {"this SDK": "ours"} | {name: name for name in SCHEMES if name.startswith("aiolimiter")}
    outcomes = {title: follow("sliding", "lan", until=60, client=SCHEMES[name]) for title, name in schemes.items()}
    print("percent refused; seconds since the first request")
    print_lines(outcomes, until=60, step=4, figure=lambda outcome, times: 100 * outcome.between(*times)[1])

    print("\nWhat is accepted while the budget is smaller from 100 s to 200 s\n")
    outcomes = {
        "the service allows six": disturbed("limit 10 -> 6 -> 10"),
        "another program sends four": disturbed("another program, 4/s"),
    }
    print("accepted per second; seconds")
    print_lines(outcomes, until=300, step=10, figure=lambda outcome, times: outcome.between(*times)[0])


def follow(server: str, network: str, *, until: float, client: Callable[[], Client]) -> Outcome:
    """Send as fast as a client lets for some virtual seconds."""

    async def sending() -> Outcome:
        counting = SERVERS[server](10, phase=0.3)
        return await saturate(client(), counting, NETWORKS[network], requests=ENDLESS, seed=1, until=until)

    return run(sending())


def disturbed(disturbance: str) -> Outcome:
    """Send while something happens to a budget that is counted by a sliding second."""
    counting: Server = SERVERS["sliding"](10, phase=0.3)

    async def sending() -> Outcome:
        async with asyncio.TaskGroup() as group:
            group.create_task(DISTURBANCES[disturbance](counting))
            client = LocalRateLimiter(RateLimit(10))
            return await saturate(client, counting, NETWORKS["lan"], requests=ENDLESS, seed=1, until=300)

    return run(sending())


def print_lines(
    outcomes: dict[str, Outcome],
    *,
    until: int,
    step: int,
    figure: Callable[[Outcome, tuple[float, float]], float],
) -> None:
    """Print a line for the x axis and one for each outcome."""
    starts = range(0, until, step)
    print("x:", *(start + step for start in starts))
    for name, outcome in outcomes.items():
        print(f"{name}:", *rounded(figure(outcome, (start, start + step)) for start in starts))


def rounded(figures: Iterable[float]) -> list[str]:
    """Return figures with one decimal."""
    return [f"{math.floor(10 * figure + 0.5) / 10:g}" for figure in figures]


if __name__ == "__main__":
    main()
