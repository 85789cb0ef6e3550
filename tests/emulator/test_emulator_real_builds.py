"""With real builds, the emulator runs the build command of an uploaded archive."""

import asyncio
import sys

import pytest

PYTHON = f'"{sys.executable}"'
SOURCE = {
    "make.py": (
        "import os, pathlib\n"
        "print('making')\n"
        "pathlib.Path('dist').mkdir()\n"
        "pathlib.Path('dist/index.html').write_text(os.environ['TITLE'] + os.environ.get('OUTER', ''))\n"
        "print('x' * 100_000, end='')\n"
    ),
    "wait.py": "import time\nprint('waiting', flush=True)\ntime.sleep(60)\n",
}


@pytest.fixture
async def builder(start):
    """An `Api` on an emulator with real builds."""
    async with start(build=True) as api:
        yield api


async def ended(api, environment):
    """Return the newest deployment of an environment after its end."""
    async with asyncio.timeout(30):
        newest = await api.newest(environment)
        while newest["status"] in ("QUEUED", "DEPLOYING"):
            newest = await api.newest(environment)
    return newest


async def messages(api, environment):
    uid = (await api.newest(environment))["uid"]
    log = (await api.get(f"{environment}/deployments/{uid}/logs/deployment-logs")).json["deploymentLogs"]
    return [line["message"] for line in log]


async def test_the_command_builds_the_site_from_its_source_and_variables(builder, zip_of, monkeypatch):
    monkeypatch.setenv("OUTER", "leaked")
    environment = await builder.site(
        zip_of(SOURCE),
        buildCommand=f"{PYTHON} make.py",
        outputDirectory="./dist",
        environmentVariables=[{"key": "TITLE", "value": "built"}],
    )

    assert (await ended(builder, environment))["status"] == "LIVE"
    assert (await builder.page(environment)).text == "built"
    assert await messages(builder, environment) == ["making", "x" * 100_000]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (f"{PYTHON} -c 'import sys; print(\"no\"); sys.exit(3)'", "exit code 3"),
        (f"{PYTHON} -c 'print(1)'", "output directory './dist' does not exist"),
    ],
)
async def test_a_failed_build_fails_its_deployment_with_the_reason(builder, zip_of, command, reason):
    environment = await builder.site(zip_of(SOURCE), buildCommand=command, outputDirectory="./dist")

    assert (await ended(builder, environment))["status"] == "FAILED"
    assert reason in (await messages(builder, environment))[-1]


async def test_a_build_does_not_wait_for_background_processes_of_its_command(builder, zip_of):
    left = f"({PYTHON} wait.py &); mkdir dist && cp make.py dist/index.html"
    environment = await builder.site(zip_of(SOURCE), buildCommand=left, outputDirectory="./dist")

    assert (await ended(builder, environment))["status"] == "LIVE"


async def test_a_build_without_a_command_is_simulated(builder, archive):
    environment = await builder.site(archive)

    builder.emulator.advance(60)

    assert (await builder.newest(environment))["status"] == "LIVE"


async def test_stopping_the_emulator_ends_a_running_build(start, zip_of):
    async with start(build=True) as api:
        environment = await api.site(zip_of(SOURCE), buildCommand=f"{PYTHON} wait.py")
        async with asyncio.timeout(30):
            seen = await messages(api, environment)
            while seen != ["waiting"]:
                seen = await messages(api, environment)
        builder = api.emulator._builder

    assert not builder._tasks


async def test_a_build_of_a_deleted_environment_changes_nothing(builder, zip_of):
    environment = await builder.site(zip_of(SOURCE), buildCommand=f"{PYTHON} -c 'print(1)'")
    await builder.newest(environment)
    await builder.delete(environment)
    async with asyncio.timeout(30):
        await asyncio.gather(*builder.emulator._builder._tasks)

    assert builder.emulator._service.state.deployments == {}
