"""Recent round-trip times, which the pacing adapts to."""

from __future__ import annotations

import bisect
from collections import deque
from typing import Final

__all__ = ["RoundTrips"]


class RoundTrips:
    """The round-trip times of the last hundred answers, in seconds. The first few are removed later (cold start)."""

    _COLD_START_ANSWERS: Final = 10

    def __init__(self) -> None:
        self._cold_answers = self._COLD_START_ANSWERS
        self._recent: deque[float] = deque(maxlen=100)
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, seconds: float) -> None:
        """Add a round-trip time, and forget the oldest beyond a hundred."""
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent[0])]
        self._recent.append(seconds)
        bisect.insort(self._sorted, seconds)
        if self._cold_answers and len(self._recent) == 2 * self._COLD_START_ANSWERS:
            # A cold start is slow: connections are new, and the program is still loading.
            for _ in range(self._cold_answers):
                del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
            self._cold_answers = 0

    @property
    def is_warm(self) -> bool:
        """Whether the times of the cold start have been removed."""
        return not self._cold_answers

    @property
    def shortest(self) -> float:
        """The shortest time; 0 if there is none yet."""
        return self._sorted[0] if self._sorted else 0.0

    @property
    def median(self) -> float:
        """The median time; 0 if there is none yet."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else 0.0
