"""How many requests per period the budget has at present: the plan's figure, or less while others use it, too."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from launch_async.rate_limit.types import RateLimit

__all__ = ["Capacity"]


class Capacity:
    """The figure, learnt from what is accepted and refused.

    Refusals of requests that were sent safely mean that the budget is smaller than believed: it becomes what was
    accepted of late, and then a step less each time. From there it is probed upwards one by one, sooner after a
    success, later after each failure.
    """

    _RECENT_ANSWERS: Final = 40
    _REFUSED_OF_RECENT: Final = 3
    _REFUSED_OF_PROBE: Final = 2
    # The following are in periods.
    _FIRST_PROBE_AFTER: Final = 4.0
    _SOONEST_PROBE_AFTER: Final = 2.0
    _LATEST_PROBE_AFTER: Final = 24.0
    _PROBE_LASTS: Final = 5.0
    _PROVEN_AFTER: Final = 10.0
    _SETTLED_AFTER: Final = 1.5

    _SOONER_BY: Final = 4.0  # times, after a success
    _LATER_BY: Final = 2.0  # times, after a failure

    def __init__(self, rate_limit: RateLimit) -> None:
        self.now: int = rate_limit.requests
        self._plan = rate_limit.requests
        self._ceiling = rate_limit.requests
        self._per = rate_limit.per
        self._recent: deque[bool] = deque(maxlen=self._RECENT_ANSWERS)
        self._accepted: deque[float] = deque(maxlen=2 * rate_limit.requests)
        self._counts_from = -math.inf
        self._changed_at = -math.inf
        self._probe_after = self._FIRST_PROBE_AFTER
        self._probing = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing speaks against the plan's figure."""
        return self.now == self._plan

    def is_proven(self, now: float) -> bool:
        """Whether the plan's whole figure has been in use for a while."""
        return self.is_whole and now > self._changed_at + self._PROVEN_AFTER * self._per

    def cap(self, limit: int) -> None:
        """Never go above what the server itself calls its limit."""
        self._ceiling = min(limit, self._plan)
        self.now = min(self.now, self._ceiling)

    def adopt(self, figure: int | None, now: float) -> None:
        """Go on with what another process has found out; None is the plan's figure."""
        figure = self._ceiling if figure is None else min(figure, self._ceiling)
        if figure < self.now:
            self._lower(figure, now)
        elif figure > self.now:
            self._set(figure, now)

    def learn(self, *, refused: bool, sent_at: float, now: float, safe: bool, cycle: float) -> None:
        """Learn from an answer.

        Args:
            refused: Whether it was a 429.
            sent_at: When the request left.
            now: When the answer came.
            safe: Whether only a smaller budget can have refused it.
            cycle: Seconds after which a slot is usually free again.
        """
        if not refused:
            self._accepted.append(now)
        if not safe or sent_at < self._counts_from:
            return
        self._recent.append(refused)
        refusals = sum(self._recent)
        if self._probing and refusals >= self._REFUSED_OF_PROBE:
            self._lower(self.now - 1, now)
        elif refusals >= self._REFUSED_OF_RECENT:
            self._lower(self._after_refusals(now, cycle), now)
        elif self._probing and now > self._changed_at + self._PROBE_LASTS * self._per:
            self._probing = False
            self._probe_after = max(self._SOONEST_PROBE_AFTER, self._probe_after / self._SOONER_BY)
        elif self.now < self._ceiling and now > self._changed_at + self._probe_after * self._per:
            self._set(self.now + 1, now)

    def _after_refusals(self, now: float, cycle: float) -> int:
        """Return what was accepted of late, instead of the plan's figure; a step less than a smaller figure."""
        if not self.is_whole:
            return self.now - max(self._plan // 10, 1)
        lately = sum(when > now - 2 * self._per for when in self._accepted)
        return min(self.now - 1, round(lately / 2 * cycle / self._per))

    def _lower(self, figure: int, now: float) -> None:
        first = self.is_whole and not self._probing
        longer = min(self._LATER_BY * self._probe_after, self._LATEST_PROBE_AFTER)
        self._probe_after = self._FIRST_PROBE_AFTER if first else longer
        self._set(figure, now)

    def _set(self, figure: int, now: float) -> None:
        lowered = figure < self.now
        self.now = max(figure, 1)
        self._recent.clear()
        self._changed_at = now
        self._counts_from = now + self._SETTLED_AFTER * self._per if lowered else now
        self._probing = not lowered
