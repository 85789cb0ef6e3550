"""Delete environments with a matching name and an old newest deployment. Run this program on a schedule.

    python examples/clean_up.py [--environments PATTERN] [--days N] [--yes]

Without `--yes`, the program only shows the environments that it would delete. The program uses an emulator, or your
organization if `CONTENTSTACK_*` variables contain credentials.
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
    emulator.add_project("blog", environments=["production", "preview-19"], deployments=1)
    shop = emulator.add_project("shop", environments=["production", "preview-17", "preview-18"], deployments=1)
    for environment in shop.environments.values():
        for deployment in environment.deployments.values():
            deployment.created_at -= timedelta(days=30).total_seconds()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Delete environments without a recent deployment.")
    parser.add_argument("--environments", default="preview-*", help="name pattern (default: %(default)s)")
    parser.add_argument("--days", type=float, default=14.0, help="minimum age of the newest deployment, in days")
    parser.add_argument("--yes", action="store_true", help="delete the environments")
    options = parser.parse_args()
    async with open_cloud(prepare) as launch:
        old = await launch.fleet.select(environments=options.environments, idle_for=timedelta(days=options.days))
        if not old:
            print("There is nothing to delete.")
            return
        plan = await launch.fleet.plan_delete((target.project_uid, target.environment_uid) for target in old)
        print(f"{'Deleting' if options.yes else 'Would delete'} {', '.join(target.label for target in old)}")
        if options.yes:
            report = await launch.fleet.run(plan, confirm=len(plan.operations))
            print(report)
            sys.exit(not report.is_success)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
