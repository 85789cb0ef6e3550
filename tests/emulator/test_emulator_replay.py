"""An emulator with a tape answers only from the tape."""

import json

import aiohttp
import pytest

import launch_sync.emulator
from launch_async import APIError, NotFoundError, ResponseLost, RetryPolicy, ServerError
from launch_async.emulator import LaunchEmulator, Recorder
from launch_async.emulator.__main__ import main
from launch_async.http import Request, Response
from tests.support.clients import client_of, plain_client_of


@pytest.fixture
def tape(tmp_path):
    return tmp_path / "tape.jsonl"


async def explore(client):
    """Read all projects, environments, deployments and logs, and return the main values."""
    found = []
    async for project in client.projects.list():
        async for environment in client.environments.list(project.uid):
            found.append((await client.environments.get(project.uid, environment.uid)).framework_preset)
            async for deployment in client.deployments.list(project.uid, environment.uid):
                found.append((await client.deployments.get(project.uid, environment.uid, deployment.uid)).status)
                lines = await client.deployments.logs(project.uid, environment.uid, deployment.uid)
                found.append([(line.stage, line.timestamp) for line in lines])
    found.append(sorted((await client.openapi())["paths"]))
    return found


async def test_the_same_program_gets_the_same_values_from_the_tape(tape):
    async with LaunchEmulator(rate_limit=None) as emulator, client_of(emulator, middleware=[Recorder(tape)]) as client:
        emulator.add_project("landing", environments=["one", "two"], deployments=2)
        emulator.add_project("shop", deployments=1)
        live = await explore(client)
    async with LaunchEmulator.from_tape(tape) as emulator, client_of(emulator) as client:
        replayed = await explore(client)

    assert replayed == live
    assert len(live) > 10


def test_a_tape_can_be_replayed_in_launch_sync(tape):
    with launch_sync.emulator.LaunchEmulator(rate_limit=None) as emulator:
        emulator.add_project("landing")
        with plain_client_of(emulator, middleware=[launch_sync.emulator.Recorder(tape)]) as client:
            (project,) = client.projects.list()
    with launch_sync.emulator.LaunchEmulator.from_tape(tape) as emulator, plain_client_of(emulator) as client:
        (taped,) = client.projects.list()
        assert taped.organization_uid == emulator.organization_uid

    assert (taped.created_at, taped.project_type) == (project.created_at, project.project_type)
    assert taped.uid != project.uid


async def test_the_k_th_request_gets_the_k_th_answer_and_the_last_is_repeated(tape):
    async with LaunchEmulator(rate_limit=None) as emulator, client_of(emulator, middleware=[Recorder(tape)]) as client:
        for name in ("a", "b"):
            emulator.add_project(name)
            await client.projects.list().total()
    async with LaunchEmulator.from_tape(tape) as emulator, client_of(emulator) as client:
        totals = [await client.projects.list().total() for _ in range(4)]

    assert totals == [1, 2, 2, 2]


async def test_a_request_that_is_not_on_the_tape_is_refused_with_a_similar_one(tape):
    async with LaunchEmulator(rate_limit=None) as emulator, client_of(emulator, middleware=[Recorder(tape)]) as client:
        project = emulator.add_project("landing")
        await client.environments.list(project.uid).total()
    recorded = json.loads(tape.read_text())["request"]["path"]
    async with LaunchEmulator.from_tape(tape) as emulator, client_of(emulator) as client:
        with pytest.raises(APIError) as refused:
            await client.projects.get("66c0ffee00000000000000a1")
        with pytest.raises(APIError, match="tape has no POST"):
            await client.request("POST", "/projects", json={})
        requests = [(entry.status, entry.operation) for entry in emulator.ledger.requests]

    error = refused.value
    assert (error.status, error.codes, error.retryable) == (421, ("emulator.NOT_ON_TAPE",), False)
    assert not isinstance(error, (NotFoundError, ServerError))
    assert "has no response for GET /projects/66c0ffee00000000000000a1" in str(error)
    assert recorded in str(error)
    assert requests == [(421, "getProject"), (421, "createProject")]


