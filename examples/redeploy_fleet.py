"""Redeploy many environments at an emulator, watch it, and write the reports that CI keeps.

`python examples/redeploy_fleet.py [folder]`; at the real service, make the client with `LaunchClient.from_env()`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from launch_async import Authtoken, FleetProgress, LaunchClient
from launch_async.emulator import LaunchEmulator


async def main(folder: Path) -> int:
    async with (
        LaunchEmulator() as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as launch,
    ):
        for name in ("shop", "blog", "docs"):
            emulator.add_project(name, environments=["preview", "staging", "production"], git=True, deployments=1)

        plan = await launch.fleet.plan_redeploy(await launch.fleet.select(last_status="LIVE"))
        print(plan)
        with FleetProgress() as progress:
            report = await launch.fleet.run(
                plan, journal=folder / "run.journal", confirm=len(plan.operations), canary=1, on_event=progress
            )

    print(report)
    for name, text in {
        "report.html": report.to_html(),
        "report.md": report.to_markdown(),
        "report.xml": report.to_junit(),
        "report.json": report.to_json(),
    }.items():
        folder.joinpath(name).write_text(text, "utf-8")
    return 0 if report.is_success else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary))))
