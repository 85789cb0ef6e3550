"""Workers that do not share anything can run the parts of a plan, and their results make one report."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launch_async import InvalidArgumentError, LaunchClient
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import Entry, FleetReport, OperationState, Plan
from tests.fleet.conftest import created, uids


def test_the_parts_of_a_plan_contain_all_operations_and_are_the_same_each_time(plan: Plan) -> None:
    parts, again = plan.split(4), Plan.from_json(plan.to_json()).split(4)

    assert [len(part.operations) for part in parts] == [4, 2]
    assert tuple(one for part in parts for one in part.operations) == plan.operations
    assert [part.uid for part in again] == [part.uid for part in parts]
    assert len({plan.uid, *(part.uid for part in parts)}) == 3
    assert sum(part.cost.requests for part in parts) == plan.cost.requests
    assert Plan.from_json(parts[1].to_json()) == parts[1]


def test_the_parts_of_two_plans_are_not_mistaken_for_each_other(plan: Plan) -> None:
    other = Plan.from_json(plan.to_json().replace(plan.uid, "0" * 32))

    assert not {part.uid for part in other.split(1)} & {part.uid for part in plan.split(1)}


def test_a_part_has_at_least_one_operation(plan: Plan) -> None:
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        plan.split(0)


async def test_parts_that_run_apart_and_again_deploy_each_target_once_and_make_one_report(
    emulator: LaunchEmulator, client: LaunchClient, plan: Plan, tmp_path: Path
) -> None:
    async def run(part: Plan) -> FleetReport:
        report = await client.fleet.run(part, journal=tmp_path / part.uid)
        return pickle.loads(pickle.dumps(report))

    first, second, third = plan.split(2)
    await run(first)
    report = FleetReport.joined(plan, [await run(third), await run(first)])

    assert created(emulator) == sorted(uids(first) + uids(third))
    assert report.totals == {OperationState.PLANNED: 2, OperationState.SUCCEEDED: 4}
    assert sorted(one.target.environment_uid for one in report.unfinished) == uids(second)
    assert report.requests > 0


def test_a_report_of_parts_says_once_why_they_stopped(plan: Plan) -> None:
    parts = [
        FleetReport(plan=part, outcomes=(), seconds=2.0, requests=1, waited=0.5, stopped="no") for part in plan.split(3)
    ]

    report = FleetReport.joined(plan, parts)

    assert (report.stopped, report.seconds, report.requests, report.waited) == ("no", 2.0, 2, 1.0)


def test_an_entry_is_stored_as_json() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    entry = Entry(key="k", state=OperationState.SENT, intended_at=moment, deployment_uid="d", detail={"wave": 2})

    assert Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry
    with pytest.raises(ValueError, match="not a journal entry"):
        Entry.from_dict({"key": "k"})
    with pytest.raises(ValueError, match="elsewhere"):
        Entry.from_dict({**entry.to_dict(), "state": "elsewhere"})
