"""The memory of idle clients and waits: 1000 clients that have made a call, and 1000 waits for a build.

A program that works for many organizations keeps one client for each. Each contestant has a separate process. It opens
the clients, makes one call with each, and keeps them. The result is the growth of the process since the first client,
divided by the number of clients. For comparison, there are `aiohttp.ClientSession` and 100 `httpx.AsyncClient`s,
because each of those reads the certificates of the system. The waits run in virtual time for builds that do not end.
For comparison, there are tasks that only sleep.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks._contestants import ASYNC
from benchmarks._report import Mark, Report, Row, present, ratios
from benchmarks._service import service
from tests.support.timed_launch import Build, Launch
from tests.support.virtual_time import run

LIMIT, OURS, HTTPX = "aiohttp + json by hand", "launch_async", "httpx by hand"
CLIENTS = {LIMIT: 1000, OURS: 1000, HTTPX: 100}
WAITS, SLEEPS = "client.wait", "asyncio.sleep"
WAITERS = 1000


def measure(rounds: int) -> Report:
    """Measure each contestant in fresh processes, in every round."""
    clients: dict[str, list[float]] = {name: [] for name in CLIENTS}
    waits: dict[str, list[float]] = {SLEEPS: [], WAITS: []}
    with service() as address:
        for _ in range(rounds):
            for found in (clients, waits):
                for name, samples in found.items():
                    samples.append(kibibytes(name, address))
    return Report(
        "Memory of idle clients and of waits",
        [
            *(Row(f"a client, {name}", "KiB each", found, "less", name == LIMIT) for name, found in clients.items()),
            *(Row(f"a wait, {name}", "KiB for each", found, "less", name == SLEEPS) for name, found in waits.items()),
        ],
        [
            Mark("a client / aiohttp.ClientSession", ratios(clients[OURS], clients[LIMIT]), None, "less"),
            Mark("1000 idle clients", [figure * 1000 / 1024 for figure in clients[OURS]], None, "less", "MiB"),
            Mark("1000 waits", [figure * WAITERS / 1024 for figure in waits[WAITS]], None, "less", "MiB"),
        ],
    )


def kibibytes(name: str, address: str) -> float:
    """Return the memory of one object in KiB, measured with many objects in a separate process."""
    command = [sys.executable, "-m", "benchmarks.memory", "hold", name, address]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


async def hold_clients(name: str, address: str) -> float:
    """Open clients and keep them. Return the KiB of each."""
    async with contextlib.AsyncExitStack() as stack:
        # Do not count the first client: it imports modules and creates shared objects.
        await (await stack.enter_async_context(ASYNC[name](address)))["get"]()
        before = resident()
        for _ in range(CLIENTS[name]):
            await (await stack.enter_async_context(ASYNC[name](address)))["get"]()
        return (resident() - before) / CLIENTS[name]


async def hold_waits() -> float:
    """Wait for builds that do not end. Return the KiB of each wait."""
    launch = Launch([Build(ends=1e9, environment=number // 10) for number in range(WAITERS + 1)])
    async with launch.client() as client:
        tasks = [asyncio.ensure_future(client.wait(launch.ref(WAITERS), timeout=1e9))]
        await asyncio.sleep(60)
        before = resident()
        tasks += [asyncio.ensure_future(client.wait(launch.ref(number), timeout=1e9)) for number in range(WAITERS)]
        await asyncio.sleep(600)
        return await ended(tasks, before)


async def hold_sleeps() -> float:
    """Keep sleeping tasks. Return the KiB of each."""
    before = resident()
    return await ended([asyncio.ensure_future(asyncio.sleep(1e9)) for _ in range(WAITERS)], before)


async def ended(tasks: Sequence[asyncio.Future[Any]], before: float) -> float:
    """Cancel tasks, and return the memory of each."""
    # Let the tasks start to sleep.
    await asyncio.sleep(0)
    taken = (resident() - before) / WAITERS
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return taken


def resident() -> float:
    """Return the memory of this process in KiB."""
    gc.collect()
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - read in the middle of a measurement
        return int(statm.read().split()[1]) * 4.0


def hold(name: str, address: str) -> float:
    """Keep the named objects. Return the KiB of each."""
    if name == WAITS:
        return run(hold_waits())
    return run(hold_sleeps()) if name == SLEEPS else asyncio.run(hold_clients(name, address))


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        print(hold(*sys.argv[2:]))
    else:
        present(measure, __doc__, rounds=3)
