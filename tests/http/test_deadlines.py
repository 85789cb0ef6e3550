"""Deadlines that share one timer: each deadline ends its own block, at the right time, and no other block."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from launch_async.http.deadlines import Deadline
from tests.support.core import virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def sleep(limit: float | None, length: float) -> tuple[float, bool]:
    """Sleep inside a deadline; return the time of the end, and whether the deadline ended the sleep."""
    try:
        with Deadline(limit):
            await asyncio.sleep(length)
    except TimeoutError:
        return now(), True
    return now(), False


@virtual_time
async def test_each_deadline_ends_at_its_own_time_in_any_order() -> None:
    limits = [5.0, 1.0, 3.0, 3.0, 0.0, 2.0]

    outcomes = await asyncio.gather(*(sleep(limit, 10.0) for limit in limits))

    assert outcomes == [(limit, True) for limit in limits]


@virtual_time
async def test_a_block_that_ends_in_time_is_not_cancelled() -> None:
    outcomes = await asyncio.gather(*(sleep(1.0 + length, length) for length in (0.0, 1.0, 2.0)))

    assert outcomes == [(0.0, False), (1.0, False), (2.0, False)]


@virtual_time
async def test_a_deadline_that_is_entered_after_others_have_ended_still_ends() -> None:
    first = await sleep(1.0, 10.0)
    quick = await sleep(1.0, 0.5)
    last = await sleep(1.0, 10.0)

    assert (first, quick, last) == ((1.0, True), (1.5, False), (2.5, True))


@virtual_time
async def test_a_deadline_without_a_limit_never_ends() -> None:
    endless, limited = await asyncio.gather(sleep(None, 1e6), sleep(1.0, 2.0))

    assert (endless, limited) == ((1e6, False), (1.0, True))


@virtual_time
async def test_the_nearer_of_two_nested_deadlines_ends_its_block() -> None:
    with pytest.raises(TimeoutError), Deadline(2.0) as outer:  # noqa: PT012
        with pytest.raises(TimeoutError), Deadline(1.0) as inner:
            await asyncio.sleep(10)
        assert (now(), inner.expired, outer.expired) == (1.0, True, False)
        await asyncio.sleep(10)

    assert (now(), outer.expired) == (2.0, True)


@virtual_time
async def test_the_outer_of_two_simultaneous_deadlines_raises() -> None:
    reached = False

    with pytest.raises(TimeoutError), Deadline(1.0):  # noqa: PT012
        with Deadline(1.0):
            await asyncio.sleep(10)
        reached = True

    assert not reached


@virtual_time
async def test_another_cancellation_stays_a_cancellation() -> None:
    task = asyncio.ensure_future(sleep(1.0, 10.0))
    # Both happen in the same turn of the loop, because the timer of the deadline was set first.
    asyncio.get_running_loop().call_later(1.0, task.cancel)

    with pytest.raises(asyncio.CancelledError):
        await task


@virtual_time
async def test_an_error_in_the_block_is_not_changed() -> None:
    with pytest.raises(ZeroDivisionError), Deadline(1.0) as deadline:
        raise ZeroDivisionError

    assert not deadline.expired


@virtual_time
async def test_a_task_that_was_ended_can_be_cancelled_and_limited_again() -> None:
    task = asyncio.current_task()
    assert task is not None

    await sleep(1.0, 10.0)

    assert task.cancelling() == 0
    assert await sleep(1.0, 10.0) == (2.0, True)


def test_another_event_loop_has_a_separate_clock() -> None:
    outcomes = [asyncio.run(sleep(0.0, 60.0))[1] for _ in range(2)]

    assert outcomes == [True, True]


def test_a_deadline_outside_of_a_task_is_an_error() -> None:
    loop = asyncio.new_event_loop()
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            with Deadline(1.0):
                pass
        except RuntimeError as error:
            failures.append(error)
        loop.stop()

    loop.call_soon(enter)
    loop.run_forever()
    loop.close()

    assert "works only inside a task" in str(failures[0])


@virtual_time
async def test_ten_thousand_deadlines_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    armed: list[float] = []
    call_at = loop.call_at

    def noted(when: float, *rest: Any, **options: Any) -> asyncio.TimerHandle:
        armed.append(when)
        return call_at(when, *rest, **options)

    monkeypatch.setattr(loop, "call_at", noted)
    for _ in range(10_000):
        with Deadline(60.0):
            pass

    assert armed == [60.0]
