"""How long answers take: the round-trip times of late, which the pacing is tuned by."""

from __future__ import annotations

import bisect
from collections import deque
from typing import Final

__all__ = ["RoundTrips"]


class RoundTrips:
    """The round-trip times of the last hundred answers, in seconds; the first few, of new connections, count little."""

    _COLD_ANSWERS: Final = 10

    def __init__(self) -> None:
        self._cold = self._COLD_ANSWERS
        self._recent: deque[float] = deque(maxlen=100)
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._recent)

    def add(self, seconds: float) -> None:
        """Add one, and forget the oldest of too many."""
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent[0])]
        self._recent.append(seconds)
        bisect.insort(self._sorted, seconds)
        if self._cold and len(self._recent) == 2 * self._COLD_ANSWERS:
            # A cold start is slow: new connections, and a program that is still loading.
            for _ in range(self._cold):
                del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
            self._cold = 0

    @property
    def is_warm(self) -> bool:
        """Whether those of a cold start are forgotten."""
        return not self._cold

    @property
    def shortest(self) -> float:
        """The shortest; 0 if there is none yet."""
        return self._sorted[0] if self._sorted else 0.0

    @property
    def median(self) -> float:
        """The one in the middle; 0 if there is none yet."""
        return self._sorted[len(self._sorted) // 2] if self._sorted else 0.0
