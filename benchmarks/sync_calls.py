"""The cost of a call without await, compared with one async call at a time, and with httpx.Client in 16 threads.

Single calls show the cost of the private event loop, which is all that the facade adds. The benchmark compares the
median calls. A call wakes two threads, and the time for this depends on the machine. For comparison, the benchmark also
calls aiohttp by hand through the functions of asyncio. In the second part, 16 threads share one client, like in a
thread pool, compared also with requests and the sync client of the `cloudflare` package. The server answers
immediately, and the SDK has no rate limit here.
"""

from __future__ import annotations

from benchmarks._contest import Task, contest
from benchmarks._contestants import SYNC
from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks._service import service

ASYNC_US, OURS, HTTPX = "launch_async", "launch_sync", "httpx.Client by hand"
AIOHTTP, IN_A_THREAD = "aiohttp + json by hand", "aiohttp by hand in a thread"
POOL = {OURS: 1600, HTTPX: 480, "requests by hand": 480, "cloudflare (sync)": 320, "contentstack-management": 320}


def measure(rounds: int) -> Report:
    """Measure both parts."""
    with service() as address, contest(address, [ASYNC_US, AIOHTTP, *SYNC]) as players:
        awaited = dict.fromkeys([ASYNC_US, AIOHTTP], Task("get", 400, 1))
        alone = players.turns({**awaited, **dict.fromkeys(SYNC, Task("get", 200, 1))}, rounds)
        pool = players.turns({name: Task("get", calls, 16) for name, calls in POOL.items()}, rounds)
    micro = {name: [1e6 * turn.median for turn in turns] for name, turns in alone.items()}
    rates = {name: [turn.rate for turn in turns] for name, turns in pool.items()}
    added = [ours - theirs for ours, theirs in zip(micro[OURS], micro[ASYNC_US], strict=True)]
    by_hand = [ours - theirs for ours, theirs in zip(micro[IN_A_THREAD], micro[AIOHTTP], strict=True)]
    return Report(
        "Calls without await",
        [
            *(Row(f"one at a time, {name}", "us", found, "less", name == ASYNC_US) for name, found in micro.items()),
            *(Row(f"16 threads, {name}", "calls/s", found, reference=name == HTTPX) for name, found in rates.items()),
        ],
        [
            Mark("added by the facade", added, 150, "less", "us"),
            Mark("added by run_coroutine_threadsafe to aiohttp by hand", by_hand, None, "less", "us"),
            Mark("16 threads / httpx.Client", ratios(rates[OURS], rates[HTTPX]), 2),
        ],
    )


if __name__ == "__main__":
    present(measure, __doc__, rounds=9)
