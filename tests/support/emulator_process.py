"""An emulator in a separate process, and clients on two event loops and in a thread pool that share one budget."""

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
    """The address of an emulator, and its credentials."""

    url: str
    organization_uid: str
    authtoken: str
    control_secret: str

    def arrivals(self) -> list[tuple[float, bool]]:
        """Return the arrival time of each counted request in seconds, and whether the emulator accepted the request."""
        headers = {"Emulator-Secret": self.control_secret}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/__emulator__/ledger", headers=headers)
        ) as answer:
            requests = json.load(answer)["requests"]
        return [(entry["arrival"], not entry["refused"]) for entry in requests if entry["organization"] is not None]


@contextlib.contextmanager
def emulator(*, rate_limit: int, window: str, latency: float = 0.0) -> Iterator[Emulator]:
    """Run an emulator in a separate process."""
    command = [sys.executable, "-m", "launch_async.emulator", "--control", "--rate-limit", str(rate_limit)]
    command += ["--rate-window", window, "--latency", str(latency), "--latency-sigma", "0.2" if latency else "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            announced = json.loads(process.stdout.readline())
            yield Emulator(
                announced["url"], announced["organization_uid"], announced["authtoken"], announced["control_secret"]
            )
        finally:
            process.terminate()


def call_from_loops_and_threads(service: Emulator, *, rate_limit: int, requests: int) -> None:
    """Make `requests` calls: a third on each of two event loops, and a third in a thread pool with one sync client."""
    shares = [requests // 3, requests // 3, requests - 2 * (requests // 3)]
    failures: list[BaseException] = []

    def guarded(work: Callable[[int], None], share: int) -> None:
        try:
            work(share)
        except BaseException as error:
            failures.append(error)

    def on_a_loop(share: int) -> None:
        asyncio.run(_async_calls(service, rate_limit, share))

    def on_threads(share: int) -> None:
        credentials = launch_sync.Authtoken(service.authtoken)
        with (
            launch_sync.LaunchClient(
                credentials,
                base_url=service.url,
                organization_uid=service.organization_uid,
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


async def _async_calls(service: Emulator, rate_limit: int, requests: int) -> None:
    left = iter(range(requests))
    async with LaunchClient(
        Authtoken(service.authtoken),
        base_url=service.url,
        organization_uid=service.organization_uid,
        rate_limit=RateLimit(rate_limit),
        timeout=600,
    ) as client:

        async def caller() -> None:
            for _ in left:
                await client.projects.list().total()

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(caller())
