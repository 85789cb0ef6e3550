"""A test client of aiohttp alone, so that the tests check the wire and do not depend on the SDK's client."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from contract.api_document import answers_document

from launch_async.emulator import Clock, LaunchEmulator

# The document has no refusal for these.
BESIDE_THE_DOCUMENT = {("logout", 401), ("listOrganizations", 401), ("listDomains", 400)}
PAGE = "<!doctype html><h1>Hello from the archive</h1>"


class Reply:
    """A status, decoded JSON (None for no body) and headers."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.text = text
        self.headers = headers

    @property
    def json(self) -> Any:
        return json.loads(self.text) if self.text else None

    @property
    def code(self) -> str:
        """The code of the first error, in any envelope."""
        first = self.json["errors"][0]
        return first["code"] if "code" in first else next(iter(first.values()))["code"]


def hold_to_the_document(method: str, path: str, reply: Reply) -> None:
    """Check that an answer fits the API document, except where FACTS knows more than the document."""
    document = answers_document()
    operation = document.find(method, path)
    if operation is None or (operation.id, reply.status) in BESIDE_THE_DOCUMENT:
        return
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert document.problems_of_answer(operation, reply.status, headers, reply.text.encode()) == []


class Api:
    """Calls the emulator with fixed credentials."""

    def __init__(self, emulator: LaunchEmulator, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> None:
        self.emulator = emulator
        self.session = session
        self.headers = dict(headers)
        self.held_to_the_document = True

    def with_headers(self, headers: Mapping[str, str]) -> Api:
        other = Api(self.emulator, self.session, headers)
        other.held_to_the_document = self.held_to_the_document
        return other

    def bearer(self, token: str) -> Api:
        return self.with_headers({"Authorization": f"Bearer {token}"})

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        headers = {**self.headers, **options.pop("headers", {})}
        url = path if path.startswith("http") else self.emulator.url + path
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **options) as response:
            reply = Reply(response.status, await response.text(errors="replace"), response.headers)
        if self.held_to_the_document and not path.startswith("http") and not self.emulator.faults.active:
            hold_to_the_document(method, path.partition("?")[0], reply)
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
        """The newest deployment of the environment at that path."""
        return (await self.get(f"{environment}/deployments?limit=1")).json["deployments"][0]

    async def page(self, environment: str, path: str = "/") -> Reply:
        """A page of the site of the environment at that path."""
        url = (await self.newest(environment))["deploymentUrl"]
        return await self.with_headers({}).get(f"http://{url}{path}")


def make_zip(files: Mapping[str, str | bytes] | None = None) -> bytes:
    """An archive of `files`, padded to what storage takes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in (files or {"index.html": PAGE}).items():
            archive.writestr(name, content)
        archive.writestr("padding.bin", bytes(1100))
    return sink.getvalue()


Start = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def start() -> Start:
    """Start an emulator with options, and return an `Api` with its authtoken.

    The budget is off unless asked for. Where there is one, all requests come in one moment, however long they take.
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


@pytest.fixture
def archive() -> bytes:
    """A small deployable archive."""
    return make_zip()


@pytest.fixture
def zip_of() -> Callable[..., bytes]:
    """Return a function that makes archives."""
    return make_zip
