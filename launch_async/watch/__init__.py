"""Wait for deployments and follow their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.watch.log_cursor import LogCursor as LogCursor
    from launch_async.watch.merging import FollowedLine as FollowedLine
    from launch_async.watch.report import DeploymentReport as DeploymentReport
else:
    __getattr__, __dir__ = lazy(__name__)
