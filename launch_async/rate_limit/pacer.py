"""When may the next request leave: a pure state machine that is told every time and reads no clock.

Nobody knows how the server counts (by a sliding second, by its clock, by a token bucket), how the network jitters, or
who else spends the same budget, so the `Pacer` starts with what no server refuses and learns from round-trip times and
429s: when slots become free (`rate_limit.windows`), and how many requests per period the budget really has at the
moment (`rate_limit.control_law`).
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from launch_async.rate_limit.control_law import UNLEARNT, after_refusal, capacity_at
from launch_async.rate_limit.pause import NO_PAUSE, Pause, pause_after
from launch_async.rate_limit.poll_share import poll_interval
from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.types import Answer, RateLimit
from launch_async.rate_limit.window_learning import WindowLearning
from launch_async.rate_limit.windows import Slot

__all__ = ["Pacer"]

_CLOCK_JUMP_S: Final = 1.0
_FEW_SLOTS: Final = 64
_APART: Final = 0.2
"""Least distance of two requests where the budget is in full use, as a share of the mean distance."""
_IN_FULL_USE_FOR: Final = 2.0
"""Periods for which a budget counts as in full use after somebody had to wait for a slot."""
_PROVEN_AFTER: Final = 10.0
"""Periods after which the plan's whole figure is known to be there."""


