"""A recorder masks private data, writes whole lines, and never makes a call fail."""

import asyncio
import base64
import contextlib
import html
import json
import logging
import os
import random
import stat
import string
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import pytest
import yaml
from contract.api_document import DOCUMENT

from launch_async import NotFoundError, ResponseLost
from launch_async._file_lock import lock, unlock
from launch_async.emulator import LaunchEmulator, Recorder, Tape
from launch_async.emulator.tape.vocabulary import is_known
from launch_async.http import FileBody, Request, Response
from tests.support.clients import client_of

PROJECT, ENVIRONMENT = "66c0ffee00000000000000a1", "66c0ffee00000000000000b1"
ORGANIZATION = "blt0123456789abcdef"
API = "https://launch-api.acme-corp.com"


async def record(path, request, answer):
    """Record one exchange, and return its decoded line."""

    async def send(_request):
        if isinstance(answer, Exception):
            raise answer
        return answer

    recorder = Recorder(path)
    with contextlib.suppress(ResponseLost):
        await recorder(request, send)
    assert not recorder.failed
    return json.loads(path.read_bytes().splitlines()[-1])


def answered(document, status=200, **headers):
    return Response(status, {"Content-Type": "application/json", **headers}, json.dumps(document).encode())


def asked(path="/projects", **fields):
    return Request(fields.pop("method", "GET"), f"{API}{path}", **fields)


# 1000 planted secrets


