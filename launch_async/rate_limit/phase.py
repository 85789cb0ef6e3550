"""When the server's window starts, if the server counts by its clock."""

from __future__ import annotations

import math
from collections import deque

from launch_async.rate_limit.round_trips import RoundTrips

__all__ = ["PhaseEstimator"]


class PhaseEstimator:
    """When a server that counts by its clock starts a new window, estimated from what it refused.

    A refused request arrived when the whole budget of its window had been used. So for each phase that the clock may
    have, the requests accepted between the start of the window and that arrival are counted: fewer or more than the
    budget speak against the phase. A request arrived somewhere between its departure and its answer; more is not known.
    The number of requests accepted since the last refusal counts, too: a window that starts amid the arrivals of a
    burst refuses often.
    """

    _PHASES = 50
    _MEMORY = 0.97  # of a score, with each refusal after it
    _LEAST_LOG_LIKELIHOOD = -4.0
    _COUNT_DEVIATION = 0.5  # requests, where nothing else is uncertain
    _ARRIVALS = (0.1, 0.3, 0.5, 0.7, 0.9)  # shares of a round trip
    _LEAST_REFUSAL_RATE = 0.004
    _LEAST_GAP_LOG_LIKELIHOOD = -12.0

    def __init__(self, rate: tuple[int, float], trips: RoundTrips) -> None:
        self._requests, self._per = rate
        self._trips = trips
        self._scores = [0.0] * self._PHASES
        self._accepted: deque[tuple[float, float]] = deque(maxlen=4 * self._requests)
        self._refused: deque[tuple[float, float]] = deque()
        self._answers = 0

    def learn(self, sent_at: float, answered_at: float, *, refused: bool, burst_at: float) -> bool:
        """Take in an answer to a request of a burst; return whether the estimate is a new one."""
        self._answers += 1
        (self._refused if refused else self._accepted).append((sent_at, answered_at))
        changed = False
        while self._refused and self._refused[0][1] + self._per <= answered_at:
            self._weigh(*self._refused.popleft(), burst_at)
            changed = True
        return changed

    @property
    def window_start(self) -> float:
        """The mean of the likely phases: seconds after a full period."""
        best = max(self._scores)
        turn = math.tau / self._PHASES
        mean = sum(
            math.exp(score - best) * complex(math.cos(i * turn), math.sin(i * turn))
            for i, score in enumerate(self._scores)
        )
        return math.atan2(mean.imag, mean.real) / math.tau % 1.0 * self._per

    def _weigh(self, sent_at: float, answered_at: float, burst_at: float) -> None:
        """Weigh every phase by a refused request, and by how many answers there were since the one before."""
        answers, self._answers = self._answers, 0
        arrivals = [sent_at + share * (answered_at - sent_at) for share in self._ARRIVALS]
        near = [trip for trip in self._accepted if trip[1] > sent_at - self._per and trip[0] < answered_at]
        for index in range(self._PHASES):
            phase = index * self._per / self._PHASES
            likely = sum(
                self._likelihood(near, arrived - (arrived - phase) % self._per, arrived) for arrived in arrivals
            )
            score = max(math.log(max(likely / len(arrivals), 1e-9)), self._LEAST_LOG_LIKELIHOOD)
            before = self._trips.share_below(2 * ((phase - burst_at) % self._per))
            rate = max(before * (1 - before), self._LEAST_REFUSAL_RATE)
            score += max(math.log(rate) - answers * rate, self._LEAST_GAP_LOG_LIKELIHOOD)
            self._scores[index] = self._scores[index] * self._MEMORY + score

    def _likelihood(self, trips: list[tuple[float, float]], start: float, arrived: float) -> float:
        """Return how likely the budget was just used up between a window's start and an arrival, but for a factor."""
        mean, variance = 0.0, self._COUNT_DEVIATION**2
        for sent_at, answered_at in trips:
            overlap = min(answered_at, arrived) - max(sent_at, start)
            if overlap > 0:
                share = overlap / (answered_at - sent_at)
                mean += share
                variance += share * (1 - share)
        return math.exp(-((self._requests - mean) ** 2) / 2 / variance) / math.sqrt(variance)
