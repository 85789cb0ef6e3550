"""Deploying files and commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.deploy.previews.preview import Preview as Preview
    from launch_async.deploy.previews.previews import Previews as Previews
    from launch_async.deploy.release.check import (
        Check as Check,
        CheckLike as CheckLike,
        CheckResult as CheckResult,
        OnFailure as OnFailure,
    )
    from launch_async.deploy.site import Site as Site
    from launch_async.deploy.sources import (
        Commit as Commit,
        Files as Files,
        LatestCommit as LatestCommit,
        PreviousUpload as PreviousUpload,
        Source as Source,
    )
else:
    __getattr__, __dir__ = lazy(__name__)
