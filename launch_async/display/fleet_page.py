"""A report as HTML: the totals, a picture of the waves, and one row for each target, what went wrong first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from launch_async.display import html as _html
from launch_async.display.fleet_html import scrolling, state_badge, time_span
from launch_async.display.fleet_timeline import timeline
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.plan.targets import counted
from launch_async.fleet.report.outcome import TargetOutcome

if TYPE_CHECKING:
    from launch_async.fleet.report.report import FleetReport

__all__ = ["report_body"]

_ORDER: Final = (
    OperationState.FAILED,
    OperationState.AMBIGUOUS,
    OperationState.SENT,
    OperationState.INTENDED,
    OperationState.PLANNED,
    OperationState.SKIPPED,
    OperationState.SUCCEEDED,
)


def report_body(report: FleetReport, *, shown: int | None = None) -> str:
    """Return the report as a part of a page, with the first targets or all of them."""
    total, done = len(report.outcomes), report.totals.get(OperationState.SUCCEEDED, 0)
    everything = "The target is" if total == 1 else f"All {total} targets are"
    verdict = f"{everything} done" if report.is_success else f"{done} of {counted(total)} succeeded"
    facts: dict[str, _html.Cell] = {
        "action": str(report.plan.action),
        "targets": ", ".join(f"{count} {state}" for state, count in report.totals.items()),
        "took": _html.duration(report.seconds),
        "requests": f"{report.requests}, which waited {_html.duration(report.waited)} for the budget, added up",
        "stopped": report.stopped,
    }
    ordered = sorted(report.outcomes, key=lambda one: _ORDER.index(one.state))
    targets = _html.table("Targets", ordered, cells=_cells, shown=total if shown is None else shown)
    return _html.card(verdict, facts, _html.Markup(timeline(report.outcomes)), scrolling(targets))


def _cells(outcome: TargetOutcome) -> dict[str, _html.Cell]:
    return {
        "target": outcome.target.label,
        "state": state_badge(outcome.state),
        "wave": outcome.wave or None,
        "time": time_span(outcome.seconds),
        "requests": outcome.requests,
        "what happened": outcome.message or _html.link(outcome.url),
    }
