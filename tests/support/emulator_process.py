"""An emulator in a process of its own, and clients on two event loops and a thread pool that share one budget."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import attrs

import launch_sync
from launch_async import Authtoken, LaunchClient, RateLimit

THREADS = 8
CALLERS = 8


@attrs.frozen
class Emulator:
    """Where an emulator is, and who may use it."""

    url: str
    organization_uid: str
    authtoken: str
    control_secret: str

    def arrivals(self) -> list[tuple[float, bool]]:
        """Return when each counted request arrived, in seconds, and whether it was accepted."""
        headers = {"Emulator-Secret": self.control_secret}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/__emulator__/ledger", headers=headers)
        ) as answer:
            requests = json.load(answer)["requests"]
        return [(entry["arrival"], not entry["refused"]) for entry in requests if entry["organization"] is not None]


@contextlib.contextmanager
def emulator(*, rate_limit: int, window: str, latency: float = 0.0) -> Iterator[Emulator]:
    """Run an emulator in a process of its own."""
    command = [sys.executable, "-m", "launch_async.emulator", "--control", "--rate-limit", str(rate_limit)]
    command += ["--rate-window", window, "--latency", str(latency), "--latency-sigma", "0.2" if latency else "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Emulator(said["url"], said["organization_uid"], said["authtoken"], said["control_secret"])
        finally:
            process.terminate()


def use(where: Emulator, *, rate_limit: int, requests: int) -> None:
    """Make `requests` calls, a third of them each on two event loops and on a thread pool with one sync client."""
    shares = [requests // 3, requests // 3, requests - 2 * (requests // 3)]
    failures: list[BaseException] = []

    def guarded(work: Callable[[int], None], share: int) -> None:
        try:
            work(share)
        except BaseException as error:
            failures.append(error)

    def on_a_loop(share: int) -> None:
        asyncio.run(_async_calls(where, rate_limit, share))

    def on_threads(share: int) -> None:
        credentials = launch_sync.Authtoken(where.authtoken)
        with (
            launch_sync.LaunchClient(
                credentials,
                base_url=where.url,
                organization_uid=where.organization_uid,
                rate_limit=RateLimit(rate_limit),
                timeout=600,
            ) as client,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            for _ in pool.map(lambda _: client.projects.list().total(), range(share)):
                pass

    threads = [
        threading.Thread(target=guarded, args=(work, share))
        for work, share in zip((on_a_loop, on_a_loop, on_threads), shares, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


async def _async_calls(where: Emulator, rate_limit: int, requests: int) -> None:
    left = iter(range(requests))
    async with LaunchClient(
        Authtoken(where.authtoken),
        base_url=where.url,
        organization_uid=where.organization_uid,
        rate_limit=RateLimit(rate_limit),
        timeout=600,
    ) as client:

        async def caller() -> None:
            for _ in left:
                await client.projects.list().total()

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())