async def test_refusals_lost_answers_and_headers_are_replayed(tape):
    async with (
        LaunchEmulator(rate_limit=None) as emulator,
        client_of(emulator, middleware=[Recorder(tape)], retry=RetryPolicy(attempts=1)) as client,
    ):
        # aiohttp sends the request twice.
        emulator.faults.add("reset_after", operation="getCacheRevalidationUsage", times=2)
        with pytest.raises(ResponseLost):
            await client.usage.cache_revalidations()
        with pytest.raises(NotFoundError):
            await client.projects.get("66c0ffee00000000000000a1")
    missing = json.loads(tape.read_text().splitlines()[1])
    async with (
        LaunchEmulator.from_tape(tape) as emulator,
        client_of(emulator, retry=RetryPolicy(attempts=1)) as client,
    ):
        with pytest.raises(ResponseLost):
            await client.usage.cache_revalidations()
        with pytest.raises(NotFoundError) as refused:
            await client.projects.get(missing["request"]["path"].rpartition("/")[2])

    assert refused.value.codes == ("launch.PROJECT.NOT_FOUND",)


@pytest.mark.parametrize("date", [{}, {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}])
async def test_only_recorded_headers_are_sent(tape, date):
    async def send(_request):
        return Response(200, {"X-RateLimit-Limit": "10", **date}, b"{}")

    await Recorder(tape)(Request("GET", "https://example.com/openapi"), send)
    async with (
        LaunchEmulator.from_tape(tape) as emulator,
        aiohttp.ClientSession() as session,
        session.get(f"{emulator.url}/openapi") as answer,
    ):
        sent = {name.lower(): value for name, value in answer.headers.items()}

    assert sent == {"x-ratelimit-limit": "10", "content-length": "2", **{name.lower(): date[name] for name in date}}


async def test_a_replay_ignores_the_rate_limit_and_credentials(tape):
    async with LaunchEmulator(rate_limit=None) as emulator, client_of(emulator, middleware=[Recorder(tape)]) as client:
        await client.usage.cache_revalidations()
    async with LaunchEmulator.from_tape(tape, rate_limit=1) as emulator:
        async with client_of(emulator) as client:
            for _ in range(5):
                await client.usage.cache_revalidations()
        statuses = [entry.status for entry in emulator.ledger.requests]

    assert statuses == [200] * 5


LINE = json.dumps(
    {
        "tape": 1, "at": "2026-01-01T00:00:00.000Z", "seconds": 0.1,
        "request": {"method": "GET", "path": "/projects", "query": [], "headers": {}},
        "answer": {"status": 200, "headers": {}, "json": {}},
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        (f"{LINE}\n{LINE[:40]}", "Line 2 .*not valid JSON.*end of the line is missing"),
        (f"{LINE}\n{LINE[:40]}\n{LINE}\n", "Line 2 .*not valid JSON"),
        (f"{LINE}\n\n", "Line 2 .*not valid JSON"),
        ('{"name": "a document"}\n', "Line 1 .*Check that the file is a tape"),
        ("[]\n", "Line 1 .*Check that the file is a tape"),
        (LINE.replace('"tape": 1', '"tape": 0') + "\n", "Line 1 .*format 0.*reads format 1"),
        (LINE.replace('"status": 200', '"status": "ok"') + "\n", "Line 1 .*'status' is 'ok'"),
        (LINE.replace('"query": []', '"query": [["a"]]') + "\n", "Line 1 .*'query'"),
        (LINE.replace('"method": "GET"', '"method": 1') + "\n", "Line 1 .*'method'"),
        (LINE.replace('"answer"', '"answers"') + "\n", "Line 1 .*no 'answer'"),
        (LINE.replace('"json": {}', '"json": {}, "text": ""') + "\n", "Line 1 .*several bodies"),
        (LINE.replace('"json": {}', '"events": [1]') + "\n", "Line 1 .*'events'"),
        (LINE.replace('"headers": {}', '"headers": {"a": "b\\nc"}') + "\n", "Line 1 .*header 'a'"),
        ("\udcff\n", "Line 1 .*not valid JSON"),
    ],
)
def test_the_error_about_a_damaged_or_foreign_tape_names_the_line(tape, content, reason):
    tape.write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(ValueError, match=reason) as refused:
        LaunchEmulator.from_tape(tape)
    assert str(tape) in str(refused.value)


def test_the_command_says_what_is_wrong_with_a_tape(tape, capsys):
    missing, foreign = tape.with_name("missing.jsonl"), tape
    foreign.write_text("notes\n")
    codes = [main(["--tape", str(path)]) for path in (missing, foreign)]
    written = capsys.readouterr().err

    assert codes == [2, 2]
    assert str(missing) in written
    assert "Line 1" in written


def test_a_tape_and_a_state_file_exclude_each_other(tape):
    with pytest.raises(ValueError, match="tape and state cannot be combined"):
        LaunchEmulator(tape=tape, state=tape)
