"""Every Python block of the documentation and every example runs as a separate program.

All programs run at the same time, because they mostly wait for builds of an emulator.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from launch_sync.emulator import LaunchEmulator
from tests.support.certificates import issued
from tests.support.gates import lacking
from tests.support.programs import ROOT, Ended, Programs
from tools.pages import Block, blocks

EXAMPLES = ROOT / "examples"
Started = Callable[..., Future[Ended]]

# Start the slowest programs first.
COMMANDS = {
    "tail": ("tail_running_builds.py",),
    "deploy": ("deploy_folder.py",),
    "redeploy": ("redeploy_fleet.py", "--yes"),
    "release": ("release.py",),
    "preview": ("preview.py",),
    "sweep": ("preview.py", "--sweep", "--yes"),
    "look": ("redeploy_fleet.py",),
    "plan": ("roll_out_variable.py",),
    "roll out": ("roll_out_variable.py", "--yes"),
    "consider": ("clean_up.py",),
    "clean up": ("clean_up.py", "--yes"),
    "drift": ("keep_state.py",),
    "fix": ("keep_state.py", "--yes"),
    "revalidate": ("revalidate_after_publish.py", "--gather", "0.2"),
    "trace": ("with_opentelemetry.py",),
}
WITH_AN_ORGANIZATION = {
    "real deploy": ("deploy_folder.py",),
    "real redeploy": ("redeploy_fleet.py", "--yes", "--environments", "preview"),
    "real roll out": ("roll_out_variable.py", "--yes"),
    "real tail": ("tail_running_builds.py", "--projects", "shop"),
    "real clean up": ("clean_up.py", "--environments", "nothing"),
}
SHARED_BUDGET = "docs/how-to/many-machines.md"
BLOCKS = {block.name: block for block in blocks("python")}
# A block with the language `text` shows the output of the program before it.
SHOWN = {
    program.name: shown
    for program, shown in pairwise(blocks("python", "text"))
    if (program.language, shown.language) == ("python", "text") and shown.page == program.page
}

# For a block with this mark, the environment variables name an emulator.
EMULATOR = """
import os
from launch_sync.emulator import LaunchEmulator
_emulator = LaunchEmulator()
_emulator.start()
_project = _emulator.add_project("night-sky", deployments=1)
_environment_uid = next(iter(_project.environments))
_emulator.add_domain(_environment_uid, "www.example.com")
os.environ.update(
    CONTENTSTACK_LAUNCH_URL=_emulator.url,
    CONTENTSTACK_CLIENT_ID=_emulator.client_id,
    CONTENTSTACK_CLIENT_SECRET=_emulator.client_secret,
    LAUNCH_PROJECT_UID=_project.uid,
    LAUNCH_ENVIRONMENT_UID=_environment_uid,
    LAUNCH_DEPLOY_HOOK_UID=_emulator.deploy_hook_url(_environment_uid).rpartition("/")[2],
)
{block}
_emulator.stop()
"""
# A block with this mark logs in, and asks the user for input.
LOGIN = """
import builtins
import functools
import getpass
import os
import launch_sync
from launch_sync.emulator import LaunchEmulator
with LaunchEmulator() as _emulator:
    os.environ["CONTENTSTACK_REGION"] = "na"
    launch_sync.login = functools.partial(launch_sync.login, base_url=_emulator.url)
    _user = _emulator.add_organization(second_factor="123456")
    builtins.input = lambda question: _user.email if question == "E-mail: " else "123456"
    getpass.getpass = lambda: _user.password
    exec({block!r})
