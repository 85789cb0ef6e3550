"""When is a slot of the budget free again: two answers, for two kinds of server, each tuned by what comes back.

`AckClockedWindow` frees a slot one period after its answer came, which no server can object to, less a credit for
the time that every answer needs; `AlignedBurst` fills the budget at once, once per period, in step with
the server's clock.
"""

from __future__ import annotations

import bisect
import math
from collections import deque

import attrs

_SAFE_SHARE_OF_SHORTEST = 0.75
_MARGIN = 0.005
_SPACING = 0.015
"""Share of a period that a slot is held beyond it: a busy machine delays one request by that much, and not the next."""
_LONGEST_HOLD_UNKNOWN = 1.0
_SHORTEST_HOLD = 1.0
_LONGEST_HOLD = 5.0


@attrs.define(eq=False)
class Slot:
    """One place in the budget: taken when a request leaves, free again when the server has forgotten it.

    Attributes:
        sent_at: When the request left, in seconds.
        answered_at: When its answer came; None while it is out.
        refused: Whether that answer was a 429, so that the server (as far as is known) does not count it.
    """

    sent_at: float
    answered_at: float | None = None
    refused: bool = False


class RoundTrips:
    """The round-trip times of the last hundred answers, in seconds; the first few, of new connections, count little."""

    _COLD = 10

    def __init__(self) -> None:
        self._cold = self._COLD
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
        if self._cold and len(self._recent) == 2 * self._COLD:
            # A cold start is slow: new connections, and a program that is still loading.
            for _ in range(self._cold):
                del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
            self._cold = 0

    def share_below(self, seconds: float) -> float:
        """Return the share of them that were shorter."""
        return bisect.bisect_left(self._sorted, seconds) / len(self._sorted) if self._sorted else 0.0

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


class AckClockedWindow:
    """A slot is free one period after its answer, less a credit.

    The server counted the request before it answered, so without a credit no way of counting can refuse the next one.
    Most of the shortest round trip is a safe credit: the next request needs its part of that time too. More than that
    (`bonus`) is a bet on the network's jitter. It grows a little with every accepted request and shrinks a lot with
    every refused one, in a proportion that settles at `TARGET` refusals. Where there is jitter, a short round trip had
    a short way back, so its credit is less; a long one had its delay on one way, and most likely a usual way back.
    """

    TARGET = 0.006
    _STEP = 0.12
    _HUNT = 6.0
    _BY_LENGTH = 0.3

    def __init__(self, per: float, trips: RoundTrips) -> None:
        self.per = per
        self.bonus = 0.0
        self._trips = trips
        self._hunting = True

    @property
    def safe_credit(self) -> float:
        """Seconds of credit that no server can object to: none after a cold start, which hides how fast it can be."""
        return _SAFE_SHARE_OF_SHORTEST * self._trips.shortest if self._trips.is_warm else 0.0

    @property
    def cycle(self) -> float:
        """Seconds after which a slot is usually free again."""
        return self.per + max(self._trips.median - self.safe_credit - self.bonus, _SPACING * self.per)

    @property
    def safe_loss(self) -> float:
        """Share of the budget that is lost without a bonus."""
        return (self._trips.median - self.safe_credit) / self.per

    def free_at(self, slot: Slot, now: float) -> float:
        """Return when the slot is free; for a request still out, when it is free at the latest."""
        if slot.refused and slot.answered_at is not None:
            # The server does not count it (as far as is known), but to try again at once would be to hammer.
            return slot.answered_at + self.per
        credit = self._credit(slot)
        earliest = slot.sent_at + self.per * (1 + _SPACING)
        if slot.answered_at is None and credit >= self.per and now >= earliest:
            return earliest
        latest = slot.sent_at + self.per + self._longest_hold
        if slot.answered_at is None:
            return latest
        return min(max(slot.answered_at - credit + self.per, earliest), latest)

    def _credit(self, slot: Slot) -> float:
        credit = self.safe_credit + self.bonus
        if slot.answered_at is None or not self.bonus:
            return credit
        length = (slot.answered_at - slot.sent_at) / max(self._trips.median, _MARGIN * self.per)
        return credit * min(1 - self._BY_LENGTH * (1 - length), 1 + self._BY_LENGTH)

    def learn(self, *, refused: bool) -> None:
        """Move the bonus after an answer to a request that was sent in this rhythm."""
        step = self._STEP * max(self._trips.median - self._trips.shortest, 0.0)
        if refused:
            self._hunting = False
            self.bonus = max(self.bonus - step, 0.0)
        elif self._trips.median - self.safe_credit - self.bonus > 2 * _MARGIN * self.per:
            growth = step * self.TARGET / (1 - self.TARGET)
            self.bonus += growth * (self._HUNT if self._hunting else 1.0)

    def give_up_bonus(self) -> None:
        """Bet no more for now."""
        self.bonus = 0.0

    @property
    def _longest_hold(self) -> float:
        """Seconds that a missing answer may hold its slot beyond the period: it surely arrived long before."""
        return max(_SHORTEST_HOLD, _LONGEST_HOLD * self._trips.median) if len(self._trips) else _LONGEST_HOLD_UNKNOWN


