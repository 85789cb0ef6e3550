"""The time at which the next request may leave, as a pure state machine. Callers pass the time, so it reads no clock.

It is not known how the server counts (any second, the clock's seconds, a token bucket), how much the network jitters,
and which other programs use the budget. The `Pacer` therefore starts with a rule that no server refuses. It learns from
round-trip times and 429s when slots become free (`rate_limit.windows`), and how many requests per period are available
at present (`rate_limit.control_law`).
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from launch_async.rate_limit.control_law import NO_DECREASE, after_refusal, capacity_at
from launch_async.rate_limit.pause import NO_PAUSE, Pause, pause_after
from launch_async.rate_limit.poll_share import poll_interval
from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.types import Answer, RateLimit
from launch_async.rate_limit.window_learning import WindowLearning
from launch_async.rate_limit.windows import Slot

__all__ = ["Pacer"]

_CLOCK_JUMP_S: Final = 1.0
"""Seconds by which the time must go back to count as a new clock."""
_MIN_SCAN_SLOTS: Final = 64
"""Number of taken slots up to which every call may scan all of them."""
_MIN_SPACING_SHARE: Final = 0.2
"""Minimum interval between two requests while the budget is fully used, as a share of the mean interval."""
_FULL_USE_PERIODS: Final = 2.0
"""Periods during which the budget counts as fully used after a request had to wait for a slot."""
_PROVEN_PERIODS: Final = 10.0
"""Periods at full capacity after which the plan's limit counts as available."""


