"""Show the logs of all running builds of the organization in one stream, until all builds have ended.

    python examples/tail_running_builds.py [--projects PATTERN]

The program uses an emulator, or your organization if `CONTENTSTACK_*` variables contain credentials.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from cloud import is_real, open_cloud

from launch_async import Deployment, LaunchClient, LaunchError
from launch_async.emulator import LaunchEmulator


def prepare(emulator: LaunchEmulator) -> None:
    for name in ("shop", "blog", "docs"):
        project = emulator.add_project(name)
        emulator.script(seconds=8.0, lines=["compiling", "done"], project_uid=project.uid)


async def start_some(launch: LaunchClient) -> None:
    async for project in launch.projects.list():
        async for environment in launch.environments.list(project.uid):
            await launch.deployments.create(project.uid, environment.uid)


async def running(launch: LaunchClient, projects: str) -> dict[str, Deployment]:
    """Return the running deployments, by `project/environment`."""
    targets = await launch.fleet.select(projects=projects, last_status=["QUEUED", "DEPLOYING"])
    found: dict[str, Deployment] = {}
    for target in targets:
        async for deployment in launch.deployments.list(target.project_uid, target.environment_uid):
            if deployment.status.is_in_flight:
                found[target.label] = deployment
                break
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description="Follow every build that is running.")
    parser.add_argument("--projects", default="*", help="name pattern (default: all)")
    options = parser.parse_args()
    async with open_cloud(prepare) as launch:
        if not is_real():
            await start_some(launch)
        builds = await running(launch, options.projects)
        names = {deployment.uid: name for name, deployment in builds.items()}
        print(f"{len(builds)} builds are running")
        async for followed in launch.follow_all(builds.values()):
            print(f"{names[followed.ref.deployment_uid]:20} {followed.line.message}")
        for deployment in await launch.wait_all(builds.values(), return_failures=True):
            print(f"{names[deployment.uid]:20} {deployment.status}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
