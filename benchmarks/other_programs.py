"""Independent programs that use one rate limit of 10 requests per second and do not know of each other.

Each program of this SDK has a separate limiter, as on another machine. The benchmark measures shares and refusals of
two programs that start together, of a second program that starts 30 s later, and of five and 25 programs. It also
measures a program next to one that ignores 429s and sends five requests per second evenly, or four at random. The
last case is four refusals without a reason in an idle program. The goals apply to the worst of all seeds behind
steady networks, if any second or the clock's second counts. Virtual time: the figures depend on the seeds only, not
on the machine. A round is a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from benchmarks._report import Mark, Report, Row, present
from tests.support.other_programs import (
    Account,
    after_spurious_refusals,
    next_to_another_program,
    refused,
    saturating,
    seconds_until_whole,
)

COUNTS: Final = {"sliding": "any second", "fixed": "the clock's second", "bucket": "a token bucket"}
NETWORKS: Final = {"local": "same machine", "lan": "20 ms", "wan": "60 ms, uneven"}
BUDGET: Final = 10


class Table:
    """Rows and marks. The table prints each row when it is added."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}
        self.least: dict[str, list[float]] = {}
        self.refused: dict[str, list[float]] = {}

    def add(
        self, what: str, cell: str, unit: str, figures: Sequence[float], *, better: Literal["more", "less"] = "more"
    ) -> None:
        """Add a row for one cell."""
        print(f"{what:44} {cell:34} {', '.join(f'{one:6.2f}' for one in figures)}  {unit}", flush=True)
        self._rows.setdefault(what, []).append(Row(cell, f"{what}: {unit}", list(figures), better))

    @property
    def rows(self) -> list[Row]:
        """The rows of each quantity together."""
        return [row for rows in self._rows.values() for row in rows]


def two(table: Table, rounds: int, *, newcomer: float) -> None:
    """Measure two programs that use their whole shares. The second starts `newcomer` seconds after the first."""
    name = f"second starts {newcomer:g} s later" if newcomer else "two start together"
    for server, counts in COUNTS.items():
        for network, delay in NETWORKS.items():
            runs = [
                saturating(server, network, starts=[0, newcomer], until=newcomer + 90, seed=seed)
                for seed in range(1, rounds + 1)
            ]
            cell = f"{counts}, {delay}"
            least = [min(one.accepted(newcomer + 30, newcomer + 90) for one in run) / BUDGET for run in runs]
            share = [100 * refused(run, newcomer, newcomer + 90) for run in runs]
            table.add(f"{name}, smallest share after 30 s", cell, "of the budget", least)
            table.add(f"{name}, refused in 90 s", cell, "percent", share, better="less")
            if newcomer:
                early = [run[1].accepted(newcomer + 5, newcomer + 15) / BUDGET for run in runs]
                table.add(f"{name}, its share after 5-15 s", cell, "of the budget", early)
            if server != "bucket" and network != "wan":
                table.least.setdefault(name, []).extend(least)
                table.refused.setdefault(name, []).extend(share)


def many(table: Table, rounds: int, programs: int) -> None:
    """Measure many programs that use their whole shares, from the second minute on."""
    for server, counts in COUNTS.items():
        runs = [
            saturating(
                server, "lan", starts=[0.1 * number for number in range(programs)], until=180, seed=seed, callers=4
            )
            for seed in range(1, rounds + 1)
        ]
        shares = [[one.accepted(60, 180) for one in run] for run in runs]
        table.add(
            f"{programs} programs, smallest / largest share", counts, "ratio", [min(one) / max(one) for one in shares]
        )
        table.add(f"{programs} programs, accepted", counts, "per second", [sum(one) for one in shares])
        table.add(
            f"{programs} programs, refused",
            counts,
            "percent",
            [100 * refused(run, 60, 180) for run in runs],
            better="less",
        )


def foreign(table: Table, rounds: int, *, rate: float, steady: bool) -> list[float]:
    """Measure next to another program from 30 s to 130 s. Return the shares of its refused requests."""
    name = f"next to {rate:g}/s {'evenly' if steady else 'at random'}"
    found: list[float] = []
    for server, counts in COUNTS.items():
        for network in ("local", "lan"):
            cell = f"{counts}, {NETWORKS[network]}"
            runs = [
                next_to_another_program(
                    server, network, rate=rate, steady=steady, between=(30, 130), until=190, seed=seed
                )
                for seed in range(1, rounds + 1)
            ]
            theirs = [100 * refused([one], 30, 130) for _, one in runs]
            found += theirs
            table.add(f"{name}, its refused requests", cell, "percent", theirs, better="less")
            ours = [one for one, _ in runs]
            table.add(f"{name}, our accepted requests", cell, "per second", [one.accepted(40, 130) for one in ours])
            share = [100 * refused([one], 40, 130) for one in ours]
            table.add(f"{name}, our refused requests", cell, "percent", share, better="less")
            table.add(f"{name}, whole limit used again", cell, "s", _whole_again(ours), better="less")
    return found


def _whole_again(accounts: Sequence[Account]) -> list[float]:
    return [seconds_until_whole(one, 130, 190) for one in accounts]


def spurious(table: Table, rounds: int) -> list[float]:
    """Measure a program right after four refusals without a reason. Return its accepted requests per second."""
    found: list[float] = []
    for rate in (0.5, 2.0):
        runs = [
            after_spurious_refusals(
                "sliding", "lan", idle_rate=rate, times=[10, 20, 30, 40], busy_from=50, until=65, seed=seed
            )
            for seed in range(1, rounds + 1)
        ]
        got = [one.accepted(52, 65) for one in runs]
        table.add("after four 429s in an idle program", f"{rate:g} requests per second before", "per second", got)
        found += got
    return found


def measure(rounds: int) -> Report:
    """Run all cases with one seed for each round."""
    table = Table()
    two(table, rounds, newcomer=0.0)
    two(table, rounds, newcomer=30.0)
    for programs in (5, 25):
        many(table, rounds, programs)
    steady = foreign(table, rounds, rate=5.0, steady=True)
    random = foreign(table, rounds, rate=4.0, steady=False)
    idle = spurious(table, rounds)
    print()
    return Report(
        "Independent programs on one rate limit of 10 requests per second",
        table.rows,
        [
            *(
                Mark(f"{name}: smallest share after 30 s, steady networks", [min(shares)], 0.35)
                for name, shares in table.least.items()
            ),
            *(
                Mark(f"{name}: largest share refused in 90 s, steady networks", [max(shares)], 5.0, "less", "percent")
                for name, shares in table.refused.items()
            ),
            Mark("next to 5/s evenly: largest share of its requests refused", [max(steady)], 12.0, "less", "percent"),
            Mark(
                "next to 4/s at random: largest share of its requests refused", [max(random)], None, "less", "percent"
            ),
            Mark("after four 429s in an idle program", [min(idle)], 9.5, "more", "per second"),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=3)
