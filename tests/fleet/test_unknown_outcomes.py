"""Runs whose answers are lost: with colleagues, after kills, and with clocks that differ; in virtual time."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from launch_async import Commit, ConfigurationError, LaunchClient, PreviousUpload, RetryPolicy
from launch_async.fleet import Entry, FileJournal, FleetReport, MemoryJournal, OperationState, Plan, Target
from launch_async.http import Request, Response, Send
from launch_async.resources._create.sending import SendRecord
from tests.support.core import PROJECT, FakeTransport, answer, client_on, virtual_time
from tests.support.unreliable_service import NOON, LostResponse, Refused, UnreliableService
from tests.support.virtual_time import run

COMMIT = "b" * 40
NEVER = LostResponse(acts_after=None)


def targets(count: int) -> list[Target]:
    return [
        Target(project_uid=PROJECT, environment_uid=f"66c0ffee{number:016x}", environment_name=f"preview-{number}")
        for number in range(count)
    ]


def states(report: FleetReport) -> Counter[str]:
    return Counter(str(one.state) for one in report.outcomes)


def deployed(service: UnreliableService) -> Counter[str]:
    """Return how often the fleet has deployed each environment."""
    return Counter(one.environment for one in service.made if one.by_us)


def once_each(count: int) -> Counter[str]:
    return Counter(target.environment_uid for target in targets(count))


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOON + seconds, UTC)


def interrupted(plan: Plan, record: SendRecord) -> MemoryJournal:
    """Return the journal of a run that died after it wrote that it was about to send its first operation."""
    journal = MemoryJournal()
    journal.open(plan, check=lambda _: None)
    detail = {"sends": record.to_dict()}
    key = plan.operations[0].key
    journal.write(Entry(key=key, state=OperationState.INTENDED, intended_at=record.first, attempts=1, detail=detail))
    journal.close()
    return journal


async def plan_of(client: LaunchClient, count: int, source: Any = None) -> Plan:
    return await client.fleet.plan_redeploy(targets(count), source)


@pytest.mark.parametrize("zip_after_end", [False, True])
def test_uploads_of_colleagues_are_not_mistaken_for_the_files_of_the_fleet(tmp_path: Path, zip_after_end: bool) -> None:
    (tmp_path / "index.html").write_text("ours")
    outcomes: list[Any] = [
        NEVER,
        LostResponse(),
        LostResponse(8.0, 504),
        LostResponse(0.0, 500),
        LostResponse(25.0, 504),
    ] * 4
    service = UnreliableService(outcomes, kind="upload", zip_after_end=zip_after_end, listed_after=5.0)

    async def colleague() -> None:
        while True:
            for target in targets(20):
                await asyncio.sleep(0.15)
                service.begin(target.environment_uid, content=b"theirs")

    async def main() -> FleetReport:
        async with service.client() as client:
            plan = await plan_of(client, 20, tmp_path)
            busy = asyncio.ensure_future(colleague())
            report = await client.fleet.run(plan)
            busy.cancel()
            return report

    report = run(main())

    by_us = {one.uid for one in service.made if one.by_us}
    adopted = {one.deployment_uid for one in report.outcomes if one.state is OperationState.SUCCEEDED}
    assert report.is_success
    assert adopted == by_us
    assert deployed(service) == once_each(20)


@pytest.mark.parametrize("created_ahead", [-60.0, -0.1, 0.1, 60.0])
@virtual_time
async def test_a_difference_between_two_clocks_of_the_service_duplicates_nothing(created_ahead: float) -> None:
    service = UnreliableService([LostResponse() for _ in range(20)], created_ahead=created_ahead)
    async with service.client() as client:
        report = await client.fleet.run(await plan_of(client, 20))

    assert report.is_success
    assert deployed(service) == once_each(20)


@pytest.mark.parametrize("status", [500, 502, 504, 520, 522, 524])
@virtual_time
async def test_a_5xx_after_the_service_acted_is_no_failure(status: int) -> None:
    service = UnreliableService([LostResponse(0.0, status), NEVER, LostResponse(8.0, status)])
    async with service.client() as client:
        report = await client.fleet.run(await plan_of(client, 3))

    assert report.is_success
    assert deployed(service) == once_each(3)


@virtual_time
async def test_a_deployment_of_a_colleague_an_hour_after_the_last_send_is_not_adopted() -> None:
    service = UnreliableService()
    async with service.client() as client:
        plan = await plan_of(client, 1, Commit(COMMIT))
        service.begin(targets(1)[0].environment_uid, commit=COMMIT, at=-3600.0)
        journal = interrupted(plan, SendRecord(first=at(-7200.0), last=at(-7200.0)))
        report = await client.fleet.resume(journal)

    assert report.is_success
    assert deployed(service) == once_each(1)


@pytest.mark.parametrize("late", [0.0, 25.0])
@pytest.mark.parametrize("own_clock", [-3600.0, 0.0, 3600.0])
@virtual_time
async def test_a_wrong_local_clock_does_not_hide_the_deployment_of_a_killed_run(
    monkeypatch: pytest.MonkeyPatch, own_clock: float, late: float
) -> None:
    really = time.time
    service = UnreliableService(listed_after=20.0)
    service.begin(targets(1)[0].environment_uid, commit=COMMIT, at=-1800.0)
    monkeypatch.setattr(time, "time", lambda: really() + own_clock)
    async with service.client() as client:
        plan = await plan_of(client, 1, Commit(COMMIT))
        begin = service.begin
        service.later(late, lambda: begin(targets(1)[0].environment_uid, commit=COMMIT, by_us=True))
        report = await client.fleet.resume(interrupted(plan, SendRecord(first=at(0.0), last=at(0.0))))

    assert report.is_success
    assert [one.deployment_uid for one in report.outcomes] == service.ours


@virtual_time
async def test_the_journal_contains_the_last_send_and_not_only_the_first() -> None:
    service = UnreliableService([Refused(429, {"Retry-After": "20"}), LostResponse(25.0)], listed_after=20.0)
    journal = MemoryJournal()
    async with service.client() as client:
        plan = await plan_of(client, 1)
        killed = asyncio.ensure_future(client.fleet.run(plan, journal=journal))
        await asyncio.sleep(20.2)
        (entry,) = journal.entries()
        killed.cancel()
        killed.cancel()
        await asyncio.wait([killed])
        resumed = await client.fleet.resume(journal)
        await asyncio.sleep(100)

    assert (entry.state, entry.attempts) == (OperationState.INTENDED, 1)
    sends = SendRecord.from_dict(entry.detail["sends"])
    assert sends.first is not None
    assert sends.last is not None
    assert sends.last - sends.first > timedelta(seconds=19)
    assert resumed.is_success
    assert deployed(service) == once_each(1)


@virtual_time
async def test_the_previous_zip_is_adopted_by_its_content_after_a_kill() -> None:
    service = UnreliableService(kind="upload")
    environment = targets(1)[0].environment_uid
    service.begin(environment, content=b"before", at=-900.0)
    async with service.client() as client:
        plan = await plan_of(client, 1, PreviousUpload())
        service.later(3.0, lambda: service.begin(environment, by_us=True))
        service.later(6.0, lambda: service.begin(environment, content=b"theirs"))
        report = await client.fleet.resume(interrupted(plan, SendRecord(first=at(0.0), last=at(0.0))))

    assert [one.deployment_uid for one in report.outcomes] == service.ours


@virtual_time
async def test_a_stopped_run_leaves_unknown_outcomes_to_a_resumption() -> None:
    service, journal = UnreliableService([LostResponse(25.0, 504)]), MemoryJournal()
    async with service.client() as client:
        plan = await plan_of(client, 1)
        stopped = await client.fleet.run(plan, journal=journal, timeout=5.0)
        resumed = await client.fleet.resume(journal)

    assert states(stopped) == {"intended": 1}
    assert resumed.is_success
    assert deployed(service) == once_each(1)


async def _refusing(request: Request, send: Send) -> Response:
    if request.method == "POST":
        raise ConfigurationError("the middleware says no")
    return await send(request)


async def _broken(request: Request, send: Send) -> Response:
    if request.method == "POST":
        raise KeyError("token")
    return await send(request)


@virtual_time
async def test_an_operation_that_was_never_sent_is_journalled_as_not_sent() -> None:
    service, journal = UnreliableService(), MemoryJournal()
    async with service.client(middleware=[_refusing]) as client:
        report = await client.fleet.run(await plan_of(client, 3), journal=journal)

    assert states(report) == {"planned": 3}
    assert {entry.state for entry in journal.entries()} == {OperationState.PLANNED}


@virtual_time
async def test_a_middleware_that_breaks_before_it_sends_leaves_nothing_in_doubt() -> None:
    service, journal = UnreliableService(), MemoryJournal()
    async with service.client(middleware=[_broken]) as client:
        with pytest.raises(KeyError):
            await client.fleet.run(await plan_of(client, 3), journal=journal)

    assert {entry.state for entry in journal.entries()} == {OperationState.PLANNED}
    assert service.posts() == []


def _without_numbers(plan: Plan) -> Plan:
    """Return a plan that knows no newest deployment of any target, as for most targets of a large plan."""
    return attrs.evolve(
        plan,
        operations=tuple(
            attrs.evolve(one, target=attrs.evolve(one.target, last_number=None)) for one in plan.operations
        ),
    )


async def _killed_before_it_sent(service: UnreliableService, plan: Plan) -> MemoryJournal:
    """Return the journal of a run that was killed after it journalled its last operation, but before it sent it."""
    journal, reached = MemoryJournal(), asyncio.Event()

    async def held_back(request: Request, send: Send) -> Response:
        if request.method == "POST" and len(service.posts()) == len(plan.operations) - 1:
            reached.set()
            await asyncio.Event().wait()
        return await send(request)

    async with service.client(middleware=[held_back]) as client:
        killed = asyncio.ensure_future(client.fleet.run(plan, journal=journal, concurrency=1, stop_on_failures=None))
        await reached.wait()
        killed.cancel()
        await asyncio.sleep(0)
        killed.cancel()
        await asyncio.wait([killed])
    assert [entry.state for entry in journal.entries()][-1] is OperationState.INTENDED
    return journal


@pytest.mark.parametrize("created_ahead", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("shows_numbers", [True, False])
@virtual_time
async def test_a_deployment_shortly_before_a_kill_is_not_mistaken_for_one_of_the_run(
    shows_numbers: bool, created_ahead: float
) -> None:
    service = UnreliableService(shows_numbers=shows_numbers, created_ahead=created_ahead)
    environment = targets(1)[0].environment_uid
    for at in (-3600.0, -120.0):
        service.begin(environment, at=at)
    async with service.client() as client:
        plan = await plan_of(client, 1)
    # The loaded plan does not know the deployments that the selection has read.
    journal = await _killed_before_it_sent(service, Plan.from_json(plan.to_json()))
    async with service.client() as client:
        report = await client.fleet.resume(journal)

    assert report.is_success
    assert deployed(service) == once_each(1)


@pytest.mark.parametrize("created_ahead", [-60.0, 0.0, 60.0])
@virtual_time
async def test_a_recent_deployment_of_a_later_target_is_reported_and_costs_no_listing(created_ahead: float) -> None:
    service = UnreliableService(created_ahead=created_ahead)
    last = targets(4)[-1].environment_uid
    for at in (-3600.0, -30.0):
        service.begin(last, at=at)
    async with service.client() as client:
        plan = _without_numbers(await plan_of(client, 4))
    before = len(service.sent)
    journal = await _killed_before_it_sent(service, plan)
    about_the_last = [request.operation for _, request in service.sent[before:] if last in request.url]
    async with service.client() as client:
        report = await client.fleet.resume(journal)

    assert about_the_last == []
    assert states(report) == {"succeeded": 3, "ambiguous": 1}
    assert "it may have existed before the request" in report.outcomes[-1].message
    assert deployed(service) == once_each(3)


@virtual_time
async def test_a_deployment_of_a_colleague_after_planning_does_not_count_for_the_run() -> None:
    service = UnreliableService()
    environment = targets(1)[0].environment_uid
    service.begin(environment, at=-3600.0)
    async with service.client() as client:
        plan = await client.fleet.plan_redeploy(targets(1), look_up=True)
        await asyncio.sleep(7200.0)
        service.begin(environment)
        await asyncio.sleep(120.0)
        journal = await _killed_before_it_sent(service, plan)
        report = await client.fleet.resume(journal)

    assert report.is_success
    assert deployed(service) == once_each(1)


@virtual_time
async def test_a_deployment_from_before_planning_does_not_count_for_the_run() -> None:
    service = UnreliableService()
    last = targets(4)[-1].environment_uid
    for at in (-3600.0, -30.0):
        service.begin(last, at=at)
    async with service.client() as client:
        plan = Plan.from_json((await plan_of(client, 4)).to_json())
    assert plan.operations[-1].target.last_number == 2
    journal = await _killed_before_it_sent(service, plan)
    async with service.client() as client:
        report = await client.fleet.resume(journal)

    assert report.is_success
    assert deployed(service) == once_each(4)


@virtual_time
async def test_a_copy_without_a_date_excludes_deployments_from_before_planning(tmp_path: Path) -> None:
    service = UnreliableService(date_ahead=None)
    for target in targets(2):
        service.begin(target.environment_uid, at=-3600.0)
    async with service.client() as client:
        plan = await plan_of(client, 2)
        with FileJournal(tmp_path / "journal") as journal:
            journal.open(plan, check=lambda _: None)
        shutil.copy(tmp_path / "journal", tmp_path / "copy")
        service.begin(targets(1)[0].environment_uid, by_us=True)
        report = await client.fleet.resume(tmp_path / "copy")

    assert report.is_success
    assert deployed(service) == once_each(2)


@virtual_time
async def test_a_copy_without_a_date_and_without_entries_adopts_nothing(tmp_path: Path) -> None:
    service = UnreliableService(date_ahead=None)
    service.begin(targets(1)[0].environment_uid, commit=COMMIT, at=-3600.0)
    async with service.client() as client:
        plan = _without_numbers(await plan_of(client, 1, Commit(COMMIT)))
        with FileJournal(tmp_path / "journal") as journal:
            journal.open(plan, check=lambda _: None)
        shutil.copy(tmp_path / "journal", tmp_path / "copy")
        report = await client.fleet.resume(tmp_path / "copy")

    assert states(report) == {"ambiguous": 1}
    assert service.posts() == []


@pytest.mark.parametrize("status", [502, 504])
@virtual_time
async def test_variables_whose_answer_was_lost_are_compared_and_written_again(status: int) -> None:
    statuses = [status, status, None]
    written: list[bytes] = []

    async def respond(request: Request) -> Response:
        if request.method == "PUT":
            next_status = statuses.pop(0)
            if next_status is not None:
                return answer(next_status, {"errors": []})
            assert isinstance(request.body, bytes)
            written.append(request.body)
        return answer(200, {"environment": {"uid": targets(1)[0].environment_uid, "environmentVariables": shown()}})

    def shown() -> list[dict[str, str]]:
        return [{"key": "A", "value": "1"}] if written else []

    async with client_on(FakeTransport(respond), retry=RetryPolicy(attempts=1)) as client:
        plan = await client.fleet.plan_variables(targets(1), {"A": "1"})
        report = await client.fleet.run(plan, variables={"A": "1"}, protected=())

    assert report.is_success
    assert len(written) == 1
