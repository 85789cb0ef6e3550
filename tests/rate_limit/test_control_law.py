"""The control law shares the rate limit with programs that do not cooperate."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as some

from launch_async.rate_limit.control_law import NO_DECREASE, Decrease, after_refusal, capacity_at
from launch_async.rate_limit.types import RateLimit
from tests.support.other_programs import (
    after_spurious_refusals,
    next_to_another_program,
    refused,
    saturating,
    seconds_until_whole,
)

PLAN = RateLimit(10)


@pytest.mark.parametrize("server", ["sliding", "fixed", "bucket"])
def test_two_saturated_programs_reach_equal_shares_with_few_refusals(server: str) -> None:
    programs = saturating(server, "local", starts=[0, 0], until=60, seed=1)

    assert min(one.accepted(30, 60) for one in programs) >= 3.5
    assert refused(programs, 0, 60) <= 0.05


@pytest.mark.parametrize("network", ["local", "lan"])
def test_a_new_program_gets_its_share_from_a_program_with_the_whole_budget(network: str) -> None:
    programs = saturating("sliding", network, starts=[0, 20], until=70, seed=1)

    assert programs[1].accepted(25, 40) >= 2.5
    assert min(one.accepted(50, 70) for one in programs) >= 3.5
    assert refused(programs, 50, 70) <= 0.05


def test_twenty_five_programs_share_a_budget_of_ten() -> None:
    programs = saturating("fixed", "lan", starts=[0] * 25, until=150, seed=1, callers=2)

    shares = [one.accepted(60, 150) for one in programs]
    assert min(shares) >= 0.15
    assert sum(shares) >= 8
    assert refused(programs, 60, 150) <= 0.2


def test_a_foreign_program_at_half_of_the_budget_is_rarely_refused() -> None:
    ours, theirs = next_to_another_program("sliding", "lan", rate=5, steady=True, between=(20, 80), until=120, seed=1)

    assert refused([theirs], 25, 80) <= 0.08
    assert ours.accepted(30, 80) >= 3.5
    assert seconds_until_whole(ours, 80, 120) <= 30


def test_single_refusals_in_an_idle_program_cost_nothing_later() -> None:
    account = after_spurious_refusals(
        "sliding", "lan", idle_rate=2, times=[3, 6, 9, 12], busy_from=14, until=30, seed=1
    )

    assert sum(not accepted for _, accepted in account.arrivals) == 4
    assert account.accepted(15, 30) >= 9.5


def test_a_busy_program_recovers_from_single_refusals_within_half_a_minute() -> None:
    account = after_spurious_refusals(
        "sliding", "lan", idle_rate=2, times=[10, 11, 12, 13], busy_from=1, until=50, seed=1
    )

    assert account.accepted(15, 20) < 9
    assert seconds_until_whole(account, 13, 50) <= 32


def test_refusals_of_one_moment_count_once() -> None:
    decrease = NO_DECREASE
    for _ in range(10):
        decrease = after_refusal(decrease, PLAN, sent_at=5.0, now=5.1, in_use=10)

    assert decrease == Decrease(6.0, 5.1)


def test_a_refusal_with_unused_capacity_lowers_nothing() -> None:
    assert after_refusal(NO_DECREASE, PLAN, sent_at=5.0, now=5.1, in_use=4) is NO_DECREASE


def test_a_program_with_more_than_half_gives_back_more() -> None:
    left = [
        after_refusal(Decrease(low, 0.0), PLAN, sent_at=0.5, now=0.5, in_use=low).low / low
        for low in (8.0, 6.0, 4.0, 0.4)
    ]

    assert left == pytest.approx([0.6, 0.8, 0.9, 0.9], abs=0.01)


@given(
    plan=some.integers(1, 1000),
    refusals=some.lists(some.tuples(some.floats(0, 100), some.floats(0, 2)), max_size=50),
    later=some.floats(0, 1e6),
)
def test_the_capacity_stays_within_the_plan_and_grows_until_the_next_refusal(
    plan: int, refusals: list[tuple[float, float]], later: float
) -> None:
    rate_limit, decrease, now = RateLimit(plan), NO_DECREASE, 0.0
    for pause, trip in refusals:
        now += pause + trip
        decrease = after_refusal(decrease, rate_limit, sent_at=now - trip, now=now, in_use=plan)
        assert 0 < capacity_at(decrease, rate_limit, now) <= plan

    assert capacity_at(decrease, rate_limit, now + later) >= capacity_at(decrease, rate_limit, now)
    assert capacity_at(decrease, rate_limit, now + 1000) == plan or decrease.low < plan / 100


@given(some.floats(-1e9, 1e9), some.integers(1, 100))
def test_a_clock_that_goes_backwards_lowers_nothing(now: float, plan: int) -> None:
    assert capacity_at(Decrease(plan / 2, 0.0), RateLimit(plan), now) >= plan / 2
    assert not math.isnan(capacity_at(NO_DECREASE, RateLimit(plan), now))
