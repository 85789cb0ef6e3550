"""One rate limit over real sockets: two event loops and a thread pool against an emulator in another process.

Run `python -m benchmarks.real_sockets`; options: `--requests`, `--rounds`, `--json FILE`. A simulation cannot show that
separate sockets, threads and loops share a limit of ten and use most of it. For each way of counting and each latency,
the emulator's ledger gives the most requests that arrived in any second, the accepted requests per second, and the
refused requests. About one minute for each of the six cases with 600 requests. `benchmarks.pacing` has the other
schemes.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._report import Mark, Report, Row, arguments, write_report
from tests.support.emulator_process import call_from_loops_and_threads, emulator

MODES = ("sliding", "fixed", "bucket")
LATENCIES = (0.0, 0.02)
MOST_PER_SECOND = 10
LEAST_GOODPUT = 9.5


def most_in_any_second(arrivals: Sequence[float]) -> int:
    """Return the largest number of arrivals within any second (its end not included)."""
    window: deque[float] = deque()
    most = 0
    for when in sorted(arrivals):
        window.append(when)
        while window[0] <= when - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most


@attrs.frozen
class Line:
    """The result of one run.

    Attributes:
        window: The emulator's way of counting.
        latency: The emulator's latency in seconds.
        most: The most requests that arrived in any second, including refused requests.
        goodput: Accepted requests per second.
        refused: Number of refused requests.
        requests: Number of requests that arrived.
    """

    window: str
    latency: float
    most: int
    goodput: float
    refused: int
    requests: int

    @property
    def name(self) -> str:
        """Name of the case."""
        return f"{self.window}, {1000 * self.latency:.0f} ms"


def measure(window: str, latency: float, requests: int) -> Line:
    """Run once, and print the result."""
    with emulator(rate_limit=MOST_PER_SECOND, window=window, latency=latency) as where:
        call_from_loops_and_threads(where, rate_limit=MOST_PER_SECOND, requests=requests)
        arrivals = where.arrivals()
    times = [when for when, _ in arrivals]
    accepted = [when for when, accepted in arrivals if accepted]
    line = Line(
        window,
        latency,
        most=most_in_any_second(times),
        goodput=len(accepted) / (max(accepted) - min(accepted)),
        refused=len(arrivals) - len(accepted),
        requests=len(arrivals),
    )
    print(
        f"{window:10} {1000 * latency:4.0f} ms | {line.most:18} | {line.goodput:19.2f} | "
        f"{line.refused} of {line.requests}",
        flush=True,
    )
    return line


def report(lines: Sequence[Line]) -> Report:
    """Return runs as rows, one for each case."""
    cases: dict[str, list[Line]] = {}
    for line in lines:
        cases.setdefault(line.name, []).append(line)
    return Report(
        "Two event loops and a thread pool on one rate limit of 10 per second",
        [
            *(
                Row(f"launch_async, {name}", "most arrivals in any second", [one.most for one in found], "less")
                for name, found in cases.items()
            ),
            *(
                Row(
                    f"launch_async, {name}",
                    "accepted per second, and refused",
                    [one.goodput for one in found],
                    note=f"{sum(one.refused for one in found)} of {sum(one.requests for one in found)}",
                )
                for name, found in cases.items()
            ),
        ],
        [
            Mark("most arrivals in any second, any run", [max(one.most for one in lines)], MOST_PER_SECOND, "less"),
            Mark("accepted per second, worst run", [min(one.goodput for one in lines)], LEAST_GOODPUT),
        ],
    )


def main() -> None:
    """Measure, and write the report."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--requests", type=int, default=600, help="calls per run; default 600")
    options = parser.parse_args()
    print("counts by  latency | most in any second | accepted per second | refused")
    lines = [
        measure(window, latency, options.requests)
        for _ in range(options.rounds)
        for window in MODES
        for latency in LATENCIES
    ]
    print()
    write_report(report(lines), options.json)


if __name__ == "__main__":
    main()