class Planter:
    """Create secrets of many kinds, and record them for the check."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.planted = []

    def some(self, letters, size):
        return "".join(self.random.choices(letters, k=size))

    def __call__(self, *, number=False):
        """Return a new secret."""
        word = self.some(string.ascii_lowercase, 9)
        kinds = [
            lambda: self.some(string.ascii_letters + string.digits, 40),
            lambda: f"cs{self.some('0123456789abcdef', 32)}",
            lambda: self.some("0123456789abcdef", 24),
            lambda: f"blt{self.some('0123456789abcdef', 16)}",
            lambda: base64.b64encode(self.random.randbytes(24)).decode(),
            lambda: f"{word}@{self.some(string.ascii_lowercase, 8)}.com",
            lambda: f"{word.title()} {self.some(string.ascii_lowercase, 10).title()}",
            lambda: f"{word}-Ünï/{self.some(string.punctuation, 6)}",
            lambda: f"-----BEGIN KEY-----\n{self.some(string.ascii_letters, 64)}\n-----END KEY-----",
            lambda: f"{word}.{self.some(string.ascii_lowercase, 7)}.io",
            lambda: ".".join(str(self.random.randrange(100, 256)) for _ in range(4)),
            lambda: f"eyJ{self.some(string.ascii_letters, 20)}.eyJ{self.some(string.ascii_letters, 30)}.{word}",
            lambda: word,
            lambda: f"{self.some('0123456789abcdef', 8)}-{self.some('0123456789abcdef', 4)}-4{self.some('abcd', 3)}",
            lambda: f"{self.random.randrange(10**15, 10**16)}",
            lambda: self.random.randbytes(20).hex(),
        ]
        secret = str(self.random.randrange(10**15, 10**16)) if number else self.random.choice(kinds)()
        self.planted.append(secret)
        return int(secret) if number else secret

    def exchange(self):
        """Return a request and its answer with secrets in every place."""
        segment = quote(self(), safe="")
        signed = (
            f"https://{self()}.s3.amazonaws.com/{segment}?X-Amz-Signature={quote_plus(self())}&Policy={quote(self())}"
        )
        hook = f"{API}/manage/deploy/{self()}"
        request = Request(
            self.random.choice(["GET", "POST", "PUT"]),
            f"https://{segment.lower()[:9]}x.com/{segment}/projects/{quote(self(), safe='')}"
            f"/environments/{quote(self())}"
            f"?{quote_plus(self())}={quote_plus(self())}&limit={quote_plus(self())}&timestamp={quote_plus(self())}",
            {
                "authtoken": self(),
                "Authorization": f"Bearer {self()}",
                "Cookie": f"session={self()}",
                "X-Custom": self(),
                self.some(string.ascii_letters, 12): self(),
                "organization_uid": self(),
                "User-Agent": self(),
                "Content-Type": f"multipart/form-data; boundary={self()}",
            },
            json.dumps(
                {
                    "name": self(),
                    "environmentVariables": [{"key": self(), "value": self(), "status": self()}],
                    "fileUpload": {"uploadUid": self()},
                    "customPrivateKey": self(),
                    "code": self(),
                    "client_secret": self(),
                }
            ).encode(),
            operation=self(),
        )
        document = {
            "pagination": {"count": 3, "limit": self(), "skip": None, "total": self(number=True)},
            "projects": [
                {
                    "uid": self(),
                    "name": self(),
                    "status": self(),
                    "createdAt": self(),
                    "createdBy": self(),
                    "cmsStackApiKey": self(),
                    "description": f"call {self()} at {self()}",
                    "deploymentUrl": self(),
                    "uploadUrl": signed,
                    "hook": hook,
                    "deploymentNumber": self(),
                    "commitMessage": f"Fix by {self()}",
                    "commitHash": self(),
                    "environmentVariables": {self(): self(), "KEPT": [self(), {"deep": self(number=True)}]},
                    "passwordProtection": {"isEnabled": True, "username": self(), "password": self()},
                    "domains": [{"url": self(), "certificate": self(), "status": {"reason": self()}}],
                }
            ],
            "errors": [
                {"code": self(), "message": f"Project {self()} of {self()} not found: {signed}, {hook}"},
                {self(): {"code": f"launch.{self()}", "message": self()}},
            ],
            "error_message": f"The token {self()} is invalid.",
            "error_description": self(),
            "deploymentLogs": [
                {
                    "message": f"export TOKEN={self()} && curl -u {self()} {signed}",
                    "stage": self(),
                    "timestamp": self(),
                },
                {"message": base64.b64encode(self().encode()).decode(), "timestamp": "2026-01-01T00:00:00.000Z"},
                {"message": quote(self()), "source": self()},
            ],
            self(): {"anything": [self(), [self()], {"count": self(), "cardNumber": self(number=True)}]},
            "account": self(number=True),
            "ratio": self(number=True) / 2,
        }
        headers = {
            "Content-Type": self.random.choice(["application/json", self()]),
            "Date": self(),
            "Set-Cookie": self(),
            "X-Request-Id": self(),
            "Location": f"https://{self()}/{self()}",
            "X-RateLimit-Limit": self(),
            "Retry-After": self(),
            "Cache-Control": self(),
            "Server": self(),
            f"x-{self.some(string.ascii_lowercase, 14)}": self(),
        }
        bodies = [
            json.dumps(document).encode(),
            f"<html><title>{self()}</title><p>{html.escape(self())}</p></html>".encode(),
            f"<Error><Code>{html.escape(self())}</Code><Message>{html.escape(self())}</Message></Error>".encode(),
            f"no JSON: {self()}".encode(),
            json.dumps(document).encode()[:-7],
            self().encode("utf-16"),
        ]
        path = self.random.choice(["", "", "/openapi"])
        if path:
            request = Request("GET", f"{API}/openapi", {"authtoken": self()})
        return request, Response(self.random.choice([200, 201, 404, 500]), headers, self.random.choice(bodies))


def forms_of(secret):
    """Return a secret in plain text and in several encodings."""
    raw = secret.encode()
    return {
        secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret),
        json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="), raw.hex(), secret[::-1], *secret.split("\n"),
    } - {"-----BEGIN KEY-----", "-----END KEY-----"}  # fmt: skip


def strings_in(document):
    match document:
        case dict():
            for name, value in document.items():
                yield name
                yield from strings_in(value)
        case list():
            for value in document:
                yield from strings_in(value)
        case _:
            yield str(document)


async def test_none_of_a_thousand_planted_secrets_is_on_the_tape(tmp_path):
    plant, tape = Planter(23), tmp_path / "tape.jsonl"
    recorder = Recorder(tape)
    while len(plant.planted) < 1000:
        request, answer = plant.exchange()

        async def send(_request, answer=answer):
            return answer

        assert await recorder(request, send) is answer

    written = tape.read_text()
    texts = [
        written,
        unquote(written),
        *(text for line in written.splitlines() for text in strings_in(json.loads(line))),
    ]
    everything = "\n".join(texts).casefold()
    found = {secret for secret in plant.planted for form in forms_of(secret) if form.casefold() in everything}
    assert not recorder.failed
    assert len(plant.planted) >= 1000
    assert found == set()


@pytest.mark.parametrize("text", ["a" * 50_000 + "!", "a@" * 20_000, "https://" * 10_000, "1." * 20_000, "x" * 50_000])
async def test_a_text_that_is_slow_to_match_is_masked_like_any_other(tmp_path, text):
    line = await record(tmp_path / "tape.jsonl", asked(), answered({"message": text, "status": text, text: text}))

    assert len(json.dumps(line)) < 2_000_000
    assert text not in json.dumps(line)


# Values that stay on the tape


async def test_values_that_describe_the_behaviour_of_the_service_are_kept(tmp_path):
    line = await record(
        tmp_path / "tape.jsonl",
        asked("/projects?limit=100&skip=0"),
        answered(
            {
                "pagination": {"count": 250, "limit": 100, "skip": None},
                "projects": [{"status": "LIVE", "createdAt": "2026-01-02T03:04:05.678Z", "projectType": "FILEUPLOAD"}],
                "error_code": 105,
                "errors": [{"code": "launch.PROJECT.NOT_FOUND", "message": "Project not found."}],
                "usageReset": 1767225600000,
                "deletedAt": None,
                "isEnabled": True,
            },
            404,
            Date="Thu, 01 Jan 2026 00:00:00 GMT",
            **{"X-RateLimit-Remaining": "9", "Retry-After": "1"},
        ),
    )

    assert line["request"]["query"] == [["limit", "100"], ["skip", "0"]]
    assert line["answer"] == {
        "status": 404,
        "headers": {
            "content-type": "application/json", "date": "Thu, 01 Jan 2026 00:00:00 GMT", "x-ratelimit-remaining": "9",
            "retry-after": "1",
        },
        "json": {
            "pagination": {"count": 250, "limit": 100, "skip": None},
            "projects": [{"status": "LIVE", "createdAt": "2026-01-02T03:04:05.678Z", "projectType": "FILEUPLOAD"}],
            "error_code": 105,
            "errors": [{"code": "launch.PROJECT.NOT_FOUND", "message": "Project not found."}],
            "usageReset": 1767225600000,
            "deletedAt": None,
            "isEnabled": True,
        },
    }  # fmt: skip


def names_in(document):
    match document:
        case {"properties": dict(properties)}:
            yield from properties
        case {"name": str(name), "in": _}:
            yield name
        case {"enum": [str(), *_] as choices}:
            yield from choices
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for child in children:
        yield from names_in(child)


def test_all_names_and_choices_of_the_api_are_known():
    document = yaml.safe_load(DOCUMENT.read_text("utf-8"))

    assert {name for name in names_in(document) if not is_known(name)} == set()


async def test_a_uid_has_the_same_substitute_in_all_places(tmp_path):
    line = await record(
        tmp_path / "tape.jsonl",
        asked(f"/projects/{PROJECT}/environments?of={PROJECT}", headers={"x-project-uid": PROJECT}),
        answered(
            {
                "project": PROJECT,
                "uid": PROJECT,
                "deploymentLogs": [{"message": f"Deploying {PROJECT}, build 7"}],
                "uploadUrl": f"https://storage.acme-corp.com/{PROJECT}/site.zip?X-Amz-Signature=abc",
                PROJECT: 1,
            },
            Link=f"https://storage.acme-corp.com/{PROJECT}",
        ),
    )
    document = line["answer"]["json"]
    substitute = document["uid"]

    assert len(substitute) == 24
    assert substitute != PROJECT
    assert line["request"]["path"] == f"/projects/{substitute}/environments"
    assert line["request"]["query"][0][1] == line["request"]["headers"]["x-project-uid"] == substitute
    assert document["project"] == substitute
    assert substitute in document["deploymentLogs"][0]["message"]
    assert substitute in document["uploadUrl"]
    assert substitute in line["answer"]["headers"]["link"]
    assert substitute in document


async def test_names_hosts_and_commits_have_the_same_substitute_in_all_places(tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    line = await record(
        tmp_path / "tape.jsonl",
        asked(f"/projects?commit={commit[:7]}", method="POST", body=b'{"name": "storefront", "gitBranch": "trunk"}'),
        answered(
            {
                "project": {"name": "storefront", "gitBranch": "trunk", "url": "shop.acme-corp.com"},
                "domains": [{"url": "shop.acme-corp.com"}, {"url": "https://shop.acme-corp.com/x"}],
                "message": "The branch trunk of shop.acme-corp.com is not there",
                "commitHash": commit,
            }
        ),
    )
    sent, document = line["request"], line["answer"]["json"]
    host = document["project"]["url"]

    assert sent["json"]["name"] == document["project"]["name"]
    assert sent["json"]["gitBranch"] == document["project"]["gitBranch"]
    assert document["domains"][0]["url"] == host
    assert document["domains"][1]["url"].startswith(f"https://{host}/")
    assert host in document["message"]
    assert document["commitHash"].startswith(sent["query"][0][1])
    assert len(document["commitHash"]) == 40
    assert sent["host"] != host


async def test_a_prefix_of_the_base_url_is_not_part_of_the_path(tmp_path):
    line = await record(tmp_path / "tape.jsonl", asked("/gateway/acme/projects"), answered({}))

    assert line["request"]["path"] == "/projects"


async def test_uploaded_content_and_signed_queries_are_not_on_the_tape(tmp_path):
    archive = tmp_path / "site"
    archive.mkdir()
    (archive / "index.html").write_text("<h1>planted-in-the-page</h1>" * 100)
    tape = tmp_path / "tape.jsonl"
    async with LaunchEmulator(build_seconds=0) as emulator, client_of(emulator, middleware=[Recorder(tape)]) as client:
        await client.create_site("planted-site", archive)
    paths = [exchange.path for exchange in Tape.load(tape).exchanges]

    assert "/projects/upload/signed_url" in paths
    assert not any("storage" in path for path in paths)
    assert "planted" not in tape.read_text()
    assert "signature" not in tape.read_text().lower().replace("x-amz-signature", "")


async def test_only_the_size_of_a_file_is_recorded(tmp_path):
    file = tmp_path / "site.zip"
    file.write_bytes(b"planted")
    line = await record(tmp_path / "tape.jsonl", asked(method="PUT", body=FileBody(file, 7)), answered({}))

    assert line["request"]["file"] == 7
    assert "planted" not in json.dumps(line)


async def test_events_of_a_live_log_are_masked_on_the_tape_and_unchanged_for_the_client(tmp_path):
    parts = [b": hi planted\n\nevent: session\nda", b'ta: {"expiresAt": "2026-01-01T00:00:00.000Z"}\n\n']
    parts += [b'id: 4\nevent: log\ndata: {"message": "planted secret", "timestamp": "2026-01-01T00:00:00.000Z"}\n\nev']

    class Stream:
        closed = False

        async def read(self):
            return parts.pop(0) if parts else b""

        def close(self):
            self.closed = True

    tape, stream, whole = tmp_path / "tape.jsonl", Stream(), b"".join(parts)

    async def send(_request):
        return Response(200, {"Content-Type": "text/event-stream"}, stream=stream)

    answer = await Recorder(tape)(asked(f"/projects/{PROJECT}", streamed=True), send)
    read = [part async for part in _parts(answer.stream)]
    answer.stream.close()
    (line,) = tape.read_text().splitlines()
    first, second, third = json.loads(line)["answer"]["events"]

    assert b"".join(read) == whole
    assert stream.closed
    assert "planted" not in line
    assert first.startswith(": ")
    assert second == 'event: session\ndata: {"expiresAt": "2026-01-01T00:00:00.000Z"}\n\n'
    assert third.startswith("id: 4\nevent: log\ndata: {")
    assert '"timestamp": "2026-01-01T00:00:00.000Z"' in third


async def _parts(stream):
    while part := await stream.read():
        yield part


async def test_a_large_answer_is_recorded_and_masked(tmp_path):
    line = await record(tmp_path / "tape.jsonl", asked(), answered({"projects": [{"name": "planted"}] * 20_000}))

    assert len(line["answer"]["json"]["projects"]) == 20_000
    assert "planted" not in json.dumps(line)


async def test_only_the_name_of_the_error_is_recorded_for_a_lost_answer(tmp_path):
    line = await record(tmp_path / "tape.jsonl", asked(), ResponseLost("the connection to planted.com broke"))

    assert line["failure"] == "ResponseLost"
    assert "answer" not in line
    assert "planted" not in json.dumps(line)


# The file


async def test_only_the_owner_can_read_the_tape(tmp_path):
    there, new = tmp_path / "there.jsonl", tmp_path / "new.jsonl"
    there.touch(0o644)
    for tape in (there, new):
        await record(tape, asked(), answered({}))

    assert [stat.S_IMODE(tape.stat().st_mode) for tape in (there, new)] == [0o600, 0o600]


@pytest.mark.parametrize("content", ["my notes\n", '{"name": "a document"}\n', "{"])
def test_a_file_that_is_not_a_tape_is_refused_and_not_changed(tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_text(content)

    with pytest.raises(ValueError, match=r"is not a tape.*choose another path"):
        Recorder(file)
    assert file.read_text() == content


async def test_an_incomplete_line_of_a_killed_program_is_removed(tmp_path):
    tape = tmp_path / "tape.jsonl"
    await record(tape, asked(), answered({}))
    whole = tape.read_bytes()
    tape.write_bytes(whole + whole[: len(whole) // 2])
    await record(tape, asked("/openapi"), answered({}))

    assert [exchange.path for exchange in Tape.load(tape).exchanges] == ["/projects", "/openapi"]


WRITER = """
import asyncio, sys
from launch_async.emulator import Recorder
from launch_async.http import Request, Response

