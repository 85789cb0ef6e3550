"""The report of a run from its journal: also of one that was killed, or that goes on elsewhere."""

from __future__ import annotations

import os

from launch_async.fleet.journal.file import read_journal
from launch_async.fleet.report.outcome import TargetOutcome
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.totals import Totals

__all__ = ["report_of"]


def report_of(journal: str | os.PathLike[str]) -> FleetReport:
    """Return what a journal tells of its runs so far.

    Raises:
        JournalError: There is no journal, or it is damaged.
    """
    plan, entries = read_journal(journal)
    known, totals = {entry.key: entry for entry in entries}, Totals.last_of(entries)
    return FleetReport(
        plan=plan,
        outcomes=tuple(TargetOutcome.of(one, known[one.key]) for one in plan.operations),
        seconds=totals.seconds,
        requests=totals.requests,
        waited=totals.waited,
        runs=totals.runs,
        started_at=totals.started_at,
    )
