"""The shared budget itself: what one call of a worker does to it, whatever the store that keeps it.

A slot is free again one period after its answer came, less a credit, as in `AckClockedWindow`. A worker's call tells
what became of its requests, takes the slots that are free and its turn, and keeps a place in the line for each priority
that still waits. A place has a time, so nobody asks before it; whoever does not come within `GRACE_S` of it has lost
it, so a killed worker costs the others next to nothing. The line is served as `FairQueue` serves callers, with a turn
for each worker: a worker that was served goes to the end.

This is the algorithm in Python, for a store that can run it. Redis runs its twin, `rate_limit.redis.script`.
All times are seconds of one clock, which the caller reads.
"""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from launch_async.rate_limit.control_law import Learnt, after_refusal, capacity_at
from launch_async.rate_limit.queue import choose
from launch_async.rate_limit.shared.messages import (
    ACCEPTED,
    AGAIN,
    OUT,
    REFUSED,
    UNUSED,
    Ask,
    Memory,
    Reply,
    Report,
)
from launch_async.rate_limit.types import Priority, RateLimit

__all__ = ["BudgetState", "Place", "SlotOut"]

GRACE_S: Final = 0.1
"""How much later than its time a place may be claimed."""
_GENERATION_S: Final = 60.0
_LEAST_TRIP_S: Final = 0.25
_ASSUMED_TRIP_S: Final = 0.2
_UNKNOWN_TRIP_S: Final = 1.0
_LONGEST_TRIP_S: Final = 5.0
_CREDIT_SHARE: Final = 0.5
_MARGIN_SHARE: Final = 0.01
_HOPE_SHARE: Final = 0.01
"""Share of a period after which a request that is out is taken for answered, where only a place is at stake."""
_APART_SHARE: Final = 0.2
"""Share of the even distance that requests keep where the budget is in full use."""
_IN_FULL_USE_FOR: Final = 2.0
"""Periods for which it counts as in full use after somebody had to wait for a slot."""
_CLOSEST_SHARE: Final = 0.3
"""Share of the even distance that places keep: answers are then known before their slots are given again."""


@attrs.define
class SlotOut:
    """A slot of a request whose answer is not known.

    Attributes:
        at: The time from which it may be used.
        free: When it is free at the latest.
        is_poll: Whether a poll was to leave with it.
    """

    at: float
    free: float
    is_poll: bool = False


@attrs.define(eq=False)
class Place:
    """A worker's place in the line.

    Attributes:
        worker: Whose it is.
        priority: That of the caller who waits there.
        ticket: Who came first: the lower number.
        at: When its turn comes, as far as is known.
    """

    worker: int
    priority: int
    ticket: int
    at: float


def _no_times() -> array[float]:
    return array("d")


