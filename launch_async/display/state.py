"""Views of a plan for declared state, for notebooks and CI."""

from __future__ import annotations

from launch_async._text import count_of
from launch_async._views import HTML, MARKDOWN
from launch_async.display import html as _html
from launch_async.display.markdown import plain
from launch_async.state.plan import ChangeKind, StateChange, StatePlan

__all__ = ["plan_markdown"]

_SEVERITIES = {
    ChangeKind.CREATE: _html.Severity.GOOD,
    ChangeKind.UPDATE: _html.Severity.BUSY,
    ChangeKind.SET: _html.Severity.BUSY,
    ChangeKind.REMOVE: _html.Severity.WARNING,
    ChangeKind.DELETE: _html.Severity.BAD,
}


@HTML.of(StatePlan)
def _plan(plan: StatePlan) -> str:
    facts: dict[str, _html.Cell] = {
        "cost": None if plan.is_empty else f"at least {count_of(plan.requests, 'request')}",
        "not compared": ", ".join(one.name for one in plan.unresolved),
        "notes": "; ".join(plan.notes),
        "next": None if plan.is_empty else f"Nothing has been sent. Call {plan.call} to make the changes.",
    }
    return _html.card(f"State: {plan.summary}", facts, _html.table("", plan.changes, cells=_cells))


def _cells(change: StateChange) -> dict[str, _html.Cell]:
    return {
        "change": _html.badge(change.kind, _SEVERITIES[change.kind]),
        "project": change.project,
        "environment": change.environment,
        "details": change.detail,
        "requests": change.requests or None,
        "redeploy": "needed" if change.needs_redeploy else None,
        "protected": "yes" if change.protected else None,
    }


@MARKDOWN.of(StatePlan)
def plan_markdown(plan: StatePlan) -> str:
    """Return a plan in GitHub's Markdown: the drift and the notes."""
    lines = [f"## State: {plan.summary}", ""]
    if plan.changes:
        lines += ["| change | target | details | redeploy |", "|---|---|---|---|"]
        lines += [_row(change) for change in plan.changes]
        lines += ["", f"Applying the plan takes at least {count_of(plan.requests, 'request')}."]
    notes = [*plan.notes, *(f"not compared, because it has no value on this machine: {one}" for one in plan.unresolved)]
    lines += ["", *(f"- {plain(note)}" for note in notes)] if notes else []
    return "\n".join(lines).rstrip() + "\n"


def _row(change: StateChange) -> str:
    needed = "needed" if change.needs_redeploy else ""
    return f"| {change.kind} | {plain(change.target)} | {plain(change.detail)} | {needed} |"
