"""Markdown of a report for the summary page of a CI job, with failures first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from launch_async._text import printable
from launch_async._views import MARKDOWN
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.report.outcome import TargetOutcome
from launch_async.fleet.report.report import FleetReport

__all__ = ["markdown", "plain"]

_MAX_TARGETS: Final = 50
_MAX_SLOWEST: Final = 5
_MAX_MESSAGE_LENGTH: Final = 300
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~&@])")


@MARKDOWN.of(FleetReport)
def markdown(report: FleetReport) -> str:
    """Return the report as GitHub's Markdown. It stays far below 1 MiB, the limit for the summary of a job."""
    verdict = "done" if report.is_success else "not done"
    lines = [f"### Fleet: {plain(report.plan.what)}: {verdict}", "", plain(report.summary), ""]
    lines += ["| state | targets |", "| --- | ---: |"]
    lines += [f"| {state} | {count} |" for state, count in report.totals.items()]
    rest = [one for one in report.outcomes if one.state is not OperationState.SUCCEEDED]
    if rest:
        lines += ["", "| target | state | what happened |", "| --- | --- | --- |", *_attention(rest[:_MAX_TARGETS])]
    if len(rest) > _MAX_TARGETS:
        lines += ["", f"{len(rest) - _MAX_TARGETS} more targets did not succeed; the report's JSON lists them."]
    lines += _slowest(report.outcomes)
    return "\n".join([*lines, ""])


def _attention(outcomes: Iterable[TargetOutcome]) -> Iterator[str]:
    for one in outcomes:
        message = one.message if len(one.message) <= _MAX_MESSAGE_LENGTH else f"{one.message[:_MAX_MESSAGE_LENGTH]}..."
        yield f"| {plain(one.label)} | {one.state} | {plain(message)} |"


def _slowest(outcomes: Iterable[TargetOutcome]) -> list[str]:
    timed = sorted((one for one in outcomes if one.seconds is not None), key=lambda one: one.seconds or 0.0)
    if len(timed) <= 1:
        return []
    slowest = timed[: -_MAX_SLOWEST - 1 : -1]
    return [
        "",
        "| slowest | seconds |",
        "| --- | ---: |",
        *(f"| {plain(one.label)} | {one.seconds:.1f} |" for one in slowest),
    ]


def plain(text: str) -> str:
    """Return text on one line, with the special characters of Markdown, HTML and tables escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))
