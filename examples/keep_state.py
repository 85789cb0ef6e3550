"""Keep a fleet as a state file says: show the drift, and with `--yes` mend it.

    python examples/keep_state.py [FILE] [--redeploy] [--yes]

Without `--yes` it ends with exit code 2 if something differs. Runs against an emulator with three brands, or against
your organization if `CONTENTSTACK_*` variables name credentials. Then name a file of your own.
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
    parser.add_argument("--redeploy", action="store_true", help="deploy what changed again, and wait for it")
    parser.add_argument("--yes", action="store_true", help="make the changes")
    options = parser.parse_args()
    if options.file is None:
        sys.exit("Name the state file of your organization.")
    async with open_cloud(prepare) as launch:
        state = State.load(options.file)
        plan = await launch.state.diff(state)
        print(plan)
        if plan.is_empty:
            return
        if not options.yes:
            sys.exit(2)
        # The plan was just shown, and --yes confirms it.
        report = await launch.state.apply(
            plan, confirm=len(plan.changes), redeploy="changed" if options.redeploy else None
        )
        print(report)
        if not report.is_success:
            sys.exit(1)
        left = await launch.state.diff(state)
        print(f"Left to do: {left.summary}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
