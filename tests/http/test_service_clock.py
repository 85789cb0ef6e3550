"""The service's clock, as computed from the Date headers of its answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import formatdate

from hypothesis import given, strategies as st

from launch_async.http.service_clock import ServiceClock

_NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()


def date_at(seconds: float) -> str:
    return formatdate(math.floor(seconds), usegmt=True)


@given(
    ahead=st.floats(-1e6, 1e6),
    answers=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=30),
)
def test_the_error_is_at_most_half_a_second_and_half_an_exchange(
    ahead: float, answers: list[tuple[float, float, float]]
) -> None:
    clock = ServiceClock()
    for sent, up, down in answers:
        clock.observe(date_at(_NOON + ahead + sent + up), sent=sent, received=sent + up + down)

    computed = clock.at(100.0)
    assert computed is not None
    quickest = min(up + down for _, up, down in answers)
    assert abs(_NOON + ahead + 100.0 - computed.timestamp()) <= (1 + quickest) / 2 + 0.001


def test_answers_at_different_parts_of_a_second_reduce_the_error() -> None:
    clock = ServiceClock()
    for tenth in range(20):
        at = tenth * 1.07
        clock.observe(date_at(_NOON + at), sent=at, received=at)

    computed = clock.at(0.0)
    assert computed is not None
    assert abs(computed.timestamp() - _NOON) < 0.1


def test_a_clock_that_was_changed_is_learnt_again() -> None:
    clock = ServiceClock()
    for at, shown in enumerate((_NOON, _NOON + 3601, _NOON - 3598)):
        clock.observe(date_at(shown), sent=at, received=at)

        computed = clock.at(at)
        assert computed is not None
        assert abs(computed.timestamp() - shown - 0.5) < 0.001


def test_an_unreadable_date_changes_nothing() -> None:
    clock = ServiceClock()
    for date in (None, "never", "Fri, 01 Jan 99999 00:00:00 GMT"):
        clock.observe(date, sent=0.0, received=0.0)

    assert not clock.is_known
    assert clock.at(0.0) is None
