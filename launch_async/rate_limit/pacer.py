"""When may the next request leave: a pure state machine that is told every time and reads no clock.

Nobody knows how the server counts (by a sliding second, by its clock, by a token bucket), how the network jitters, or
who else spends the same budget, so the `Pacer` starts with what no server refuses and learns from round-trip times and
429s: a window (`rate_limit.windows`), and how many requests per period the budget really has at the moment.
"""

from __future__ import annotations

import math
from collections import deque
from numbers import Integral, Real

import attrs

from launch_async.errors import InvalidArgumentError
from launch_async.rate_limit.windows import AckClockedWindow, AlignedBurst, RoundTrips, Slot

__all__ = ["Answer", "Pacer", "RateLimit", "Slot", "asked_pause"]

_SHORTEST_PAUSE = 0.05
_LONGEST_PAUSE = 60.0
_CLOCK_JUMP = 1.0
_FORGOTTEN_AFTER = 300.0
_FEW_SLOTS = 64


@attrs.frozen
class RateLimit:
    """How many requests an organization may make in how many seconds.

    Attributes:
        requests: Requests per period, a whole number, at least 1.
        per: Length of the period in seconds.

    Raises:
        InvalidArgumentError: a figure is no number, not whole, or not positive and finite.
    """

    requests: int
    per: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.requests, Integral) or self.requests < 1:
            raise InvalidArgumentError("requests", f"must be a whole number, at least 1, not {self.requests!r}")
        if not isinstance(self.per, Real) or not 0 < self.per < math.inf:
            raise InvalidArgumentError("per", f"must be a positive number of seconds, not {self.per!r}")


# Not frozen, because that doubles what it takes to make one, and one is made for every request.
@attrs.define
class Answer:
    """What became of one request: what the limiter learns from.

    Times are those of the event loop's clock (`loop.time()`), in seconds.

    Attributes:
        sent_at: When the request was sent.
        answered_at: When the head of the answer arrived, or when the answer was given up as lost.
        refused: Whether the service said 429.
        lost: Whether no answer came (connection lost, attempt timed out).
        sends: How often the request really left: aiohttp sends some a second time when a connection drops.
        retry_after: Seconds that the service asked to wait, if it did.
        limit: `X-RateLimit-Limit`, if it was there.
        remaining: `X-RateLimit-Remaining`, if it was there.
        reset_after: Seconds until the service's window starts anew, if it said so.
    """

    sent_at: float
    answered_at: float
    refused: bool = False
    lost: bool = False
    sends: int = 1
    retry_after: float | None = None
    limit: float | None = None
    remaining: float | None = None
    reset_after: float | None = None


