"""The service's clock: what its answers tell, and what they cannot."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

from hypothesis import given, strategies as st

from launch_async.http.service_clock import ServiceClock

_NOON = datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp()


@given(
    offset=st.floats(-7200, 7200),
    answers=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 2), st.floats(0, 2)), min_size=1, max_size=30),
)
def test_the_bounds_always_hold_the_true_offset(offset: float, answers: list[tuple[float, float, float]]) -> None:
    clock = ServiceClock()
    for when, up, down in answers:
        sent = _NOON + when
        at_service = sent + up + offset
        clock.observe(formatdate(math.floor(at_service), usegmt=True), sent=sent, received=sent + up + down)

    moment = datetime.fromtimestamp(_NOON, UTC)
    assert clock.earliest(moment) <= moment + timedelta(seconds=offset + 0.001)


def test_answers_at_different_parts_of_a_second_leave_little_doubt() -> None:
    clock = ServiceClock()
    for tenth in range(20):
        sent = _NOON + tenth * 1.07
        clock.observe(formatdate(math.floor(sent + 30), usegmt=True), sent=sent, received=sent)

    assert abs(clock.offset - 30) < 0.1
    assert abs((clock.earliest(datetime.fromtimestamp(_NOON, UTC)).timestamp()) - _NOON - 30) < 0.2


def test_a_clock_that_was_set_is_learnt_anew() -> None:
    clock = ServiceClock()
    clock.observe(formatdate(_NOON, usegmt=True), sent=_NOON, received=_NOON)
    clock.observe(formatdate(_NOON + 3600, usegmt=True), sent=_NOON + 1, received=_NOON + 1)

    assert abs(clock.offset - 3599.5) < 0.6


def test_a_date_that_cannot_be_read_tells_nothing() -> None:
    clock = ServiceClock()
    for date in (None, "never", "Fri, 01 Jan 99999 00:00:00 GMT"):
        clock.observe(date, sent=_NOON, received=_NOON)

    assert not clock.is_known
    assert clock.offset == 0.0
