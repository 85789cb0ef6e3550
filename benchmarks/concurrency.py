"""The cost of a call with 1, 10, 100 and 1000 concurrent calls, compared with aiohttp by hand and httpx.

A client that searches a list for each call, or sets a timer for each call, becomes slower with more concurrent calls.
The SDK has no rate limit here, the server answers immediately, and each contestant is a process. The benchmark measures
the processor time of a call. The ratio between 1000 and 10 concurrent calls shows whether the cost grows.
"""

from __future__ import annotations

from benchmarks._contest import Task, Turn, contest
from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks._service import service

LIMIT, OURS, HTTPX = "aiohttp + json by hand", "launch_async", "httpx by hand"
CALLS = {
    LIMIT: {1: 400, 10: 1000, 100: 1000, 1000: 2000},
    OURS: {1: 400, 10: 1000, 100: 1000, 1000: 2000},
    HTTPX: {1: 200, 10: 300, 100: 300, 1000: 1000},
}


def measure(rounds: int) -> Report:
    """Measure each number of concurrent calls."""
    found: dict[int, dict[str, list[Turn]]] = {}
    with service() as address, contest(address, [*CALLS]) as players:
        for at_a_time in CALLS[OURS]:
            tasks = {name: Task("get", calls[at_a_time], at_a_time) for name, calls in CALLS.items()}
            found[at_a_time] = players.turns(tasks, rounds)
    rows = [
        Row(f"{at_a_time} at a time, {name}", "us of CPU", [1000 * turn.cpu for turn in turns], "less", name == LIMIT)
        for at_a_time, contestants in found.items()
        for name, turns in contestants.items()
    ]
    few, many = ([turn.cpu for turn in found[at_a_time][OURS]] for at_a_time in (10, 1000))
    most = [turn.cpu for turn in found[1000][LIMIT]]
    return Report(
        "Cost of a call, by number of concurrent calls",
        rows,
        [
            Mark("1000 at a time / 10 at a time", ratios(many, few), None, "less"),
            Mark("1000 at a time / aiohttp", ratios(many, most), None, "less"),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=5)
