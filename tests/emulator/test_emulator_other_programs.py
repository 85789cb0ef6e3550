"""The emulator works with other programs: their forms, their connections and their requests."""

import asyncio
import re
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.support.git_project import GIT_PROJECT, GIT_REPOSITORY

ZIP = {"Content-Type": "application/zip"}
RANGE = "x-goog-content-length-range"


async def target(api):
    return (await api.get("/projects/upload/signed_url")).json


def place(api, **project):
    made = api.emulator.add_project("there", **project)
    return f"/projects/{made.uid}/environments/{next(iter(made.environments))}"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({**ZIP, RANGE: "1024,104857600"}, 200, ""),
        ({**ZIP, RANGE: "1024, 104857600"}, 200, ""),
        (ZIP, 400, "MalformedSecurityHeader"),
        ({**ZIP, RANGE: "0,1"}, 403, "SignatureDoesNotMatch"),
    ],
)
async def test_gcp_needs_the_length_range_header_of_the_target(start, archive, headers, status, code):
    async with start(upload_style="gcp") as api:
        given = await target(api)
        reply = await api.with_headers(headers).call("PUT", given["uploadUrl"], data=archive)

    assert {"key": RANGE, "value": "1024,104857600"} in given["headers"]
    assert (reply.status, code in reply.text) == (status, True)


@pytest.mark.parametrize("style", ["azure", "gcp"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_an_upload_as_a_form_is_stored_but_cannot_be_deployed(start, archive, style, method):
    async with start(upload_style=style) as api:
        given = await target(api)
        form = aiohttp.FormData()
        form.add_field("file", archive, filename="site.zip", content_type="application/zip")
        stored = await api.with_headers({}).call(method, given["uploadUrl"], data=form)
        creation = {"uploadUid": given["uploadUid"]}
        environment = place(api)
        refused = await api.post(f"{environment}/deployments", creation)
        headers = {header["key"]: header["value"] for header in given["headers"]}
        again = await api.with_headers(headers).call("PUT", given["uploadUrl"], data=archive)
        created = await api.post(f"{environment}/deployments", creation)

    assert (stored.status, refused.status, refused.code) == (201, 400, "launch.DEPLOYMENT.INVALID_FILE_TYPE")
    assert (again.status, created.status) == (201 if style == "azure" else 200, 201)


async def test_a_form_with_a_forged_signature_is_refused(start, archive):
    async with start(upload_style="azure") as api:
        url = (await target(api))["uploadUrl"].replace("sig=", "sig=0")
        form = aiohttp.FormData()
        form.add_field("file", archive, filename="site.zip")
        reply = await api.with_headers({}).call("POST", url, data=form)

    assert reply.status == 403


async def test_storage_closes_an_idle_connection(start, archive):
    async with start(upload_style="azure", storage_idle_seconds=0.05) as api:
        given = await target(api)
        url = urlsplit(given["uploadUrl"])
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(archive)}\r\n"
        writer.write(f"{head}Content-Type: application/zip\r\nx-ms-blob-type: BlockBlob\r\n\r\n".encode() + archive)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 201")
    assert b"connection: close" not in answer.lower()


async def test_storage_keeps_a_connection_that_is_used_again(api, archive):
    await api.upload(archive)
    timers = list(api.emulator._dispatcher._idle.values())
    await api.get("/projects")

    assert [timer.cancelled() for timer in timers] == [True]


async def test_a_project_does_not_return_its_git_provider(api):
    expected = {name: value for name, value in GIT_REPOSITORY.items() if name != "gitProviderMetadata"}

    assert (await api.post("/projects", GIT_PROJECT)).json["project"]["repository"] == expected


async def test_the_commit_message_of_an_upload_says_so(api, archive):
    deployment = await api.newest(await api.site(archive))

    assert deployment["commitMessage"] == "Triggered By File Upload"


@pytest.mark.parametrize(
    "path", ["/manage/graphql", "/logs/graphql", "/manage/projects/framework", "/manage/git-branches"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_operations_that_are_not_emulated_are_refused_with_a_reason(api, method, path):
    api.checks_answers = False
    reply = await api.call(method, path)

    assert (reply.status, reply.code) == (501, "launch.NOT_IMPLEMENTED")
    assert path in reply.text
    assert "public API" in reply.text


async def test_the_document_names_operations_and_parameters(api):
    paths = (await api.with_headers({}).get("/openapi")).json["paths"]

    operation = paths[
        "/projects/{project_uid}/environments/{environment_uid}/deployments/{deployment_uid}/logs/server-logs"
    ]
    names = [(one["name"], one["in"]) for one in operation["get"]["parameters"]]
    assert names == [
        ("project_uid", "path"), ("environment_uid", "path"), ("deployment_uid", "path"),
        ("startTime", "query"), ("endTime", "query"), ("x-cs-api-version", "header"),
    ]  # fmt: skip
    summaries = [operation["summary"] for methods in paths.values() for operation in methods.values()]
    assert all(re.fullmatch(r"[A-Z][A-Za-z ]+", summary) for summary in summaries)
    assert paths["/projects"]["get"]["summary"] == "List Projects"
