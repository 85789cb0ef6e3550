"""The permit of a call is answered if the request may have been sent, and released if it was not sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from launch_async import BudgetWait, ConnectError, Hooks, RateLimit, ResponseLost
from launch_async.http.metering import Meter, metered
from launch_async.rate_limit import (
    Answer,
    LimiterStatus,
    LocalRateLimiter,
    Operation,
    Permit,
    Priority,
    UnlimitedRateLimiter,
)
from tests.support.core import PROJECT, FakeTransport, answer, client_on, virtual_time

DONE = answer(200, {})


class Permits(UnlimitedRateLimiter):
    """A rate limiter that delays each permit a little, and records the requested permits and their outcomes."""

    def __init__(self, seconds: float = 0.5) -> None:
        super().__init__()
        self.seconds = seconds
        self.operations: list[tuple[str, str]] = []
        self.settled: list[Answer | None] = []

    async def acquire(
        self,
        operation: Operation | None = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        assert operation is not None
        self.operations.append((operation.name, operation.method))
        if self.seconds:
            await asyncio.sleep(self.seconds)
        return Permit(self.seconds, self.settled.append)


@virtual_time
async def test_a_permit_is_requested_with_the_name_and_method_of_the_operation() -> None:
    permits = Permits()

    async with client_on(FakeTransport(answer(204)), limiter=permits) as launch:
        await launch.projects.delete(PROJECT)

    assert permits.operations == [("deleteProject", "DELETE")]


@virtual_time
async def test_a_request_that_was_never_sent_releases_its_permit() -> None:
    permits = Permits()

    async with client_on(FakeTransport(ConnectError("no route"), DONE), limiter=permits) as launch:
        await launch.request("GET", "/anything")

    never_left, answered = permits.settled
    assert never_left is None
    assert answered is not None
    assert not answered.lost


@virtual_time
async def test_a_request_whose_answer_was_lost_answers_its_permit() -> None:
    permits = Permits()

    async with client_on(FakeTransport(ResponseLost("lost"), DONE), limiter=permits) as launch:
        await launch.request("GET", "/anything")

    assert [one is not None and one.lost for one in permits.settled] == [True, False]


@virtual_time
async def test_a_meter_that_raises_before_the_request_uses_no_slot() -> None:
    def raising() -> None:
        raise ValueError("a full disk")

    async def fails(launch: Any) -> None:
        with metered(Meter(before_send=raising)), pytest.raises(ValueError, match="a full disk"):
            await launch.request("GET", "/anything")

    limiter, transport = LocalRateLimiter(RateLimit(10)), FakeTransport(DONE)
    async with client_on(transport, limiter=limiter) as launch:
        for _ in range(25):
            await fails(launch)
        for _ in range(10):
            await launch.request("GET", "/anything")
        status: LimiterStatus = launch.budget

    assert transport.times == [0.0] * 10
    assert status.sent == 10


@virtual_time
async def test_a_call_that_is_cancelled_while_it_waits_for_the_budget_takes_no_permit() -> None:
    limiter, transport = LocalRateLimiter(RateLimit(1)), FakeTransport(DONE)
    async with client_on(transport, limiter=limiter) as launch:
        await launch.request("GET", "/anything")
        waiting = asyncio.create_task(launch.request("GET", "/anything"))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.wait([waiting])
        await launch.request("GET", "/anything")

    assert len(transport.times) == 2
    assert transport.times[1] < 1.1
    assert limiter.status().sent == 2


@virtual_time
async def test_a_call_that_is_cancelled_during_its_request_answers_its_permit() -> None:
    async def hanging(_: object) -> Any:
        await asyncio.sleep(1000)

    permits = Permits()
    async with client_on(FakeTransport(hanging), limiter=permits) as launch:
        call = asyncio.create_task(launch.request("GET", "/anything"))
        await asyncio.sleep(1.0)
        call.cancel()
        await asyncio.wait([call])

    assert [one is not None and one.lost for one in permits.settled] == [True]


@virtual_time
async def test_a_call_that_the_garbage_collector_ends_does_not_settle_its_permit() -> None:
    async def hanging(_: object) -> Any:
        await asyncio.Event().wait()

    permits = Permits(seconds=0.0)
    async with client_on(FakeTransport(hanging), limiter=permits) as launch:
        call = launch.request("GET", "/anything")
        call.send(None)
        call.close()

    assert permits.operations == [("GET /anything", "GET")]
    assert permits.settled == []


class Cancelling(Hooks):
    """An observer that ends the call it observes."""

    def waited_for_budget(self, event: BudgetWait) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


@virtual_time
async def test_a_call_that_is_cancelled_between_its_permit_and_its_request_counts_as_sent() -> None:
    async def slow(_: object) -> Any:
        await asyncio.sleep(0.0)
        return DONE

    permits = Permits()
    async with client_on(FakeTransport(slow), limiter=permits, hooks=Cancelling()) as launch:
        call = asyncio.create_task(launch.request("GET", "/anything"))
        await asyncio.wait([call])

    assert call.cancelled()
    # The transport may have sent the request before its first wait.
    assert [one is not None and one.lost for one in permits.settled] == [True]
