"""A fleet of 200 environments, redeployed and waited for, and the cost of a target with 10 to 2000 targets.

The benchmark measures the total time in virtual time, with builds of 30-90 s. The server counts ten requests per second
in a sliding window, and the network takes 50 ms. The bound is max(requests / 10, longest build): no run can be faster.
If the build times are unknown, the longest build may be the last one to start, 20 s after the first. All builds have
started by then, so the run cannot learn build times early enough. A plan with look-ups (`look_up=True`) starts the
slowest builds first. The benchmark therefore also compares a run without look-ups with the end of the last build. A run
that stops on failures has waves, and each wave takes as long as its slowest build; the benchmark measures such a run,
too. Polls may use half of the rate limit; the benchmark measures their share in every ten seconds. The cost of a run is
its CPU time and its traced memory, with a journal on disk.
"""

from __future__ import annotations

import gc
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks._report import Mark, Report, Row, present
from launch_async.fleet import FleetReport
from tests.support.timed_fleet import RATE, Fleet, redeploy
from tests.support.virtual_time import run

TARGETS: Final = 200
POLLS: Final = ("getDeployment", "listDeployments")
SIZES: Final = (10, 100, 500, 1000, 2000)


@attrs.frozen
class Outcome:
    """The result of one run.

    Attributes:
        report: The report of the run.
        longest: Duration of the longest build in seconds.
        late: Seconds from the end of the last build to the end of the run.
        refused: Number of requests that were refused with 429.
        polls: The largest share of the rate limit that polls used in any ten seconds.
    """

    report: FleetReport
    longest: float
    late: float
    refused: int
    polls: float

    @property
    def bound(self) -> float:
        """Seconds that every run with the same number of requests needs at least."""
        return max(self.report.requests / RATE, self.longest)

    @property
    def ratio(self) -> float:
        """The duration of the run, divided by its bound."""
        return self.report.seconds / self.bound

    @property
    def ratio_in_order(self) -> float:
        """The duration of the run, divided by the bound for builds that start in the same order."""
        return self.report.seconds / max(self.bound, self.report.seconds - self.late)

    @property
    def per_target(self) -> float:
        """Requests for each target."""
        return self.report.requests / TARGETS


def outcomes(seeds: int, *, known: bool, stop_on_failures: float | None = None) -> list[Outcome]:
    """Run once for each seed, and print how close each run is to its bound."""
    print(
        f"\n{TARGETS} environments, builds of 30-90 s, {RATE} requests/s; "
        f"earlier builds {'' if known else 'not '}known, "
        f"{'one wave' if stop_on_failures is None else 'growing waves'}"
    )
    print("seed  makespan  requests  refused  longest build  bound    ratio  late    polls in ten seconds")
    found: list[Outcome] = []
    for seed in range(seeds):
        fleet = Fleet.of(TARGETS, seed=seed, rate_limit=RATE)
        report = run(redeploy(fleet, known=known, stop_on_failures=stop_on_failures))
        assert report.is_success
        one = Outcome(report, max(fleet.seconds), report.seconds - fleet.last_end, fleet.refused, share_of_polls(fleet))
        print(
            f"{seed:4}  {report.seconds:6.1f} s  {report.requests:8}  {one.refused:7}  {one.longest:11.1f} s  "
            f"{one.bound:5.1f} s  {one.ratio:6.3f}  {one.late:4.1f} s  {one.polls:6.1%} of the budget"
        )
        found.append(one)
    return found


def share_of_polls(fleet: Fleet) -> float:
    """Return the largest share of the rate limit that polls used in any ten seconds."""
    polls = [at for at, operation, _ in fleet.seen if operation in POLLS]
    return max(sum(start <= at < start + 10 for at in polls) for start in polls) / (10 * RATE)


def cost(targets: int) -> tuple[float, float]:
    """Return the CPU seconds of a run, and its peak memory in bytes."""
    figures: list[float] = []
    for traced in (False, True):
        fleet = Fleet.of(targets, seed=1)
        gc.collect()
        if traced:
            tracemalloc.start()
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            run(redeploy(fleet, journal=Path(folder, "run.journal")))
            took = time.process_time() - began
        figures.append(tracemalloc.get_traced_memory()[1] if traced else took)
        tracemalloc.stop()
    return figures[0], figures[1]


def growth() -> dict[int, tuple[float, float]]:
    """Return the cost of a run for each number of targets, and print it."""
    print("\ntargets  CPU time  per target  memory     per target")
    found: dict[int, tuple[float, float]] = {}
    for targets in SIZES:
        seconds, size = found[targets] = cost(targets)
        print(
            f"{targets:7}  {seconds:6.2f} s  {seconds / targets * 1000:7.2f} ms  {size / 2**20:5.1f} MiB  "
            f"{size / targets / 1024:6.1f} KiB"
        )
    return found


def measure(rounds: int) -> Report:
    """Run with the given number of seeds, and once with each number of targets."""
    known, unknown = outcomes(rounds, known=True), outcomes(rounds, known=False)
    known_waves, waves = (outcomes(rounds, known=known_builds, stop_on_failures=0.25) for known_builds in (True, False))
    grown = growth()
    print()
    small, large = 100, SIZES[-1]
    per_target = {targets: (seconds / targets, size / targets) for targets, (seconds, size) in grown.items()}
    return Report(
        f"Fleet: {TARGETS} environments, builds of 30-90 s; {SIZES[0]} to {large} targets",
        [
            Row("launch_async, build times known", "s", _seconds(known), "less"),
            Row("launch_async, build times unknown", "s", _seconds(unknown), "less"),
            Row("launch_async, default waves, build times known", "s", _seconds(known_waves), "less"),
            Row("launch_async, default waves, build times unknown", "s", _seconds(waves), "less"),
            Row("longest build", "s", [one.longest for one in unknown], "less"),
            *(
                Row(f"launch_async, {targets} targets", "ms of CPU time per target", [seconds * 1000], "less")
                for targets, (seconds, _) in per_target.items()
            ),
            *(
                Row(f"launch_async, {targets} targets ", "KiB per target", [size / 1024], "less")
                for targets, (_, size) in per_target.items()
            ),
        ],
        [
            Mark("makespan / bound, build times known", [one.ratio for one in known], 1.15, "less"),
            Mark("makespan / bound, build times unknown", [one.ratio for one in unknown], None, "less"),
            Mark(
                "makespan / bound or last end, build times unknown",
                [one.ratio_in_order for one in unknown],
                1.15,
                "less",
            ),
            *(
                Mark(f"requests per target, {name}", [one.per_target for one in found], 4.0, "less")
                for name, found in {
                    "build times known": known,
                    "build times unknown": unknown,
                    "default waves, build times known": known_waves,
                    "default waves, build times unknown": waves,
                }.items()
            ),
            Mark(
                "polls: largest share of any ten seconds",
                [max(one.polls for one in (*known, *unknown, *known_waves, *waves))],
                0.5,
                "less",
            ),
            Mark("requests refused as too fast", [sum(one.refused for one in (*known, *unknown))], 0, "less"),
            Mark(f"CPU time per target, {large} / {small}", [per_target[large][0] / per_target[small][0]], 1.5, "less"),
            Mark(f"memory per target, {large} / {small}", [per_target[large][1] / per_target[small][1]], 1.5, "less"),
        ],
    )


def _seconds(found: Sequence[Outcome]) -> list[float]:
    return [one.report.seconds for one in found]


if __name__ == "__main__":
    present(measure, __doc__, rounds=5)
