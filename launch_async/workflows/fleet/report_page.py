"""A report as HTML: the totals in words, a picture of the waves, and one row for each target."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from launch_async.workflows.fleet.journal import OperationState
from launch_async.workflows.fleet.outcome import TargetOutcome
from launch_async.workflows.fleet.page import cell, section, table
from launch_async.workflows.fleet.timeline import timeline

if TYPE_CHECKING:
    from launch_async.workflows.fleet.report import FleetReport

__all__ = ["page", "report_body"]

_ORDER: Final = (
    OperationState.FAILED,
    OperationState.AMBIGUOUS,
    OperationState.SENT,
    OperationState.INTENDED,
    OperationState.PLANNED,
    OperationState.SKIPPED,
    OperationState.SUCCEEDED,
)


def page(report: FleetReport) -> str:
    """Return a whole page."""
    title = html.escape(str(report.plan.action))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>body {{ margin: 1.5rem; }}</style></head>"
        f"<body>{section(report_body(report))}</body></html>\n"
    )


def report_body(report: FleetReport) -> str:
    """Return the report as a part of a page."""
    total, done = len(report.outcomes), report.totals.get(OperationState.SUCCEEDED, 0)
    verdict = f"All {total} targets are done" if report.is_success else f"{done} of {total} targets succeeded"
    ordered = sorted(report.outcomes, key=lambda one: _ORDER.index(one.state))
    picture = timeline(report.outcomes)
    return "".join(
        [
            f"<h1>{html.escape(verdict)}</h1>",
            f"<p>{html.escape(str(report.plan.action))}</p><p>{html.escape(report.summary)}</p>",
            f"<h2>When</h2>{picture}" if picture else "",
            "<h2>Targets</h2>",
            _targets(ordered),
        ]
    )


def _targets(outcomes: Sequence[TargetOutcome]) -> str:
    rows = [
        [
            cell(one.target.label),
            cell(one.state, "state"),
            cell(one.wave or "", "number"),
            cell("" if one.seconds is None else f"{one.seconds:.1f} s", "number"),
            cell(one.requests, "number"),
            cell(one.message or one.url, "message"),
        ]
        for one in outcomes
    ]
    return table(["target", "state", "wave", "time", "requests", "what happened"], rows)
