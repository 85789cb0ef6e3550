"""Upload of a 100 MiB ZIP, compared with aiohttp streaming the same file: speed and memory growth.

Goals: 0.95 of aiohttp's speed, and at most 16 MiB of peak memory growth. The storage is a separate process that reads
the bytes and discards them. The benchmark measures both ways to upload, the form (AWS) and the raw bytes (Azure, GCP).
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from benchmarks._report import Mark, Report, Row, present, ratios
from launch_async import LaunchClient, SignedUploadUrl
from launch_async.models import FormField, UploadMethod
from launch_async.rate_limit import UnlimitedRateLimiter

MEBIBYTE = 1024 * 1024
MEBIBYTES = 100
FIELDS = dict.fromkeys(("bucket", "key", "Policy", "X-Amz-Signature", "X-Amz-Security-Token"), "x" * 200)


def measure(rounds: int) -> Report:
    """Start the storage, and compare the contestants."""
    command = [sys.executable, "-m", "benchmarks.upload", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as storage:
        try:
            assert storage.stdout is not None
            return asyncio.run(compare(storage.stdout.readline().strip(), rounds))
        finally:
            storage.terminate()


async def compare(address: str, rounds: int) -> Report:
    """Let each contestant send the same file, in turn."""
    raw = SignedUploadUrl(upload_url=address, upload_uid="upload", method=UploadMethod.PUT)
    fields = tuple(FormField(form_field_key=name, form_field_value=value) for name, value in FIELDS.items())
    form = SignedUploadUrl(upload_url=address, upload_uid="upload", method=UploadMethod.POST, fields=fields)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "site.zip"
        file.write_bytes(os.urandom(MEBIBYTES * MEBIBYTE))
        async with aiohttp.ClientSession() as session, LaunchClient(limiter=UnlimitedRateLimiter(), proxy="") as client:
            contestants: dict[str, Callable[[], Awaitable[None]]] = {
                "aiohttp, raw": lambda: aiohttp_raw(session, address, file),
                "uploads.send, raw": lambda: client.uploads.send(raw, file, on_progress=lambda _: None),
                "aiohttp, form": lambda: aiohttp_form(session, address, file),
                "uploads.send, form": lambda: client.uploads.send(form, file, on_progress=lambda _: None),
            }
            speed: dict[str, list[float]] = {name: [] for name in contestants}
            growth: dict[str, list[float]] = {name: [] for name in contestants}
            for _ in range(rounds):
                for name, send in contestants.items():
                    before = reset_peak_memory()
                    started = time.perf_counter()
                    await send()
                    speed[name].append(MEBIBYTES / (time.perf_counter() - started))
                    growth[name].append((peak_memory() - before) / MEBIBYTE)
    ours = [*growth["uploads.send, raw"], *growth["uploads.send, form"]]
    return Report(
        f"Upload of {MEBIBYTES} MiB",
        [
            *(Row(name, "MiB/s", found, reference=name.startswith("aiohttp")) for name, found in speed.items()),
            *(Row(f"{name}, peak growth", "MiB", found, "less") for name, found in growth.items()),
        ],
        [
            Mark("raw / aiohttp", ratios(speed["uploads.send, raw"], speed["aiohttp, raw"]), 0.95),
            Mark("form / aiohttp", ratios(speed["uploads.send, form"], speed["aiohttp, form"]), 0.95),
            Mark("largest memory growth", [max(ours)], 16, "less", "MiB"),
        ],
    )


async def aiohttp_raw(session: aiohttp.ClientSession, address: str, file: Path) -> None:
    with file.open("rb") as stream:
        headers = {"Content-Type": "application/zip"}
        async with session.put(address, data=stream, headers=headers) as answer:
            await answer.read()


async def aiohttp_form(session: aiohttp.ClientSession, address: str, file: Path) -> None:
    with file.open("rb") as stream:
        data = aiohttp.FormData()
        for name, value in FIELDS.items():
            data.add_field(name, value)
        data.add_field("file", stream, filename=file.name, content_type="application/zip")
        async with session.post(address, data=data) as answer:
            await answer.read()


def reset_peak_memory() -> int:
    """Reset the recorded peak (Linux), and return the current memory in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def peak_memory() -> int:
    """Return the peak memory since `reset_peak_memory`, in bytes."""
    return memory("VmHWM")


def memory(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found.group(1)) * 1024


class Sink(asyncio.BufferedProtocol):
    """Reads requests with any content, and answers each one."""

    def __init__(self) -> None:
        self._buffer = bytearray(256 * 1024)
        self._head = bytearray()
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the answers."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return the same buffer each time."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Count the received bytes, and answer at the end of a request."""
        if not self._missing:
            self._head += self._buffer[:nbytes]
            head, separator, body = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self._missing = int(length.group(1)) if length else 0
            nbytes = len(body)
            self._head.clear()
        self._missing -= nbytes
        if not self._missing:
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/upload", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if "--serve" in sys.argv:
        asyncio.run(serve())
    else:
        present(measure, __doc__, rounds=7)