class Pacer:
    """The budget as slots. A caller that waits until `ready_at` before it `take`s a slot never sends too fast."""

    def __init__(self, rate_limit: RateLimit) -> None:
        self.sent: int = 0
        self.refused: int = 0
        self.rate_limit: RateLimit = rate_limit
        self._latest = -math.inf
        self._reset()

    def _reset(self) -> None:
        self.pause: Pause = NO_PAUSE
        self._last_sent = self._full_use_until = -math.inf
        self._next_poll = -math.inf
        self._taken: list[Slot] = []
        self._scan_from = _MIN_SCAN_SLOTS
        self._trips = RoundTrips()
        self._reset_learning()

    def _reset_learning(self) -> None:
        self._allowed = self.rate_limit
        self._decrease = NO_DECREASE
        self._learning = WindowLearning(self.rate_limit.per, self._trips)

    @property
    def rate(self) -> float:
        """Current rate, in requests per second."""
        return min(self._slots / self._learning.window.cycle, self._capacity / self.rate_limit.per)

    @property
    def _capacity(self) -> float:
        """Current capacity of the budget, in requests per period."""
        return capacity_at(self._decrease, self._allowed, self._latest)

    @property
    def _slots(self) -> int:
        return math.ceil(self._capacity)

    @property
    def _spacing(self) -> float:
        """Minimum seconds between requests while other programs use the budget. A fractional slot is a longer wait."""
        capacity = self._capacity
        return self.rate_limit.per / capacity if capacity < self._allowed.requests else 0.0

    @property
    def poll_rate(self) -> float:
        """Current maximum rate of polls, in polls per second."""
        return 1 / max(self._poll_interval, 1 / self.rate)

    @property
    def _poll_interval(self) -> float:
        return poll_interval(self.rate_limit, self._capacity)

    def change(self, rate_limit: RateLimit) -> None:
        """Change the limit of the plan. Requests without an answer still count."""
        self.rate_limit = rate_limit
        self._reset_learning()

    def ready_at(self, now: float) -> float:
        """Return the earliest time, in seconds, at which a request may leave; `now` if it may leave now.

        The time is a forecast. An answer that arrives earlier can make it earlier.
        """
        self._follow_clock(now)
        spacing = self.rate_limit.per / self._capacity if now < self.pause.spaced_until else self._spacing
        ready = max(now, self.pause.until, self._last_sent + spacing)
        slots = self._slots
        if len(self._taken) >= min(slots, self._scan_from):
            frees = self._times_free(now)
            too_many = len(frees) - slots
            if too_many >= 0:
                ready = max(ready, frees[too_many])
                self._full_use_until = now + _FULL_USE_PERIODS * self.rate_limit.per
        if now < self._full_use_until and not self._learning.window.bonus:
            # Spread the requests, so that the server has free slots when another program sends its first request.
            ready = max(ready, self._last_sent + _MIN_SPACING_SHARE * self.rate_limit.per / slots)
        return ready

    def _times_free(self, now: float) -> list[float]:
        """Forget the slots that are free again. Return the times at which the others are free, in order."""
        free_at = self._learning.window.free_at
        taken = [(slot, free) for slot in self._taken if (free := free_at(slot, now)) > now]
        self._taken = [slot for slot, _ in taken]
        # With a large budget, a scan of all slots for each request would take longer than the requests.
        self._scan_from = 2 * len(taken) + _MIN_SCAN_SLOTS
        return sorted(free for _, free in taken)

    def poll_ready_at(self, now: float) -> float:
        """Return the earliest time at which a poll may leave, as a forecast like `ready_at`."""
        return max(self.ready_at(now), self._next_poll)

    def wait_of(self, place: int, now: float) -> float:
        """Return the expected wait in seconds of the waiter with `place` other waiters before it."""
        ready = self.ready_at(now)
        slots, spacing = self._slots, self._spacing
        if spacing:
            return ready + place * max(spacing, self._learning.window.cycle / slots) - now
        turns, rest = divmod(place, slots)
        if rest >= slots - len(self._taken):
            frees = self._times_free(now)
            later = rest - slots + len(frees)
            ready = max(ready, frees[later]) if later >= 0 else ready
        return ready + turns * self._learning.window.cycle - now

    def wait_of_poll(self, place: int, polls_before: int, now: float) -> float:
        """Return the expected wait in seconds of a poll with `place` waiters and `polls_before` polls before it."""
        return max(self.wait_of(place, now), self._next_poll + polls_before * self._poll_interval - now)

    def take(self, now: float, *, is_poll: bool = False) -> Slot:
        """Take a slot for a request that leaves now."""
        slot = Slot(now, is_poll=is_poll)
        if is_poll:
            self._next_poll = now + self._poll_interval
        self._taken.append(slot)
        self._last_sent = now
        self.sent += 1
        return slot

    def stamp(self, slot: Slot, now: float) -> None:
        """Record the time at which the slot's request really leaves."""
        slot.sent_at = now

    def give_back(self, slot: Slot) -> None:
        """Take back the slot of a request that was not sent."""
        if slot in self._taken:
            self._taken.remove(slot)
            self._last_sent = max((taken.sent_at for taken in self._taken), default=-math.inf)
        if slot.is_poll:
            self._next_poll -= self._poll_interval
        self.sent -= 1

    def learn(self, slot: Slot, answer: Answer) -> None:
        """Learn from the outcome of a request that was sent with a slot."""
        now = answer.answered_at
        self._follow_clock(now)
        slot.answered_at, slot.refused = now, answer.refused
        # The server also counts the requests that aiohttp sent again without a permit.
        extra = max(answer.sends, 1) - 1
        self._taken += [Slot(slot.sent_at, now, answer.refused) for _ in range(extra)]
        self.sent += extra
        self._apply_headers(answer)
        if answer.lost:
            return
        self.refused += answer.refused
        self._trips.add(max(now - slot.sent_at, 0.0))
        proven = capacity_at(self._decrease, self._allowed, now - _PROVEN_PERIODS * self.rate_limit.per)
        safe = self._learning.learn(slot, now, at_full_capacity=proven >= self._allowed.requests)
        if safe and slot.refused:
            in_use = len(self._times_free(now))
            self._decrease = after_refusal(self._decrease, self._allowed, sent_at=slot.sent_at, now=now, in_use=in_use)

    def _apply_headers(self, answer: Answer) -> None:
        """Pause after a 429, and follow the rate limit headers of the answer."""
        if answer.limit is not None and answer.limit >= 1:
            # The server's stated limit is an upper bound.
            stated = min(math.floor(answer.limit), self.rate_limit.requests)
            self._allowed = attrs.evolve(self.rate_limit, requests=stated)
        pause = pause_after(answer, self.rate_limit.per)
        if pause is not None:
            self.pause = self.pause.merge(pause)

    def _follow_clock(self, now: float) -> None:
        """Forget everything if the clock was replaced, as by event loops in virtual time."""
        if now < self._latest - _CLOCK_JUMP_S:
            self._reset()
            self._latest = now
        self._latest = max(self._latest, now)
