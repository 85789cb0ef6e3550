"""How many requests per period the budget has at present: the plan's figure, or less while others use it, too.

The control law, in pure functions on two numbers, so that processes can share what was learnt, and a store can decide
by itself. A refusal that only a used-up budget explains takes a part of the capacity (multiplicative decrease): the
more, the more of the plan it is, because another program cannot have as much. Then the capacity grows, by the same
amount for everybody at first, and twice as fast after each `_DOUBLING` without a refusal. So programs that know nothing
of each other come to equal shares, and who is alone again has the whole budget within half a minute.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from launch_async.rate_limit.types import RateLimit

__all__ = ["UNLEARNT", "Learnt", "after_refusal", "capacity_at"]

_HALF: Final = 0.5
_NEARLY_ALL: Final = 0.75
_LEFT_OF_NEARLY_ALL: Final = 0.6
_LEFT_ABOVE_HALF: Final = 0.8
_LEFT: Final = 0.9
_GROWTH: Final = 0.08
"""Share of the plan's figure by which the capacity grows in the first `_DOUBLING` after a decrease."""
# In periods.
_DOUBLING: Final = 8.0
_SETTLED_AFTER: Final = 0.5

_MOST_DOUBLINGS: Final = 50.0


@attrs.frozen
class Learnt:
    """What has been learnt about a budget.

    Attributes:
        low: Requests per period right after the latest decrease; infinite if there was none.
        since: When that was, in seconds by any one clock.
    """

    low: float = math.inf
    since: float = -math.inf


UNLEARNT: Final = Learnt()


def capacity_at(learnt: Learnt, rate_limit: RateLimit, now: float) -> float:
    """Return the requests per period at a moment, at most the plan's; it may be below one."""
    plan = rate_limit.requests
    if learnt.low >= plan:
        return plan
    periods = max(now - learnt.since, 0.0) / rate_limit.per
    # Many programs with little each are refused as seldom as few with much: less is asked of each.
    small = min(learnt.low / (_HALF * plan), 1.0) ** 2
    growth = _GROWTH * plan * small * (2 ** min(periods / _DOUBLING, _MOST_DOUBLINGS) - 1)
    return min(learnt.low + growth, plan)


def after_refusal(learnt: Learnt, rate_limit: RateLimit, *, sent_at: float, now: float, in_use: float) -> Learnt:
    """Take in that a request was refused which only a used-up budget can have refused.

    Args:
        learnt: What was known before.
        rate_limit: What the plan allows.
        sent_at: When the request left.
        now: When the refusal came.
        in_use: How many slots were in use then: a refusal says nothing about a capacity that was not used.
    """
    capacity = capacity_at(learnt, rate_limit, now)
    if sent_at < learnt.since + _SETTLED_AFTER * rate_limit.per or in_use < _HALF * capacity:
        return learnt
    share = capacity / rate_limit.requests
    left = _LEFT_OF_NEARLY_ALL if share > _NEARLY_ALL else _LEFT_ABOVE_HALF if share > _HALF else _LEFT
    return Learnt(left * capacity, now)
