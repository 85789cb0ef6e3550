"""Six processes on two budgets, shared through a real Redis, beside a limiter of its own in each process.

Run `python -m benchmarks.redis_budget`; `--requests`, `--calm`, `--json FILE`. Two emulators count by sliding seconds,
three processes send to each as fast as they may. Their wall clocks are wrong by up to a minute, one of them is killed
by SIGKILL every second and replaced, and Redis, which keeps nothing, is restarted twice. Needs `redis-server`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "redis")]

PROCESSES = 6
SKEWS = (-60.0, -17.0, 0.0, 3.5, 30.0, 60.0)
CALLERS = 4
GOODPUT = 9.3
CALLS = 1.2


def worker(base_url: str, organization_uid: str, token: str, redis_url: str, skew: float) -> None:
    """Send for ever, with a wrong clock; with a limiter of its own if there is no URL of Redis."""
    true_time = time.time
    time.time = lambda: true_time() + skew

    from launch_async import AccessToken, LaunchClient, LaunchError, LocalRateLimiter
    from launch_async.redis import RedisRateLimiter

    async def main() -> None:
        shared = RedisRateLimiter(redis_url, organization_uid, base_url=base_url) if redis_url else LocalRateLimiter()
        credentials = AccessToken(token)
        async with LaunchClient(
            credentials, base_url=base_url, organization_uid=organization_uid, limiter=shared
        ) as launch:

            async def caller() -> None:
                while True:
                    with suppress(LaunchError):
                        await launch.request("GET", "/projects", query={"limit": 1})

            async with asyncio.TaskGroup() as group:
                for _ in range(CALLERS):
                    group.create_task(caller())

    asyncio.run(main())


class Crew:
    """The worker processes, and what is done to them."""

    def __init__(self, stack: AsyncExitStack, emulators: list[object], redis_url: str) -> None:
        self._emulators = emulators
        self._redis_url = redis_url
        # Workers are forked from a server that has imported everything: what starting costs is not measured here.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["launch_async.client", "launch_async.redis", "aiohttp", "redis.asyncio"])
        self._processes: dict[int, ForkServerProcess] = {}
        self.kills = 0
        stack.callback(self.end)

    def start(self, place: int) -> None:
        """Start the worker of one place."""
        emulator = self._emulators[place % 2]
        arguments = (emulator.url, emulator.organization_uid, emulator.access_token, self._redis_url, SKEWS[place])
        self._processes[place] = self._context.Process(target=worker, args=arguments, daemon=True)
        self._processes[place].start()

    async def kill_one_a_second(self) -> None:
        """Kill, and start another one in its place."""
        for place in itertools.cycle(range(PROCESSES)):
            await asyncio.sleep(1)
            self._processes[place].kill()
            self.kills += 1
            self.start(place)

    def end(self) -> None:
        """Kill all of them."""
        for process in self._processes.values():
            process.kill()
            process.join()


def arrivals(emulator: object) -> Iterator[object]:
    """Give the requests that counted against the budget."""
    return (entry for entry in emulator.ledger.requests if entry.organization is not None)


async def measure(requests: int, *, shared: bool, faults: bool) -> dict[str, object]:
    """Let six processes send until each budget has accepted its half of the requests."""
    from redis_server import RedisServer

    from launch_async.emulator import LaunchEmulator

    each = requests // 2
    async with AsyncExitStack() as stack:
        server = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server.start()
        stack.callback(server.stop)
        emulators = [await stack.enter_async_context(LaunchEmulator(rate_limit=10)) for _ in range(2)]
        crew = Crew(stack, emulators, server.url if shared else "")
        for place in range(PROCESSES):
            crew.start(place)
        while not all(map(accepted, emulators)):  # noqa: ASYNC110 - the emulator has no event to wait for
            await asyncio.sleep(0.05)
        calls, restarts = await scripts_run(server.url), 0
        already = sum(1 for emulator in emulators for _ in arrivals(emulator))
        calls = -calls
        killing = asyncio.create_task(crew.kill_one_a_second()) if faults else None
        while (least := min(accepted(emulator) for emulator in emulators)) < each:
            await asyncio.sleep(0.05)
            if faults and restarts < 2 and least >= each * (restarts + 1) // 3:
                calls += await scripts_run(server.url)
                await asyncio.to_thread(server.restart)
                restarts += 1
        calls += await scripts_run(server.url)
        sent = sum(1 for emulator in emulators for _ in arrivals(emulator)) - already
        if killing is not None:
            killing.cancel()
            with suppress(asyncio.CancelledError):
                await killing
        return {
            "limiter": "shared" if shared else "one per process",
            "faults": f"{crew.kills} kills, {restarts} restarts" if faults else "none",
            "most in a second": max(emulator.ledger.max_in_window() for emulator in emulators),
            "goodput": min(goodput(emulator, each) for emulator in emulators),
            "refused": sum(entry.refused for emulator in emulators for entry in arrivals(emulator)) / (sent + already),
            "calls per request": calls / sent,
        }


def accepted(emulator: object) -> int:
    return sum(not entry.refused for entry in arrivals(emulator))


def goodput(emulator: object, each: int) -> float:
    times = [entry.arrival for entry in arrivals(emulator) if not entry.refused][:each]
    return (len(times) - 1) / (times[-1] - times[0])


async def scripts_run(url: str) -> int:
    """Return how many scripts Redis has run since it started."""
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    try:
        stats = await client.info("commandstats")
    finally:
        await client.aclose()
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--calm", action="store_true", help="also without faults")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    print("| limiter | faults | most in a second | goodput/s | refused | Redis calls per request | |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for shared, faults in [(True, True), *([(True, False)] if chosen.calm else []), (False, True)]:
        row = asyncio.run(measure(chosen.requests, shared=shared, faults=faults))
        met = row["most in a second"] <= 10 and row["goodput"] >= GOODPUT and row["calls per request"] <= CALLS
        verdict = ("met" if met else "MISSED") if shared else ""
        print(
            f"| {row['limiter']} | {row['faults']} | {row['most in a second']} | {row['goodput']:.2f} | "
            f"{row['refused']:.1%} | {row['calls per request']:.2f} | {verdict} |",
            flush=True,
        )
        rows.append(row)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