class Pacer:
    """The budget as slots: who asks `ready_at` before it `take`s a slot never sends too fast.

    Args:
        rate_limit: What the plan allows.
    """

    def __init__(self, rate_limit: RateLimit) -> None:
        self.sent = 0
        self.refused = 0
        self.rate_limit = rate_limit
        self._latest = -math.inf
        self._begin()

    def _begin(self) -> None:
        self.paused_until = -math.inf
        self._spaced_until = -math.inf
        self._last_sent = -math.inf
        self._taken: list[Slot] = []
        self._looks_at = _FEW_SLOTS
        self._out: list[Slot] = []
        self._trips = RoundTrips()
        self._capacity = Capacity(self.rate_limit)
        self._choice = RhythmChoice(self.rate_limit, self._trips)

    @property
    def rate(self) -> float:
        """Requests per second that are let through at present."""
        return self._capacity.now / self._choice.rhythm.cycle

    def change(self, rate_limit: RateLimit) -> None:
        """Go on with another figure of the plan; what is out stays counted."""
        self.rate_limit = rate_limit
        self._capacity = Capacity(rate_limit)
        self._choice = RhythmChoice(rate_limit, self._trips)

    def ready_at(self, now: float) -> float:
        """Return the earliest time, in seconds, at which a request may leave; `now` if it may at once.

        The time is a forecast: an answer that comes before may bring it forward.
        """
        self._see(now)
        ready = max(now, self.paused_until)
        if now < self._spaced_until:
            ready = max(ready, self._last_sent + self.rate_limit.per / self._capacity.now)
        if len(self._taken) >= min(self._capacity.now, self._looks_at):
            frees = self._look_through(now)
            too_many = len(frees) - self._capacity.now
            if too_many >= 0:
                ready = max(ready, frees[too_many])
        return ready

    def _look_through(self, now: float) -> list[float]:
        """Forget the slots that are free again; return when the others are, the earliest first."""
        free_at = self._choice.rhythm.free_at
        taken = [(slot, free) for slot in self._taken if (free := free_at(slot, now)) > now]
        self._taken = [slot for slot, _ in taken]
        # With a large budget, to look through all of them for each request would take longer than the requests.
        self._looks_at = 2 * len(taken) + _FEW_SLOTS
        return sorted(free for _, free in taken)

    def wait_of(self, place: int, now: float) -> float:
        """Return the seconds until the waiter with `place` others before it is served, if nothing goes wrong."""
        ready = self.ready_at(now)
        turns, rest = divmod(place, self._capacity.now)
        if rest >= self._capacity.now - len(self._taken):
            frees = self._look_through(now)
            later = rest - self._capacity.now + len(frees)
            ready = max(ready, frees[later]) if later >= 0 else ready
        return ready + turns * self._choice.rhythm.cycle - now

    def take(self, now: float) -> Slot:
        """Take a slot for a request that leaves now."""
        slot = Slot(now)
        self._taken.append(slot)
        self._out.append(slot)
        self._last_sent = now
        self.sent += 1
        return slot

    def stamp(self, slot: Slot, now: float) -> None:
        """Note that the slot's request leaves only now."""
        slot.sent_at = now

    def give_back(self, slot: Slot) -> None:
        """Return a slot whose request was not sent."""
        for kept in (self._taken, self._out):
            if slot in kept:
                kept.remove(slot)
        self.sent -= 1

    def record(self, answer: Answer) -> None:
        """Learn from what became of a request."""
        self._see(answer.answered_at)
        now = answer.answered_at
        slot = self._slot_of(answer)
        if slot is not None:
            slot.sent_at = max(slot.sent_at, answer.sent_at)
            slot.answered_at, slot.refused = now, answer.refused
        # What left without asking is counted all the same: somebody else waits longer for it.
        extra = max(answer.sends, 1) - 1
        self._taken += [Slot(answer.sent_at, now, answer.refused) for _ in range(extra)]
        self.sent += extra
        self._obey(answer)
        if answer.lost:
            return
        self.refused += answer.refused
        self._trips.add(max(now - answer.sent_at, 0.0))
        safe = self._choice.learn(answer, at_full_capacity=self._capacity.is_proven(now))
        self._capacity.learn(answer, safe=safe, cycle=self._choice.rhythm.cycle)

    def _obey(self, answer: Answer) -> None:
        """Pause after a 429, and do what the server's headers ask for, if it sends any."""
        if answer.limit is not None and answer.limit >= 1:
            self._capacity.cap(int(answer.limit))
        asked = asked_pause(answer, self.rate_limit.per)
        if asked is None and not answer.refused:
            return
        pause = min(max(asked or 0.0, _SHORTEST_PAUSE * min(self.rate_limit.per, 1.0)), _LONGEST_PAUSE)
        self.paused_until = max(self.paused_until, answer.answered_at + pause)
        if asked is not None and asked > 0:
            # A server that says when to come back may let in only one then: no herd.
            self._spaced_until = max(self._spaced_until, self.paused_until + self.rate_limit.per)

    def _slot_of(self, answer: Answer) -> Slot | None:
        """Find the slot that a request was sent with: the one taken nearest to its departure."""
        slot = min(self._out, key=lambda slot: abs(slot.sent_at - answer.sent_at), default=None)
        if slot is not None:
            self._out.remove(slot)
        return slot

    def _see(self, now: float) -> None:
        """Forget what is long past, and everything when the clock was replaced (event loops in virtual time)."""
        if now < self._latest - _CLOCK_JUMP:
            self._begin()
            self._latest = now
        self._latest = max(self._latest, now)
        while self._out and self._out[0].sent_at < now - _FORGOTTEN_AFTER:
            del self._out[0]