"""
# A block with this mark is a file of tests.
PYTEST = """
import sys
from importlib.metadata import entry_points
import pytest
options = ["-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
if not entry_points(group="pytest11", name="contentstack_launch"):  # run from a checkout that is not installed
    options += ["-p", "launch_async.pytest_plugin"]
sys.exit(pytest.main([{path!r}, *options]))
"""


def program(block: Block, folder: Path) -> str:
    """Return the program for a block. It may write files to the folder."""
    if block.marker == "pytest":
        tests = folder / "test_block.py"
        tests.write_text(block.text, "utf-8")
        # Use separate settings, because the temporary folder may be inside a checkout.
        (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n", "utf-8")
        return PYTEST.format(path=str(tests))
    if block.marker == "login":
        return LOGIN.format(block=block.text)
    return EMULATOR.replace("{block}", block.text) if block.marker == "emulator" else block.text


@pytest.fixture(scope="module")
def organization() -> Iterator[LaunchEmulator]:
    """An emulator that the environment variables name as the organization."""
    with LaunchEmulator() as emulator:
        emulator.add_project("shop", environments=["preview", "staging"], git=True, deployments=1)
        yield emulator


def settings_of(organization: LaunchEmulator) -> dict[str, str]:
    """Return the environment variables for an emulator."""
    return {
        "CONTENTSTACK_LAUNCH_URL": organization.url,
        "CONTENTSTACK_AUTHTOKEN": organization.authtoken,
        "CONTENTSTACK_ORGANIZATION_UID": organization.organization_uid,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with one working folder for each program."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def redis_url(folder: Path) -> Iterator[str | None]:
    """A separate Redis; None if the program is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    socket_file = folder / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket_file), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        while not socket_file.exists():
            assert server.poll() is None
            time.sleep(0.01)
        yield f"unix://{socket_file}"
        server.terminate()


@pytest.fixture(scope="module", autouse=True)
def ended(
    request: pytest.FixtureRequest, folder: Path, organization: LaunchEmulator, redis_url: str | None
) -> Iterator[dict[str, Future[Ended]]]:
    """The finished programs, by title or by page and line. Only the selected blocks run."""
    variables = {**settings_of(organization), "FEATURE_FLAG": "on"}
    authority = issued()
    certificate = issued("www.example.com", by=authority)
    chosen = {item.name.partition("[")[2][:-1] for item in request.session.items}

    with Programs() as programs:

        def example(title: str, name: str, *arguments: str, **settings: dict[str, str]) -> Future[Ended]:
            place = folder / title
            place.mkdir()
            code = (EXAMPLES / name).read_text("utf-8")
            path = str(EXAMPLES / name)
            return programs.start(code, name=path, arguments=arguments, folder=EXAMPLES, cwd=place, **settings)

        started = {title: example(title, *command) for title, command in COMMANDS.items()}
        for title, command in WITH_AN_ORGANIZATION.items():
            started[title] = example(title, *command, variables=variables)
        for number, (name, block) in enumerate(BLOCKS.items()):
            if name in chosen or name.startswith(SHARED_BUDGET):
                place = folder / str(number)
                shutil.copytree(EXAMPLES / "site", place / "site")
                (place / "fullchain.pem").write_text(certificate.certificate + authority.certificate)
                (place / "privkey.pem").write_text(certificate.key)
                (place / "launch.toml").write_text('unmanaged = ["*"]')
                settings = {"REDIS_URL": redis_url} if redis_url else {}
                code = program(block, place)
                started[name] = programs.start(code, name=name, folder=place, cwd=place, variables=settings)
        yield started


