"""When may the next poll leave: polls together use at most a share of the budget, over any ten seconds.

Polls leave one by one, at least `poll_interval` apart. What is known about earlier polls is one number, the earliest
time for the next one, so that processes can share it.
"""

from __future__ import annotations

import math
from typing import Final

from launch_async.rate_limit.types import RateLimit

__all__ = ["poll_interval"]

_OVER_S: Final = 10.0
_MARGIN: Final = 1.01
"""By how much polls are farther apart than need be: the network delays them unevenly."""


def poll_interval(rate_limit: RateLimit, capacity: float) -> float:
    """Return the least seconds between two polls; 0 if polls may use the whole budget.

    Args:
        rate_limit: What the plan allows, and which share of it is for polls.
        capacity: Requests per period that the budget really has at the moment.
    """
    if rate_limit.poll_share >= 1:
        return 0.0
    polls = rate_limit.poll_share * capacity * _OVER_S / rate_limit.per
    return _MARGIN * _OVER_S / (math.floor(polls) if polls >= 1 else polls)