def asked_pause(answer: Answer, per: float) -> float | None:
    """Return the seconds that an answer asks everybody to wait, or None.

    That nothing remains within our own period, slots know better than a header in whole seconds: only what lies beyond
    is news.
    """
    if answer.refused:
        return answer.reset_after if answer.retry_after is None else answer.retry_after
    return answer.reset_after if answer.remaining == 0 and (answer.reset_after or 0.0) > per else None


class RhythmChoice:
    """Which rhythm fits this server and network; `AckClockedWindow` until there is a reason to try `AlignedBurst`.

    With a network so steady that `AckClockedWindow` without a bonus loses little (7 %), nothing else is tried: the rest
    is not worth a refusal. Otherwise `AlignedBurst` is tried early, and left for good when it is refused often (a
    cumulative sum of log-likelihood ratios, 15 % against 2 %); then `AckClockedWindow` starts to bet on its bonus.
    """

    _WORTH_TRYING = 0.07
    _GRACE_REQUESTS = 80
    _GRACE_PERIODS = 2
    _REFUSED_WEIGHT = math.log(0.15 / 0.02)
    _ACCEPTED_WEIGHT = math.log(0.85 / 0.98)
    _TOO_MUCH = 15.0
    _PROVEN_AFTER = 60.0
    _SECOND_TRIAL_AFTER = 30.0
    _RETRIAL_AFTER = 900.0
    _SAFE_FOR = 8.0
    _TOO_CLOSE = 3

    def __init__(self, rate_limit: RateLimit, trips: RoundTrips) -> None:
        self.rhythm: AckClockedWindow | AlignedBurst = AckClockedWindow(rate_limit.per, trips)
        self._rate_limit = rate_limit
        self._per = rate_limit.per
        self._trips = trips
        self._beat_from = -math.inf
        self._counts_from = -math.inf
        self._bets_from = -math.inf
        self._evidence = 0.0
        self._recent: deque[bool] = deque(maxlen=20)

    def learn(self, answer: Answer, *, at_full_capacity: bool) -> bool:
        """Learn from an answer; return whether the request was sent so that only a smaller budget can refuse it."""
        if isinstance(self.rhythm, AlignedBurst):
            self._judge_beat(self.rhythm, answer)
            return False
        if answer.sent_at < self._counts_from:
            return False
        ack_clocked, now = self.rhythm, answer.answered_at
        worth = ack_clocked.safe_loss > self._WORTH_TRYING and at_full_capacity
        if ack_clocked.bonus > 0 or (worth and self._bets_from < now < self._beat_from):
            return self._judge_bonus(ack_clocked, answer, worth=worth)
        if worth and now > self._beat_from and not answer.refused and self._trips.is_warm:
            self._evidence = 0.0
            grace = max(self._GRACE_REQUESTS / self._rate_limit.requests, self._GRACE_PERIODS)
            self._counts_from = now + grace * self._per
            self.rhythm = AlignedBurst((self._rate_limit.requests, self._per), now, self._trips)
        return True

    def _judge_beat(self, beat: AlignedBurst, answer: Answer) -> None:
        now = answer.answered_at
        if answer.sent_at >= beat.started_at:
            beat.learn(answer.sent_at, now, refused=answer.refused)
        if answer.sent_at < self._counts_from:
            return
        weight = self._REFUSED_WEIGHT if answer.refused else self._ACCEPTED_WEIGHT
        self._evidence = max(self._evidence + weight, 0.0)
        if self._evidence > self._TOO_MUCH:
            proven = now - beat.started_at > self._PROVEN_AFTER * self._per
            self._beat_from = now + (self._SECOND_TRIAL_AFTER if proven else self._RETRIAL_AFTER) * self._per
            self._settle(now)
            self.rhythm = AckClockedWindow(self._per, self._trips)

    def _judge_bonus(self, ack_clocked: AckClockedWindow, answer: Answer, *, worth: bool) -> bool:
        """Let the bonus learn; give it up when refusals come close together, or when it is not worth having."""
        self._recent.append(answer.refused)
        if not worth or sum(self._recent) >= self._TOO_CLOSE:
            ack_clocked.give_up_bonus()
            self._settle(answer.answered_at)
            return False
        safe = ack_clocked.bonus == 0
        ack_clocked.learn(refused=answer.refused)
        return safe

    def _settle(self, now: float) -> None:
        """Judge nothing before the last rhythm has left the server's memory; be safe long enough to judge that, too."""
        self._recent.clear()
        self._counts_from = now + 1.5 * self._per
        self._bets_from = now + self._SAFE_FOR * self._per


