"""A test client that uses only aiohttp, so that the tests check the wire and do not depend on the client of the SDK."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import pytest
from contract.api_document import answers_document

from launch_async.emulator import Clock, LaunchEmulator

# The document has none of these refusals.
UNDOCUMENTED_REFUSALS = {("logout", 401), ("listOrganizations", 401), ("listDomains", 400)}
PAGE = "<!doctype html><h1>Hello from the archive</h1>"


class Reply:
    """An answer: its status, text and headers."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.text = text
        self.headers = headers

    @property
    def json(self) -> Any:
        return json.loads(self.text) if self.text else None

    @property
    def code(self) -> str:
        """The code of the first error, in any error format."""
        first = self.json["errors"][0]
        return first["code"] if "code" in first else next(iter(first.values()))["code"]


def check_against_document(method: str, path: str, reply: Reply) -> None:
    """Check an answer against the API document, except for refusals that only FACTS has."""
    document = answers_document()
    operation = document.find(method, path)
    if operation is None or (operation.id, reply.status) in UNDOCUMENTED_REFUSALS:
        return
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert document.problems_of_answer(operation, reply.status, headers, reply.text.encode()) == []


class Api:
    """Call the emulator with fixed credentials."""

    def __init__(self, emulator: LaunchEmulator, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> None:
        self.emulator = emulator
        self.session = session
        self.headers = dict(headers)
        self.checks_answers = True

    def with_headers(self, headers: Mapping[str, str]) -> Api:
        other = Api(self.emulator, self.session, headers)
        other.checks_answers = self.checks_answers
        return other

    def bearer(self, token: str) -> Api:
        return self.with_headers({"Authorization": f"Bearer {token}"})

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        headers = {**self.headers, **options.pop("headers", {})}
        url = path if path.startswith("http") else self.emulator.url + path
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **options) as response:
            reply = Reply(response.status, await response.text(errors="replace"), response.headers)
        if self.checks_answers and not path.startswith("http") and not self.emulator.faults.active:
            check_against_document(method, path.partition("?")[0], reply)
        return reply

    async def get(self, path: str, **options: Any) -> Reply:
        return await self.call("GET", path, **options)

    async def post(self, path: str, body: object = None, **options: Any) -> Reply:
        return await self.call("POST", path, json={} if body is None else body, **options)

    async def put(self, path: str, body: object, **options: Any) -> Reply:
        return await self.call("PUT", path, json=body, **options)

    async def delete(self, path: str, **options: Any) -> Reply:
        return await self.call("DELETE", path, **options)

    async def upload(self, archive: bytes) -> str:
        """Get a signed URL, send `archive` to it, and return the uploadUid."""
        target = (await self.get("/projects/upload/signed_url")).json
        reply = await self.send(target, archive)
        assert reply.status in (200, 201, 204), reply.text
        return target["uploadUid"]

    async def send(self, target: Mapping[str, Any], archive: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """Send `archive` to a signed URL in the form that the answer requires."""
        given = dict(headers or {})
        if target.get("fields"):
            form = aiohttp.FormData()
            for field in target["fields"]:
                form.add_field(field["formFieldKey"], field["formFieldValue"])
            form.add_field("file", archive, filename="site.zip", content_type="application/zip")
            sent = self.session.post(target["uploadUrl"], data=form, headers=given)
        else:
            given |= {header["key"]: header["value"] for header in target["headers"]}
            sent = self.session.put(target["uploadUrl"], data=archive, headers=given)
        async with sent as response:
            return Reply(response.status, await response.text(errors="replace"), response.headers)

    async def site(self, archive: bytes, name: str = "site", **environment: object) -> str:
        """Create a project from an archive, and return the path of its environment."""
        body = {
            "name": name,
            "projectType": "FILEUPLOAD",
            "fileUpload": {"uploadUid": await self.upload(archive)},
            "environment": {"name": "production", "frameworkPreset": "OTHER", **environment},
        }
        reply = await self.post("/projects", body)
        assert reply.status == 201, reply.text
        project = f"/projects/{reply.json['project']['uid']}"
        environments = (await self.get(f"{project}/environments")).json["environments"]
        return f"{project}/environments/{environments[0]['uid']}"

    async def newest(self, environment: str) -> dict[str, Any]:
        """Return the newest deployment of the environment at a path."""
        return (await self.get(f"{environment}/deployments?limit=1")).json["deployments"][0]

    async def page(self, environment: str, path: str = "/") -> Reply:
        """Return a page of the site of the environment at a path."""
        url = (await self.newest(environment))["deploymentUrl"]
        return await self.with_headers({}).get(f"http://{url}{path}")


def make_zip(files: Mapping[str, str | bytes] | None = None) -> bytes:
    """Return an archive of `files`, padded to the minimum size of the storage."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in (files or {"index.html": PAGE}).items():
            archive.writestr(name, content)
        archive.writestr("padding.bin", bytes(1100))
    return sink.getvalue()


Start = Callable[..., AbstractAsyncContextManager[Api]]
T = TypeVar("T")


@pytest.fixture
def start() -> Start:
    """Start an emulator with options, and return an `Api` with its authtoken.

    By default there is no rate limit. If a test sets one, its clock stands still, so that the speed of the
    machine has no influence.
    """

    @asynccontextmanager
    async def started(**options: Any) -> AsyncIterator[Api]:
        settings = {"rate_limit": None, "build_seconds": 60.0, **options}
        async with LaunchEmulator(**settings) as emulator, aiohttp.ClientSession() as session:
            emulator._service.budget._clock = Clock(lambda: 0.0)
            headers = {"authtoken": emulator.authtoken, "organization_uid": emulator.organization_uid}
            yield Api(emulator, session, headers)

    return started


@pytest.fixture
async def api(start: Start) -> AsyncIterator[Api]:
    """An `Api` on a separate emulator whose builds take a minute of virtual time."""
    async with start() as started:
        yield started


class LongLived:
    """A started `Api` on a loop that outlives the examples of a property."""

    def __init__(self, start: Start) -> None:
        self._loop = asyncio.new_event_loop()
        self._started = start()
        self.api = self.run(self._started.__aenter__())

    def run(self, call: Awaitable[T]) -> T:
        """Return the result of an asynchronous call."""
        return self._loop.run_until_complete(call)

    def close(self) -> None:
        """Stop the emulator and close the loop."""
        self.run(self._started.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture
def long_lived(start: Start) -> Iterator[LongLived]:
    """An emulator for all examples of a property."""
    service = LongLived(start)
    yield service
    service.close()


@pytest.fixture
def archive() -> bytes:
    """A small deployable archive."""
    return make_zip()


@pytest.fixture
def zip_of() -> Callable[..., bytes]:
    """Return a function that makes archives."""
    return make_zip
