"""Show how a fleet differs from a state file. With `--yes`, apply the file.

    python examples/keep_state.py [FILE] [--redeploy] [--yes]

Without `--yes`, the program ends with exit code 2 if the fleet differs. The program uses an emulator with three brands,
or your organization if `CONTENTSTACK_*` variables contain credentials. For your organization, pass your own file.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from cloud import is_real, open_cloud

from launch_async import LaunchError, State
from launch_async.emulator import LaunchEmulator

BRANDS = Path(__file__).with_name("launch.toml")


def prepare(emulator: LaunchEmulator) -> None:
    for brand in ("aurora", "borealis", "cassini"):
        for country in ("de", "fr", "uk"):
            emulator.add_project(
                f"{brand}-{country}",
                environments=["preview", "production"],
                git=True,
                variables=[("API_URL", "https://api.example.com"), ("LEGACY_SEARCH", "on")],
                deployments=1,
            )


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=None if is_real() else BRANDS)
    parser.add_argument("--redeploy", action="store_true", help="redeploy the changed environments, and wait for them")
    parser.add_argument("--yes", action="store_true", help="make the changes")
    options = parser.parse_args()
    if options.file is None:
        sys.exit("Pass the state file of your organization.")
    async with open_cloud(prepare) as launch:
        state = State.load(options.file)
        plan = await launch.state.diff(state)
        print(plan)
        if plan.is_empty:
            return
        if not options.yes:
            sys.exit(2)
        # The program has shown the plan, and --yes confirms it.
        report = await launch.state.apply(
            plan, confirm=len(plan.changes), redeploy="changed" if options.redeploy else None
        )
        print(report)
        if not report.is_success:
            sys.exit(1)
        left = await launch.state.diff(state)
        print(f"Remaining: {left.summary}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