class Capacity:
    """How many requests per period the budget has at present: the plan's figure, or less while others use it too.

    Refusals in a rhythm that is safe mean that the budget is smaller than believed: it becomes what was accepted of
    late, and then a step less each time. From there it is probed upwards one by one, sooner after a success, later
    after each failure.
    """

    _REFUSED_OF_RECENT = 3
    _FIRST_PROBE = 4.0
    _NEXT_PROBE = 2.0
    _SOONER = 4.0
    _LAST_PROBE = 24.0
    _PROBE_LASTS = 5.0
    _PROVEN_AFTER = 10.0

    def __init__(self, rate_limit: RateLimit) -> None:
        self.now = rate_limit.requests
        self._plan = rate_limit.requests
        self._ceiling = rate_limit.requests
        self._per = rate_limit.per
        self._recent: deque[bool] = deque(maxlen=40)
        self._accepted: deque[float] = deque(maxlen=2 * rate_limit.requests)
        self._counts_from = -math.inf
        self._changed_at = -math.inf
        self._probe_after = self._FIRST_PROBE
        self._probing = False

    def is_proven(self, now: float) -> bool:
        """Whether the plan's whole figure has been in use for a while."""
        return self.now == self._plan and now > self._changed_at + self._PROVEN_AFTER * self._per

    def cap(self, limit: int) -> None:
        """Never go above what the server itself calls its limit."""
        self._ceiling = min(limit, self._plan)
        self.now = min(self.now, self._ceiling)

    def learn(self, answer: Answer, *, safe: bool, cycle: float) -> None:
        """Learn from an answer.

        Args:
            answer: What became of a request.
            safe: Whether only a smaller budget can have refused it.
            cycle: Seconds after which a slot is usually free again.
        """
        now = answer.answered_at
        if not answer.refused:
            self._accepted.append(now)
        if not safe or answer.sent_at < self._counts_from:
            return
        self._recent.append(answer.refused)
        refused = sum(self._recent)
        if self._probing and refused >= 2:
            self._set(self.now - 1, now)
            self._probe_after = min(2 * self._probe_after, self._LAST_PROBE)
        elif refused >= self._REFUSED_OF_RECENT:
            self._shrink(now, cycle)
        elif self._probing and now > self._changed_at + self._PROBE_LASTS * self._per:
            self._probing = False
            self._probe_after = max(self._NEXT_PROBE, self._probe_after / self._SOONER)
        elif self.now < self._ceiling and now > self._changed_at + self._probe_after * self._per:
            self._set(self.now + 1, now)

    def _shrink(self, now: float, cycle: float) -> None:
        """Fall from the plan's figure to what was accepted of late; from a smaller one by a step."""
        if self.now == self._plan:
            lately = sum(when > now - 2 * self._per for when in self._accepted)
            self._probe_after = self._FIRST_PROBE
            self._set(min(self.now - 1, round(lately / 2 * cycle / self._per)), now)
        else:
            self._probe_after = min(2 * self._probe_after, self._LAST_PROBE)
            self._set(self.now - max(self._plan // 10, 1), now)

    def _set(self, capacity: int, now: float) -> None:
        lowered = capacity < self.now
        self.now = max(capacity, 1)
        self._recent.clear()
        self._changed_at = now
        self._counts_from = now + 1.5 * self._per if lowered else now
        self._probing = not lowered
