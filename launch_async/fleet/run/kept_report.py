"""The report of a run: of one that goes on, and from the journal of one that was killed or goes on elsewhere."""

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
        entry_of: Returns what is known of an operation.
        totals: What its runs came to.
        stopped: As in the report.
        nothing_left: As in the report.
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
    """Return what a journal tells of its runs so far.

    Raises:
        JournalError: There is no journal, or it is damaged.
    """
    plan, entries = read_journal(journal)
    known = {entry.key: entry for entry in entries}
    return report_of(plan, lambda one: known[one.key], Totals.last_of(entries))
