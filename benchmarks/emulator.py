"""How light the emulator is: its start, its requests per second, and ten thousand deployments.

    python benchmarks/emulator.py [--requests 8000] [--rounds 3]

Goals: it starts within 150 ms in a process that has imported it, answers 2,000 simple requests a second on one core
with the budget off, and holds 10,000 deployments. The emulator is a process of its own, and the requests come from
another one, 50 at a time. What counts is the requests in a second of the emulator's CPU time: the client's work is not
in it. What goes through the sockets in a second depends on the client and on the rest of the machine, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
CONCURRENCY = 50


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the emulator.")
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, __file__, "--serve"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            rates = {
                name: max(asyncio.run(load(told, path, options.requests)) for _ in range(options.rounds))
                for name, path in told["paths"].items()
            }
            server.stdin.write("done\n")
            server.stdin.flush()
            used = json.loads(server.stdout.readline())
        finally:
            server.terminate()
    report(told, rates, used)


async def load(told: dict[str, str], path: str, requests: int) -> float:
    """Send requests as fast as they are answered; return how many that are in a second."""
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
        return requests / (time.perf_counter() - started)


async def serve() -> None:
    """Be the server: tell how long the start took, serve until a line comes in, tell what was used."""
    from launch_async.emulator.server import LaunchEmulator

    started = time.perf_counter()
    async with LaunchEmulator():
        start = time.perf_counter() - started
    async with LaunchEmulator(rate_limit=None) as emulator:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        projects = [emulator.add_project(f"p{number}", deployments=100) for number in range(100)]
        told = {
            "url": emulator.url,
            "authtoken": emulator.authtoken,
            "organization_uid": emulator.organization_uid,
            "start": start,
            "held": time.perf_counter() - started,
            "grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
            "paths": {
                "getProject": f"/projects/{projects[0].uid}",
                "listDeployments, 10 a page": f"/projects/{projects[0].uid}/environments/"
                f"{next(iter(projects[0].environments))}/deployments",
            },
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        busy, counted = time.process_time(), len(emulator.ledger.requests)
        await asyncio.to_thread(sys.stdin.readline)
        served = len(emulator.ledger.requests) - counted
        sys.stdout.write(json.dumps({"per_core": served / (time.process_time() - busy)}) + "\n")
        sys.stdout.flush()


def report(told: dict[str, float], rates: dict[str, float], used: dict[str, float]) -> None:
    print(f"{'':42} {'measured':>12} {'goal':>12}")
    print(f"{'start in-process':42} {1000 * told['start']:9.1f} ms {'<= 150 ms':>12}")
    for name, rate in rates.items():
        print(f"{name + ', through sockets':42} {rate:10.0f}/s ")
    print(f"{'both, per second of its own CPU time':42} {used['per_core']:10.0f}/s {'>= 2000/s':>12}")
    print(f"{'10,000 deployments put there':42} {1000 * told['held']:9.0f} ms")
    print(f"{'memory they take':42} {told['grown'] / 1024:8.1f} MiB")


if __name__ == "__main__":
    main()
