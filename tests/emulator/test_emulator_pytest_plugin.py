"""The pytest plugin is judged: its fixtures work in asynchronous and plain tests, alone and in parallel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_every_test_has_its_own(sync_launch_client):
    assert list(sync_launch_client.projects.list()) == []
"""


@pytest.mark.parametrize("parallel", [[], ["-p", "xdist", "-n", "2"]], ids=["alone", "in parallel"])
def test_the_fixtures_work(tmp_path, parallel):
    from launch_async.emulator import LaunchEmulator

    organization = LaunchEmulator(seed=1).organization_uid
    (tmp_path / "test_users.py").write_text(TESTS.replace("ORGANIZATION", organization))
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\naddopts = --strict-markers\nasyncio_default_fixture_loop_scope = function\n"
    )
    plugins = ["-p", "asyncio", "-p", "launch_async.emulator.pytest_plugin", "-p", "no:cacheprovider", *parallel]

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--basetemp", str(tmp_path / "temp"), str(tmp_path)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert "4 passed" in run.stdout, run.stdout + run.stderr


def test_loading_the_plugin_loads_neither_server_nor_client():
    code = (
        "import sys, launch_async.emulator.pytest_plugin;"
        "sys.exit(bool({'aiohttp', 'launch_async.client', 'launch_async.emulator.server'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