class AlignedBurst:
    """All slots are free once per period, at the beat; the beat is kept just after the server's clock strikes.

    For a server that counts by its clock, requests that leave together early in its second arrive within it, whatever
    the jitter; a token bucket has nothing against it either. When the clock strikes is learnt from the refused
    requests (`PhaseEstimator`). A request that is still out at the next beat may yet arrive and be counted there, so
    its slot waits for the answer; how late that answer may come for the slot to be used at once (`patience`, in
    periods) is learnt like AckClockedWindow's bonus. Where even long patience is never punished, slots wait less and
    less for late answers.
    """

    _AFTER_THE_STRIKE = 0.01
    _LATER = 0.12
    _EARLIER = 0.1
    _NEAREST = 0.5
    _LEAST_PATIENCE = 1.15
    _MOST_PATIENCE = 3.0
    _MOST_PUNISHED = 1.6
    _PATIENCE_UP = 0.0008
    _PATIENCE_DOWN = 0.15
    _LONGEST_HOLD = 2.0

    def __init__(self, rate: tuple[int, float], started_at: float, trips: RoundTrips) -> None:
        self.per = rate[1]
        self.started_at = started_at
        self.patience = self._LEAST_PATIENCE
        self._clock = PhaseEstimator(rate, trips)
        self._origin = started_at

    @property
    def cycle(self) -> float:
        """Seconds after which a slot is usually free again."""
        return self.per

    def free_at(self, slot: Slot, now: float) -> float:
        """Return when the slot is free; for a request still out, when it is free at the latest."""
        beat = self._next_beat(slot.sent_at + self._NEAREST * self.per)
        answered_at = slot.answered_at
        if answered_at is None:
            return beat if now < beat else max(beat, slot.sent_at + self._hold * self.per)
        if answered_at <= beat:
            return beat
        if slot.refused or answered_at - slot.sent_at > self.patience * self.per:
            return self._next_beat(answered_at)
        return answered_at

    def learn(self, sent_at: float, answered_at: float, *, refused: bool) -> None:
        """Move the beat and the patience after an answer to a request that was sent in this rhythm."""
        if self._clock.learn(sent_at, answered_at, refused=refused, beat=self._origin):
            wanted = self._clock.strikes_at + self._AFTER_THE_STRIKE * self.per
            distance = (wanted - self._origin + self.per / 2) % self.per - self.per / 2
            self._origin += min(max(distance, -self._EARLIER * self.per), self._LATER * self.per)
        if refused:
            punished = min(self.patience, self._MOST_PUNISHED)
            self.patience = max(punished - self._PATIENCE_DOWN, self._LEAST_PATIENCE)
        else:
            self.patience = min(self.patience + self._PATIENCE_UP, self._MOST_PATIENCE)

    @property
    def _hold(self) -> float:
        """Periods that a request may be out until its slot is used all the same."""
        return min(self._LONGEST_HOLD, 2 * self._LONGEST_HOLD - self.patience)

    def _next_beat(self, when: float) -> float:
        """Return the first beat after a moment; one that is nearly over counts as over."""
        periods = math.floor((when - self._origin) / self.per + 1e-6)
        return self._origin + (periods + 1) * self.per


