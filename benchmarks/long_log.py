"""A build log of 200 MB, read as a whole and followed: pauses of the event loop, and memory growth.

Goals: no pause longer than 50 ms, and memory of at most three times the size of the log. The lines of the log would
take a gigabyte as objects, so the SDK creates the objects on access. The service is a separate process. A pause is the
processor time between two turns of a task that runs every millisecond. Elapsed time would include the load of other
programs. Each sample has a separate process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from benchmarks._report import Mark, Report, Row, present
from benchmarks.upload import peak_memory, reset_peak_memory
from launch_async import AccessToken, DeploymentRef, LaunchClient
from launch_async.rate_limit import UnlimitedRateLimiter

MEGABYTE = 1_000_000
SIZE = 200 * MEGABYTE
REF = DeploymentRef("a" * 24, "b" * 24, "c" * 24)
WAYS = ("deployments.logs", "follow_logs")


def measure(rounds: int) -> Report:
    """Measure each way in fresh processes, in every round."""
    pauses: dict[str, list[float]] = {way: [] for way in WAYS}
    growth: dict[str, list[float]] = {way: [] for way in WAYS}
    with subprocess.Popen(command("serve"), stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            address = service.stdout.readline().strip()
            for _ in range(rounds):
                for way in WAYS:
                    reading = subprocess.run(
                        command("read", way, address), check=True, stdout=subprocess.PIPE, text=True
                    )
                    pause, grown = json.loads(reading.stdout)
                    pauses[way].append(pause)
                    growth[way].append(grown)
        finally:
            service.terminate()
    return Report(
        f"A log of {SIZE // MEGABYTE} MB",
        [
            *(Row(f"{way}, longest pause", "ms", found, "less") for way, found in pauses.items()),
            *(Row(f"{way}, peak growth", "MB", found, "less") for way, found in growth.items()),
        ],
        [
            *(Mark(f"{way}, longest pause", found, 50, "less", "ms") for way, found in pauses.items()),
            *(
                Mark(f"{way}, memory / size", [one * MEGABYTE / SIZE for one in found], 3, "less")
                for way, found in growth.items()
            ),
        ],
    )


def command(*arguments: str) -> list[str]:
    """Return the command that runs a part of this benchmark in a separate process."""
    return [sys.executable, "-m", "benchmarks.long_log", *arguments]


async def read(way: str, address: str) -> tuple[float, float]:
    """Read the log in one way. Return the longest pause in ms, and the peak growth of memory in MB."""
    pauses: list[float] = []
    async with LaunchClient(
        AccessToken("token"),
        base_url=address,
        limiter=UnlimitedRateLimiter(),
        timeout=600,
        attempt_timeout=600,
        proxy="",
    ) as client:
        await client.deployments.get(REF)
        before = reset_peak_memory()
        turns = asyncio.create_task(take_turns(pauses))
        if way == "follow_logs":
            async for _ in client.follow_logs(REF):
                pass
        else:
            await client.deployments.logs(REF)
        grown = (peak_memory() - before) / MEGABYTE
        turns.cancel()
    return max(pauses) * 1000, grown


async def take_turns(pauses: list[float]) -> None:
    """Record the processor time between turns."""
    while True:
        since = time.thread_time()
        await asyncio.sleep(0.001)
        pauses.append(time.thread_time() - since)


async def serve() -> None:
    """Serve one finished deployment and its log."""
    start, size, lines = datetime(2026, 5, 4, 9, tzinfo=UTC), 0, list[bytes]()
    while size < SIZE:
        stamp = (start + timedelta(milliseconds=len(lines) // 3)).isoformat(timespec="milliseconds")
        lines.append(
            json.dumps({"message": f"{len(lines)} {'x' * 100}", "stage": "BUILD", "timestamp": stamp}).encode()
        )
        size += len(lines[-1]) + 1
    deployment = {"uid": REF.deployment_uid, "status": "LIVE", "updatedAt": "2026-05-04T10:00:00.000Z"}
    log = b'{"deploymentLogs":[%b]}' % b",".join(lines)
    one = json.dumps({"deployment": deployment}).encode()
    some = json.dumps({"deployments": [deployment]}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split()[1].partition(b"?")[0]
                body = log if path.endswith(b"-logs") else some if path.endswith(b"deployments") else one
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                writer.write(body)
                await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["read"]:
        print(json.dumps(asyncio.run(read(*sys.argv[2:]))))
    else:
        present(measure, __doc__, rounds=3)
