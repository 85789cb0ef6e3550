"""Views of a bulk operation for notebooks and pages: the selection, the plan and the report."""

from __future__ import annotations

import html
from typing import Final

from launch_async._text import count_of, duration
from launch_async._views import HTML, PAGE
from launch_async.display import html as _html
from launch_async.display.models import status_badge
from launch_async.display.timeline import timeline
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.plan.targets import Selection, Target
from launch_async.fleet.report.outcome import TargetOutcome
from launch_async.fleet.report.report import FleetReport

__all__ = ["scrolling", "state_badge", "time_span"]

_SEVERITIES: Final = {
    OperationState.FAILED: _html.Severity.BAD,
    OperationState.AMBIGUOUS: _html.Severity.WARNING,
    OperationState.SENT: _html.Severity.BUSY,
    OperationState.INTENDED: _html.Severity.BUSY,
    OperationState.PLANNED: _html.Severity.IDLE,
    OperationState.SKIPPED: _html.Severity.IDLE,
    OperationState.SUCCEEDED: _html.Severity.GOOD,
}
"""The severity of each state. A report lists its targets in this order."""
_ORDER: Final = tuple(_SEVERITIES)
_STYLE: Final = "body { margin: 1.5rem auto; padding: 0 1rem; max-width: 70rem; font: 14px/1.5 system-ui, sans-serif }"


@HTML.of(Selection)
def _selection(selection: Selection) -> str:
    return _html.table(str(selection).partition("\n")[0], selection.targets, cells=_target_cells)


def _target_cells(target: Target) -> dict[str, _html.Cell]:
    return {
        "project": target.project_name or target.project_uid,
        "environment": target.environment_name or target.environment_uid,
        "branch": target.git_branch,
        "framework": target.framework_preset,
        "status": None if target.last_status is None else status_badge(target.last_status),
        "deployed": target.last_deployed_at,
        "took": duration(target.last_seconds),
    }


@HTML.of(Plan)
def _plan(plan: Plan) -> str:
    facts: dict[str, _html.Cell] = {
        "action": plan.what,
        "cost": plan.outlook,
        "next": _html.Markup(f"Nothing has been sent. This call runs the plan: {_html.code(plan.call)}"),
    }
    return _html.card(f"Plan {plan.uid[:8]} (dry run)", facts, _html.table("", plan.operations, cells=_operation_cells))


def _operation_cells(operation: PlannedOperation) -> dict[str, _html.Cell]:
    change, status = operation.change, operation.target.last_status
    return {
        "target": operation.label,
        "change": None if change is None else str(change),
        "status": None if status is None else status_badge(status),
        "took": duration(operation.target.last_seconds),
    }


@PAGE.of(FleetReport)
def _page(report: FleetReport) -> str:
    """Return a complete page for light and dark mode that loads no other files."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(report.plan.what)}</title>"
        f"<style>:root {{ color-scheme: light dark }} {_STYLE}</style></head>"
        f"<body>{_body(report, shown=len(report.outcomes))}</body></html>\n"
    )


@HTML.of(FleetReport)
def _report(report: FleetReport) -> str:
    return _body(report, shown=_html.SHOWN)


def _body(report: FleetReport, *, shown: int) -> str:
    """Return the totals, a chart of the waves, and a row for each target, with failures first."""
    total, done = len(report.outcomes), report.totals.get(OperationState.SUCCEEDED, 0)
    everything = "The target is" if total == 1 else f"All {total} targets are"
    verdict = f"{everything} done" if report.is_success else f"{done} of {count_of(total, 'target')} succeeded"
    facts: dict[str, _html.Cell] = {
        "action": report.plan.what,
        "targets": ", ".join(f"{count} {state}" for state, count in report.totals.items()),
        "took": f"{duration(report.seconds)}{f', in {report.runs} runs' if report.runs > 1 else ''}",
        "requests": f"{report.requests}; total wait for the rate limit {duration(report.waited)}",
        "note": "Everything was done before, so this run sent nothing" if report.nothing_left else None,
        "stopped": report.stopped,
    }
    ordered = sorted(report.outcomes, key=lambda one: _ORDER.index(one.state))
    targets = _html.table("Targets", ordered, cells=_outcome_cells, shown=shown)
    return _html.card(verdict, facts, _html.Markup(timeline(report.outcomes)), scrolling(targets))


def _outcome_cells(outcome: TargetOutcome) -> dict[str, _html.Cell]:
    return {
        "target": outcome.label,
        "state": state_badge(outcome.state),
        "wave": outcome.wave or None,
        "time": time_span(outcome.seconds),
        "requests": outcome.requests,
        "what happened": outcome.message or _html.link(outcome.url),
    }


def state_badge(state: OperationState, words: str = "") -> _html.Markup:
    """Return the badge of a state for HTML views; `words` replaces the name of the state."""
    return _html.badge(words or state, _SEVERITIES[state])


def time_span(seconds: float | None) -> _html.Markup:
    """Return a duration without line breaks; empty for None."""
    shown = duration(seconds)
    return _html.Markup(shown and f'<span style="white-space:nowrap">{shown}</span>')


def scrolling(table: str) -> _html.Markup:
    """Return a table that scrolls sideways in a narrow window, so that its columns stay readable."""
    return _html.Markup(f'<div style="overflow-x:auto"><div style="min-width:40rem">{table}</div></div>')
