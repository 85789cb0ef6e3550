"""Release to staging, promote the release to production, and restore the previous deployment if a check fails.

    python examples/release.py FOLDER [--project NAME]

The program uses an emulator, or your organization if `CONTENTSTACK_*` variables contain credentials. The project needs
the environments `staging` and `production`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cloud import open_cloud_sync

from launch_sync import Check, DeploymentUnhealthy, LaunchClient, LaunchError
from launch_sync.emulator import LaunchEmulator

SITE = Path(__file__).parent / "site"
CHECKS = (Check("/"), Check("/no-such-page", status=404))


def prepare(emulator: LaunchEmulator) -> None:
    emulator.add_project("night-sky", environments=["staging", "production"])


def environment_of(launch: LaunchClient, project_uid: str, name: str) -> str:
    return next(one.uid for one in launch.environments.list(project_uid) if one.name == name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Release a folder through staging.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=SITE, help="folder to release (default: the sample site)"
    )
    parser.add_argument("--project", default="night-sky", help="name of the project (default: %(default)s)")
    options = parser.parse_args()
    with open_cloud_sync(prepare) as launch:
        project = next(one for one in launch.projects.list() if one.name == options.project)
        staging, production = (environment_of(launch, project.uid, name) for name in ("staging", "production"))
        tried = launch.deploy(project.uid, staging, options.folder, verify=CHECKS)
        print(f"staging: {tried.status} at {tried.url}")
        promoted = launch.promote(tried, project.uid, production, verify=CHECKS, on_failure="restore")
        print(f"production: {promoted.status} at {promoted.url}")


if __name__ == "__main__":
    try:
        main()
    except DeploymentUnhealthy as unhealthy:
        sys.exit(f"{unhealthy}\nrestored: {unhealthy.restored.url if unhealthy.restored else 'nothing'}")
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
