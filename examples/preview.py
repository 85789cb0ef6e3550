"""Create a preview for a branch, list previews, and delete expired previews.

    python examples/preview.py [--project NAME] [--branch BRANCH] [--days N]
    python examples/preview.py --sweep [--yes]

A preview is an environment with an expiry time. Without `--yes`, `--sweep` only shows the previews that it would
delete. The program uses an emulator, or your organization if `CONTENTSTACK_*` variables contain credentials. A Git
project needs a user's token.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta

from cloud import open_cloud

from launch_async import LaunchError
from launch_async.emulator import LaunchEmulator


def prepare(emulator: LaunchEmulator) -> None:
    emulator.add_project("shop", git=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Create, list or sweep previews.")
    parser.add_argument("--project", default="shop", help="name of the project (default: %(default)s)")
    parser.add_argument("--branch", default="feature/moon", help="branch to deploy (default: %(default)s)")
    parser.add_argument("--days", type=float, default=3.0, help="lifetime in days (default: %(default)s)")
    parser.add_argument("--sweep", action="store_true", help="delete expired previews of all projects")
    parser.add_argument("--yes", action="store_true", help="delete the previews")
    options = parser.parse_args()
    async with open_cloud(prepare) as launch:
        if options.sweep:
            for gone in await launch.previews.sweep(dry_run=not options.yes):
                print(f"{'deleted' if options.yes else 'would delete'} {gone.name} of {gone.owner}")
            return
        project = next(one for one in await launch.projects.list() if one.name == options.project)
        preview = await launch.previews.create(
            project.uid, branch=options.branch, ttl=timedelta(days=options.days), owner="me"
        )
        print(f"{preview.name} at {preview.url}")
        for one in await launch.previews.list(project.uid):
            print(f"{one.name}: {one.source}, of {one.owner}, until {one.expires_at:%Y-%m-%d}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
