"""Bulk operations: select, plan, run, resume, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.fleet.fleet import Fleet as Fleet
    from launch_async.fleet.journal.file import FileJournal as FileJournal
    from launch_async.fleet.journal.journal import (
        Entry as Entry,
        Journal as Journal,
        OperationState as OperationState,
    )
    from launch_async.fleet.journal.memory import MemoryJournal as MemoryJournal
    from launch_async.fleet.plan.actions import (
        Action as Action,
        DeleteEnvironments as DeleteEnvironments,
        Mixed as Mixed,
        PlannedSource as PlannedSource,
        Redeploy as Redeploy,
        RevalidateCache as RevalidateCache,
        SetVariables as SetVariables,
        Task as Task,
        VariableChange as VariableChange,
        WhenBusy as WhenBusy,
    )
    from launch_async.fleet.plan.operation import PlannedOperation as PlannedOperation
    from launch_async.fleet.plan.plan import Plan as Plan, PlanDiff as PlanDiff
    from launch_async.fleet.plan.sizing import Sizing as Sizing, size as size
    from launch_async.fleet.plan.targets import Cost as Cost, Selection as Selection, Target as Target
    from launch_async.fleet.report.outcome import TargetOutcome as TargetOutcome
    from launch_async.fleet.report.report import FleetReport as FleetReport
    from launch_async.fleet.run.control import FleetControl as FleetControl
    from launch_async.fleet.run.events import FleetEvent as FleetEvent, FleetEventKind as FleetEventKind
else:
    __getattr__, __dir__ = lazy(__name__)