class PhaseEstimator:
    """When a server that counts by its clock begins a new period, guessed from what it refused.

    A refused request arrived when the whole budget of its period had been used. So for each phase that the clock may
    have, the requests accepted between its last strike and that arrival are counted: fewer or more than the budget
    speak against the phase. When a request arrived is known to lie between its departure and its answer only. How many
    were accepted since the last refusal speaks, too: a strike amid the arrivals of a beat refuses often.
    """

    _PHASES = 50
    _MEMORY = 0.97
    _UNLIKELIEST = -4.0
    _DOUBT = 0.5
    _ARRIVALS = (0.1, 0.3, 0.5, 0.7, 0.9)
    _RAREST = 0.004
    _UNLIKELIEST_PAUSE = -12.0

    def __init__(self, rate: tuple[int, float], trips: RoundTrips) -> None:
        self._requests, self._per = rate
        self._trips = trips
        self._scores = [0.0] * self._PHASES
        self._accepted: deque[tuple[float, float]] = deque(maxlen=4 * self._requests)
        self._refused: deque[tuple[float, float]] = deque()
        self._answers = 0

    def learn(self, sent_at: float, answered_at: float, *, refused: bool, beat: float) -> bool:
        """Take in an answer to a request of a beat; return whether the guess is a new one."""
        self._answers += 1
        (self._refused if refused else self._accepted).append((sent_at, answered_at))
        changed = False
        while self._refused and self._refused[0][1] + self._per <= answered_at:
            self._weigh(*self._refused.popleft(), beat)
            changed = True
        return changed

    @property
    def strikes_at(self) -> float:
        """The mean of the likely phases, in seconds after a full period."""
        best = max(self._scores)
        turn = math.tau / self._PHASES
        mean = sum(
            math.exp(score - best) * complex(math.cos(i * turn), math.sin(i * turn))
            for i, score in enumerate(self._scores)
        )
        return math.atan2(mean.imag, mean.real) / math.tau % 1.0 * self._per

    def _weigh(self, sent_at: float, answered_at: float, beat: float) -> None:
        """Weigh every phase by a refused request, and by how many answers there were since the one before."""
        answers, self._answers = self._answers, 0
        arrivals = [sent_at + share * (answered_at - sent_at) for share in self._ARRIVALS]
        near = [trip for trip in self._accepted if trip[1] > sent_at - self._per and trip[0] < answered_at]
        for index in range(self._PHASES):
            phase = index * self._per / self._PHASES
            likely = sum(
                self._likelihood(near, arrived - (arrived - phase) % self._per, arrived) for arrived in arrivals
            )
            score = max(math.log(max(likely / len(arrivals), 1e-9)), self._UNLIKELIEST)
            before = self._trips.share_below(2 * ((phase - beat) % self._per))
            rate = max(before * (1 - before), self._RAREST)
            score += max(math.log(rate) - answers * rate, self._UNLIKELIEST_PAUSE)
            self._scores[index] = self._scores[index] * self._MEMORY + score

    def _likelihood(self, trips: list[tuple[float, float]], strike: float, arrived: float) -> float:
        """Return how likely the budget was just used up between a strike and an arrival, but for a factor."""
        mean, variance = 0.0, self._DOUBT**2
        for sent_at, answered_at in trips:
            overlap = min(answered_at, arrived) - max(sent_at, strike)
            if overlap > 0:
                share = overlap / (answered_at - sent_at)
                mean += share
                variance += share * (1 - share)
        return math.exp(-((self._requests - mean) ** 2) / 2 / variance) / math.sqrt(variance)