def output(ending: Future[Ended]) -> str:
    program = ending.result()
    assert (program.returncode, program.stderr) == (0, ""), f"{program.stdout}\n{program.stderr}"
    return program.stdout


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, name: str = "fastapi_service") -> AsyncIterator[str]:
    """Run a FastAPI service, and yield its address."""
    monkeypatch.syspath_prepend(EXAMPLES)
    module = __import__(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(module.app, log_level="warning"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve([listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with serving(monkeypatch) as address:
        yield address


async def test_the_service_starts_deployments_and_reports_their_state(service: str) -> None:
    async with aiohttp.ClientSession(service) as session:
        async with session.get("/environments") as answer:
            (environment,) = await answer.json()
        uids = {name: environment[name] for name in ("project_uid", "environment_uid")}
        async with session.post("/deployments", params=uids) as answer:
            started = await answer.json()
            assert (answer.status, started["is_final"]) == (202, False)
        async with session.get("/deployments", params={**uids, "deployment_uid": started["deployment_uid"]}) as answer:
            assert (await answer.json())["deployment_uid"] == started["deployment_uid"]


async def test_the_service_returns_the_error_of_the_sdk(service: str) -> None:
    nowhere = {"project_uid": "0" * 24, "environment_uid": "0" * 24}
    async with aiohttp.ClientSession(service) as session, session.post("/deployments", params=nowhere) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"] == "NotFoundError"


async def test_the_service_uses_the_organization_of_the_environment_variables(
    monkeypatch: pytest.MonkeyPatch, organization: LaunchEmulator
) -> None:
    for name, value in settings_of(organization).items():
        monkeypatch.setenv(name, value)

    async with (
        serving(monkeypatch) as address,
        aiohttp.ClientSession(address) as session,
        session.get("/environments") as answer,
    ):
        names = {environment["name"] for environment in await answer.json()}

    assert names >= {"shop/preview", "shop/staging"}


async def test_a_browser_that_reconnects_gets_the_rest_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch, "stream_logs") as address, aiohttp.ClientSession(address) as session:
        async with session.get("/logs") as answer:
            whole = _events(await answer.text())
        async with session.get("/logs", headers={"Last-Event-ID": whole[0]["id"]}) as answer:
            rest = _events(await answer.text())
        async with session.get("/logs", headers={"Last-Event-ID": "broken"}) as answer:
            refused = answer.status
        async with session.get("/") as answer:
            page = await answer.text()

    assert len(whole) > 2
    assert whole[-1] == {"event": "end", "data": "LIVE"}
    assert [event["data"] for event in rest] == [event["data"] for event in whole[1:]]
    assert refused == 400
    assert "EventSource" in page


def _events(stream: str) -> list[dict[str, str]]:
    """Return the events of a whole stream."""
    return [
        {name: value for name, _, value in (line.partition(": ") for line in event.splitlines())}
        for event in stream.split("\n\n")
        if event
    ]


@pytest.fixture
def quiet_organization() -> Iterator[LaunchEmulator]:
    """An emulator without other callers, so that no request gets a 429 and a retry."""
    with LaunchEmulator() as emulator:
        yield emulator


async def test_published_entries_are_purged_in_the_organization_of_the_environment_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quiet_organization: LaunchEmulator
) -> None:
    project = quiet_organization.add_project("news", deployments=1)
    monkeypatch.syspath_prepend(EXAMPLES)
    for name, value in settings_of(quiet_organization).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["revalidate_after_publish.py", project.uid, *project.environments])
    revalidate = __import__("revalidate_after_publish")

    running = asyncio.create_task(revalidate.main())
    printed = ""
    while "Listening on port" not in printed and not running.done():
        await asyncio.sleep(0.01)
        printed += capsys.readouterr().out
    await revalidate.send_some(int(printed.split()[-1]))
    running.cancel()
    await asyncio.wait([running])

    assert capsys.readouterr() == ("Purged article, moonrise, eclipse\n", "")
    assert quiet_organization.ledger.count("revalidateCdnCache") == 1


def test_a_deployment_of_staging_is_promoted(ended: dict[str, Future[Ended]]) -> None:
    assert re.fullmatch(r"staging: LIVE at http\S+\nproduction: LIVE at http\S+\n", output(ended["release"]))


def test_a_branch_is_previewed(ended: dict[str, Future[Ended]]) -> None:
    shown = r"preview-feature-moon-\w{6} at http\S+\npreview-\S+: branch feature/moon, of me, until \S+\n"
    assert re.fullmatch(shown, output(ended["preview"]))
    assert output(ended["sweep"]) == ""


def test_a_roll_out_is_shown_before_it_is_made(ended: dict[str, Future[Ended]]) -> None:
    assert "blog/staging  +FEATURE_FLAG" in output(ended["plan"])
    assert "succeeded" not in output(ended["plan"])
    assert "set FEATURE_FLAG: 3 succeeded" in output(ended["roll out"])


def test_only_old_previews_are_deleted_and_only_with_yes(ended: dict[str, Future[Ended]]) -> None:
    assert output(ended["consider"]) == "Would delete shop/preview-17, shop/preview-18\n"
    assert "delete environments: 2 succeeded" in output(ended["clean up"])


def test_drift_is_shown_and_the_exit_code_is_2(ended: dict[str, Future[Ended]]) -> None:
    program = ended["drift"].result()

    assert (program.returncode, program.stderr) == (2, "")
    assert "+ cassini-it  create the project" in program.stdout


def test_drift_is_fixed_with_yes(ended: dict[str, Future[Ended]]) -> None:
    assert output(ended["fix"]).endswith("Remaining: no changes\n")


def test_entries_published_together_cost_one_revalidation(ended: dict[str, Future[Ended]]) -> None:
    assert "Purged article, moonrise, eclipse\n1 revalidations today, 499 left" in output(ended["revalidate"])


def test_a_redeployment_is_shown_before_it_is_made(ended: dict[str, Future[Ended]]) -> None:
    assert "shop/production" in output(ended["look"])
    assert "succeeded" not in output(ended["look"])


def test_a_fleet_is_redeployed_and_reported(ended: dict[str, Future[Ended]], folder: Path) -> None:
    assert "9 succeeded" in output(ended["redeploy"])
    assert {path.name for path in folder.joinpath("redeploy").iterdir()} >= {
        "redeploy.journal",
        "report.html",
        "report.json",
        "report.md",
        "report.xml",
    }


def test_calls_are_traced_with_opentelemetry(ended: dict[str, Future[Ended]]) -> None:
    listed, absent = output(ended["trace"]).splitlines()[1:]

    assert re.match(r"launch listProjects UNSET \[.*'sent again'.*'launch.attempts': 2", listed)
    assert re.match(r"launch getProject ERROR \[.*'error.type': 'NotFoundError'", absent)


def test_a_folder_is_deployed(ended: dict[str, Future[Ended]]) -> None:
    assert "LIVE at http://127.0.0.1:" in output(ended["deploy"])


def test_every_running_build_is_tailed_to_its_end(ended: dict[str, Future[Ended]]) -> None:
    lines = [line.split(maxsplit=1) for line in output(ended["tail"]).splitlines()[1:]]

    assert sorted(text for name, text in lines if name == "shop/production") == ["LIVE", "compiling", "done"]
    assert len(lines) == 9


def test_examples_use_the_organization_of_the_environment_variables(
    ended: dict[str, Future[Ended]], organization: LaunchEmulator
) -> None:
    outputs = {title: output(ended[title]) for title in WITH_AN_ORGANIZATION}

    assert "LIVE at http://127.0.0.1:" in outputs["real deploy"]
    assert "1 succeeded" in outputs["real redeploy"]
    assert "set FEATURE_FLAG: 1 succeeded" in outputs["real roll out"]
    assert "builds are running" in outputs["real tail"]
    assert outputs["real clean up"] == "There is nothing to delete.\n"
    assert organization.ledger.count("createProject", status=201) == 1


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_of_the_documentation_runs(ended: dict[str, Future[Ended]], name: str) -> None:
    output(ended[name])


def without_random_parts(text: str) -> str:
    """Return the output of a program, without the numbers that differ in each run."""
    return re.sub(r"\b[0-9a-f]{24}\b|(?<=Plan )[0-9a-f]{8}|(?<=127.0.0.1:)\d+", "#", text)


@pytest.mark.parametrize("name", SHOWN)
def test_a_program_prints_what_its_page_shows(ended: dict[str, Future[Ended]], name: str) -> None:
    assert without_random_parts(SHOWN[name].text) in without_random_parts(output(ended[name]))


def test_the_shared_budget_of_the_documentation_is_used(ended: dict[str, Future[Ended]], redis_url: str | None) -> None:
    if redis_url is None:
        lacking("redis-server", "Debian: apt-get install redis-server")
    (name,) = (name for name in ended if name.startswith(SHARED_BUDGET))

    assert output(ended[name]) == "0 projects\n"
