"""The service's clock: what its answers tell, and what they cannot."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

from hypothesis import given, strategies as st

from launch_async.http.service_clock import ServiceClock

_NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()


def date_at(seconds: float) -> str:
    return formatdate(math.floor(seconds), usegmt=True)


@given(
    ahead=st.floats(-1e6, 1e6),
    answers=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 2)), min_size=1, max_size=30),
)
def test_it_is_never_more_than_a_second_and_an_answers_way_behind(
    ahead: float, answers: list[tuple[float, float]]
) -> None:
    clock = ServiceClock()
    for sent, way in sorted(answers):
        clock.observe(date_at(_NOON + ahead + sent), at=sent + way)

    told = clock.at(100.0)
    assert told is not None
    behind = _NOON + ahead + 100.0 - told.timestamp()
    assert -0.001 <= behind <= 1.001 + max(way for _, way in answers)


def test_of_several_answers_the_nearest_counts() -> None:
    clock = ServiceClock()
    for tenth in range(20):
        clock.observe(date_at(_NOON + tenth * 1.07), at=tenth * 1.07)

    told = clock.at(0.0)
    assert told is not None
    assert abs(told.timestamp() - _NOON) < 0.1


def test_a_clock_that_was_set_is_learnt_anew() -> None:
    clock = ServiceClock()
    clock.observe(date_at(_NOON), at=0.0)
    clock.observe(date_at(_NOON + 3601), at=1.0)
    assert clock.at(1.0) == datetime.fromtimestamp(_NOON + 3601, UTC)

    clock.observe(date_at(_NOON - 3598), at=2.0)

    assert clock.at(2.0) == datetime.fromtimestamp(_NOON, UTC) - timedelta(seconds=3598)


def test_a_date_that_cannot_be_read_tells_nothing() -> None:
    clock = ServiceClock()
    for date in (None, "never", "Fri, 01 Jan 99999 00:00:00 GMT"):
        clock.observe(date, at=0.0)

    assert not clock.is_known
    assert clock.at(0.0) is None