async def main():
    async def send(request):
        return Response(200, {}, b'{"message": "' + b"x " * 3000 + b'"}')
    recorder = Recorder(sys.argv[1])
    for _ in range(100):
        await recorder(Request("GET", "https://example.com/projects"), send)
    assert not recorder.failed

asyncio.run(main())
"""


def test_several_processes_record_to_one_tape(tmp_path):
    tape = tmp_path / "tape.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tape)]) for _ in range(3)]

    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(Tape.load(tape).exchanges) == 300


async def test_the_event_loop_runs_while_another_program_has_locked_the_tape(tmp_path):
    path = tmp_path / "tape.jsonl"
    recorder, sent = Recorder(path), asyncio.Event()

    async def send(request):
        sent.set()
        return Response(status=200, headers={}, body=b"{}")

    with path.open("ab") as other:
        assert lock(other.fileno())
        call = asyncio.create_task(recorder(asked(), send))
        await sent.wait()
        unlock(other.fileno())
    await call

    assert not recorder.failed
    assert len(path.read_text("utf-8").splitlines()) == 1


def unwritable(tmp_path):
    yield tmp_path  # This path is a folder.
    yield tmp_path / "missing" / "tape.jsonl"
    yield Path("/dev/full")


@pytest.mark.parametrize("kind", range(3))
async def test_a_tape_that_cannot_be_written_does_not_fail_any_call(tmp_path, caplog, kind):
    path = list(unwritable(tmp_path))[kind]
    if kind == 2 and not path.exists():
        pytest.skip("this platform has no /dev/full")
    with caplog.at_level(logging.WARNING):
        recorder = Recorder(path)
        async with LaunchEmulator(rate_limit=None) as emulator, client_of(emulator, middleware=[recorder]) as client:
            emulator.add_project("landing")
            names = [[project.name async for project in client.projects.list()] for _ in range(2)]

    assert names == [["landing"]] * 2
    assert recorder.failed
    assert len([entry for entry in caplog.records if entry.name.endswith("tape.recorder")]) == 1


async def test_a_full_disk_leaves_only_complete_lines(tmp_path, monkeypatch):
    tape = tmp_path / "tape.jsonl"
    await record(tape, asked(), answered({}))
    before = tape.read_bytes()
    write = os.write

    def full(descriptor, content):
        if len(content) > 50:
            return write(descriptor, bytes(content[:50]))
        raise OSError(28, "No space left on device")

    recorder = Recorder(tape)
    monkeypatch.setattr(os, "write", full)

    async def send(_request):
        return answered({})

    answer = await recorder(asked(), send)
    monkeypatch.undo()

    assert answer.status == 200
    assert recorder.failed
    assert tape.read_bytes() == before


async def test_a_recorder_changes_neither_answers_nor_errors(tmp_path):
    async with LaunchEmulator(rate_limit=None) as emulator:
        project = emulator.add_project("landing", variables=[("KEY", "value")])
        async with client_of(emulator) as plain, client_of(emulator, middleware=[Recorder(tmp_path / "t")]) as recorded:
            listed = [[one async for one in client.environments.list(project.uid)] for client in (plain, recorded)]
            with pytest.raises(NotFoundError):
                await recorded.projects.get(PROJECT)

    assert listed[0] == listed[1]
