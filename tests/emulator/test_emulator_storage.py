"""The storage of three clouds accepts valid archives only."""

import asyncio
import io
import stat
import zipfile
from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st

from launch_async.emulator.uploads.unpacking import BrokenArchive, safe_name, unpack

LARGEST = 104_857_600
STYLES = ("aws", "azure", "gcp")


async def target(api, path="/projects/upload/signed_url"):
    return (await api.get(path)).json


@pytest.mark.parametrize(("style", "status"), [("aws", 204), ("azure", 201), ("gcp", 200)])
async def test_each_cloud_has_its_method_and_status_for_an_upload(start, archive, style, status):
    async with start(upload_style=style) as api:
        given_target = await target(api)
        reply = await api.send(given_target, archive)
        environment = await api.site(archive)
        api.emulator.advance(60)
        page = await api.page(environment)

    assert reply.status == status
    assert given_target["method"] == ("POST" if style == "aws" else "PUT")
    assert "Hello from the archive" in page.text


async def test_the_aws_target_has_its_eight_fields_in_order(api):
    fields = [field["formFieldKey"] for field in (await target(api))["fields"]]

    assert fields == [
        "bucket", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
        "X-Amz-Security-Token", "key", "Policy", "X-Amz-Signature",
    ]  # fmt: skip


async def test_environments_and_deployments_have_upload_targets(api):
    project = api.emulator.add_project("p")
    path = f"/projects/{project.uid}/environments"
    environment = next(iter(project.environments))

    targets = [
        await target(api, f"{path}/upload/signed_url"),
        await target(api, f"{path}/{environment}/deployments/upload/signed_url"),
    ]

    assert len({given_target["uploadUid"] for given_target in targets}) == 2


async def test_expiry_can_be_an_epoch_in_milliseconds(start):
    async with start(upload_style="azure", upload_expiry="epoch_ms") as api:
        before = api.emulator.clock.now()
        expires_in = (await target(api))["expiresIn"]
        after = api.emulator.clock.now()

    assert int(before * 1000) <= expires_in - 600_000 <= after * 1000


@pytest.mark.parametrize("style", STYLES)
async def test_an_upload_target_expires_after_ten_minutes(start, archive, style):
    async with start(upload_style=style) as api:
        given_target = await target(api)
        api.emulator.advance(601)
        reply = await api.send(given_target, archive)

    assert reply.status == 403
    assert "<Error>" in reply.text


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("header", ["authtoken", "Authorization", "organization_uid"])
async def test_storage_refuses_credentials_and_the_ledger_names_the_header(start, archive, style, header):
    async with start(upload_style=style) as api:
        reply = await api.send(await target(api), archive, headers={header: "secret"})
        entry = api.emulator.ledger.requests[-1]

    assert reply.status == 400
    assert header in reply.text
    assert "secret" not in reply.text
    assert (entry.operation, entry.credentials) == ("uploadArchive", (header.lower(),))


@pytest.mark.parametrize("style", STYLES)
async def test_an_archive_that_is_too_small_is_refused_and_not_stored(start, style):
    async with start(upload_style=style) as api:
        given_target = await target(api)
        reply = await api.send(given_target, b"x" * 1023)
        project = api.emulator.add_project("p")
        path = f"/projects/{project.uid}/environments/{next(iter(project.environments))}/deployments"
        deployment = await api.post(path, {"uploadUid": given_target["uploadUid"]})

    assert (reply.status, "EntityTooSmall" in reply.text) == (400, True)
    assert deployment.status == 400


@pytest.mark.parametrize(("style", "status"), [("aws", 400), ("azure", 413)])
async def test_a_length_over_the_limit_is_refused_before_the_body(start, style, status):
    async with start(upload_style=style) as api:
        given_target = await target(api)
        headers = {"Content-Type": "application/zip", "x-ms-blob-type": "BlockBlob"}
        headers["Content-Length"] = str(LARGEST + 100_000)
        answer = await _raw_head(api, given_target, headers)

    assert f" {status} " in answer


