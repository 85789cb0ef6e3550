"""The queue serves callers by priority and then by arrival, and no priority starves."""

from hypothesis import given, strategies as st

from launch_async.rate_limit.queue import FairQueue, Waiter
from launch_async.rate_limit.types import Priority


def queue_of(*priorities: Priority) -> tuple[FairQueue[Waiter], list[Waiter]]:
    queue, waiters = FairQueue[Waiter](), [Waiter(priority) for priority in priorities]
    for waiter in waiters:
        queue.join(waiter)
    return queue, waiters


def any_waiter(_: Waiter) -> bool:
    return True


def test_callers_are_served_by_priority_and_then_by_arrival() -> None:
    queue, (poll, first, second) = queue_of(Priority.POLL, Priority.INTERACTIVE, Priority.INTERACTIVE)

    assert [queue.next(any_waiter) for _ in range(4)] == [first, second, poll, None]


def test_a_caller_that_returns_keeps_its_place() -> None:
    queue, (first, second) = queue_of(Priority.WRITE, Priority.WRITE)
    assert queue.next(any_waiter) is first

    queue.join(first)

    assert list(queue) == [first, second]


def test_a_caller_that_cannot_use_a_permit_is_skipped_and_stays() -> None:
    queue, (first, second) = queue_of(Priority.WRITE, Priority.WRITE)

    assert queue.next(lambda waiter: waiter is not first) is second
    assert list(queue) == [first]


def test_a_caller_may_leave_twice() -> None:
    queue, (first, second) = queue_of(Priority.POLL, Priority.POLL)

    queue.leave(first)
    queue.leave(first)

    assert (list(queue), len(queue), queue.counts[Priority.POLL]) == ([second], 1, 1)


@given(st.lists(st.sampled_from(Priority), min_size=1, max_size=60))
def test_each_waiting_priority_gets_one_of_ten_turns(priorities: list[Priority]) -> None:
    queue, waiters = queue_of(*priorities)

    served = [queue.next(any_waiter) for _ in waiters]

    for priority in Priority:
        own = [waiter for waiter in waiters if waiter.priority is priority]
        assert all(served.index(waiter) < 10 * place for place, waiter in enumerate(own, 1))


@given(st.lists(st.sampled_from(Priority), max_size=40), st.sampled_from(Priority))
def test_the_forecast_of_a_new_caller_is_its_actual_turn(priorities: list[Priority], priority: Priority) -> None:
    queue, _ = queue_of(*priorities)
    promised, newcomer = queue.position_of_new(priority), Waiter(priority)

    queue.join(newcomer)

    assert dict(queue.positions())[newcomer] == promised
