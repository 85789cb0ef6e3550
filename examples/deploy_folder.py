"""Deploy a folder to the environment with the given name, or as a new project if the project does not exist.

    python examples/deploy_folder.py [FOLDER] [--project NAME] [--environment NAME]

The program uses an emulator, or your organization if `CONTENTSTACK_*` variables contain credentials.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cloud import open_cloud_sync

from launch_sync import Deployment, LaunchClient, LaunchError, LogLine

SITE = Path(__file__).parent / "site"


def deploy(launch: LaunchClient, folder: Path, project_name: str, environment_name: str) -> Deployment:
    project = next((one for one in launch.projects.list() if one.name == project_name), None)
    if project is None:
        site = launch.create_site(project_name, folder, environment_name=environment_name, on_log=show)
        return site.deployment
    environments = launch.environments.list(project.uid)
    environment = next((one for one in environments if one.name == environment_name), None)
    if environment is None:
        sys.exit(f"Project {project_name} has no environment {environment_name}.")
    return launch.deploy(project.uid, environment.uid, folder, on_log=show)


def show(line: LogLine) -> None:
    print(f"    {line.message}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Deploy a folder to Contentstack Launch.")
    parser.add_argument("folder", nargs="?", type=Path, default=SITE)
    parser.add_argument("--project", default="night-sky")
    parser.add_argument("--environment", default="production")
    options = parser.parse_args()
    with open_cloud_sync() as launch:
        deployment = deploy(launch, options.folder, options.project, options.environment)
        print(f"{deployment.status} at {deployment.url}")


if __name__ == "__main__":
    try:
        main()
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
