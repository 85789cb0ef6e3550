"""Check the SDK's assumptions about Contentstack Launch against a real organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.probe.probing import probe as probe, probe_steps as probe_steps
    from launch_async.probe.report import (
        DocumentDifference as DocumentDifference,
        ProbeReport as ProbeReport,
        ProbeRow as ProbeRow,
    )
else:
    __getattr__, __dir__ = lazy(__name__)
