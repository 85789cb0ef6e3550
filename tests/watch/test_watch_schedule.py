"""When to poll: pure rules without a loop."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from launch_async.errors import (
    ConnectError,
    DeadlineExceeded,
    LaunchError,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
)
from launch_async.watch.schedule import Durations, FailureStreak, fair_interval, until_next_poll

AGES = st.floats(0, 10_000)


def polls(expected: float | None, until: float) -> list[float]:
    ages, age = [], 0.0
    while age < until:
        ages.append(age)
        age += until_next_poll(age, expected)
    return ages


@given(AGES, st.none() | st.floats(0, 4000))
def test_the_next_poll_comes_after_one_to_thirty_seconds(age, expected) -> None:
    assert 1.0 <= until_next_poll(age, expected) <= 30.0


def test_the_time_between_polls_grows_with_age_if_nothing_is_known() -> None:
    delays = [until_next_poll(age, None) for age in (0, 20, 60, 600)]

    assert delays == sorted(delays)
    assert delays[-1] == 15.0


def test_known_build_times_save_polls_and_find_the_end_sooner() -> None:
    blind, knowing = polls(None, 300), polls(300, 300)

    assert len(knowing) < len(blind)
    assert until_next_poll(298, 300) < until_next_poll(298, None)


def test_a_long_build_is_also_polled_early_in_case_it_fails() -> None:
    assert len([age for age in polls(600, 60) if age]) >= 4


def test_an_overdue_build_is_polled_ever_less_often() -> None:
    assert until_next_poll(400, 100) == 15.0


def test_an_urgent_end_is_polled_more_often_only_when_it_is_near() -> None:
    assert until_next_poll(20, 90, urgent=True) == pytest.approx(0.9 * 90 - 20)
    assert until_next_poll(82, 90, urgent=True) < until_next_poll(82, 90)
    assert until_next_poll(80, None, urgent=True) < until_next_poll(80, None)


def test_with_few_polls_a_build_is_first_polled_when_it_has_probably_ended() -> None:
    assert until_next_poll(1, 60, interval=0.0) < 60
    assert until_next_poll(1, 60, interval=40.0) == pytest.approx(1.1 * 60 - 1)
    assert until_next_poll(61, 60, interval=5.0) == 5.0


def test_many_deployments_share_the_budget_of_polls() -> None:
    assert fair_interval(200, 5.0) == 40.0


def test_the_expected_time_is_the_median_of_the_last_five() -> None:
    durations = Durations()
    assert durations.expected is None

    for index, seconds in enumerate([1000, 60, 61, 62, 63, 300]):
        durations.add(str(index), seconds)

    assert durations.expected == 62


def test_failures_end_a_wait_only_if_they_continue() -> None:
    failures, error = FailureStreak(), ServiceUnavailableError("busy")

    assert not failures.is_final(error, 0)
    assert not failures.is_final(error, 10)
    assert not failures.is_final(error, 59)
    assert failures.is_final(error, 60)


def test_two_failures_are_never_enough() -> None:
    failures, error = FailureStreak(), ConnectError("down")

    assert not failures.is_final(error, 0)
    assert not failures.is_final(error, 1000)


def test_a_success_resets_the_count_of_failures() -> None:
    failures, error = FailureStreak(), ConnectError("down")
    for now in (0, 30, 59):
        failures.is_final(error, now)
    failures.clear()

    assert not failures.is_final(error, 100)


@pytest.mark.parametrize("error", [UnauthorizedError("no"), NotFoundError("gone")])
def test_a_permanent_failure_ends_a_wait_immediately(error: LaunchError) -> None:
    assert FailureStreak().is_final(error, 0)


def test_a_permit_that_comes_too_late_is_no_failure() -> None:
    failures = FailureStreak()
    for now in range(0, 1000, 10):
        assert not failures.is_final(DeadlineExceeded("in use", expected_wait=70.0), now)
