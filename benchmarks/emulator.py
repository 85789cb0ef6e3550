"""How light the emulator is: its start, its requests per second, and ten thousand deployments.

Goals: it starts within 150 ms in a process that has imported it, answers 2,000 simple requests a second on one core
with the budget off, and holds 10,000 deployments. The emulator is a process of its own that is bound to one core; the
requests come from another process on the other cores, 50 at a time. Both figures are told: what goes through the
sockets in a second of the clock, which includes the client's speed, and what that is in a second of the emulator's CPU
time. A start is that of a test: the first one of a process takes longest, and is told apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import aiohttp

from benchmarks._report import Mark, Report, Row, present

REQUESTS = 8000
CONCURRENCY = 50
STARTS = 10


def measure(rounds: int) -> Report:
    """Measure its starts, and the requests that it answers."""
    command = [sys.executable, "-m", "benchmarks.emulator", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        bind(first_core=False)
        try:
            told = ask(server)
            rates = {name: [serving(server, told, path) for _ in range(rounds)] for name, path in told["paths"].items()}
        finally:
            server.terminate()
    first, *starts = (1000 * seconds for seconds in told["starts"])
    answered = {name: [rate for rate, _ in found] for name, found in rates.items()}
    processor = {name: [rate for _, rate in found] for name, found in rates.items()}
    return Report(
        "The emulator",
        [
            Row("emulator, first start in a process", "ms", [first], "less"),
            Row("emulator, each other start", "ms", starts, "less"),
            *(Row(f"emulator, {name}", "requests/s", found) for name, found in answered.items()),
            *(Row(f"emulator, {name}, by CPU", "requests per s of CPU", found) for name, found in processor.items()),
            Row("emulator, 10 000 deployments put there", "ms of 10 000", [1000 * told["held"]], "less"),
            Row("emulator, memory they take", "MiB", [told["grown"] / 1024], "less"),
        ],
        [
            Mark("first start", [first], 150, "less", "ms"),
            *(Mark(f"{name}, by CPU", found, 2000, "more", "/s") for name, found in processor.items()),
        ],
    )


def bind(*, first_core: bool) -> None:
    """Keep this process on the first of its cores, or off it, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first} if first_core or not others else set(others))


def ask(server: subprocess.Popen[str]) -> dict[str, Any]:
    """What the server tells next; it tells something at first, and again after each line."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    told: dict[str, Any] = json.loads(server.stdout.readline())
    return told


def serving(server: subprocess.Popen[str], told: dict[str, Any], path: str) -> tuple[float, float]:
    """Requests in a second of the clock, and in a second of the server's CPU time."""
    before = ask(server)
    seconds = asyncio.run(load(told, path))
    after = ask(server)
    served = after["served"] - before["served"]
    return served / seconds, served / (after["cpu"] - before["cpu"])


async def load(told: dict[str, Any], path: str) -> float:
    """Send requests as fast as they are answered; return how many seconds that took."""
    headers = {"authtoken": told["authtoken"], "organization_uid": told["organization_uid"]}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def worker() -> None:
            for _ in range(REQUESTS // CONCURRENCY):
                async with session.get(told["url"] + path) as response:
                    assert response.status == 200
                    await response.read()

        started = time.perf_counter()
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONCURRENCY):
                workers.create_task(worker())
        return time.perf_counter() - started


async def serve() -> None:
    """Be the server: tell how long starts took and what is there; after each line, how much has been served."""
    from launch_async.emulator.server import LaunchEmulator

    bind(first_core=True)
    starts: list[float] = []
    for _ in range(STARTS):
        started = time.perf_counter()
        async with LaunchEmulator():
            starts.append(time.perf_counter() - started)
    async with LaunchEmulator(rate_limit=None) as emulator:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        projects = [emulator.add_project(f"p{number}", deployments=100) for number in range(100)]
        held = time.perf_counter() - started
        one = f"/projects/{projects[0].uid}"
        told: dict[str, Any] = {
            "url": emulator.url,
            "authtoken": emulator.authtoken,
            "organization_uid": emulator.organization_uid,
            "starts": starts,
            "held": held,
            "grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
            "paths": {
                "getProject": one,
                "listDeployments, 10 a page": f"{one}/environments/{next(iter(projects[0].environments))}/deployments",
            },
        }
        while await asyncio.to_thread(sys.stdin.readline):
            told |= {"served": len(emulator.ledger.requests), "cpu": time.process_time()}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        present(measure, __doc__, rounds=5)