@attrs.define
class BudgetState:
    """The budget of one organization.

    Attributes:
        written: When it was last changed.
        number: Number of the slot that was given last.
        ticket: The last ticket of the line.
        paused_until: When the first request may leave after a pause.
        spaced_until: Until when requests leave evenly.
        last: When the latest request may have left.
        full_until: Until when the budget counts as in full use, because somebody had to wait for a slot.
        next_poll: When the next poll may leave.
        low: Requests per period right after the latest decrease; infinite if there was none.
        since: When that was.
        stated: The limit that the service states; 0 for none.
        lowest: The lowest of the figures that the workers call the plan's; 0 for none.
        per: The period that it is for.
        agreed_until: When that figure is forgotten unless somebody names it again.
        turned: When the figures of round trips were last renewed.
        shortest: The shortest round trip since then; 0 for none.
        shortest_before: The shortest one in the minute before that.
        longest: The longest one since then.
        longest_before: The longest one in the minute before.
        passed_over: For each priority, how many others were served since it was.
        frees: When the slots of answered requests are free, the earliest first.
        out: The slots without an answer, by number.
        line: Who waits, in the order in which they came.
    """

    written: float
    number: int
    ticket: int = 0
    paused_until: float = -math.inf
    spaced_until: float = -math.inf
    last: float = -math.inf
    full_until: float = -math.inf
    next_poll: float = -math.inf
    low: float = math.inf
    since: float = -math.inf
    stated: int = 0
    lowest: int = 0
    per: float = 1.0
    agreed_until: float = -math.inf
    turned: float = -math.inf
    shortest: float = 0.0
    shortest_before: float = 0.0
    longest: float = 0.0
    longest_before: float = 0.0
    passed_over: list[int] = attrs.field(factory=lambda: [0] * len(Priority))
    frees: array[float] = attrs.field(factory=_no_times)
    out: dict[int, SlotOut] = attrs.field(factory=dict[int, SlotOut])
    line: list[Place] = attrs.field(factory=list[Place])

    @classmethod
    def begin(cls, now: float) -> BudgetState:
        """Return the state of a budget of which nothing was used lately."""
        return cls(now, int(now * 1e6))

    def spend(self, requests: int, per: float, now: float) -> None:
        """Count the whole budget as used just now: nobody knows what was."""
        self.frees.extend([now + per + _ASSUMED_TRIP_S] * requests)

    def is_idle(self, now: float) -> bool:
        """Whether nobody loses anything if the state is forgotten; false where the clock was set back."""
        busy_until = max(
            [
                self.paused_until,
                self.spaced_until,
                *self.frees[-1:],
                *(slot.free for slot in self.out.values()),
                *(place.at + GRACE_S for place in self.line),
            ],
        )
        return self.written <= now and busy_until <= now

    def exchange(self, ask: Ask, now: float) -> Reply:
        """Do what a worker asks for."""
        self._shift(now)
        self._take_in(ask, now)
        if ask.per != self.per:
            ask = attrs.evolve(ask, per=self.per)
        for report in ask.reports:
            self._settle(report, ask, now)
        if ask.pause > 0:
            self.paused_until = max(self.paused_until, now + ask.pause)
            self.spaced_until = max(self.spaced_until, now + ask.spaced)
        self._drop(now)
        turn = _Turn(self, ask, now)
        granted = turn.grants()
        next_at = turn.keep_places()
        self.written = now
        return Reply(
            granted=tuple((number, at - now, priority) for number, at, priority in granted),
            next_in=None if next_at is None else next_at - now,
            reservations=len(self.line),
            capacity=self.capacity(now),
            per=self.per,
            paused_for=max(self.paused_until - now, 0.0),
            memory=Memory(),
        )

    @property
    def allowed(self) -> int:
        """Requests per period: the lower of what the service states and what the workers call the plan's figure."""
        return min(self.stated or self.lowest, self.lowest)

    def capacity(self, now: float) -> float:
        """Requests per period that the budget has at present, as far as was learnt; it may be below one."""
        return capacity_at(Learnt(self.low, self.since), RateLimit(self.allowed, self.per), now)

    @property
    def credit(self) -> float:
        """Seconds by which a slot is free earlier than a period after its answer: safe for every worker."""
        return _CREDIT_SHARE * _least(self.shortest, self.shortest_before)

    def hold_of(self, ask: Ask) -> float:
        """Seconds beyond its period that a slot without an answer is held: until its request has surely arrived."""
        trip = max(self.longest, self.longest_before) or _UNKNOWN_TRIP_S
        return ask.late + min(max(trip, _LEAST_TRIP_S), _LONGEST_TRIP_S)

    def _shift(self, now: float) -> None:
        """Keep every distance where the clock was set back: the machine was started again."""
        back = self.written - now
        if back <= 0:
            return
        self.paused_until -= back
        self.spaced_until -= back
        self.last -= back
        self.full_until -= back
        self.next_poll -= back
        self.since -= back
        self.agreed_until -= back
        self.turned -= back
        self.frees = array("d", [free - back for free in self.frees])
        for slot in self.out.values():
            slot.at, slot.free = slot.at - back, slot.free - back
        for place in self.line:
            place.at -= back

    def _take_in(self, ask: Ask, now: float) -> None:
        """Take in the figures that a worker knows."""
        # Where workers name different figures the lowest is everybody's, for as long as somebody names it.
        is_higher = 0 < self.lowest * ask.per < ask.requests * self.per
        if not is_higher or now > self.agreed_until:
            self.lowest, self.per, self.agreed_until = ask.requests, ask.per, now + 10 * ask.per
        self.stated = ask.limit or self.stated
        if now - self.turned > _GENERATION_S:
            self.shortest_before, self.longest_before = self.shortest, self.longest
            self.shortest = self.longest = 0.0
            self.turned = now
        self.shortest = _least(self.shortest, ask.shortest_trip)
        self.longest = max(self.longest, ask.longest_trip)

    def _settle(self, report: Report, ask: Ask, now: float) -> None:
        """Take in what became of one request."""
        number, age, code = report
        if code == AGAIN:
            return
        at, slot = now - age, self.out.pop(number, None)
        if code == REFUSED and slot is not None:
            self._learn(slot, at)
        free = at + ask.per
        if code == OUT:
            latest = min(now + ask.per + self.hold_of(ask), at + ask.per + _LONGEST_TRIP_S)
            if latest > now:
                slot = slot or SlotOut(at, latest)
                slot.free = max(slot.free, latest)
                self.out[number] = slot
            return
        if code == UNUSED and slot is not None:
            if slot.at == self.last:
                # The one before it left that much earlier, or more.
                self.last -= ask.per / self.capacity(now)
            if slot.is_poll:
                self.next_poll -= ask.poll_interval
        if code == ACCEPTED:
            free -= self.credit
            if slot is not None:
                free = max(free, slot.at + (1 + _MARGIN_SHARE) * ask.per)
        if code != UNUSED and free > now:
            bisect.insort(self.frees, free)

    def _learn(self, slot: SlotOut, refused_at: float) -> None:
        in_use = 1 + len(self.out) + len(self.frees) - bisect.bisect_right(self.frees, refused_at)
        learnt, rate_limit = Learnt(self.low, self.since), RateLimit(self.allowed, self.per)
        learnt = after_refusal(learnt, rate_limit, sent_at=slot.at, now=refused_at, in_use=in_use)
        self.low, self.since = learnt.low, learnt.since

    def _drop(self, now: float) -> None:
        """Forget the slots that are free, and the places that nobody has claimed."""
        del self.frees[: bisect.bisect_right(self.frees, now)]
        if any(slot.free <= now for slot in self.out.values()):
            self.out = {number: slot for number, slot in self.out.items() if slot.free > now}
        self.line = [place for place in self.line if place.at + GRACE_S >= now]