class Pacer:
    """The budget as slots: who asks `ready_at` before it `take`s a slot never sends too fast."""

    def __init__(self, rate_limit: RateLimit) -> None:
        self.sent: int = 0
        self.refused: int = 0
        self.rate_limit: RateLimit = rate_limit
        self._latest = -math.inf
        self._begin()

    def _begin(self) -> None:
        self.pause: Pause = NO_PAUSE
        self._last_sent = self._full_use_until = -math.inf
        self._next_poll = -math.inf
        self._taken: list[Slot] = []
        self._looks_at = _FEW_SLOTS
        self._trips = RoundTrips()
        self._learn_again()

    def _learn_again(self) -> None:
        self._allowed = self.rate_limit
        self._learnt = UNLEARNT
        self._learning = WindowLearning(self.rate_limit.per, self._trips)

    @property
    def rate(self) -> float:
        """Requests per second that are let through at present."""
        return min(self._slots / self._learning.window.cycle, self._capacity / self.rate_limit.per)

    @property
    def _capacity(self) -> float:
        """Requests per period that the budget has at present."""
        return capacity_at(self._learnt, self._allowed, self._latest)

    @property
    def _slots(self) -> int:
        return math.ceil(self._capacity)

    @property
    def _spacing(self) -> float:
        """Least seconds between two requests where others use the budget, too: a part of a slot is a longer wait."""
        capacity = self._capacity
        return self.rate_limit.per / capacity if capacity < self._allowed.requests else 0.0

    @property
    def poll_rate(self) -> float:
        """Polls per second that are let through at present, of all requests."""
        return 1 / max(self._poll_interval, 1 / self.rate)

    @property
    def _poll_interval(self) -> float:
        return poll_interval(self.rate_limit, self._capacity)

    def change(self, rate_limit: RateLimit) -> None:
        """Go on with another figure of the plan; what is out stays counted."""
        self.rate_limit = rate_limit
        self._learn_again()

    def ready_at(self, now: float) -> float:
        """Return the earliest time, in seconds, at which a request may leave; `now` if it may at once.

        The time is a forecast: an answer that comes before may bring it forward.
        """
        self._see(now)
        spacing = self.rate_limit.per / self._capacity if now < self.pause.spaced_until else self._spacing
        ready = max(now, self.pause.until, self._last_sent + spacing)
        slots = self._slots
        if len(self._taken) >= min(slots, self._looks_at):
            frees = self._look_through(now)
            too_many = len(frees) - slots
            if too_many >= 0:
                ready = max(ready, frees[too_many])
                self._full_use_until = now + _IN_FULL_USE_FOR * self.rate_limit.per
        if now < self._full_use_until and not self._learning.window.bonus:
            # Who always takes all slots at once leaves no gap that another program could come in by.
            ready = max(ready, self._last_sent + _APART * self.rate_limit.per / slots)
        return ready

    def _look_through(self, now: float) -> list[float]:
        """Forget the slots that are free again; return when the others are, the earliest first."""
        free_at = self._learning.window.free_at
        taken = [(slot, free) for slot in self._taken if (free := free_at(slot, now)) > now]
        self._taken = [slot for slot, _ in taken]
        # With a large budget, to look through all of them for each request would take longer than the requests.
        self._looks_at = 2 * len(taken) + _FEW_SLOTS
        return sorted(free for _, free in taken)

    def poll_ready_at(self, now: float) -> float:
        """Return the earliest time at which a poll may leave, forecast like `ready_at`."""
        return max(self.ready_at(now), self._next_poll)

    def wait_of(self, place: int, now: float) -> float:
        """Return the seconds until the waiter with `place` others before it is served, if nothing goes wrong."""
        ready = self.ready_at(now)
        slots, spacing = self._slots, self._spacing
        if spacing:
            return ready + place * max(spacing, self._learning.window.cycle / slots) - now
        turns, rest = divmod(place, slots)
        if rest >= slots - len(self._taken):
            frees = self._look_through(now)
            later = rest - slots + len(frees)
            ready = max(ready, frees[later]) if later >= 0 else ready
        return ready + turns * self._learning.window.cycle - now

    def wait_of_poll(self, place: int, polls_before: int, now: float) -> float:
        """Return the same for a poll: `place` others are before it, and so many of them are polls."""
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
        """Note that the slot's request leaves only now."""
        slot.sent_at = now

    def give_back(self, slot: Slot) -> None:
        """Return a slot whose request was not sent."""
        if slot in self._taken:
            self._taken.remove(slot)
            self._last_sent = max((taken.sent_at for taken in self._taken), default=-math.inf)
        if slot.is_poll:
            self._next_poll -= self._poll_interval
        self.sent -= 1

    def learn(self, slot: Slot, answer: Answer) -> None:
        """Learn what became of a request that was sent with a slot."""
        now = answer.answered_at
        self._see(now)
        slot.answered_at, slot.refused = now, answer.refused
        # What left without asking is counted all the same: somebody else waits longer for it.
        extra = max(answer.sends, 1) - 1
        self._taken += [Slot(slot.sent_at, now, answer.refused) for _ in range(extra)]
        self.sent += extra
        self._obey(answer)
        if answer.lost:
            return
        self.refused += answer.refused
        self._trips.add(max(now - slot.sent_at, 0.0))
        proven = capacity_at(self._learnt, self._allowed, now - _PROVEN_AFTER * self.rate_limit.per)
        safe = self._learning.learn(slot, now, at_full_capacity=proven >= self._allowed.requests)
        if safe and slot.refused:
            in_use = len(self._look_through(now))
            self._learnt = after_refusal(self._learnt, self._allowed, sent_at=slot.sent_at, now=now, in_use=in_use)

    def _obey(self, answer: Answer) -> None:
        """Pause after a 429, and do what the server's headers ask for, if it sends any."""
        if answer.limit is not None and answer.limit >= 1:
            # Never above what the server itself calls its limit.
            stated = min(math.floor(answer.limit), self.rate_limit.requests)
            self._allowed = attrs.evolve(self.rate_limit, requests=stated)
        pause = pause_after(answer, self.rate_limit.per)
        if pause is not None:
            self.pause = self.pause.and_then(pause)

    def _see(self, now: float) -> None:
        """Forget everything when the clock was replaced (event loops in virtual time)."""
        if now < self._latest - _CLOCK_JUMP_S:
            self._begin()
            self._latest = now
        self._latest = max(self._latest, now)
