"""Draw the picture of a fleet run in the README: `python -m tools.draw_fleet docs/images/fleet.svg`.

The run uses the emulator. The picture is the terminal in the middle of the run. The tool needs rich.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from launch_async.display.live.snapshot import RunSnapshot
from launch_async.display.live.terminal import LiveTable
from launch_sync import Authtoken, LaunchClient
from launch_sync.emulator import LaunchEmulator
from launch_sync.fleet import FleetEvent

PROJECTS = ("blog", "careers", "docs", "events", "press", "shop", "support", "www")
ENVIRONMENTS = ("preview", "production", "qa", "staging")


def main(picture: Path) -> None:
    """Run a fleet, and save the terminal after the first target has ended and before the last target begins."""
    snapshot, pictures = RunSnapshot(), list[str]()

    def show(event: FleetEvent) -> None:
        snapshot.take(event)
        if snapshot.done >= 11 and snapshot.failed and not pictures:
            console = Console(record=True, width=96, height=22, file=io.StringIO(), force_terminal=True)
            console.print(LiveTable(snapshot, io.StringIO()))
            console.print()  # rich cuts off the bottom of the last line
            title = "launch.fleet.run(plan)"
            drawn = console.export_svg(title=title, theme=DIMMED_MONOKAI, unique_id="fleet")
            # The fonts would be loaded from another server. Any monospaced font is good enough.
            pictures.append(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))

    with (
        LaunchEmulator(seed=1) as emulator,
        LaunchClient(
            Authtoken(emulator.authtoken), base_url=emulator.url, organization_uid=emulator.organization_uid
        ) as launch,
    ):
        for number, name in enumerate(PROJECTS):
            project = emulator.add_project(name, environments=ENVIRONMENTS, git=True, deployments=1)
            if name == "blog":
                lines = ["npm run build", "TypeError: moon is not defined"]
                emulator.script("FAILED", seconds=2.0, lines=lines, project_uid=project.uid)
            emulator.script(seconds=3.0 + number, times=None, project_uid=project.uid)
        plan = launch.fleet.plan_redeploy(launch.fleet.select(last_status="LIVE"))
        launch.fleet.run(plan, confirm=len(plan.operations), concurrency=14, on_event=show)
    picture.write_text(pictures[0], "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
