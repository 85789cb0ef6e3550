"""The cost of the emulator: its start, its requests per second, and ten thousand deployments.

Goals: the emulator starts within 150 ms in a process that has imported it. Without a rate limit, it answers 2,000
simple requests per second on one core. It supports 10,000 deployments. The emulator is a separate process on one core.
The requests come from another process on the other cores, 50 at a time. The benchmark shows requests per second of
elapsed time, which includes the speed of the client, and requests per second of the emulator's CPU time. It measures
starts as in tests. The first start of a process takes longest, and is shown separately.
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
    """Measure the starts, and the requests that the emulator answers."""
    command = [sys.executable, "-m", "benchmarks.emulator", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        bind(first_core=False)
        try:
            facts = ask(server)
            rates = {
                name: [serving(server, facts, path) for _ in range(rounds)] for name, path in facts["paths"].items()
            }
        finally:
            server.terminate()
    first, *starts = (1000 * seconds for seconds in facts["starts"])
    answered = {name: [rate for rate, _ in found] for name, found in rates.items()}
    processor = {name: [rate for _, rate in found] for name, found in rates.items()}
    return Report(
        "The emulator",
        [
            Row("emulator, first start in a process", "ms", [first], "less"),
            Row("emulator, each other start", "ms", starts, "less"),
            *(Row(f"emulator, {name}", "requests/s", found) for name, found in answered.items()),
            *(Row(f"emulator, {name}, by CPU", "requests per s of CPU", found) for name, found in processor.items()),
            Row("emulator, adding 10 000 deployments", "ms of 10 000", [1000 * facts["held"]], "less"),
            Row("emulator, memory of 10 000 deployments", "MiB", [facts["grown"] / 1024], "less"),
        ],
        [
            Mark("first start", [first], 150, "less", "ms"),
            *(Mark(f"{name}, by CPU", found, 2000, "more", "/s") for name, found in processor.items()),
        ],
    )


def bind(*, first_core: bool) -> None:
    """Bind this process to the first of its cores, or to the other cores, if the system supports it."""
    if not hasattr(os, "sched_setaffinity"):
        return
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first} if first_core or not others else set(others))


def ask(server: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line of the server. It writes a line when it starts, and after each line that it reads."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    facts: dict[str, Any] = json.loads(server.stdout.readline())
    return facts


def serving(server: subprocess.Popen[str], facts: dict[str, Any], path: str) -> tuple[float, float]:
    """Return requests per second of elapsed time, and per second of the server's CPU time."""
    before = ask(server)
    seconds = asyncio.run(load(facts, path))
    after = ask(server)
    served = after["served"] - before["served"]
    return served / seconds, served / (after["cpu"] - before["cpu"])


async def load(facts: dict[str, Any], path: str) -> float:
    """Send requests as fast as possible, and return the duration in seconds."""
    headers = {"authtoken": facts["authtoken"], "organization_uid": facts["organization_uid"]}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def worker() -> None:
            for _ in range(REQUESTS // CONCURRENCY):
                async with session.get(facts["url"] + path) as response:
                    assert response.status == 200
                    await response.read()

        started = time.perf_counter()
        async with asyncio.TaskGroup() as workers:
            for _ in range(CONCURRENCY):
                workers.create_task(worker())
        return time.perf_counter() - started


async def serve() -> None:
    """Run the server.

    It writes the duration of its starts and its addresses, and after each line the number of served requests.
    """
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
        facts: dict[str, Any] = {
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
            facts |= {"served": len(emulator.ledger.requests), "cpu": time.process_time()}
            sys.stdout.write(json.dumps(facts) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        present(measure, __doc__, rounds=5)
