"""The control law: the capacity of the budget, in requests per period. Below the plan's limit if others use it as well.

The law consists of pure functions on two numbers, so that processes can share the numbers and a store can apply the
law. A refusal that only a used-up budget explains lowers the capacity by a factor (multiplicative decrease). A capacity
close to the plan's limit falls most, because no other program can have as much. Afterwards the capacity grows, by the
same amount in all programs at first, and twice as fast after each `_DOUBLING_PERIODS` without a refusal. Programs that
do not know of each other therefore reach equal shares, and a program that is alone again has the whole budget within
half a minute.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from launch_async.rate_limit.types import RateLimit

__all__ = ["NO_DECREASE", "Decrease", "after_refusal", "capacity_at"]

_HALF: Final = 0.5
_THREE_QUARTERS: Final = 0.75
_FACTOR_ABOVE_THREE_QUARTERS: Final = 0.6
_FACTOR_ABOVE_HALF: Final = 0.8
_FACTOR_BELOW_HALF: Final = 0.9
_FIRST_GROWTH: Final = 0.08
"""Share of the plan's limit by which the capacity grows in the first `_DOUBLING_PERIODS` after a decrease."""
_DOUBLING_PERIODS: Final = 8.0
"""Periods without a refusal after which the capacity grows twice as fast."""
_SETTLING_PERIODS: Final = 0.5
"""Periods after a decrease, during which refusals do not count."""
_MAX_DOUBLINGS: Final = 50.0


class Decrease(NamedTuple):
    """The latest decrease of the capacity.

    Attributes:
        low: Capacity right after the decrease, in requests per period; infinite if there was no decrease.
        since: Time of the decrease, in seconds. All times must come from one clock.
    """

    low: float = math.inf
    since: float = -math.inf


NO_DECREASE: Final = Decrease()


def capacity_at(decrease: Decrease, rate_limit: RateLimit, now: float) -> float:
    """Return the capacity at a time, in requests per period. It is at most the plan's limit, and can be below one."""
    plan = rate_limit.requests
    if decrease.low >= plan:
        return plan
    periods = max(now - decrease.since, 0.0) / rate_limit.per
    # Grow more slowly with a small share, so that many programs are refused as rarely as two.
    small = min(decrease.low / (_HALF * plan), 1.0) ** 2
    growth = _FIRST_GROWTH * plan * small * (2 ** min(periods / _DOUBLING_PERIODS, _MAX_DOUBLINGS) - 1)
    return min(decrease.low + growth, plan)


def after_refusal(decrease: Decrease, rate_limit: RateLimit, *, sent_at: float, now: float, in_use: float) -> Decrease:
    """Return the state after a refusal that only a used-up budget can have caused.

    Args:
        decrease: The latest decrease before.
        rate_limit: The limit of the plan.
        sent_at: Time at which the request left.
        now: Time at which the refusal arrived.
        in_use: Number of slots in use at that time. A refusal says nothing about a capacity that was not used.
    """
    capacity = capacity_at(decrease, rate_limit, now)
    if sent_at < decrease.since + _SETTLING_PERIODS * rate_limit.per or in_use < _HALF * capacity:
        return decrease
    share = capacity / rate_limit.requests
    if share > _THREE_QUARTERS:
        factor = _FACTOR_ABOVE_THREE_QUARTERS
    else:
        factor = _FACTOR_ABOVE_HALF if share > _HALF else _FACTOR_BELOW_HALF
    return Decrease(factor * capacity, now)
