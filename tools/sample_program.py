"""A user's program with annotations everywhere. Five type checkers must infer the same types. No test runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

import launch_async
import launch_sync
from launch_async import Deployment, DeploymentRef, Environment, LaunchError, LogLine, Project, RateLimitError
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FleetReport, Plan


def show(line: LogLine) -> None:
    """Print a line of a build's log."""
    print(line.timestamp, line.message)


async def asynchronous(folder: Path, project_uid: str, environment_uid: str) -> FleetReport:
    """Use the calls of `launch_async` that most programs use."""
    async with launch_async.LaunchClient.from_env() as launch:
        assert_type(launch, launch_async.LaunchClient)
        project = await launch.projects.get(project_uid)
        assert_type(project, Project)
        assert_type(await launch.projects.list(), list[Project])
        assert_type([each async for each in launch.environments.list(project.uid)], list[Environment])
        deployment = await launch.deploy(project_uid, environment_uid, folder, on_log=show)
        assert_type(deployment, Deployment)
        assert_type(deployment.ref, DeploymentRef)
        assert_type(deployment.url, str | None)
        plan = await launch.fleet.plan_redeploy(await launch.fleet.select(projects="shop-*"))
        assert_type(plan, Plan)
        return await launch.fleet.run(plan)


async def lines(launch: launch_async.LaunchClient, ref: DeploymentRef) -> AsyncIterator[str]:
    """Follow a build."""
    async for line in launch.follow_logs(ref):
        yield line.message


def synchronous(folder: str, project_uid: str, environment_uid: str) -> str | None:
    """Use the same calls of `launch_sync`."""
    try:
        with launch_sync.LaunchClient.from_env() as launch:
            assert_type(launch.projects.get(project_uid), Project)
            assert_type(list(launch.environments.list(project_uid)), list[Environment])
            deployment = launch.deploy(project_uid, environment_uid, folder, on_log=show)
            assert_type(deployment, Deployment)
            return deployment.url
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
        return None
    except LaunchError as error:
        return str(error)


def messages(launch: launch_sync.LaunchClient, ref: DeploymentRef) -> Iterator[str]:
    """Follow a build without `await`."""
    for line in launch.follow_logs(ref):
        yield line.message


async def emulated() -> str:
    """Use the emulator."""
    async with LaunchEmulator() as emulator:
        assert_type(emulator, LaunchEmulator)
        return emulator.url
