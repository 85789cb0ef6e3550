"""The fixtures of the pytest plugin work in parallel. tests/docs checks them in one process."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from launch_async.emulator import LaunchEmulator

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import pytest


@pytest.mark.asyncio
async def test_an_asynchronous_client(launch_emulator, launch_client):
    launch_emulator.add_project("here")
    assert [project.name async for project in launch_client.projects.list()] == ["here"]


def test_a_plain_client(launch_emulator, sync_launch_client):
    launch_emulator.add_project("here")
    assert [project.name for project in sync_launch_client.projects.list()] == ["here"]


@pytest.mark.launch_emulator(seed=1, rate_limit=None)
def test_options(launch_emulator):
    assert launch_emulator.organization_uid == "ORGANIZATION"


@pytest.mark.xfail(raises=TypeError, strict=True)
@pytest.mark.launch_emulator({"rate_limit": None})
def test_options_in_the_wrong_place(launch_emulator):
    pass


def test_every_test_has_its_own(sync_launch_client):
    assert list(sync_launch_client.projects.list()) == []
"""


ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
WORKERS = ("-p", "xdist", "-n", "2")
PLUGINS = [part for name in ("asyncio", *ENTRY_POINTS) for part in ("-p", name)]


def install(folder):
    """Register the entry points of the project with pytest, as an installation does."""
    metadata = folder / "contentstack_launch-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: contentstack-launch\nVersion: 0\n")
    lines = [f"{name} = {module}" for name, module in ENTRY_POINTS.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))


@pytest.fixture
def folder_of_tests(tmp_path, monkeypatch):
    """A folder with the tests of a user."""
    organization = LaunchEmulator(seed=1).organization_uid
    (tmp_path / "test_users_of_the_emulator.py").write_text(TESTS.replace("ORGANIZATION", organization))
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\naddopts = --strict-markers\nasyncio_default_fixture_loop_scope = function\n"
    )
    install(tmp_path / "installed")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "installed"), str(ROOT)]))
    return tmp_path


def test_the_fixtures_work_in_parallel_and_behind_a_proxy(folder_of_tests, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # No program listens on this port.

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGINS, *WORKERS, "-p", "no:cacheprovider", "--basetemp", "temp"],
        cwd=folder_of_tests,
        capture_output=True,
        text=True,
    )

    assert "4 passed, 1 xfailed" in run.stdout, run.stdout + run.stderr


def test_without_a_runner_the_asynchronous_fixture_says_what_is_missing(folder_of_tests):
    (folder_of_tests / "pytest.ini").write_text("[pytest]\nmarkers = asyncio\n")
    plugins = [part for name in ENTRY_POINTS for part in ("-p", name)]

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-p", "no:cacheprovider", "-k", "asynchronous", "--basetemp=temp"],
        cwd=folder_of_tests,
        capture_output=True,
        text=True,
    )

    assert "The fixture launch_client needs pytest-asyncio. Install it with: pip install pytest-asyncio" in run.stdout
    assert "1 error" in run.stdout


def test_loading_the_plugin_loads_neither_server_nor_client():
    code = (
        "import sys, launch_async.pytest_plugin;"
        "sys.exit(bool({'aiohttp', 'launch_async.client', 'launch_async.emulator.server'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
