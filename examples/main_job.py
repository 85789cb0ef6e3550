"""Do the main job: deploy a folder, watch the build, check the site, change a page and deploy again.

The program starts an emulator. `main_job_sync.py` is the same program without `await`.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from visit import PAGE, expect_same

from launch_async import Authtoken, LaunchClient, LaunchError
from launch_async.emulator import LaunchEmulator
from launch_async.models import LogLine

SITE = Path(__file__).parent / "site"


def show(line: LogLine) -> None:
    print(f"    {line.stage or '':24} {line.message}")


async def main() -> None:
    async with (
        LaunchEmulator() as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as launch,
    ):
        print(f"Deploying {SITE.name}/ as a new project")
        site = await launch.create_site("night-sky", SITE, environment_name="production", on_log=show)
        print(f"  {site.deployment.status} at {site.deployment.url}")
        await asyncio.to_thread(expect_same, site.deployment.url, SITE)

        with tempfile.TemporaryDirectory() as scratch:
            changed = Path(shutil.copytree(SITE, Path(scratch) / "site"))
            page = changed / PAGE
            page.write_text(page.read_text("utf-8").replace("Look up tonight", "Clouds tonight, tea anyway"), "utf-8")

            print(f"Deploying it again with another {PAGE}")
            deployment = await launch.deploy(site.project.uid, site.environment.uid, changed, on_log=show)
            print(f"  {deployment.status} at {deployment.url}")
            await asyncio.to_thread(expect_same, deployment.url, changed)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except LaunchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
