"""One budget over real sockets: two event loops and a thread pool against an emulator in a process of its own.

Run `python -m benchmarks.real_sockets`; `--requests`, `--json FILE`. For each way of counting and each latency it
prints the most requests that arrived within any second by the emulator's own ledger, accepted requests per second, and
refused ones. About a minute for each line at 600 requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import launch_sync
from launch_async import Authtoken, LaunchClient, RateLimit

MODES = ("sliding", "fixed", "bucket")
LATENCIES = (0.0, 0.02)
MOST_PER_SECOND = 10
THREADS = 8
CALLERS = 8


@attrs.frozen
class Emulator:
    """Where an emulator is, and who may use it."""

    url: str
    organization_uid: str
    authtoken: str

    def arrivals(self) -> list[tuple[float, bool]]:
        """Return when each counted request arrived, in seconds, and whether it was accepted."""
        with urllib.request.urlopen(f"{self.url}/__emulator__/ledger") as answer:
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
            yield Emulator(said["url"], said["organization_uid"], said["authtoken"])
        finally:
            process.terminate()


def most_in_any_second(arrivals: Sequence[float]) -> int:
    """Return the largest number of arrivals within any second (its end not included)."""
    window: deque[float] = deque()
    most = 0
    for when in sorted(arrivals):
        window.append(when)
        while window[0] <= when - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most


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


def measure(window: str, latency: float, requests: int) -> dict[str, object]:
    """Run one line of the table."""
    with emulator(rate_limit=MOST_PER_SECOND, window=window, latency=latency) as where:
        use(where, rate_limit=MOST_PER_SECOND, requests=requests)
        arrivals = where.arrivals()
    times = [when for when, _ in arrivals]
    accepted = [when for when, accepted in arrivals if accepted]
    return {
        "window": window,
        "latency": latency,
        "most": most_in_any_second(times),
        "goodput": len(accepted) / (max(accepted) - min(accepted)),
        "refused": len(arrivals) - len(accepted),
        "requests": len(arrivals),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=600, help="calls per line")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    print("counts by  latency | most in any second | accepted per second | refused")
    lines: list[dict[str, object]] = []
    for window in MODES:
        for latency in LATENCIES:
            line = measure(window, latency, options.requests)
            lines.append(line)
            print(
                f"{window:10} {1000 * latency:4.0f} ms | {line['most']:18} | {line['goodput']:19.2f} | "
                f"{line['refused']} of {line['requests']}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(lines, indent=2) + "\n")


if __name__ == "__main__":
    main()
