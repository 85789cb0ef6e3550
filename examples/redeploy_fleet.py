"""Redeploy many environments in waves, watch the builds, and write reports for CI.

    python examples/redeploy_fleet.py [--projects PATTERN] [--environments PATTERN] [--reports FOLDER] [--yes]

Without `--yes`, the program only shows the plan. `--resume JOURNAL` resumes an interrupted run. The program uses an
emulator, or your organization if `CONTENTSTACK_*` variables contain credentials.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from cloud import open_cloud

from launch_async import LaunchClient, LaunchError
from launch_async.display import FleetProgress
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FleetReport


def prepare(emulator: LaunchEmulator) -> None:
    for name in ("shop", "blog", "docs"):
        emulator.add_project(name, environments=["preview", "staging", "production"], git=True, deployments=1)


async def redeploy(launch: LaunchClient, options: argparse.Namespace) -> FleetReport | None:
    """Resume a run, or show the plan and run it if `--yes` is given."""
    with FleetProgress() as progress:
        if options.resume:
            return await launch.fleet.resume(options.resume, on_event=progress)
        selection = await launch.fleet.select(
            projects=options.projects, environments=options.environments, last_status="LIVE"
        )
        plan = await launch.fleet.plan_redeploy(selection)
        print(plan)
        if not options.yes:
            return None
        journal = options.reports / "redeploy.journal"
        return await launch.fleet.run(
            plan, journal=journal, confirm=len(plan.operations), canary=1, stop_on_failures=0.2, on_event=progress
        )


def write(report: FleetReport, folder: Path) -> None:
    """Write the report as HTML, Markdown, JUnit XML and JSON."""
    for name, text in {
        "report.html": report.to_html(),
        "report.md": report.to_markdown(),
        "report.xml": report.to_junit(),
        "report.json": report.to_json(),
    }.items():
        folder.joinpath(name).write_text(text, "utf-8")


async def main() -> None:
    parser = argparse.ArgumentParser(description="Redeploy every environment whose newest deployment is live.")
    parser.add_argument("--projects", default="*", help="name pattern (default: all)")
    parser.add_argument("--environments", default="*", help="name pattern (default: all)")
    parser.add_argument("--reports", type=Path, default=Path(), help="folder for journal and reports (default: here)")
    parser.add_argument("--resume", type=Path, help="journal of a run that was interrupted")
    parser.add_argument("--yes", action="store_true", help="run the plan")
    options = parser.parse_args()
    async with open_cloud(prepare) as launch:
        report = await redeploy(launch, options)
    if report is not None:
        print(report)
        write(report, options.reports)
        sys.exit(not report.is_success)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
