"""deploy() and create_site() with a ZIP that is not a file on disk: bytes, open files and uploads."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from launch_async import ArchiveError, InvalidArgumentError, build_archive
from launch_async.archive.spool import spooled_archive
from launch_sync.emulator import LaunchEmulator
from tests.support.clients import plain_client_of

UNKNOWN_UIDS = "0" * 24, "1" * 24


@pytest.fixture
def packed(folder: Path) -> bytes:
    """The ZIP of a site of one page."""
    with build_archive(folder) as archive:
        return archive.path.read_bytes()


class Upload:
    """An upload that is read like the `UploadFile` of FastAPI."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)

    async def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


async def blocks(content: bytes) -> AsyncIterator[bytes]:
    """Yield a ZIP in small blocks with empty blocks in between, like the body of a request."""
    for start in range(0, len(content), 100):
        yield content[start : start + 100]
        yield b""


FORMS: dict[str, Any] = {
    "bytes": lambda content: content,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "an upload": Upload,
    "an asynchronous iterator": blocks,
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_zip_in_any_form_is_sent_unchanged(launch, packed, form, fetch, spool):
    _, client = launch

    site = await client.create_site("night-sky", FORMS[form](packed))
    deployment = await client.deploy(site.project.uid, site.environment.uid, FORMS[form](packed))

    assert "Night sky" in await fetch(site.url)
    assert deployment.status.is_success
    assert not list(spool.glob("*.zip"))


async def test_a_file_is_read_from_its_position_and_stays_open(launch, packed):
    _, client = launch
    file = io.BytesIO(b"a header of the caller's own" + packed)
    file.seek(-len(packed), os.SEEK_END)

    await client.create_site("night-sky", file)

    assert (file.closed, file.read()) == (False, b"")


async def test_a_file_that_cannot_be_rewound_can_be_deployed(launch, packed):
    _, client = launch
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(packed)

    with os.fdopen(reading, "rb") as file:
        site = await client.create_site("night-sky", file)

    assert site.deployment.status.is_success


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (lambda _: b"no zip" * 1000, "the bytes object is not a ZIP"),
        (lambda packed: packed[:40] + bytes(1000), "the bytes object is not a ZIP"),
        (lambda _: b"", r"the bytes object is empty"),
        (lambda _: io.BytesIO(), r"the BytesIO object is empty\. .*call seek\(0\)"),
        (lambda _: io.BytesIO(b"PK"), "has 2 bytes, but Launch accepts only ZIPs of at least 1024 bytes"),
        (
            lambda packed: io.StringIO(packed.decode("latin-1")),
            r'StringIO object returned str instead of bytes\..* mode "rb"',
        ),
        (lambda _: blocks("some text"), "returned str instead of bytes"),
        (lambda packed: closed(io.BytesIO(packed)), "the BytesIO object cannot be read: I/O operation on closed file"),
        (lambda _: Broken(), "the Broken object cannot be read: timed out"),
    ],
)
async def test_data_that_is_not_a_zip_is_refused_before_a_request(launch, packed, source, problem, spool):
    emulator, client = launch

    with pytest.raises(InvalidArgumentError, match=problem):
        await client.deploy(*UNKNOWN_UIDS, source(packed))

    assert emulator.ledger.requests == []
    assert not list(spool.glob("*.zip"))


def closed(file: io.BytesIO) -> io.BytesIO:
    file.close()
    return file


class Broken:
    def read(self, size: int) -> bytes:
        raise TimeoutError("timed out")


async def test_the_error_about_a_file_at_its_end_says_to_call_seek(launch, packed):
    emulator, client = launch
    file = io.BytesIO(packed)
    site = await client.create_site("night-sky", file)
    emulator.ledger.clear()

    with pytest.raises(ArchiveError, match=r"call seek\(0\)"):
        await client.deploy(site.project.uid, site.environment.uid, file)

    assert emulator.ledger.count() == 0


async def test_an_endless_stream_is_refused_at_the_limit_with_little_memory(spool):
    block = bytes(1 << 20)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield block

    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"101\.0 MiB, but Launch accepts only ZIPs of at most 100 MiB"):
            await spooled_archive(endless(), secrets="refuse")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert not list(spool.glob("*.zip"))


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_stalled_stream_ends_with_the_deadline(launch, awaited, spool):
    emulator, client = launch
    released = threading.Event()

    class Stalled:
        def read(self, size: int) -> object:
            return asyncio.Event().wait() if awaited else released.wait() and b""

    try:
        with pytest.raises(TimeoutError, match="The current step was: packing the files"):
            await client.deploy(*UNKNOWN_UIDS, Stalled(), timeout=0.2)
    finally:
        released.set()

    assert emulator.ledger.requests == []
    assert not list(spool.glob("*.zip"))


async def test_a_deployment_of_a_stream_is_found_after_a_lost_answer(launch, packed):
    emulator, client = launch
    site = await client.create_site("night-sky", packed)
    emulator.faults.add("reset_after", operation="createDeployment", times=1)

    deployment = await client.deploy(site.project.uid, site.environment.uid, blocks(packed))

    made = [made.uid for made in emulator.ledger.created if made.noun == "deployment"]
    assert made == [site.deployment.uid, deployment.uid]


def test_streams_can_be_deployed_without_asyncio(packed):
    with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator, plain_client_of(emulator) as launch:
        site = launch.create_site("night-sky", io.BytesIO(packed))
        deployment = launch.deploy(site.project.uid, site.environment.uid, packed)

        assert deployment.status.is_success
