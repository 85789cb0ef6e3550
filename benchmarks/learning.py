"""How the pacing learns: accepted requests at first and later, refused requests, and a temporarily smaller budget.

The benchmark measures three ways of counting behind the worst network. A new limiter must learn a different behaviour
for each of them. `aiolimiter` is measured for comparison. A last part measures a budget that shrinks and recovers,
because of another limit or another program. The benchmark first prints the charts of `docs/explanation/the-budget.md`;
copy them to that page. Virtual time: the figures depend on the seeds only, not on the machine. A round is a seed, and
the charts show the first seed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks.pacing import DISTURBANCES, PHASES, SCHEMES
from tests.support.rate_servers import NETWORKS, SERVERS, Client, Outcome, Server, saturate
from tests.support.virtual_time import run

ENDLESS = 100_000
NAMES = {"sliding": "sliding second", "fixed": "its clock's second", "bucket": "token bucket"}


EARLY, LATE = (0, 20), (20, 60)
SMALLER = {"the service allows six": "limit 10 -> 6 -> 10", "another program sends four": "another program, 4/s"}
BRIEFLY = {"the service allows six": "six allowed", "another program sends four": "four for others"}


def measure(rounds: int) -> Report:
    """Run with one seed for each round, and print the charts of the first seed."""
    seeds = range(1, rounds + 1)
    schemes = {"this SDK": "ours"} | {name: name for name in SCHEMES if name.startswith("aiolimiter")}
    counted = {
        name: [follow(server, "bad", until=60, client=SCHEMES["ours"], seed=seed) for seed in seeds]
        for server, name in NAMES.items()
    }
    refused = {
        title: [follow("sliding", "lan", until=60, client=SCHEMES[name], seed=seed) for seed in seeds]
        for title, name in schemes.items()
    }
    smaller = {title: [disturbed(name, seed=seed) for seed in seeds] for title, name in SMALLER.items()}
    charts({f"counts by {name}": outcomes for name, outcomes in counted.items()}, refused, smaller)
    at_first, later = (
        [outcome.between(*times)[0] for outcomes in counted.values() for outcome in outcomes] for times in (EARLY, LATE)
    )
    return Report(
        "Accepted requests while the pacing learns",
        [
            *(
                Row(
                    f"launch_async, {name}, {start}-{end} s",
                    "accepted per second, uneven network",
                    [one.between(start, end)[0] for one in outcomes],
                )
                for name, outcomes in counted.items()
                for start, end in (EARLY, LATE)
            ),
            *(
                Row(
                    f"{'launch_async' if title == 'this SDK' else title}, sliding second, {start}-{end} s",
                    "percent refused",
                    [100 * one.between(start, end)[1] for one in outcomes],
                    "less",
                )
                for title, outcomes in refused.items()
                for start, end in (EARLY, LATE)
            ),
            *(
                Row(
                    f"launch_async, {BRIEFLY[title]}: {phase}",
                    "accepted per second, smaller budget for 100 s",
                    [one.between(*times)[0] for one in outcomes],
                )
                for title, outcomes in smaller.items()
                for phase, times in PHASES.items()
            ),
        ],
        [Mark("accepted behind the uneven network, 0-20 s / 20-60 s", ratios(at_first, later))],
    )


def charts(
    counted: dict[str, list[Outcome]], refused: dict[str, list[Outcome]], smaller: dict[str, list[Outcome]]
) -> None:
    """Print the figures of three charts."""
    print("Accepted requests while the limiter learns, behind an uneven network\n")
    print("accepted per second; seconds since the first request")
    print_lines(counted, until=60, step=4, figure=lambda outcome, times: outcome.between(*times)[0])
    print("\nRefused requests if any second counts, with and without learning\n")
    print("percent refused; seconds since the first request")
    print_lines(refused, until=60, step=4, figure=lambda outcome, times: 100 * outcome.between(*times)[1])
    print("\nAccepted requests with a smaller budget from 100 s to 200 s\n")
    print("accepted per second; seconds")
    print_lines(smaller, until=300, step=10, figure=lambda outcome, times: outcome.between(*times)[0])
    print()


def follow(server: str, network: str, *, until: float, client: Callable[[], Client], seed: int) -> Outcome:
    """Send as fast as the client allows for some virtual seconds."""

    async def sending() -> Outcome:
        counting = SERVERS[server](10, phase=0.3)
        return await saturate(client(), counting, NETWORKS[network], requests=ENDLESS, seed=seed, until=until)

    return run(sending())


def disturbed(disturbance: str, *, seed: int) -> Outcome:
    """Send while a disturbance changes a budget that counts any second."""
    counting: Server = SERVERS["sliding"](10, phase=0.3)

    async def sending() -> Outcome:
        async with asyncio.TaskGroup() as group:
            group.create_task(DISTURBANCES[disturbance](counting))
            return await saturate(SCHEMES["ours"](), counting, NETWORKS["lan"], requests=ENDLESS, seed=seed, until=300)

    return run(sending())


def print_lines(
    outcomes: dict[str, list[Outcome]],
    *,
    until: int,
    step: int,
    figure: Callable[[Outcome, tuple[float, float]], float],
) -> None:
    """Print a line for the x axis, and a line for the first outcome of each case."""
    starts = range(0, until, step)
    print("x:", *(start + step for start in starts))
    for name, (first, *_) in outcomes.items():
        print(f"{name}:", *rounded(figure(first, (start, start + step)) for start in starts))


def rounded(figures: Iterable[float]) -> list[str]:
    """Return figures with one decimal."""
    return [f"{math.floor(10 * figure + 0.5) / 10:g}" for figure in figures]


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
