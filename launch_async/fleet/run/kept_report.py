"""The report of a run, from its state in this process or from its journal."""

from __future__ import annotations

import os
from collections.abc import Callable

from launch_async.fleet.journal.file import read_journal
from launch_async.fleet.journal.journal import Entry
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.outcome import TargetOutcome
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.totals import Totals

__all__ = ["kept_report", "report_of"]


def report_of(
    plan: Plan,
    entry_of: Callable[[PlannedOperation], Entry],
    totals: Totals,
    *,
    stopped: str = "",
    nothing_left: bool = False,
) -> FleetReport:
    """Return the report of a plan.

    Args:
        plan: The plan.
        entry_of: Returns the entry of an operation.
        totals: The totals of its runs.
        stopped: Why the last run stopped early; empty if it did not.
        nothing_left: Whether everything was done before, so that the last run sent nothing.
    """
    return FleetReport(
        plan=plan,
        outcomes=tuple(TargetOutcome.of(one, entry_of(one)) for one in plan.operations),
        seconds=totals.seconds,
        requests=totals.requests,
        waited=totals.waited,
        stopped=stopped,
        runs=totals.runs,
        started_at=totals.started_at,
        nothing_left=nothing_left,
    )


def kept_report(journal: str | os.PathLike[str]) -> FleetReport:
    """Return the report of the runs in a journal.

    Raises:
        JournalError: The journal does not exist, or is damaged.
    """
    plan, entries = read_journal(journal)
    known = {entry.key: entry for entry in entries}
    return report_of(plan, lambda one: known[one.key], Totals.last_of(entries))
