"""Uploads over real sockets: retries, errors, and files that are refused before they are sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from launch_async import AccessToken, InvalidArgumentError, LaunchClient, SignedUploadUrl, StorageError
from launch_async.deploy.uploading import upload
from launch_async.errors import AttemptTimeout, ResponseLost
from launch_async.http import AiohttpTransport, FileBody, Request, Response
from launch_async.models import FormField, UploadHeader
from tests.support.virtual_time import run

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def storage(answer: Answer) -> AsyncIterator[str]:
    """Run a storage that handles each connection with `answer`, and yield the address of the storage."""
    connections: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(reader, writer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(
        lambda reader, writer: connections.append(asyncio.create_task(serve(reader, writer))), "127.0.0.1"
    )
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/upload?signature=s3cr3t"
    await asyncio.gather(*connections)


async def read_head(reader: asyncio.StreamReader) -> dict[str, str]:
    """Read a request line and headers. The request line has the empty name."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    return {
        "": head[0],
        **{name.lower(): value.strip() for name, _, value in (one.partition(":") for one in head[1:-1])},
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file of a valid size."""
    file = tmp_path / "site.zip"
    file.write_bytes(b"PK" + bytes(2000))
    return file


async def test_an_upload_is_retried_with_the_same_url_after_a_broken_connection(launch, folder):
    emulator, client = launch
    emulator.faults.add("reset_before", operation="uploadArchive", times=2)

    site = await client.create_site("night-sky", folder)

    assert site.deployment.status.is_success
    assert emulator.ledger.count("uploadArchive") == 3
    assert emulator.ledger.count("getProjectUploadUrl") == 1


async def test_an_upload_is_retried_after_a_lost_answer(launch, folder):
    emulator, client = launch
    emulator.faults.add("reset_after", operation="uploadArchive", times=1)

    site = await client.create_site("night-sky", folder)

    assert site.deployment.status.is_success
    assert emulator.ledger.count("createProject") == 1


@pytest.mark.parametrize("style", ["aws", "azure", "gcp"])
async def test_an_upload_is_retried_with_a_new_url_after_a_refusal(style, start, folder):
    async with start(upload_style=style) as (emulator, client):
        emulator.faults.add("status_before", operation="uploadArchive", status=403, times=1)
        site = await client.create_site("night-sky", folder)

    assert site.deployment.status.is_success
    assert emulator.ledger.count("getProjectUploadUrl") == 2


async def test_repeated_refusals_end_the_upload_and_nothing_is_created(launch, folder, caplog):
    emulator, client = launch
    emulator.faults.add("status_before", operation="uploadArchive", status=503)

    with caplog.at_level(logging.WARNING, "launch_async.deploy.uploading"), pytest.raises(StorageError) as failure:
        await client.create_site("night-sky", folder)

    assert (failure.value.status, failure.value.attempts) == (503, 4)
    assert emulator.ledger.count("uploadArchive") == 4
    assert emulator.ledger.created == []
    assert len(caplog.messages) == 3


@pytest.mark.parametrize("style", ["aws", "azure"])
async def test_a_url_that_expires_before_the_upload_is_replaced(style, start, folder):
    async with start(upload_style=style) as (emulator, client):
        overdue = await client.uploads.url_for_project()
        emulator.clock.advance(601)
        urls = iter([overdue, await client.uploads.url_for_project()])

        async def signed_url() -> SignedUploadUrl:
            return next(urls)

        file = folder / "index.html"
        file.write_bytes(bytes(2000))
        uid = await upload(client.uploads, signed_url, file, on_progress=None)

    assert uid != overdue.upload_uid
    assert next(entry.status for entry in emulator.ledger.requests if entry.operation == "uploadArchive") == 403


async def test_an_old_url_is_replaced_before_the_upload(launch, archive):
    emulator, client = launch
    fresh = await client.uploads.url_for_project()
    old = attrs.evolve(fresh, received_at=datetime.now(UTC) - timedelta(minutes=9, seconds=1))
    urls = iter([old, fresh])

    async def signed_url() -> SignedUploadUrl:
        return next(urls)

    await upload(client.uploads, signed_url, archive, on_progress=None)

    assert emulator.ledger.count("uploadArchive") == 1
    assert next(urls, None) is None


async def test_an_old_url_from_the_caller_is_refused(launch, archive):
    emulator, client = launch
    url = await client.uploads.url_for_project()
    old = attrs.evolve(url, received_at=datetime.now(UTC) - timedelta(minutes=10))

    with pytest.raises(StorageError, match="Request a new URL") as failure:
        await client.uploads.send(old, archive)

    assert failure.value.retryable
    assert emulator.ledger.count("uploadArchive") == 0


async def test_a_redirect_of_the_storage_is_an_error_without_a_retry(launch, folder):
    emulator, client = launch
    emulator.faults.add(
        "status_before", operation="uploadArchive", status=307, headers={"Location": f"{emulator.url}/elsewhere"}
    )

    with pytest.raises(StorageError, match="never follows redirects"):
        await client.create_site("night-sky", folder)

    assert emulator.ledger.count("uploadArchive") == 1
    assert emulator.ledger.count("unknown") == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_every_2xx_status_of_the_storage_is_a_success(launch, archive, status):
    _, client = launch

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        await reader.readexactly(int(head["content-length"]))
        writer.write(f"HTTP/1.1 {status} Fine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    async with storage(answer) as address:
        sent: list[int] = []
        await client.uploads.send(SignedUploadUrl(upload_url=address, upload_uid="u"), archive, on_progress=sent.append)

    assert sent[-1] == 2002


async def test_a_raw_upload_has_length_and_type_headers_and_no_credentials(launch, archive):
    _, client = launch
    heads: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        await reader.readexactly(2002)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with storage(answer) as address:
        given = [UploadHeader(key="x-ms-blob-type", value="BlockBlob"), UploadHeader(key="content-type", value=" ")]
        await client.uploads.send(SignedUploadUrl(upload_url=address, upload_uid="u", headers=tuple(given)), archive)

    (head,) = heads
    assert head[""] == "PUT /upload?signature=s3cr3t HTTP/1.1"
    assert (head["content-length"], head["content-type"]) == ("2002", "application/zip")
    assert head["x-ms-blob-type"] == "BlockBlob"
    assert head.keys() & {"authtoken", "authorization", "organization_uid", "cookie", "transfer-encoding"} == set()


async def test_no_signed_url_is_in_an_error_or_a_log(launch, archive, caplog):
    _, client = launch

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        await reader.readexactly(int(head["content-length"]))
        body = b"<Error><Message>The URL http://x/upload?signature=s3cr3t is not valid</Message></Error>"
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)

    async with storage(answer) as address:

        async def signed_url() -> SignedUploadUrl:
            return SignedUploadUrl(upload_url=address, upload_uid="u")

        with caplog.at_level(logging.DEBUG), pytest.raises(StorageError) as failure:
            await upload(client.uploads, signed_url, archive, on_progress=None)

    assert "s3cr3t" not in caplog.text + str(failure.value) + repr(failure.value) + repr(await signed_url())


async def test_an_upload_without_progress_is_ended(tmp_path):
    file = tmp_path / "large.zip"
    with file.open("wb") as sparse:
        sparse.truncate(32 * 1024 * 1024)
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Without a read, the socket buffers fill up, and then the upload stalls.
        await done.wait()
        writer.transport.abort()

    transport = AiohttpTransport(proxy="")
    body = FileBody(file, file.stat().st_size, idle_timeout=0.3)
    async with storage(answer) as address:
        with pytest.raises(AttemptTimeout, match=r"made no progress for 0\.3 s"):
            await transport.send(Request("PUT", address, {"Content-Length": str(body.size)}, body))
        done.set()
        await transport.close()


async def test_an_exception_in_a_progress_callback_ends_the_upload(launch, folder):
    emulator, client = launch
    emulator.faults.add("delay", operation="uploadArchive", delay=5)

    def enough(sent: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await client.create_site("night-sky", folder, on_progress=enough)

    assert emulator.ledger.created == []


@pytest.mark.parametrize(
    ("size", "problem"),
    [(1023, ".* must have 1,024 to .*, not 1,023"), (104_857_601, ".* must have 1,024 to .*, not 104,857,601")],
)
async def test_a_file_of_an_invalid_size_is_refused_before_the_upload(launch, tmp_path, size, problem):
    emulator, client = launch
    url = await client.uploads.url_for_project()
    file = tmp_path / "odd.zip"
    with file.open("wb") as sparse:
        sparse.truncate(size)

    with pytest.raises(InvalidArgumentError, match=problem):
        await client.uploads.send(url, file)

    assert emulator.ledger.count("uploadArchive") == 0


async def test_a_missing_file_and_a_folder_are_refused(launch, tmp_path):
    _, client = launch
    url = await client.uploads.url_for_project()

    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        await client.uploads.send(url, tmp_path / "nowhere.zip")
    with pytest.raises(InvalidArgumentError, match="not a file"):
        await client.uploads.send(url, tmp_path)


@pytest.mark.parametrize("form", [False, True])
async def test_a_file_that_is_too_short_ends_the_upload(tmp_path, form):
    file = tmp_path / "site.zip"
    file.write_bytes(bytes(2_000_000))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    transport = AiohttpTransport(proxy="")
    body = FileBody(file, 3_000_000, form=form, fields=(("key", "value"),) if form else ())
    async with storage(answer) as address:
        with pytest.raises(ResponseLost):
            await transport.send(Request("PUT", address, {} if form else {"Content-Length": "3000000"}, body))
        await transport.close()


@pytest.mark.parametrize("form", [False, True])
async def test_only_the_announced_bytes_of_a_growing_file_are_sent(tmp_path, form):
    file = tmp_path / "site.zip"
    file.write_bytes(b"announced" + b"later")
    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        bodies.append(await reader.readexactly(int(head["content-length"])))
        writer.write(b"HTTP/1.1 204 Fine\r\nConnection: close\r\n\r\n")
        writer.close()

    transport = AiohttpTransport(proxy="")
    body = FileBody(file, 9, form=form, fields=(("key", "value"),) if form else ())
    async with storage(answer) as address:
        await transport.send(Request("PUT", address, {} if form else {"Content-Length": "9"}, body))
        await transport.close()

    assert b"announced" in bodies[0]
    assert b"later" not in bodies[0]


async def test_an_upload_is_repeated_from_its_start_if_a_reused_connection_breaks(launch, archive):
    _, client = launch
    bodies: list[bytes] = []
    dropped: list[dict[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        bodies.append(await reader.readexactly(int(head["content-length"])))
        writer.write(b"HTTP/1.1 204 Fine\r\n\r\n")
        # Read a part of the next request on this connection, and break the connection.
        dropped.append(await read_head(reader))
        writer.transport.abort()

    async with storage(answer) as address:
        url = SignedUploadUrl(upload_url=address, upload_uid="u")
        await client.uploads.send(url, archive)
        await client.uploads.send(url, archive)
        await client.close()

    assert len(dropped) == 1
    assert bodies == [archive.read_bytes()] * 2


# A success before the end of the file, a storage that asks to wait, a file that changes


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
async def test_a_success_before_the_end_of_the_file_is_an_error(tmp_path: Path, form: bool) -> None:
    file = tmp_path / "site.zip"
    file.write_bytes(bytes(40_000_000))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read(1000)

    async with storage(answer) as url:
        transport = AiohttpTransport()
        request = Request("POST" if form else "PUT", url, body=FileBody(file, 40_000_000, form=form))
        with pytest.raises(ResponseLost, match=r"answered with status 200 after only [\d,]+ of 40,000,000 bytes"):
            await transport.send(request)
        await transport.close()


@pytest.mark.parametrize("size", [1024, 3_000_000])
@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
async def test_a_success_right_after_the_last_byte_is_a_success(tmp_path: Path, size: int, form: bool) -> None:
    file = tmp_path / "site.zip"
    file.write_bytes(bytes(size))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        await reader.readexactly(int(head["content-length"]))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with storage(answer) as url:
        transport = AiohttpTransport()
        for _ in range(5):
            assert (await transport.send(Request("PUT", url, body=FileBody(file, size, form=form)))).status == 204
        await transport.close()


class Busy:
    """A storage that answers 503 to the first `times` requests, and records the time of each request."""

    def __init__(self, times: int, retry_after: str) -> None:
        self.asked: list[float] = []
        self._times = times
        self._retry_after = retry_after

    async def send(self, request: Request) -> Response:
        """Answer a request."""
        self.asked.append(asyncio.get_running_loop().time())
        if len(self.asked) <= self._times:
            return Response(503, {"Retry-After": self._retry_after})
        return Response(200)

    async def close(self) -> None:
        """Do nothing."""


def sent_to(storage: Busy, file: Path, remaining: float) -> str:
    urls: list[SignedUploadUrl] = []

    async def signed_url() -> SignedUploadUrl:
        urls.append(SignedUploadUrl(upload_url="https://storage.test/x", upload_uid=f"u{len(urls)}"))
        return urls[-1]

    async def main() -> str:
        async with LaunchClient(AccessToken("token"), transport=storage) as client:
            return await upload(client.uploads, signed_url, file, on_progress=None, remaining=lambda: remaining)

    return run(main())


@pytest.mark.parametrize("retry_after", ["7", "40"])
def test_the_retry_after_of_a_busy_storage_is_followed(archive: Path, retry_after: str) -> None:
    busy = Busy(2, retry_after)

    assert sent_to(busy, archive, 60) == "u0"
    assert [later - earlier for earlier, later in pairwise(busy.asked)] == [pytest.approx(float(retry_after))] * 2


def test_a_retry_after_beyond_the_deadline_ends_the_upload(archive: Path) -> None:
    busy = Busy(9, "120")

    with pytest.raises(StorageError, match=r"send the file again in 120 s") as caught:
        sent_to(busy, archive, 60)
    assert (caught.value.retry_after, caught.value.status, len(busy.asked)) == (120, 503, 1)


@pytest.mark.parametrize("style", ["aws", "azure"])
async def test_a_file_that_becomes_shorter_is_an_error_without_a_retry(tmp_path: Path, style: str) -> None:
    file, heads = tmp_path / "site.zip", 0
    file.write_bytes(bytes(20_000_000))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heads
        await read_head(reader)
        heads += 1
        await reader.readexactly(1000)
        with file.open("r+b") as opened:
            opened.truncate(1000)
        await reader.read()

    async with storage(answer) as url, LaunchClient(AccessToken("token"), base_url="http://127.0.0.1:1") as client:
        fields = (FormField(form_field_key="key", form_field_value="value"),) if style == "aws" else ()
        signed = SignedUploadUrl(upload_url=url, upload_uid="u0", fields=fields)

        async def signed_url() -> SignedUploadUrl:
            return signed

        with pytest.raises(
            StorageError, match=r"'site\.zip' became shorter during the upload: .* of its 20,000,000 bytes"
        ):
            await upload(client.uploads, signed_url, file, on_progress=None)
    assert heads <= 2  # aiohttp itself sends a PUT a second time.