async def _raw_head(api, given_target, headers):
    """Send only the head of a request, and return the first line of the answer."""
    url = urlsplit(given_target["uploadUrl"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    lines = [f"{given_target['method']} {url.path}?{url.query} HTTP/1.1", f"Host: {url.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    first = (await reader.readline()).decode()
    writer.close()
    await writer.wait_closed()
    return first


@pytest.mark.parametrize("style", STYLES)
async def test_chunked_encoding_is_refused(start, style):
    async def chunks():
        yield bytes(2000)

    async with start(upload_style=style) as api:
        given_target = await target(api)
        headers = {
            "Content-Type": "application/zip",
            "x-ms-blob-type": "BlockBlob",
            "x-goog-content-length-range": "1024,104857600",
        }
        reply = await api.with_headers(headers).call(given_target["method"], given_target["uploadUrl"], data=chunks())

    assert (reply.status, "MissingContentLength" in reply.text) == (411, True)


async def test_azure_needs_its_blob_type_header_and_gcp_a_zip(start, archive):
    replies = []
    ranged = {"x-goog-content-length-range": "1024,104857600"}
    for style, headers in (
        ("azure", {"Content-Type": "application/zip"}),
        ("gcp", {"Content-Type": "text/plain", **ranged}),
    ):
        async with start(upload_style=style) as api:
            url = (await target(api))["uploadUrl"]
            replies.append(await api.with_headers(headers).call("PUT", url, data=archive))

    assert [reply.status for reply in replies] == [400, 400]


@pytest.mark.parametrize("style", ["azure", "gcp"])
async def test_a_forged_signature_is_refused(start, archive, style):
    async with start(upload_style=style) as api:
        given_target = await target(api)
        other = await target(api)
        given_target["uploadUrl"] = given_target["uploadUrl"].replace(given_target["uploadUid"], other["uploadUid"])
        reply = await api.send(given_target, archive)

    assert (reply.status, "SignatureDoesNotMatch" in reply.text) == (403, True)


@pytest.mark.parametrize("index", range(8))
async def test_a_changed_form_field_is_refused(api, archive, index):
    given_target = await target(api)
    given_target["fields"][index]["formFieldValue"] += "x"

    reply = await api.send(given_target, archive)

    assert reply.status == 403


@pytest.mark.parametrize(("change", "status"), [("missing", 403), ("swapped", 204), ("added", 403)])
async def test_the_form_needs_its_eight_fields_in_any_order(api, archive, change, status):
    given_target = await target(api)
    fields = given_target["fields"]
    if change == "missing":
        fields.pop()
    elif change == "swapped":
        fields.reverse()
    else:
        fields.append({"formFieldKey": "acl", "formFieldValue": "public-read"})

    assert (await api.send(given_target, archive)).status == status


def multipart(parts, boundary="b0"):
    """Return a multipart body of parts: (name, content, content type or None)."""
    out = b""
    for name, content, kind in parts:
        disposition = f'form-data; name="{name}"' + ('; filename="a.zip"' if name == "file" else "")
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        out += head.encode() + (f"Content-Type: {kind}\r\n".encode() if kind else b"") + b"\r\n" + content + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


@pytest.mark.parametrize(
    ("arrange", "status"),
    [
        (lambda fields, file: [*fields, file], 204),
        (lambda fields, file: [file, *fields], 403),
        (lambda fields, file: [*fields, file, ("x", b"1", None)], 400),
        (lambda fields, file: [*fields, file, file], 400),
        (lambda fields, _: fields, 400),
        (lambda fields, file: [*fields, ("file", file[1], "text/plain")], 204),
        (lambda fields, file: [*fields, ("file", file[1], None)], 204),
        (lambda fields, file: [*fields, fields[0], file], 400),
        (lambda fields, file: [("x", b"1" * 70_000, None), *fields, file], 400),
    ],
    ids=[
        "valid",
        "file first",
        "after the file",
        "two files",
        "no file",
        "another type",
        "no type",
        "field twice",
        "large field",
    ],
)
async def test_the_form_must_end_with_one_file(api, archive, arrange, status):
    given_target = await target(api)
    fields = [(field["formFieldKey"], field["formFieldValue"].encode(), None) for field in given_target["fields"]]
    body = multipart(arrange(fields, ("file", archive, "application/zip")))

    reply = await api.with_headers({"Content-Type": "multipart/form-data; boundary=b0"}).call(
        "POST", given_target["uploadUrl"], data=body
    )

    assert reply.status == status


@pytest.mark.parametrize("kind", ["application/zip", "multipart/form-data", "multipart/form-data; boundary=other"])
async def test_a_body_that_is_not_a_form_is_refused(api, archive, kind):
    given_target = await target(api)

    reply = await api.with_headers({"Content-Type": kind}).call("POST", given_target["uploadUrl"], data=archive)

    assert 400 <= reply.status < 500
    assert "<Error>" in reply.text


async def test_other_buckets_and_methods_are_a_404(api):
    bare = api.with_headers({})

    replies = [await bare.get("/storage/aws/launch-uploads"), await bare.call("PUT", "/storage/azure/x/y", data=b"")]

    assert [reply.status for reply in replies] == [404, 404]


def zipped(*entries):
    """Return an archive with raw entry names. The third value of an entry is the Unix mode."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as opened:
        for name, content, *mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
            opened.writestr(entry, content)
        opened.writestr("padding.bin", bytes(1100))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x" * 2000, "not a zip"),
        (zipped(("../evil.html", "x")), "unsafe name"),
        (zipped(("/etc/evil", "x")), "unsafe name"),
        (zipped(("a/../../evil", "x")), "unsafe name"),
        (zipped(("C:/evil", "x")), "unsafe name"),
        (zipped(("a\\..\\evil", "x")), "unsafe name"),
        (zipped(("a/" * 200 + "deep", "x")), "unsafe name"),
        (zipped(("link", "/etc/passwd", stat.S_IFLNK | 0o777)), "link"),
        (zipped(("a", "file"), ("a/b", "below a file")), "damaged"),
        (zipped(("big.bin", bytes(200_000))), "too large"),
    ],
    ids=[
        "no zip",
        "parent",
        "absolute",
        "climbing",
        "drive",
        "backslash",
        "deep",
        "link",
        "file as folder",
        "too large",
    ],
)
async def test_an_archive_that_cannot_be_unpacked_fails_its_deployment(start, content, reason):
    async with start(unpacked_limit=100_000) as api:
        environment = await api.site(content)
        api.emulator.advance(60)
        newest = await api.newest(environment)
        log = await api.get(f"{environment}/deployments/{newest['uid']}/logs/deployment-logs")
        page = await api.page(environment)

    assert newest["status"] == "FAILED"
    assert reason in log.json["deploymentLogs"][-1]["message"]
    assert page.status == 404


async def test_a_missing_output_directory_fails_without_a_build_command(api, archive):
    static = await api.site(archive, name="a", outputDirectory="./public")
    built = await api.site(archive, name="b", outputDirectory="./public", buildCommand="npm run build")
    climbing = await api.site(archive, name="c", outputDirectory="../../")

    api.emulator.advance(60)

    assert [(await api.newest(path))["status"] for path in (static, built, climbing)] == ["FAILED", "LIVE", "FAILED"]
    assert "no static files" in (await api.page(built)).text


@given(st.text(alphabet=st.sampled_from([*"ab./\\: ~%", "\0", "\n", "é"]), max_size=12))
def test_no_entry_name_leads_out_of_its_folder(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp()
    try:
        safe = safe_name(name)
    except BrokenArchive:
        return

    assert (root / safe).resolve().is_relative_to(root.resolve())


def test_an_encrypted_or_empty_archive_is_refused(tmp_path):
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as opened:
        opened.writestr("folder/", "")
    encrypted = tmp_path / "encrypted.zip"
    content = bytearray(zipped(("a", "x")))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(content)

    for archive, reason in ((empty, "no files"), (encrypted, "encrypted")):
        with pytest.raises(BrokenArchive, match=reason):
            unpack(archive, tmp_path / archive.stem, 1_000_000)
        assert not (tmp_path / archive.stem).exists()
