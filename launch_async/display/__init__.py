"""Views of the SDK's objects: HTML for notebooks, terminal tables, reports, data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.display.frame import to_frame as to_frame
    from launch_async.display.live.notebook import Progress as Progress
    from launch_async.display.live.progress import FleetProgress as FleetProgress, ProgressMode as ProgressMode
else:
    __getattr__, __dir__ = lazy(__name__)
