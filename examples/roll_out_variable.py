"""Set a variable in many environments. Without `--yes`, only show the changes.

    FEATURE_FLAG=on python examples/roll_out_variable.py FEATURE_FLAG [--environments PATTERN] [--yes]

The value comes from the environment variable with the same name, so that the list of processes does not show the value.
A site uses the new value from its next deployment on. The program uses an emulator, or your organization if
`CONTENTSTACK_*` variables contain credentials.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from cloud import is_real, open_cloud

from launch_async import LaunchError
from launch_async.emulator import LaunchEmulator


def prepare(emulator: LaunchEmulator) -> None:
    for name in ("shop", "blog", "docs"):
        emulator.add_project(name, environments=["production", "staging"], variables=[("THEME", "light")])


async def main() -> None:
    parser = argparse.ArgumentParser(description="Set a variable in many environments.")
    parser.add_argument("name", nargs="?", default="FEATURE_FLAG")
    parser.add_argument("--environments", default="staging", help="name pattern (default: %(default)s)")
    parser.add_argument("--yes", action="store_true", help="change the environments")
    options = parser.parse_args()
    value = os.environ.get(options.name) or ("" if is_real() else "on")
    if not value:
        sys.exit(f"Set the environment variable {options.name}. Launch refuses an empty value.")

    async with open_cloud(prepare) as launch:
        targets = await launch.fleet.select(environments=options.environments)
        if not targets:
            sys.exit(f"No environment has a name that matches {options.environments}.")
        plan = await launch.fleet.plan_variables(targets, {options.name: value})
        print(plan)
        if options.yes:
            report = await launch.fleet.run(plan, variables={options.name: value}, confirm=len(plan.operations))
            print(report)
            sys.exit(not report.is_success)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
