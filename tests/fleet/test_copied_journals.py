"""A copied journal, a full disk and two runs with one journal do not lead to an operation that is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launch_async import Commit, JournalError, JournalInUse, LaunchClient
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import FileJournal, FleetControl, FleetEvent, FleetEventKind, FleetReport, OperationState, Plan
from tests.fleet.conftest import created, room_for, uids


def _when_done(done: int, act: Callable[[], object]) -> Callable[[FleetEvent], None]:
    """Return an observer that calls `act` once, when this number of operations has ended."""
    waiting = [act]

    def watch(event: FleetEvent) -> None:
        if waiting and event.done == done:
            waiting.pop()()

    return watch


async def _copy_of_partial_run(
    client: LaunchClient, plan: Plan, path: Path, *, done: int = 2, **options: object
) -> Path:
    """Run a plan, and return a copy that was made of its journal when some operations had ended."""
    copy = path.with_name("copy")
    report = await client.fleet.run(
        plan, journal=path, on_event=_when_done(done, lambda: shutil.copy2(path, copy)), concurrency=1, **options
    )
    assert report.is_success
    return copy


def _states(report: FleetReport) -> list[OperationState]:
    return [one.state for one in report.outcomes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.journal"


async def test_a_deployment_newer_than_the_copy_is_not_made_again(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    copy = await _copy_of_partial_run(client, plan, path)

    messages: list[str] = []

    report = await client.fleet.resume(copy, on_event=lambda event: messages.append(event.message))

    assert created(emulator) == uids(plan)
    assert report.is_success
    assert sum("which the journal does not contain" in message for message in messages) == 4


async def test_a_deployment_by_the_run_or_by_another_program_stays_ambiguous(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    copy = await _copy_of_partial_run(client, plan, path)
    target = plan.operations[5].target
    await client.deployments.create(target.project_uid, target.environment_uid)

    for _ in range(2):
        report = await client.fleet.resume(copy, stop_on_failures=None)

        assert _states(report) == [OperationState.SUCCEEDED] * 5 + [OperationState.AMBIGUOUS]
        assert "may not contain the last steps of its run" in report.outcomes[5].message
    assert created(emulator) == sorted([*uids(plan), target.environment_uid])


async def test_a_deployment_of_another_commit_does_not_count_for_the_run(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    targets, control = [one.target for one in plan.operations], FleetControl()
    plan = await client.fleet.plan_redeploy(targets, Commit("c" * 40))
    stop = _when_done(2, control.cancel)
    await client.fleet.run(plan, journal=path, on_event=stop, control=control, concurrency=1, wave_size=1)
    shutil.copy(path, path.with_name("copy"))
    await client.deployments.create(targets[5].project_uid, targets[5].environment_uid, commit_hash="d" * 40)

    report = await client.fleet.resume(path.with_name("copy"))

    assert report.is_success
    assert created(emulator) == sorted([*uids(plan), targets[5].environment_uid])


async def test_older_content_that_was_put_back_is_not_trusted(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    copy = await _copy_of_partial_run(client, plan, path)
    path.write_bytes(copy.read_bytes())

    report = await client.fleet.resume(path)

    assert created(emulator) == uids(plan)
    assert report.is_success


async def test_a_copy_of_the_journal_of_a_stopped_run_can_be_resumed(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    control = FleetControl()
    await client.fleet.run(
        plan, journal=path, on_event=_when_done(2, control.cancel), control=control, concurrency=1, wave_size=1
    )
    half = created(emulator)
    shutil.copy(path, path.with_name("copy"))

    report = await client.fleet.resume(path.with_name("copy"))

    assert 2 <= len(half) < 6
    assert report.is_success
    assert created(emulator) == uids(plan)


async def test_the_original_journal_of_a_run_needs_no_extra_requests(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    control = FleetControl()
    await client.fleet.run(
        plan, journal=path, on_event=_when_done(2, control.cancel), control=control, concurrency=1, wave_size=1
    )
    target = plan.operations[5].target
    await client.deployments.create(target.project_uid, target.environment_uid)

    report = await client.fleet.resume(path)

    assert report.is_success
    assert created(emulator) == sorted([*uids(plan), target.environment_uid])


async def test_a_deletion_that_a_copy_does_not_contain_is_no_failure(
    client: LaunchClient, plan: Plan, path: Path
) -> None:
    pairs = [(one.target.project_uid, one.target.environment_uid) for one in plan.operations[:4]]
    deletion = await client.fleet.plan_delete(pairs)
    copy = await _copy_of_partial_run(client, deletion, path, confirm=4)

    assert (await client.fleet.resume(copy)).is_success


async def test_a_revalidation_that_a_copy_does_not_contain_is_ambiguous(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    purge = await client.fleet.plan_revalidate([one.target for one in plan.operations], path="/")
    copy = await _copy_of_partial_run(client, purge, path)

    report = await client.fleet.resume(copy, stop_on_failures=None)

    assert emulator.ledger.count("revalidateCdnCache") == 6
    assert _states(report) == [OperationState.SUCCEEDED] * 2 + [OperationState.AMBIGUOUS] * 4


async def test_variables_that_a_copy_does_not_contain_are_compared_and_not_written_again(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    values = {"KEY": "1"}
    changes = await client.fleet.plan_variables([one.target for one in plan.operations], values)
    copy = await _copy_of_partial_run(client, changes, path, variables=values)

    assert (await client.fleet.resume(copy, variables=values)).is_success
    assert emulator.ledger.count("updateEnvironment") == 6


_RESUME = """
import asyncio, sys
from launch_async import Authtoken, JournalInUse, LaunchClient

