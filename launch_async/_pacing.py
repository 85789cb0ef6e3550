"""When may the next request leave: a pure state machine that is told every time and reads no clock."""

from __future__ import annotations

import itertools
import math

import attrs

from launch_async.errors import InvalidArgumentError

_MARGIN = 0.005
_LONGEST_HOLD = 0.25
_LONGEST_PAUSE = 60.0
_SHORTEST_PAUSE = 0.05
_CLOCK_JUMP = 1.0


@attrs.frozen
class RateLimit:
    """How many requests an organization may make in how many seconds.

    Attributes:
        requests: Requests per period, at least 1.
        per: Length of the period in seconds.

    Raises:
        InvalidArgumentError: a figure is not positive and finite.
    """

    requests: int
    per: float = 1.0

    def __attrs_post_init__(self) -> None:
        if self.requests < 1:
            raise InvalidArgumentError("requests", f"must be at least 1, not {self.requests}")
        if not (math.isfinite(self.per) and self.per > 0):
            raise InvalidArgumentError("per", f"must be a positive number of seconds, not {self.per}")


@attrs.frozen(kw_only=True)
class Answer:
    """What became of one request: what the limiter learns from.

    Times are those of the event loop's clock (`loop.time()`), in seconds.

    Attributes:
        sent_at: When the request was sent.
        answered_at: When the head of the answer arrived, or when the answer was given up as lost.
        refused: Whether the service said 429.
        lost: Whether no answer came (connection lost, attempt timed out).
        retry_after: Seconds that the service asked to wait, if it did.
        limit: `X-RateLimit-Limit`, if it was there.
        remaining: `X-RateLimit-Remaining`, if it was there.
        reset_after: Seconds until the service's window starts anew, if it said so.
    """

    sent_at: float
    answered_at: float
    refused: bool = False
    lost: bool = False
    retry_after: float | None = None
    limit: float | None = None
    remaining: float | None = None
    reset_after: float | None = None


@attrs.define(eq=False)
class Slot:
    """One place in the window: taken when a request may leave, free again when the service has forgotten it."""

    sent_at: float
    free_at: float


class Pacer:
    """The window of the organization's budget: who asks `ready_at` and then `take`s never sends too fast."""

    def __init__(self, rate_limit: RateLimit) -> None:
        self.rate_limit = rate_limit
        self.paused_until = -math.inf
        self.sent = 0
        self.refused = 0
        self._taken: list[Slot] = []
        self._waiting: list[Slot] = []
        self._latest = -math.inf

    @property
    def cycle(self) -> float:
        """Seconds after which a slot is usually free again."""
        return self.rate_limit.per + _MARGIN

    @property
    def rate(self) -> float:
        """Requests per second that the window lets through at the moment."""
        return self.rate_limit.requests / self.cycle

    def ready_at(self, now: float) -> float:
        """Return the earliest time, in seconds, at which a request may leave; `now` or less if it may at once."""
        self._see(now)
        self._taken = [slot for slot in self._taken if slot.free_at > now]
        if len(self._taken) < self.rate_limit.requests:
            return max(now, self.paused_until)
        return max(min(slot.free_at for slot in self._taken), self.paused_until)

    def take(self, now: float) -> Slot:
        """Take a slot for a request that leaves now."""
        slot = Slot(now, 0.0)
        self._taken.append(slot)
        self._waiting.append(slot)
        self.stamp(slot, now)
        self.sent += 1
        return slot

    def stamp(self, slot: Slot, now: float) -> None:
        """Note that the slot's request leaves only now."""
        slot.sent_at = now
        slot.free_at = now + self.rate_limit.per + _LONGEST_HOLD

    def give_back(self, slot: Slot) -> None:
        """Return a slot whose request was not sent."""
        for kept in (self._taken, self._waiting):
            if slot in kept:
                kept.remove(slot)
        self.sent -= 1

    def record(self, answer: Answer) -> None:
        """Learn from what became of a request."""
        self._see(answer.answered_at)
        slot = self._slot_of(answer)
        if answer.refused:
            self.refused += 1
            wait = answer.retry_after if answer.retry_after is not None else self.rate_limit.per / 10
            self.paused_until = max(
                self.paused_until, answer.answered_at + min(max(wait, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            )
        if slot is not None:
            slot.free_at = min(slot.free_at, answer.answered_at + self.cycle)

    def _slot_of(self, answer: Answer) -> Slot | None:
        """Find the slot that a request was sent with: the one taken nearest to its departure."""
        self._waiting = [slot for slot in self._waiting if slot.free_at > answer.answered_at]
        slot = min(self._waiting, key=lambda slot: abs(slot.sent_at - answer.sent_at), default=None)
        if slot is not None:
            self._waiting.remove(slot)
        return slot

    def _see(self, now: float) -> None:
        """Forget all times when the clock was replaced, as between two event loops in virtual time."""
        if now < self._latest - _CLOCK_JUMP:
            self.paused_until = -math.inf
            self._taken.clear()
            self._waiting.clear()
            self._latest = now
        self._latest = max(self._latest, now)

    def wait_of(self, place: int, now: float) -> float:
        """Return the seconds until the waiter with `place` others before it is served, if nothing goes wrong."""
        ready = max(self.ready_at(now) - now, 0.0)
        free = sorted(slot.free_at for slot in self._taken)
        n = self.rate_limit.requests
        turns, rest = divmod(place, n)
        times = list(itertools.chain([now] * (n - len(free)), free))[:n]
        return max(ready, times[rest] + turns * self.cycle - now, self.paused_until - now + turns * self.cycle)