class _Turn:
    """What one call may take, and where it stands in the line."""

    def __init__(self, state: BudgetState, ask: Ask, now: float) -> None:
        self._state = state
        self._ask = ask
        self._now = now
        self._worker = int(ask.worker, 16)
        self._waiting = list(ask.waiting)
        self._others = [place for place in state.line if place.worker != self._worker]
        self._mine = {place.priority: place for place in state.line if place.worker == self._worker}
        self._capacity = state.capacity(now)
        self._slots = math.ceil(self._capacity)
        self._frees = _merged(state.frees, (slot.free for slot in state.out.values()))

    def grants(self) -> Sequence[tuple[int, float, Priority]]:
        """Give the worker the slots that are free and its turn; return their numbers, times and priorities."""
        granted: list[tuple[int, float, Priority]] = []
        hold = self._state.hold_of(self._ask)
        while mine := [self._place(one) for one in Priority if self._waiting[one] and self._is_due(one)]:
            place, ahead = self._turn(mine)
            before = [other for other in ahead if other.at <= max(place.at, self._now)]
            at = self._room(len(before), self._frees)
            if place.priority == Priority.POLL:
                at = max(at, self._state.next_poll)
            if at > self._now + self._ask.lead:
                break
            granted.append((self._give(place, at, at + self._ask.per + hold), at, Priority(place.priority)))
        return granted

    def keep_places(self) -> float | None:
        """Keep a place for each priority that waits; return the time of the first one, None if nobody waits."""
        state, ask = self._state, self._ask
        if ask.reserve is not None and not any(self._waiting):
            self._waiting[ask.reserve] = 1
        kept = [self._place(priority) for priority in Priority if self._waiting[priority]]
        state.line = self._others
        for place in kept:
            _, ahead = self._turn([place])
            place.at = self._time_of(place, ahead)
            bisect.insort(state.line, place, key=lambda one: one.ticket)
            self._others = state.line
        return min((place.at for place in kept), default=None)

    def _time_of(self, place: Place, ahead: Sequence[Place]) -> float:
        """Return when a place's turn comes: sooner than is sure, if answers come as usual."""
        state, ask, now = self._state, self._ask, self._now
        soon = (1 + _HOPE_SHARE) * ask.per
        hopeful = _merged(state.frees, (min(slot.free, slot.at + soon) for slot in state.out.values()))
        at = self._room(len(ahead), hopeful)
        polls = sum(other.priority == Priority.POLL for other in ahead)
        polls_from = state.next_poll + polls * ask.poll_interval if place.priority == Priority.POLL else -math.inf
        at = max(at, polls_from)
        if len(hopeful) + len(ahead) >= self._slots:
            state.full_until = now + _IN_FULL_USE_FOR * ask.per
            closest = _CLOSEST_SHARE * ask.per / self._slots
            at = max(at, max([state.last, *(other.at for other in ahead)]) + closest)
        return at if at > now + ask.lead else max(self._room(len(ahead), self._frees), polls_from)

    def _is_due(self, priority: int) -> bool:
        return priority != Priority.POLL or self._state.next_poll <= self._now + self._ask.lead

    def _place(self, priority: int) -> Place:
        place = self._mine.get(priority)
        if place is None:
            self._state.ticket += 1
            place = self._mine[priority] = Place(self._worker, priority, self._state.ticket, math.inf)
        return place

    def _give(self, place: Place, at: float, free: float) -> int:
        state = self._state
        waits = {other.priority for other in self._others} | {one for one in Priority if self._waiting[one]}
        for priority in waits:
            state.passed_over[priority] += 1
        state.passed_over[place.priority] = 0
        self._waiting[place.priority] -= 1
        del self._mine[place.priority]
        state.number += 1
        is_poll = place.priority == Priority.POLL
        if is_poll:
            state.next_poll = at + self._ask.poll_interval
        state.out[state.number] = SlotOut(at, free, is_poll)
        state.last = max(state.last, at)
        bisect.insort(self._frees, free)
        return state.number

    def _turn(self, mine: Sequence[Place]) -> tuple[Place, Sequence[Place]]:
        """Return which of the worker's places is served first, and those of others that are served before it."""
        if len(mine) == 1 and not self._others:
            return mine[0], ()
        queues: dict[int, list[Place]] = {}
        own = {place.priority for place in mine}
        for place in sorted([*self._others, *mine], key=lambda place: -place.ticket):
            if place.priority in own or self._is_due(place.priority):
                queues.setdefault(place.priority, []).append(place)
        passed_over, served = list(self._state.passed_over), list[Place]()
        while (following := queues[chosen := choose(queues, passed_over)].pop()) not in mine:
            served.append(following)
            if not queues[chosen]:
                del queues[chosen]
        return following, served

    def _room(self, ahead: int, frees: Sequence[float]) -> float:
        """Return when there is room for one more, after so many others that have not left yet."""
        state, per = self._state, self._ask.per
        at = max(self._now, state.paused_until)
        turns, rest = divmod(ahead, self._slots)
        over = len(frees) - self._slots + rest
        if over >= 0:
            at = max(at, frees[over])
        at += turns * per
        if self._now < state.full_until:
            # Who always takes all slots at once leaves no gap that another program could come in by.
            at = max(at, state.last + (ahead + 1) * _APART_SHARE * per / self._slots)
        # A part of a slot is a longer wait.
        if at < state.spaced_until or self._capacity < state.allowed:
            at = max(at, state.last + (ahead + 1) * per / self._capacity)
        return at


def _merged(frees: array[float], others: Iterable[float]) -> array[float]:
    """Return sorted times with others in their places: copying is quick, also for thousands of slots."""
    merged = frees[:]
    for other in others:
        bisect.insort(merged, other)
    return merged


def _least(one: float, other: float) -> float:
    """Return the smaller of two figures of which 0 is none."""
    return min(one, other) if one and other else max(one, other)
