"""When to request a log, when to request the status, and when a log has settled: pure rules without a loop."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from launch_async.watch.log_pace import LogPace

NOW = 1_800_000_000.0


def saw(pace: LogPace, stamps: list[float], now: float, *, asked: float | None = None) -> None:
    pace.saw_lines(
        len(stamps), [NOW + at for at in stamps], asked=NOW + (now if asked is None else asked), now=NOW + now
    )


def test_a_flowing_log_is_requested_and_not_the_status() -> None:
    pace = LogPace()
    for now in range(0, 20, 2):
        saw(pace, [now - 1.0, now], now)
        assert not pace.wants_status


def test_a_silent_log_leads_to_a_request_for_the_status() -> None:
    pace = LogPace()
    saw(pace, [-1.0, 0.0], 0.0)
    saw(pace, [*range(1, 21)], 20.0)
    saw(pace, [*range(21, 26)], 40.0)

    assert pace.wants_status


def test_an_empty_poll_is_followed_by_the_status_and_then_the_log() -> None:
    pace = LogPace()

    saw(pace, [], 1.0)
    assert pace.wants_status

    pace.saw_status()
    assert not pace.wants_status


def test_a_quiet_log_is_requested_less_often() -> None:
    pace = LogPace()
    brisk = pace.interval(60)
    for _ in range(20):
        saw(pace, [], 1.0)

    assert brisk == 2.0
    assert pace.interval(60) == 10.0


def test_lines_without_a_time_count_as_flow() -> None:
    pace = LogPace()
    saw(pace, [], 1.0)

    pace.saw_lines(3, [], asked=NOW + 2, now=NOW + 2)

    assert not pace.wants_status
    assert pace.has_begun


def test_a_log_settles_for_a_second_if_nothing_is_known() -> None:
    assert LogPace().settling(0) == 1.0


def test_a_log_settles_for_a_twentieth_of_the_builds_time_up_to_five_seconds() -> None:
    assert LogPace().settling(60) == pytest.approx(3.0)
    assert LogPace().settling(3600) == 5.0


def test_a_log_settles_for_as_long_as_its_newest_line_always_lags() -> None:
    pace = LogPace()
    for now in range(0, 20, 2):
        saw(pace, [now - 4.0, now - 3.0], now)

    assert pace.settling(10) == pytest.approx(3.0)


def test_a_log_settles_for_as_long_as_a_line_was_late() -> None:
    pace = LogPace()
    saw(pace, [1.0, 9.0], 9.0)
    saw(pace, [2.5, 11.0], 11.0)

    assert pace.settling(10) == pytest.approx(8.5)


def test_the_lines_of_the_first_poll_are_not_late() -> None:
    pace = LogPace()
    saw(pace, [-300.0, -200.0], 0.0)

    assert pace.settling(10) == 1.0


@given(st.lists(st.tuples(st.floats(0, 3600), st.lists(st.floats(-7200, 3600), max_size=5)), max_size=20))
def test_a_log_settles_and_is_requested_within_ten_seconds(polls: list[tuple[float, list[float]]]) -> None:
    pace = LogPace()
    for now, stamps in sorted(polls):
        saw(pace, sorted(stamps), now)

    assert 1.0 <= pace.settling(3600) <= 10.0
    assert 1.0 <= pace.interval(3600) <= 10.0
