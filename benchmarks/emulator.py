"""How light the emulator is: its start, its requests per second, and ten thousand deployments.

    python benchmarks/emulator.py [--requests 8000] [--rounds 5]

Goals: it starts within 150 ms in a process that has imported it, answers 2,000 simple requests a second on one core
with the budget off, and holds 10,000 deployments. The emulator is a process of its own that is bound to one core; the
requests come from another process on the other cores, 50 at a time. Both figures are told: what goes through the
sockets in a second of the clock, which includes the client's speed, and what that is in a second of the emulator's CPU
time. Each is the best of the rounds, since whatever else runs here can only slow it down.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
CONCURRENCY = 50
STARTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the emulator.")
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, __file__, "--serve"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        bind(first_core=False)
        try:
            told = ask(server)
            rates = {
                name: [measure(server, told, path, options.requests) for _ in range(options.rounds)]
                for name, path in told["paths"].items()
            }
        finally:
            server.terminate()
    report(told, rates)


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


def measure(server: subprocess.Popen[str], told: dict[str, Any], path: str, requests: int) -> tuple[float, float]:
    """Requests in a second of the clock, and in a second of the server's CPU time."""
    before = ask(server)
    seconds = asyncio.run(load(told, path, requests))
    after = ask(server)
    served = after["served"] - before["served"]
    return served / seconds, served / (after["cpu"] - before["cpu"])


async def load(told: dict[str, Any], path: str, requests: int) -> float:
    """Send requests as fast as they are answered; return how many seconds that took."""
    headers = {"authtoken": told["authtoken"], "organization_uid": told["organization_uid"]}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def worker() -> None:
            for _ in range(requests // CONCURRENCY):
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


def report(told: dict[str, Any], rates: dict[str, list[tuple[float, float]]]) -> None:
    print(f"{'':52} {'measured':>12} {'goal':>12}")
    starts = [1000 * seconds for seconds in told["starts"]]
    row(f"start in-process, the first of {STARTS}", f"{starts[0]:.1f} ms", "<= 150 ms")
    row("start in-process, best and median", f"{min(starts):.1f}, {statistics.median(starts):.1f} ms", "<= 150 ms")
    for name, rounds in rates.items():
        row(f"{name}, through sockets", f"{max(rate for rate, _ in rounds):.0f}/s", ">= 2000/s")
        row(f"{name}, per second of its CPU time", f"{max(rate for _, rate in rounds):.0f}/s", ">= 2000/s")
    row("10,000 deployments put there", f"{1000 * told['held']:.0f} ms", "")
    row("memory they take", f"{told['grown'] / 1024:.1f} MiB", "")


def row(name: str, measured: str, goal: str) -> None:
    print(f"{name:52} {measured:>12} {goal:>12}")


if __name__ == "__main__":
    main()