async def main(url, token, organization, journal):
    async with LaunchClient(Authtoken(token), base_url=url, organization_uid=organization) as client:
        try:
            await client.fleet.resume(journal)
        except JournalInUse:
            print("in use")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_running_journal_stays_locked_although_its_process_reopens_the_file(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, path: Path
) -> None:
    control, paused = FleetControl(), asyncio.Event()

    def watch(event: FleetEvent) -> None:
        if event.kind is FleetEventKind.PAUSED:
            paused.set()
        elif event.done == 2 and not paused.is_set():
            control.pause()

    run = asyncio.create_task(client.fleet.run(plan, journal=path, on_event=watch, control=control, concurrency=1))
    await paused.wait()

    path.read_bytes()
    with pytest.raises(JournalInUse):
        await client.fleet.resume(path)
    with pytest.raises(JournalInUse):
        await client.fleet.run(plan, journal=path)
    access = [emulator.url, emulator.authtoken, emulator.organization_uid, str(path)]
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", _RESUME, *access, stdout=subprocess.PIPE)
    output, _ = await other.communicate()

    assert output == b"in use\n"
    control.resume()
    assert (await run).is_success
    assert created(emulator) == uids(plan)


async def test_a_run_whose_disk_is_full_at_any_byte_can_be_resumed(
    client: LaunchClient, emulator: LaunchEmulator, path: Path
) -> None:
    emulator.add_project("new", environments=[f"environment-{number}" for number in range(6)], git=True)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="new"))
    with room_for(0), pytest.raises(JournalError, match="cannot be created"):
        await client.fleet.run(plan, journal=path)
    assert created(emulator) == []
    journal = FileJournal(path)
    journal.open(plan, check=lambda _: None)
    journal.close()

    full = 0
    for room in itertools.count(path.stat().st_size, 1201):
        with room_for(room), contextlib.suppress(JournalError):
            await client.fleet.run(plan, journal=path, stop_on_failures=None)
            break
        full += 1

    assert (await client.fleet.resume(path)).is_success
    assert created(emulator) == uids(plan)
    assert full > 2


async def test_a_report_is_read_from_the_journal_during_the_run_and_afterwards(
    client: LaunchClient, plan: Plan, path: Path
) -> None:
    half_way: list[asyncio.Task[FleetReport]] = []
    report = await client.fleet.run(
        plan,
        journal=path,
        on_event=_when_done(2, lambda: half_way.append(asyncio.ensure_future(client.fleet.report(path)))),
        concurrency=1,
    )
    content = path.read_bytes()

    kept = await client.fleet.report(path)

    assert _states(await half_way[0])[:2] == [OperationState.SUCCEEDED] * 2
    assert kept.outcomes == report.outcomes
    assert (kept.requests, kept.runs, kept.started_at) == (report.requests, 1, report.started_at)
    assert path.read_bytes() == content


async def test_a_missing_or_damaged_journal_has_no_report(client: LaunchClient, path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be used"):
        await client.fleet.report(path)
    path.write_bytes(b"no journal")
    with pytest.raises(JournalError):
        await client.fleet.report(path)
