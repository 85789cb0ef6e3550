"""Runs with checks of the sites: the checks judge a canary, and a resumed run uses the same checks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import attrs
import pytest

from launch_async import Check, InvalidArgumentError, LaunchClient
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FleetControl, FleetEvent, FleetEventKind, OperationState, Plan
from tests.fleet.conftest import created

HEALTHY = Check(contains="Deployment", every=0.01, attempts=1, grace=0)
SICK = attrs.evolve(HEALTHY, contains="moon")


async def test_healthy_sites_succeed(client: LaunchClient, emulator: LaunchEmulator, plan: Plan) -> None:
    report = await client.fleet.run(plan, verify=HEALTHY)

    assert report.is_success
    assert emulator.ledger.count("site") == len(plan.operations)


async def test_a_canary_whose_site_fails_its_check_stops_the_run(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    report = await client.fleet.run(plan, canary=1, verify=(HEALTHY, SICK))

    assert report.stopped == "the canary failed"
    assert len(created(emulator)) == 1
    (failed,) = report.failures
    assert "1 of 2 checks failed. Failed: GET /, status 200, contains 'moon'" in failed.message
    assert failed.deployment_uid
    assert failed.url


async def test_a_resumed_run_checks_the_sites_that_the_killed_run_deployed(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    journal, sent = tmp_path / "run.journal", asyncio.Event()

    def on_event(event: FleetEvent) -> None:
        if event.kind is FleetEventKind.OPERATION and event.state is OperationState.SENT:
            sent.set()

    run = asyncio.create_task(
        client.fleet.run(plan, journal=journal, verify=SICK, on_event=on_event, control=FleetControl(), canary=1)
    )
    await sent.wait()
    run.cancel()
    await asyncio.wait([run])

    for wrong in ((), HEALTHY):
        with pytest.raises(InvalidArgumentError, match=r"differs from the checks of the first run\. Pass GET /"):
            await client.fleet.resume(journal, verify=wrong)
    report = await client.fleet.resume(journal, verify=SICK, canary=1)

    assert report.failures[0].state is OperationState.FAILED
    assert "contains 'moon'" in report.failures[0].message


async def test_a_run_that_began_without_checks_continues_without_checks(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    journal, control = tmp_path / "run.journal", FleetControl()

    def on_event(event: FleetEvent) -> None:
        if event.state is OperationState.SUCCEEDED:
            control.cancel("enough")

    await client.fleet.run(plan, journal=journal, canary=1, control=control, on_event=on_event)

    with pytest.raises(InvalidArgumentError, match=r"differs from the checks of the first run\. Leave it out"):
        await client.fleet.resume(journal, verify=HEALTHY)
    assert (await client.fleet.resume(journal)).is_success


async def test_only_redeployments_have_sites_to_check(client: LaunchClient, emulator: LaunchEmulator) -> None:
    plan = await client.fleet.plan_variables(await client.fleet.select(), {"LIMIT": "8"})
    before = emulator.ledger.count()

    with pytest.raises(InvalidArgumentError, match="works only for redeployments"):
        await client.fleet.run(plan, variables={"LIMIT": "8"}, verify=HEALTHY)
    with pytest.raises(InvalidArgumentError, match="verify: must be checks"):
        await client.fleet.run(plan, variables={"LIMIT": "8"}, verify="/")  # type: ignore[arg-type]

    assert emulator.ledger.count() == before
