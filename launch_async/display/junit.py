"""JUnit XML of a report, for CI systems."""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from launch_async._views import JUNIT
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.report.outcome import TargetOutcome
from launch_async.fleet.report.report import FleetReport

__all__ = ["junit"]

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot express, not even escaped."""
_ELEMENTS: Final = {OperationState.FAILED: "failure", OperationState.AMBIGUOUS: "error"}


@JUNIT.of(FleetReport)
def junit(report: FleetReport) -> str:
    """Return the report as JUnit XML."""
    totals = report.totals
    failed, unknown = totals.get(OperationState.FAILED, 0), totals.get(OperationState.AMBIGUOUS, 0)
    skipped = len(report.outcomes) - totals.get(OperationState.SUCCEEDED, 0) - failed - unknown
    counts = (
        f'tests="{len(report.outcomes)}" failures="{failed}" errors="{unknown}" skipped="{skipped}" '
        f'time="{report.seconds:.3f}"'
    )
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="fleet" {counts}>',
            f"<testsuite name={_attribute(report.plan.what)} {counts}{_began(report)}>",
            *(_case(outcome) for outcome in report.outcomes),
            f"<system-out>{_text(report.summary)}</system-out>",
            "</testsuite>",
            "</testsuites>",
            "",
        ]
    )


def _began(report: FleetReport) -> str:
    return "" if report.started_at is None else f' timestamp="{report.started_at.isoformat(timespec="seconds")}"'


def _case(outcome: TargetOutcome) -> str:
    target = outcome.target
    name = target.environment_name or target.environment_uid
    name = f"{name}: {outcome.what}".removeprefix(": ") if outcome.what else name
    start = (
        f"<testcase classname={_attribute(target.project_name or target.project_uid)} "
        f"name={_attribute(name)} "
        f'time="{outcome.seconds or 0.0:.3f}"'
    )
    if outcome.state is OperationState.SUCCEEDED:
        return f"{start}/>"
    message = _attribute(outcome.message or str(outcome.state))
    element = _ELEMENTS.get(outcome.state)
    if element is None:
        return f"{start}><skipped message={message}/></testcase>"
    return (
        f'{start}><{element} type="{outcome.state}" message={message}>{_text(_details(outcome))}</{element}></testcase>'
    )


def _details(outcome: TargetOutcome) -> str:
    lines = [outcome.message, *([f"deployment {outcome.deployment_uid}"] if outcome.deployment_uid else [])]
    tail = (outcome.report or {}).get("log_tail")
    return "\n".join([*lines, *(str(line) for line in (tail if isinstance(tail, list) else []))])


def _attribute(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("?", text))


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("?", text))
