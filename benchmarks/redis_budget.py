"""Six processes on two rate limits, shared through a real Redis, compared with a separate limiter in each process.

Run `python -m benchmarks.redis_budget`; options: `--requests`, `--rounds`, `--no-calm`, `--json FILE`. Without Redis,
the processes have separate limits and together send three times the allowed requests. Two emulators in separate
processes count any second, and three processes send to each as fast as they can. The wall clocks of the processes are
wrong by up to a minute, one process is killed by SIGKILL every second and replaced, and Redis, without persistence, is
restarted twice. `--calm` (the default) also measures without these faults. About two minutes with 600 requests. Needs
`redis-server`.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Literal

import attrs

from benchmarks._report import Mark, Report, Row, arguments, write_report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "rate_limit" / "redis"))

PROCESSES = 6
SKEWS = (-60.0, -17.0, 0.0, 3.5, 30.0, 60.0)
CALLERS = 4
MOST = 10
GOODPUT = 9.3
CALLS = 1.5


@attrs.frozen
class Outcome:
    """The result of one run.

    Attributes:
        shared: Whether the processes share their rate limits.
        faults: The faults of the run; empty for none.
        most: The most requests that arrived in any second at either emulator.
        goodput: Accepted requests per second on the limit with fewer requests.
        refused: Share of refused requests.
        calls: Calls to Redis per request.
    """

    shared: bool
    faults: str
    most: int
    goodput: float
    refused: float
    calls: float

    @property
    def limiter(self) -> str:
        """Name of the limiter."""
        return "shared" if self.shared else "one per process"

    @property
    def is_met(self) -> bool:
        """Whether the goals are reached."""
        return self.most <= MOST and self.goodput >= GOODPUT and self.calls <= CALLS


def worker(base_url: str, organization_uid: str, token: str, redis_url: str, skew: float) -> None:
    """Send until the process is killed, with a wrong clock. Use a separate limiter if there is no URL of Redis."""
    true_time = time.time
    time.time = lambda: true_time() + skew

    from launch_async import AccessToken, LaunchClient, LaunchError
    from launch_async.rate_limit import LocalRateLimiter
    from launch_async.rate_limit.redis.limiter import RedisRateLimiter

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


def serve(pipe: Connection) -> None:
    """Run an emulator. Send its address, and then on request the times of arrivals and refusals."""
    from launch_async.emulator import LaunchEmulator

    async def main() -> None:
        async with LaunchEmulator(rate_limit=10) as emulator:
            pipe.send((emulator.url, emulator.organization_uid, emulator.access_token))
            already = 0
            while await asyncio.to_thread(pipe.recv):
                seen = emulator.ledger.requests
                pipe.send([(one.arrival, one.refused) for one in seen[already:] if one.organization is not None])
                already = len(seen)

    with suppress(EOFError):
        asyncio.run(main())


class Emulator:
    """An emulator in a separate process, and the requests that arrived there."""

    def __init__(self, context: ForkServerContext) -> None:
        self._pipe, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs,), daemon=True).start()
        self.facts: tuple[str, str, str] = self._pipe.recv()
        self.arrivals: list[tuple[float, bool]] = []

    def look(self) -> None:
        """Fetch the requests that arrived since the last call."""
        self._pipe.send(True)
        self.arrivals += self._pipe.recv()

    def end(self) -> None:
        """Stop the emulator."""
        self._pipe.send(False)
        self._pipe.close()

    @property
    def accepted(self) -> int:
        """Number of accepted requests."""
        return sum(not refused for _, refused in self.arrivals)

    @property
    def most_in_a_second(self) -> int:
        """The most requests that arrived in any second, including refused requests."""
        times = sorted(when for when, _ in self.arrivals)
        return max(bisect.bisect_left(times, start + 1.0) - place for place, start in enumerate(times))

    def goodput(self, each: int) -> float:
        """Accepted requests per second, over the given number of first requests."""
        times = [when for when, refused in self.arrivals if not refused][:each]
        return (len(times) - 1) / (times[-1] - times[0])


class Workers:
    """The worker processes, with their starts and kills."""

    def __init__(
        self, stack: ExitStack, context: ForkServerContext, emulators: Sequence[Emulator], redis_url: str
    ) -> None:
        self._emulators = emulators
        self._redis_url = redis_url
        self._context = context
        self._processes: dict[int, ForkServerProcess] = {}
        self.kills = 0
        stack.callback(self.end)

    def start(self, place: int) -> None:
        """Start the worker of one place."""
        arguments = (*self._emulators[place % 2].facts, self._redis_url, SKEWS[place])
        self._processes[place] = self._context.Process(target=worker, args=arguments, daemon=True)
        self._processes[place].start()

    async def kill_one_a_second(self) -> None:
        """Kill a worker, and start another one in its place."""
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


async def measure(requests: int, *, shared: bool, faults: bool) -> Outcome:
    """Let six processes send until each limit has accepted half of the requests."""
    from redis_server import RedisServer

    # Workers are forked from a server that has imported everything, so the result does not include startup time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["launch_async.client", "launch_async.rate_limit.redis.limiter", "aiohttp", "redis.asyncio"]
    )
    each = requests // 2
    with ExitStack() as stack:
        server = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server.start()
        stack.callback(server.stop)
        emulators = [Emulator(context) for _ in range(2)]
        for emulator in emulators:
            stack.callback(emulator.end)
        workers = Workers(stack, context, emulators, server.url if shared else "")
        for place in range(PROCESSES):
            workers.start(place)
        while await least(emulators) == 0:  # noqa: ASYNC110 - an emulator has no event to wait for
            await asyncio.sleep(0.05)
        already = sum(len(emulator.arrivals) for emulator in emulators)
        calls, restarts = -await scripts_run(server.url), 0
        killing = asyncio.create_task(workers.kill_one_a_second()) if faults else None
        while (accepted := await least(emulators)) < each:
            await asyncio.sleep(0.05)
            if faults and shared and restarts < 2 and accepted >= each * (restarts + 1) // 3:
                calls += await scripts_run(server.url)
                await asyncio.to_thread(server.restart)
                restarts += 1
        calls += await scripts_run(server.url)
        if killing is not None:
            killing.cancel()
            with suppress(asyncio.CancelledError):
                await killing
        arrived = [refused for emulator in emulators for _, refused in emulator.arrivals]
        return Outcome(
            shared,
            f"{workers.kills} kills{f', {restarts} restarts' * shared}" if faults else "",
            most=max(emulator.most_in_a_second for emulator in emulators),
            goodput=min(emulator.goodput(each) for emulator in emulators),
            refused=sum(arrived) / len(arrived),
            calls=calls / (len(arrived) - already),
        )


async def least(emulators: Sequence[Emulator]) -> int:
    """Return the accepted requests of the emulator that has accepted fewer."""
    for emulator in emulators:
        await asyncio.to_thread(emulator.look)
    return min(emulator.accepted for emulator in emulators)


async def scripts_run(url: str) -> int:
    """Return the number of scripts that Redis has run since it started."""
    from redis.asyncio import Redis

    client = Redis.from_url(url)
    try:
        stats = await client.info("commandstats")
    finally:
        await client.aclose()
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


UNITS: dict[str, tuple[Literal["more", "less"], Callable[[Outcome], float]]] = {
    "most arrivals in any second": ("less", lambda one: one.most),
    "accepted per second on each limit": ("more", lambda one: one.goodput),
    "percent refused": ("less", lambda one: 100 * one.refused),
    "calls to Redis per request": ("less", lambda one: one.calls),
}


def report(outcomes: Sequence[Outcome]) -> Report:
    """Return runs as rows, one for each case."""
    cases: dict[str, list[Outcome]] = {}
    for one in outcomes:
        name = "launch_async, shared through Redis" if one.shared else "a limiter per process"
        cases.setdefault(name + ", faults" * bool(one.faults), []).append(one)
    ours = [one for one in outcomes if one.shared]
    return Report(
        "Six processes on two rate limits of 10 per second, over sockets",
        [
            Row(name, unit, [of(one) for one in found], better)
            for unit, (better, of) in UNITS.items()
            for name, found in cases.items()
        ],
        [
            Mark("shared: most arrivals in any second", [max(one.most for one in ours)], MOST, "less"),
            Mark("shared: accepted per second, worst run", [min(one.goodput for one in ours)], GOODPUT),
            Mark("shared: calls to Redis per request", [max(one.calls for one in ours)], CALLS, "less"),
        ],
        {"runs": [attrs.asdict(one) for one in outcomes]},
    )


def main() -> None:
    """Measure, and write the report."""
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--requests", type=int, default=600, help="accepted requests per run; default 600")
    parser.add_argument("--calm", action=argparse.BooleanOptionalAction, default=True, help="also without faults")
    options = parser.parse_args()
    print("| limiter | faults | most in a second | goodput/s | refused | Redis calls per request | |")
    print("|---|---|---|---|---|---|---|")
    outcomes: list[Outcome] = []
    kinds = [(True, True), *([(True, False)] if options.calm else []), (False, True)]
    for shared, faults in kinds * options.rounds:
        one = asyncio.run(measure(options.requests, shared=shared, faults=faults))
        verdict = ("met" if one.is_met else "MISSED") if shared else ""
        print(
            f"| {one.limiter} | {one.faults or 'none'} | {one.most} | {one.goodput:.2f} | "
            f"{one.refused:.1%} | {one.calls:.2f} | {verdict} |",
            flush=True,
        )
        outcomes.append(one)
    print()
    write_report(report(outcomes), options.json)


if __name__ == "__main__":
    main()
