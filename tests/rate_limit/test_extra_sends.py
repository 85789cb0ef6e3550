"""Requests that aiohttp sends again automatically count against the budget."""

from __future__ import annotations

from launch_async.rate_limit.pacer import Pacer
from launch_async.rate_limit.types import Answer, RateLimit


def _pacer_with(sends: int) -> Pacer:
    pacer = Pacer(RateLimit(3))
    pacer.learn(pacer.take(0.0), Answer(0.01, sends=sends))
    return pacer


def test_a_request_that_was_sent_twice_takes_two_slots() -> None:
    once, twice = _pacer_with(1), _pacer_with(2)
    for pacer in (once, twice):
        pacer.take(0.02)

    assert once.ready_at(0.03) == 0.03
    assert twice.ready_at(0.03) > 1.0
    assert (once.sent, twice.sent) == (2, 3)


def test_the_extra_slot_becomes_free_like_any_other() -> None:
    pacer = _pacer_with(3)

    assert pacer.ready_at(0.02) > 1.0
    assert pacer.ready_at(1.2) == 1.2
