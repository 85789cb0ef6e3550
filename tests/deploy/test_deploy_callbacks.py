"""An exception in a callback ends the call and reaches the caller unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch_async import DeploymentRef, PreviousUpload
from launch_async.emulator import LaunchEmulator
from tests.support.clients import client_of


class Fault(Exception):
    """Raised by a callback."""


def _fail(_: object) -> None:
    raise Fault


@pytest.fixture
async def emulator():
    async with LaunchEmulator(rate_limit=None, build_seconds=0.0) as emulator:
        yield emulator


@pytest.mark.parametrize("callback", ["on_log", "on_progress"])
async def test_deploy_raises_the_exception_of_a_callback(emulator, tmp_path: Path, callback: str) -> None:
    (tmp_path / "index.html").write_text("x")
    project = emulator.add_project("shop", deployments=1)
    environment = next(iter(project.environments))

    async with client_of(emulator) as launch:
        with pytest.raises(Fault):
            await launch.deploy(project.uid, environment, tmp_path, **{callback: _fail})

        assert (await launch.deploy(project.uid, environment, PreviousUpload())).status.is_success


async def test_wait_raises_the_exception_of_a_callback(emulator) -> None:
    project = emulator.add_project("shop", deployments=1)
    environment = next(iter(project.environments))

    async with client_of(emulator) as launch:
        created = await launch.deploy(project.uid, environment, PreviousUpload(), wait=False)
        ref = DeploymentRef(project.uid, environment, created.uid)
        with pytest.raises(Fault):
            await launch.wait(ref, on_update=_fail)

        assert (await launch.wait(ref)).status.is_success
