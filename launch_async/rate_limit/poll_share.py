"""The interval between polls. All polls together use at most a share of the budget in any ten seconds.

Polls leave at least `poll_interval` apart. The state is one number, the earliest time of the next poll, so that
processes can share it.
"""

from __future__ import annotations

import math
from typing import Final

from launch_async.rate_limit.types import RateLimit

__all__ = ["poll_interval"]

_WINDOW_S: Final = 10.0
"""Seconds over which polls keep their share."""
_JITTER_MARGIN: Final = 1.01
"""Factor of the interval that covers uneven delays of the network."""


def poll_interval(rate_limit: RateLimit, capacity: float) -> float:
    """Return the minimum seconds between two polls; 0 if polls may use the whole budget.

    Args:
        rate_limit: The limit of the plan, with the share of polls.
        capacity: Current capacity of the budget, in requests per period.
    """
    if rate_limit.poll_share >= 1:
        return 0.0
    polls = rate_limit.poll_share * capacity * _WINDOW_S / rate_limit.per
    return _JITTER_MARGIN * _WINDOW_S / (math.floor(polls) if polls >= 1 else polls)
