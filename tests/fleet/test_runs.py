"""A run does each operation of its plan once, stops when the program says so, and reports each outcome."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import attrs
import pytest

from launch_async import (
    ArchiveError,
    Authtoken,
    ConfigurationError,
    DeploymentRef,
    InvalidArgumentError,
    JournalError,
    LaunchClient,
    PreviousUpload,
    RequestStarted,
)
from launch_async.emulator import LaunchEmulator
from launch_async.fleet import (
    FileJournal,
    FleetControl,
    FleetEvent,
    FleetEventKind,
    MemoryJournal,
    OperationState,
    Plan,
    SetVariables,
    Target,
)
from launch_async.fleet.journal.journal import Entry
from launch_async.fleet.run.operations import _finished
from launch_async.hooks import Hooks
from tests.fleet.conftest import QUICK, created, uids
from tests.support.clients import client_of

SECRET = "canary-value-of-a-variable"


def _states(report) -> list[str]:
    return [str(one.state) for one in report.outcomes]


async def test_a_run_deploys_every_target_once_and_reports_it(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    before = emulator.ledger.count()

    report = await client.fleet.run(plan)

    assert created(emulator) == uids(plan)
    assert report.is_success
    assert report.requests == emulator.ledger.count() - before
    assert all(one.deployment_uid and one.url and one.attempts == 1 for one in report.outcomes)
    assert [one.wave for one in report.outcomes] == [1, 2, 2, 3, 3, 3]


async def test_a_file_is_uploaded_once_for_all_targets(client: LaunchClient, emulator: LaunchEmulator) -> None:
    emulator.add_project("files", environments=["one", "two", "three"], deployments=1)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="files"), "examples/site")

    report = await client.fleet.run(plan)

    assert report.is_success
    assert emulator.ledger.count("uploadArchive") == 1


async def test_a_target_that_cannot_use_the_shared_upload_gets_a_separate_upload(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    emulator.add_project("files", environments=["one", "two"], deployments=1)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="files"), "examples/site")
    body = '{"errors":[{"code":"launch.DEPLOYMENT.FILE_UPLOAD_FAILED","message":"no"}],"status":400}'
    emulator.faults.add("status_before", operation="createDeployment", times=1, status=400, body=body)

    report = await client.fleet.run(plan)

    assert report.is_success
    assert emulator.ledger.count("uploadArchive") == 2
    assert created(emulator) == uids(plan)


async def test_a_plan_and_its_run_find_the_same_secrets_in_files(
    client: LaunchClient, emulator: LaunchEmulator, tmp_path: Path
) -> None:
    emulator.add_project("files", environments=["one"], deployments=1)
    (tmp_path / "index.html").write_text("page")
    (tmp_path / ".env").write_text("TOKEN=abc")
    selection = await client.fleet.select(projects="files")
    with pytest.raises(ArchiveError, match="contains secrets"):
        await client.fleet.plan_redeploy(selection, tmp_path)

    plan = Plan.from_json((await client.fleet.plan_redeploy(selection, tmp_path, secrets="drop")).to_json())
    report = await client.fleet.run(plan)

    assert report.is_success


async def test_files_that_changed_since_the_plan_are_refused_before_anything_is_sent(
    client: LaunchClient, emulator: LaunchEmulator, tmp_path: Path
) -> None:
    page = tmp_path / "index.html"
    page.write_text("x" * 2000)
    emulator.add_project("files", environments=["one"], deployments=1)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="files"), tmp_path)
    page.write_text("y" * 2000)

    with pytest.raises(ArchiveError, match="has changed since the plan was made"):
        await client.fleet.run(plan)

    assert created(emulator) == []


async def test_an_upload_that_fails_stops_the_run_and_fails_no_target(
    client: LaunchClient, emulator: LaunchEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.deploy.uploading._PAUSE_S", 0.001)
    emulator.add_project("files", environments=["one", "two"], deployments=1)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="files"), "examples/site")
    emulator.faults.add("status_before", operation="uploadArchive", status=403)
    journal = MemoryJournal()

    report = await client.fleet.run(plan, journal=journal)

    assert report.stopped.startswith("the upload failed")
    assert _states(report) == ["planned"] * 2
    emulator.faults.clear()
    assert (await client.fleet.resume(journal)).is_success
    assert created(emulator) == uids(plan)


async def test_the_canary_must_succeed_before_another_target_is_sent(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    emulator.script("FAILED", environment_uid=plan.operations[0].target.environment_uid)

    report = await client.fleet.run(plan, canary=2, stop_on_failures=1.0)

    assert report.stopped == "the canary failed"
    assert created(emulator) == sorted(one.target.environment_uid for one in plan.operations[:2])
    assert _states(report) == ["failed", "succeeded", *["planned"] * 4]
    assert [one.target for one in report.failures] == [plan.operations[0].target]
    assert len(report.unfinished) == 4
    assert not report.is_success


async def test_the_next_target_is_the_canary_if_the_first_is_skipped(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    busy, tried = plan.operations[0].target, plan.operations[1].target
    emulator.script("LIVE", seconds=3600, environment_uid=busy.environment_uid)
    await client.deployments.create(busy.project_uid, busy.environment_uid)
    emulator.script("FAILED", environment_uid=tried.environment_uid)
    emulator.ledger.clear()
    plan = await client.fleet.plan_redeploy([one.target for one in plan.operations], when_busy="skip")

    report = await client.fleet.run(plan, canary=1, stop_on_failures=None)

    assert report.stopped == "the canary failed"
    assert created(emulator) == [tried.environment_uid]
    assert _states(report) == ["skipped", "failed", *["planned"] * 4]


async def test_the_next_target_is_the_canary_if_the_run_attaches_to_the_first(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    busy = plan.operations[0].target
    emulator.script("LIVE", seconds=3600, environment_uid=busy.environment_uid)
    await client.deployments.create(busy.project_uid, busy.environment_uid)
    emulator.script("FAILED", environment_uid=plan.operations[1].target.environment_uid)
    plan = await client.fleet.plan_redeploy([one.target for one in plan.operations], when_busy="attach")

    def end_the_build(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            emulator.advance(3600)

    report = await client.fleet.run(plan, canary=1, stop_on_failures=None, on_event=end_the_build)

    assert report.stopped == "the canary failed"
    assert _states(report) == ["succeeded", "failed", *["planned"] * 4]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10, 60])
async def test_the_default_share_of_failures_stops_the_run(
    client: LaunchClient, emulator: LaunchEmulator, count: int
) -> None:
    """While the SDK learns of the failures that stop the run, it sends at most one wave."""
    emulator.add_project("many", environments=[f"environment-{number}" for number in range(count)], git=True)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="many"))
    emulator.script("FAILED", times=None)

    report = await client.fleet.run(plan, confirm=count)

    assert report.stopped.endswith("failed")
    sent = Counter(one.wave for one in report.outcomes if one.attempts)
    before_the_last = sum(sent.values()) - sent[max(sent)]
    assert before_the_last <= 0.25 * count
    assert sum(sent.values()) <= 1 + count / 2
    assert len(created(emulator)) == sum(sent.values())


async def test_a_run_without_a_limit_on_failures_has_one_wave(client: LaunchClient, plan: Plan) -> None:
    for share in (None, 1.0):
        report = await client.fleet.run(plan, stop_on_failures=share)

        assert {one.wave for one in report.outcomes} == {1}


async def test_growing_waves_begin_with_the_quickest_builds(client: LaunchClient, plan: Plan) -> None:
    seconds = [40.0, 20.0, 50.0, 10.0, None, 30.0]
    targets = [attrs.evolve(one.target, last_seconds=took) for one, took in zip(plan.operations, seconds, strict=True)]

    report = await client.fleet.run(await client.fleet.plan_redeploy(targets))

    assert [one.wave for one in report.outcomes] == [3, 2, 3, 2, 1, 3]


async def test_waves_follow_each_other(client: LaunchClient, plan: Plan) -> None:
    report = await client.fleet.run(plan, canary=1, wave_size=3)

    assert [one.wave for one in report.outcomes] == [1, 2, 2, 2, 3, 3]


async def test_a_share_of_failures_stops_the_run(client: LaunchClient, emulator: LaunchEmulator, plan: Plan) -> None:
    emulator.script("FAILED", times=None)

    report = await client.fleet.run(plan, stop_on_failures=0.25, concurrency=1)

    assert report.stopped == "2 of 6 targets failed"
    assert len(created(emulator)) == 2


async def test_a_resumed_run_does_not_retry_failed_targets(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    emulator.script("FAILED", times=2)
    journal = MemoryJournal()
    await client.fleet.run(plan, journal=journal, concurrency=1)

    report = await client.fleet.resume(journal, canary=1)

    assert created(emulator) == uids(plan)
    assert len(report.failures) == 2
    assert report.unfinished == []
    assert [one.wave for one in report.outcomes] == [1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(("when_busy", "deployments", "states"), [("skip", 0, "skipped"), ("attach", 0, "succeeded")])
async def test_a_busy_environment_is_skipped_or_attached_to(
    client: LaunchClient, emulator: LaunchEmulator, when_busy, deployments: int, states: str
) -> None:
    target = (await client.fleet.select(projects="blog", environments="preview"))[0]
    emulator.script("LIVE", seconds=3600)
    running = await client.deployments.create(target.project_uid, target.environment_uid)
    emulator.ledger.clear()

    def end_the_build(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            emulator.advance(3600)

    busy = await client.fleet.plan_redeploy([target], when_busy=when_busy)
    report = await client.fleet.run(busy, on_event=end_the_build)

    assert len(created(emulator)) == deployments
    assert _states(report) == [states]
    assert running.uid in (report.outcomes[0].deployment_uid or report.outcomes[0].message)


async def test_an_idle_environment_is_deployed_if_busy_ones_are_skipped(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    plan = await client.fleet.plan_redeploy(await client.fleet.select(), when_busy="skip")

    report = await client.fleet.run(plan)

    assert created(emulator) == uids(plan)
    assert report.is_success


async def test_a_paused_run_sends_nothing_until_it_continues(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    control, kinds = FleetControl(), []
    paused = asyncio.Event()

    def watch(event: FleetEvent) -> None:
        kinds.append(event.kind)
        if event.kind is FleetEventKind.PAUSED:
            paused.set()

    control.pause()
    run = asyncio.create_task(client.fleet.run(plan, control=control, on_event=watch))
    await paused.wait()
    assert created(emulator) == []
    await asyncio.to_thread(control.resume)

    assert (await run).is_success
    assert kinds.count(FleetEventKind.PAUSED) == kinds.count(FleetEventKind.RESUMED) == 1


async def test_a_stopped_run_sends_no_more_requests_and_can_be_resumed(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    control, journal = FleetControl(), MemoryJournal()

    def stop(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            control.cancel("enough")

    report = await client.fleet.run(plan, control=control, on_event=stop, journal=journal, concurrency=1)

    assert report.stopped == "enough"
    assert _states(report) == ["succeeded", *["planned"] * 5]
    assert (await client.fleet.resume(journal)).is_success
    assert created(emulator) == uids(plan)


class _AtCreation(Hooks):
    """Call a function when the creation of a deployment is about to be sent."""

    def __init__(self, act) -> None:
        self._act = act

    def request_started(self, event: RequestStarted) -> None:
        if event.operation == "createDeployment":
            self._act()


async def test_a_cancelled_run_journals_the_sent_operations_and_can_be_resumed(
    emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "run.journal"
    emulator.faults.add("delay", operation="createDeployment", delay=0.1)

    async with client_of(emulator, retry=QUICK) as client:
        begun = asyncio.Event()

        def note(event: FleetEvent) -> None:
            if event.state is OperationState.INTENDED:
                begun.set()

        run = asyncio.create_task(client.fleet.run(plan, journal=path, on_event=note, concurrency=2))
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

        journal = FileJournal(path)
        journal.open(None, check=lambda _: None)
        states = [entry.state for entry in journal.entries()]
        journal.close()
        assert OperationState.INTENDED not in states
        assert states.count(OperationState.SENT) == len(created(emulator)) > 0

        assert (await client.fleet.resume(path)).is_success
        assert created(emulator) == uids(plan)


async def test_a_second_cancellation_gives_up_sent_operations() -> None:
    begun, ended = asyncio.Event(), []

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    task = asyncio.create_task(_finished(work(), unless=lambda: False))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not ended
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_a_deployment_that_vanished_is_a_failure(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    emulator.faults.add("status_before", operation="listDeployments", status=404)
    emulator.faults.add("status_before", operation="getDeployment", status=404)

    report = await client.fleet.run(plan, stop_on_failures=1.0)

    assert _states(report) == ["failed"] * 6


async def test_refused_credentials_stop_the_run_and_fail_no_target(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    journal = MemoryJournal()
    async with client_of(emulator, credentials=Authtoken("stale")) as stale:
        report = await stale.fleet.run(plan, journal=journal)

    assert report.stopped
    assert _states(report) == ["planned"] * 6
    assert (await client.fleet.resume(journal)).is_success
    assert created(emulator) == uids(plan)


async def test_credentials_that_are_refused_while_waiting_leave_the_rest_to_a_resumption(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    journal = MemoryJournal()
    emulator.faults.add("status_before", operation="listDeployments", status=401)
    emulator.faults.add("status_before", operation="getDeployment", status=401)

    report = await client.fleet.run(plan, journal=journal, stop_on_failures=1.0)

    assert report.stopped
    assert set(_states(report)) <= {"sent", "planned"}
    emulator.faults.clear()
    assert (await client.fleet.resume(journal)).is_success
    assert created(emulator) == uids(plan)


async def test_a_temporarily_refused_operation_is_retried(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.fleet.run.running._FIRST_PAUSE_S", 0.001)
    one = await client.fleet.plan_revalidate([plan.operations[0].target], path="/")
    emulator.faults.add("status_before", operation="revalidateCdnCache", status=429, times=QUICK.refusals + 1)

    report = await client.fleet.run(one)

    assert report.is_success
    assert report.outcomes[0].attempts == 2


async def test_an_operation_that_is_refused_too_often_stays_planned(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.fleet.run.running._FIRST_PAUSE_S", 0.001)
    one = await client.fleet.plan_revalidate([plan.operations[0].target], path="/")
    emulator.faults.add("status_before", operation="revalidateCdnCache", status=429)
    journal = MemoryJournal()

    report = await client.fleet.run(one, journal=journal)

    assert _states(report) == ["planned"]
    assert report.outcomes[0].message
    emulator.faults.clear()
    assert (await client.fleet.resume(journal)).is_success


async def test_variables_are_set_and_removed_and_no_value_is_stored(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    targets = [one.target for one in plan.operations]
    wanted = {"LIMIT": "7", "KEY": SECRET}
    changes = await client.fleet.plan_variables(targets, wanted, remove=["OLD"])
    assert str(changes.operations[0].change) == "+KEY -OLD"
    path = tmp_path / "run.journal"

    report = await client.fleet.run(changes, journal=path, variables=wanted)

    assert report.is_success
    for target in targets:
        assert await client.variables.read(target.project_uid, target.environment_uid) == wanted
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    shown = changes.to_json() + str(changes) + report.to_json() + report.to_html() + str(report) + repr(report)
    for secret in (SECRET, emulator.authtoken):
        assert secret not in shown
        assert secret.encode() not in written


async def test_variables_that_are_set_already_are_not_written_again(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    changes = await client.fleet.plan_variables([plan.operations[0].target], {"LIMIT": "7"})

    report = await client.fleet.run(changes, variables={"LIMIT": "7"})

    assert report.outcomes[0].message == "nothing to change"
    assert emulator.ledger.count("updateEnvironment") == 0


async def test_environments_are_deleted_and_an_interrupted_deletion_is_no_failure(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    targets = [one.target for one in plan.operations[:2]]
    deletion = await client.fleet.plan_delete([(one.project_uid, one.environment_uid) for one in targets])
    with pytest.raises(InvalidArgumentError, match="the plan deletes environments"):
        await client.fleet.run(deletion)
    journal = MemoryJournal()
    journal.open(deletion, check=lambda _: None)
    journal.write(Entry(key=deletion.operations[0].key, state=OperationState.INTENDED, attempts=1))
    journal.close()
    await client.environments.delete(targets[0].project_uid, targets[0].environment_uid)

    report = await client.fleet.run(deletion, confirm=2, journal=journal)

    assert report.is_success
    assert len(await client.fleet.select()) == 4


async def test_deleting_an_absent_environment_is_a_failure(client: LaunchClient, plan: Plan) -> None:
    target = plan.operations[0].target
    deletion = await client.fleet.plan_delete([(target.project_uid, target.environment_uid)])
    await client.environments.delete(target.project_uid, target.environment_uid)

    assert _states(await client.fleet.run(deletion, confirm=1)) == ["failed"]


async def test_an_interrupted_revalidation_is_reported_as_ambiguous(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    purge = await client.fleet.plan_revalidate([plan.operations[0].target], cache_tags=["news"])
    journal = MemoryJournal()
    journal.open(purge, check=lambda _: None)
    journal.write(Entry(key=purge.operations[0].key, state=OperationState.INTENDED, attempts=1))
    journal.close()

    report = await client.fleet.resume(journal)

    assert _states(report) == ["ambiguous"]
    assert emulator.ledger.count("revalidateCdnCache") == 0


async def test_a_revalidation_whose_answer_was_lost_is_ambiguous(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    purge = await client.fleet.plan_revalidate([plan.operations[0].target], hostnames=["a.example"])
    emulator.faults.add("reset_after", operation="revalidateCdnCache")

    assert _states(await client.fleet.run(purge)) == ["ambiguous"]


async def test_an_insufficient_quota_is_refused_when_planning(emulator: LaunchEmulator, plan: Plan) -> None:
    async with LaunchEmulator(rate_limit=None, revalidation_quota=1) as small, client_of(small, retry=QUICK) as client:
        with pytest.raises(InvalidArgumentError, match="only 1 left today"):
            await client.fleet.plan_revalidate([one.target for one in plan.operations], path="/")


async def test_two_candidates_for_an_interrupted_deployment_are_ambiguous(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    one = await client.fleet.plan_redeploy([plan.operations[0].target])
    target, journal = one.operations[0].target, MemoryJournal()
    journal.open(one, check=lambda _: None)
    since = (await client.deployments.create(target.project_uid, target.environment_uid)).created_at
    await client.deployments.create(target.project_uid, target.environment_uid)
    journal.write(Entry(key=one.operations[0].key, state=OperationState.INTENDED, intended_at=since, attempts=1))
    journal.close()
    before = len(created(emulator))

    report = await client.fleet.resume(journal)

    assert _states(report) == ["ambiguous"]
    assert len(created(emulator)) == before


async def test_an_interrupted_deployment_whose_listing_is_garbled_is_ambiguous(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    one = await client.fleet.plan_redeploy([plan.operations[0].target])
    journal = MemoryJournal()
    journal.open(one, check=lambda _: None)
    journal.write(Entry(key=one.operations[0].key, state=OperationState.INTENDED, attempts=1))
    journal.close()
    emulator.faults.add("empty", operation="listDeployments")

    assert _states(await client.fleet.resume(journal)) == ["ambiguous"]
    assert created(emulator) == []


async def test_a_resumed_run_reports_all_its_runs(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    path, before = tmp_path / "run.journal", emulator.ledger.count()
    control = FleetControl()

    def stop(event: FleetEvent) -> None:
        if event.done == 2:
            control.cancel("enough")

    first = await client.fleet.run(plan, journal=path, control=control, on_event=stop, wave_size=1)
    second = await client.fleet.resume(path)

    assert (first.runs, second.runs) == (1, 2)
    assert second.requests == emulator.ledger.count() - before
    assert second.seconds > first.seconds
    assert second.waited >= first.waited
    assert second.started_at == first.started_at
    assert "in 2 runs" in second.summary
    assert json.loads(second.to_json())["runs"] == 2
    assert f'time="{second.seconds:.3f}"' in second.to_junit()
    assert ", in 2 runs" in second.to_html()


async def test_resuming_a_finished_journal_sends_nothing_and_says_so(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "run.journal"
    first = await client.fleet.run(plan, journal=path)
    before = emulator.ledger.count()

    for _ in range(2):
        again = await client.fleet.resume(path)

        assert again.nothing_left
        assert "everything was done before, and this run sent nothing" in again.summary
        assert (again.runs, again.started_at) == (1, first.started_at)
        assert again.requests == first.requests
        assert again.seconds == pytest.approx(first.seconds, abs=0.5)
        assert "Everything was done before" in again.to_html()
        assert json.loads(again.to_json())["nothing_left"]
        assert again.outcomes == first.outcomes
    assert emulator.ledger.count() == before
    assert not first.nothing_left


async def test_a_report_counts_the_polls_of_a_cancelled_run(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    emulator.script(seconds=3600, times=None)
    journal, before, polled = MemoryJournal(), emulator.ledger.count(), asyncio.Event()

    def see(event: FleetEvent) -> None:
        if event.kind is FleetEventKind.DEPLOYMENT and event.deployment.status == "DEPLOYING":
            polled.set()

    run = asyncio.create_task(client.fleet.run(plan, journal=journal, on_event=see, stop_on_failures=None))
    await polled.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    emulator.advance(3600)

    report = await client.fleet.resume(journal)

    assert report.is_success
    assert report.requests == emulator.ledger.count() - before


@pytest.mark.parametrize("outcome", ["LIVE", "FAILED"])
async def test_the_row_of_a_target_ends_when_its_build_ended(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, outcome: str
) -> None:
    emulator.script(outcome, seconds=40)

    def end_the_build(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            emulator.advance(600)

    one = await client.fleet.plan_redeploy([plan.operations[0].target])
    report = await client.fleet.run(one, on_event=end_the_build)

    # The start is known by the service's clock, to about 1 s.
    assert 39 <= (report.outcomes[0].seconds or 0) <= 41


async def test_a_deployment_that_a_newer_one_has_replaced_is_a_success(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    one = await client.fleet.plan_redeploy([plan.operations[0].target])

    def replace(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            emulator.add_deployment(event.target.environment_uid)

    report = await client.fleet.run(one, on_event=replace)

    assert [outcome.state for outcome in report.outcomes] == [OperationState.SUCCEEDED]
    assert report.is_success
    assert 'failures="0"' in report.to_junit()
    assert "1 succeeded" in report.to_markdown()


async def test_a_resumed_run_reports_replaced_sites_as_successes(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    journal = MemoryJournal()

    def stop(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await client.fleet.run(plan, on_event=stop, journal=journal)
    for target in (operation.target for operation in plan.operations):
        emulator.add_deployment(target.environment_uid)

    report = await client.fleet.resume(journal)

    sent = [one for one in report.outcomes if one.deployment_uid]
    statuses = {
        (
            await client.poll_once(
                DeploymentRef(one.target.project_uid, one.target.environment_uid, one.deployment_uid)
            )
        ).status
        for one in sent
    }
    assert "ARCHIVED" in statuses
    assert report.totals == {OperationState.SUCCEEDED: len(plan.operations)}
    assert report.is_success


async def test_an_observer_that_fails_ends_the_run_and_is_not_hidden(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    def fail(event: FleetEvent) -> None:
        if event.state is OperationState.SENT:
            raise ZeroDivisionError

    journal = MemoryJournal()
    with pytest.raises(ZeroDivisionError):
        await client.fleet.run(plan, on_event=fail, journal=journal)

    assert (await client.fleet.resume(journal)).is_success
    assert created(emulator) == uids(plan)


async def test_a_journal_that_fails_ends_the_run_before_anything_more_is_sent(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    class FullDisk(MemoryJournal):
        def write(self, entry: Entry) -> None:
            raise JournalError("no space left")

    with pytest.raises(JournalError, match="no space left"):
        await client.fleet.run(plan, journal=FullDisk())

    assert created(emulator) == []


async def test_a_fifth_of_all_calls_fails_and_every_target_is_deployed_once(
    client: LaunchClient, emulator: LaunchEmulator
) -> None:
    emulator.add_project("many", environments=[f"environment-{number}" for number in range(40)], git=True)
    plan = await client.fleet.plan_redeploy(await client.fleet.select(projects="many"))
    for seed, (kind, status) in enumerate(
        [
            ("reset_before", None),
            ("reset_after", None),
            ("status_after", 502),
            ("status_after", 504),
            ("truncate", None),
        ]
    ):
        emulator.faults.add(kind, status=status, probability=0.04, seed=seed)
    journal = MemoryJournal()

    report = await client.fleet.run(plan, confirm=40, journal=journal, stop_on_failures=1.0)
    emulator.faults.clear()
    report = await client.fleet.resume(journal)

    done = created(emulator)
    unknown = {one.target.environment_uid for one in report.outcomes if one.state is OperationState.AMBIGUOUS}
    assert len(done) == len(set(done)), "something was deployed twice"
    assert set(uids(plan)) - set(done) <= unknown, "something was lost and not reported"
    assert len(unknown) <= 2


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"canary": -1}, "^canary: must be "),
        ({"wave_size": 0}, "^wave_size: must be "),
        ({"concurrency": 0}, "^concurrency: must be "),
        ({"stop_on_failures": 1.5}, "^stop_on_failures: must be "),
        ({"timeout": 0}, "^timeout: must be "),
        ({"canary": "two"}, "^canary: must be "),
        ({"variables": {"A": "b"}}, "the plan sets no variables"),
        ({"confirm": 7}, "the plan has 6"),
        ({"on_event": asyncio.sleep}, "on_event: must be a plain function"),
    ],
)
async def test_an_option_out_of_range_is_refused(client: LaunchClient, plan: Plan, options, problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        await client.fleet.run(plan, **options)


async def test_an_option_out_of_range_is_refused_before_a_journal_is_opened(
    client: LaunchClient, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^wave_size: must be "):
        await client.fleet.resume(tmp_path / "no journal", wave_size=0)


async def test_values_of_the_variables_must_be_given_again(client: LaunchClient, plan: Plan) -> None:
    changes = await client.fleet.plan_variables([plan.operations[0].target], {"KEY": SECRET})

    with pytest.raises(InvalidArgumentError, match="must contain KEY"):
        await client.fleet.run(changes)


async def test_a_run_is_not_resumed_with_other_values(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    targets = [one.target for one in plan.operations]
    values, path = {"KEY": SECRET, "LIMIT": "7"}, tmp_path / "run.journal"
    changes = await client.fleet.plan_variables(targets, values)
    await client.fleet.run(changes, journal=path, variables=values, control=_stopped_at_once())

    for others in ({**values, "KEY": "another"}, {"KEY": "7", "LIMIT": SECRET}):
        with pytest.raises(InvalidArgumentError, match="differ from the values that the run began with"):
            await client.fleet.resume(path, variables=others)
        with pytest.raises(InvalidArgumentError, match="differ from the values that the run began with"):
            await client.fleet.run(changes, journal=path, variables=others)

    assert emulator.ledger.count("updateEnvironment") == 0
    assert SECRET not in path.read_text()
    assert (await client.fleet.resume(path, variables={**values, "OTHER": "x"})).is_success


async def test_many_protected_or_nameless_targets_need_a_confirmation(client: LaunchClient, plan: Plan) -> None:
    some = plan.operations[0].target
    many = [
        Target(project_uid=some.project_uid, environment_uid=f"{number:024x}", environment_name="x")
        for number in range(21)
    ]
    guarded = [
        Target(project_uid=some.project_uid, environment_uid=some.environment_uid, environment_name="Production")
    ]
    nameless = [Target(project_uid=some.project_uid, environment_uid=some.environment_uid)]
    for targets, reason in (
        (many, "more than 20"),
        (guarded, "protected"),
        (nameless, "does not know the names of "),
    ):
        with pytest.raises(InvalidArgumentError, match=reason):
            await client.fleet.run(await client.fleet.plan_redeploy(targets))


@pytest.mark.parametrize("protected", ["qa", "QA", ["QA"], ["q*"], ["[qa]", "q[a]"]])
async def test_protected_names_ignore_case_and_may_be_one_string(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, protected: str | list[str]
) -> None:
    target = attrs.evolve(plan.operations[0].target, environment_name="Qa")

    with pytest.raises(InvalidArgumentError, match="protected environments"):
        await client.fleet.run(await client.fleet.plan_redeploy([target]), protected=protected)

    assert created(emulator) == []


async def test_a_target_that_has_become_protected_is_refused_when_it_runs_and_when_it_is_resumed(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan, tmp_path: Path
) -> None:
    path, renamed = tmp_path / "run.journal", plan.operations[5].target
    await client.fleet.run(plan, journal=path, wave_size=1, control=_stopped_at_once())
    await client.environments.update(renamed.project_uid, renamed.environment_uid, name="Production")
    before = created(emulator)

    for attempt in (
        lambda: client.fleet.run(plan),
        lambda: client.fleet.run(plan, confirm=6),
        lambda: client.fleet.resume(path),
    ):
        with pytest.raises(InvalidArgumentError, match=r"shop/staging is now called Production\)\. Make a new plan"):
            await attempt()

    assert created(emulator) == before
    assert (await client.fleet.resume(path, protected=())).is_success


def _stopped_at_once() -> FleetControl:
    control = FleetControl()
    control.cancel("for a test")
    return control


async def test_names_that_cannot_be_read_again_stop_the_run_before_anything_is_sent(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    emulator.faults.add("status_before", operation="listEnvironments", status=403)

    report = await client.fleet.run(plan)

    assert report.stopped.startswith("the names of the targets could not be read again: ")
    assert _states(report) == ["planned"] * 6
    assert created(emulator) == []


async def test_a_deleted_environment_has_no_name_to_protect(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    gone = plan.operations[0].target
    await client.environments.delete(gone.project_uid, gone.environment_uid)

    report = await client.fleet.run(plan, stop_on_failures=None)

    assert _states(report) == ["failed", *["succeeded"] * 5]


async def test_a_confirmation_is_a_number(client: LaunchClient, emulator: LaunchEmulator, plan: Plan) -> None:
    one = await client.fleet.plan_redeploy([plan.operations[0].target])

    with pytest.raises(InvalidArgumentError, match="confirm: is True, but the plan has 1 environments"):
        await client.fleet.run(one, confirm=True)

    assert created(emulator) == []


async def test_a_variable_to_remove_may_be_given_alone(client: LaunchClient, plan: Plan) -> None:
    changes = await client.fleet.plan_variables([plan.operations[0].target], remove="DEBUG")

    assert changes.action == SetVariables(names=(), removed=("DEBUG",))


async def test_a_plan_of_another_organization_or_region_is_refused(
    client: LaunchClient, emulator: LaunchEmulator, plan: Plan
) -> None:
    foreign = json.loads(plan.to_json())
    for field, value in (("host", "launch-api.example"), ("organization_uid", "blt0123456789abcdef")):
        with pytest.raises(ConfigurationError, match="was made for"):
            await client.fleet.run(Plan.from_json(json.dumps({**foreign, field: value})))
    assert created(emulator) == []


async def test_an_impossible_plan_is_refused(client: LaunchClient, plan: Plan) -> None:
    targets = [one.target for one in plan.operations]
    for attempt in (
        client.fleet.plan_redeploy([]),
        client.fleet.plan_redeploy([*targets, targets[0]]),
        client.fleet.plan_redeploy(targets, when_busy="never"),  # type: ignore[arg-type]
        client.fleet.plan_redeploy(targets, 7),  # type: ignore[arg-type]
        client.fleet.plan_variables(targets),
        client.fleet.plan_variables(targets, {"A": "b"}, remove=["A"]),
    ):
        with pytest.raises(InvalidArgumentError):
            await attempt
    assert str((await client.fleet.plan_redeploy(targets, PreviousUpload())).action).startswith(
        "redeploy from previous"
    )
