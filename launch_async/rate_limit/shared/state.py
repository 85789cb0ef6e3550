"""The state of a shared budget, and the effect of a worker's call on it. It does not depend on the store.

A slot is free again one period after its answer arrived, minus a credit, as in `AckClockedWindow`. A call of a worker
reports the outcomes of its requests, takes the free slots that are its turn, and makes a reservation for each priority
that still waits. A reservation has a time, so a worker does not ask before that time. A reservation that is not used
within `GRACE_S` of its time expires, so a killed worker delays the others very little. Reservations are served like
the callers of a `FairQueue`, with one turn per worker: a served worker goes to the end.

This is the algorithm in Python, for a store that can run it. `rate_limit.redis.script` is the same for Redis.
All times are seconds of one clock, which the caller reads.
"""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from launch_async.rate_limit.control_law import Decrease, after_refusal, capacity_at
from launch_async.rate_limit.queue import choose_priority
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
from launch_async.rate_limit.types import PRIORITIES, Priority, RateLimit

__all__ = ["BudgetState", "Reservation", "SlotOut"]

GRACE_S: Final = 0.1
"""Seconds after its time during which a reservation may be used."""
_GENERATION_S: Final = 60.0
"""Seconds after which the shortest and the longest round trip are measured again."""
_LEAST_TRIP_S: Final = 0.25
"""Minimum seconds beyond its period that a slot without an answer is held."""
_ASSUMED_TRIP_S: Final = 0.2
"""Round trip in seconds of requests that the state has lost."""
_UNKNOWN_TRIP_S: Final = 1.0
"""Round trip in seconds before the first answer."""
_LONGEST_TRIP_S: Final = 5.0
"""Maximum seconds beyond its period that a slot without an answer is held."""
_CREDIT_SHARE: Final = 0.5
"""Share of the shortest round trip by which a slot is free earlier than one period after its answer."""
_MARGIN_SHARE: Final = 0.01
"""Share of a period that a slot is held longer, because of imprecise clocks."""
_EARLY_ANSWER_SHARE: Final = 0.01
"""Share of a period after which a reservation assumes that a request has been answered."""
_MIN_SPACING_SHARE: Final = 0.2
"""Minimum interval between requests while the budget is fully used, as a share of the mean interval."""
_FULL_USE_PERIODS: Final = 2.0
"""Periods during which the budget counts as fully used after a request had to wait for a slot."""
_RESERVATION_SPACING_SHARE: Final = 0.3
"""Minimum interval between reservations, as a share of the mean interval. Answers then arrive before the next turn."""


class SlotOut:
    """A slot of a request without an answer.

    Attributes:
        at: Time from which the slot may be used.
        free: Latest time at which the slot is free again.
        is_poll: Whether the slot is for a poll.
    """

    __slots__ = ("at", "free", "is_poll")

    def __init__(self, at: float, free: float, is_poll: bool = False) -> None:
        self.at: float = at
        self.free: float = free
        self.is_poll: bool = is_poll


class Reservation:
    """A worker's reservation of a slot.

    Attributes:
        worker: Id of the worker.
        priority: Priority of the waiting caller.
        ticket: Position in the order of arrival.
        at: Expected time of the slot.
    """

    __slots__ = ("at", "priority", "ticket", "worker")

    def __init__(self, worker: int, priority: int, ticket: int, at: float) -> None:
        self.worker: int = worker
        self.priority: int = priority
        self.ticket: int = ticket
        self.at: float = at


class BudgetState:
    """The budget of one organization.

    Attributes:
        written: Time of the last change.
        number: Number of the last slot that was given.
        ticket: The last ticket of the reservations.
        paused_until: Time at which the first request may leave after a pause.
        spaced_until: Time until which requests leave at even intervals.
        last: Latest time at which a request may have left.
        full_until: Time until which the budget counts as fully used, because a request had to wait for a slot.
        next_poll: Earliest time of the next poll.
        low: Capacity right after the latest decrease, in requests per period; infinite if there was no decrease.
        since: Time of the latest decrease.
        stated: Limit that the service states; 0 if it states none.
        lowest: Lowest limit that the workers name as the plan's; 0 for none.
        per: Period of `lowest`.
        agreed_until: Time at which `lowest` expires, unless a worker names it again.
        turned: Time at which the measurement of round trips was last restarted.
        shortest: Shortest round trip since `turned`; 0 for none.
        shortest_before: Shortest round trip in the minute before `turned`.
        longest: Longest round trip since `turned`.
        longest_before: Longest round trip in the minute before `turned`.
        passed_over: For each priority, the number of slots that other priorities got since its last slot.
        frees: Times at which the slots of answered requests are free, in order.
        out: Slots without an answer, by number.
        reservations: Reservations, in the order of arrival.
    """

    def __init__(self, written: float, number: int) -> None:
        self.written: float = written
        self.number: int = number
        self.ticket: int = 0
        self.paused_until: float = -math.inf
        self.spaced_until: float = -math.inf
        self.last: float = -math.inf
        self.full_until: float = -math.inf
        self.next_poll: float = -math.inf
        self.low: float = math.inf
        self.since: float = -math.inf
        self.stated: int = 0
        self.lowest: int = 0
        self.per: float = 1.0
        self.agreed_until: float = -math.inf
        self.turned: float = -math.inf
        self.shortest: float = 0.0
        self.shortest_before: float = 0.0
        self.longest: float = 0.0
        self.longest_before: float = 0.0
        self.passed_over: list[int] = [0] * len(Priority)
        self.frees: array[float] = array("d")
        self.out: dict[int, SlotOut] = {}
        self.reservations: list[Reservation] = []

    @classmethod
    def begin(cls, now: float) -> BudgetState:
        """Return the state of a budget that was not used recently."""
        return cls(now, int(now * 1e6))

    def spend(self, requests: int, per: float, now: float) -> None:
        """Count the whole budget as used now, because it is not known what was used."""
        self.frees.extend([now + per + _ASSUMED_TRIP_S] * requests)

    def is_idle(self, now: float) -> bool:
        """Whether the state can be removed without an effect on any process; false if the clock was set back."""
        busy_until = max(
            [
                self.paused_until,
                self.spaced_until,
                *self.frees[-1:],
                *(slot.free for slot in self.out.values()),
                *(reservation.at + GRACE_S for reservation in self.reservations),
            ],
        )
        return self.written <= now and busy_until <= now

    def exchange(self, ask: Ask, now: float) -> Reply:
        """Process one call of a worker."""
        self._shift(now)
        self._update_limits(ask, now)
        if ask.per != self.per:
            ask = ask._replace(per=self.per)
        for report in ask.reports:
            self._settle(report, ask, now)
        if ask.pause > 0:
            self.paused_until = max(self.paused_until, now + ask.pause)
            self.spaced_until = max(self.spaced_until, now + ask.spaced)
        self._drop(now)
        turn = _Turn(self, ask, now)
        granted = turn.grants()
        next_at = turn.reserve()
        self.written = now
        return Reply(
            granted=tuple((number, at - now, priority) for number, at, priority in granted),
            next_in=None if next_at is None else next_at - now,
            reservations=len(self.reservations),
            capacity=turn.capacity,
            per=self.per,
            paused_for=max(self.paused_until - now, 0.0),
            memory=Memory(),
        )

    @property
    def allowed(self) -> int:
        """Allowed requests per period: the lower of the service's stated limit and the lowest limit of the workers."""
        return min(self.stated or self.lowest, self.lowest)

    def capacity(self, now: float) -> float:
        """Current capacity of the budget, in requests per period. It can be below one."""
        allowed = self.allowed
        if self.low >= allowed:
            return allowed
        return capacity_at(Decrease(self.low, self.since), RateLimit(allowed, self.per), now)

    @property
    def credit(self) -> float:
        """Seconds by which a slot is free earlier than one period after its answer. Safe for every worker."""
        return _CREDIT_SHARE * _least(self.shortest, self.shortest_before)

    def hold_of(self, ask: Ask) -> float:
        """Seconds beyond its period that a slot without an answer is held, until its request has certainly arrived."""
        trip = max(self.longest, self.longest_before) or _UNKNOWN_TRIP_S
        return ask.late + min(max(trip, _LEAST_TRIP_S), _LONGEST_TRIP_S)

    def _shift(self, now: float) -> None:
        """Keep all intervals if the clock was set back, as after a restart of the machine."""
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
        for reservation in self.reservations:
            reservation.at -= back

    def _update_limits(self, ask: Ask, now: float) -> None:
        """Update the limits and round trips from a worker's call."""
        # If workers name different limits, all use the lowest, as long as a worker names it.
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
        """Process the outcome of one request."""
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
                # The request before it left at least one interval earlier.
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
        decrease, rate_limit = Decrease(self.low, self.since), RateLimit(self.allowed, self.per)
        decrease = after_refusal(decrease, rate_limit, sent_at=slot.at, now=refused_at, in_use=in_use)
        self.low, self.since = decrease.low, decrease.since

    def _drop(self, now: float) -> None:
        """Remove the slots that are free, and the reservations that have expired."""
        del self.frees[: bisect.bisect_right(self.frees, now)]
        if any(slot.free <= now for slot in self.out.values()):
            self.out = {number: slot for number, slot in self.out.items() if slot.free > now}
        self.reservations = [reservation for reservation in self.reservations if reservation.at + GRACE_S >= now]


class _Turn:
    """The slots and reservations of one call."""

    def __init__(self, state: BudgetState, ask: Ask, now: float) -> None:
        self.capacity: float = state.capacity(now)
        self._state = state
        self._ask = ask
        self._now = now
        self._worker = int(ask.worker, 16)
        self._waiting = list(ask.waiting)
        self._others = [reservation for reservation in state.reservations if reservation.worker != self._worker]
        self._mine = {
            reservation.priority: reservation
            for reservation in state.reservations
            if reservation.worker == self._worker
        }
        self._slots = math.ceil(self.capacity)
        self._frees = _merged(state.frees, (slot.free for slot in state.out.values()))

    def grants(self) -> Sequence[tuple[int, float, Priority]]:
        """Give the worker the free slots that are its turn. Return their numbers, times and priorities."""
        granted: list[tuple[int, float, Priority]] = []
        hold = self._state.hold_of(self._ask)
        while mine := [self._reservation(one) for one in PRIORITIES if self._waiting[one] and self._is_due(one)]:
            reservation, ahead = self._turn(mine)
            before = [other for other in ahead if other.at <= max(reservation.at, self._now)]
            at = self._time_of_slot(len(before), self._frees)
            if reservation.priority == Priority.POLL:
                at = max(at, self._state.next_poll)
            if at > self._now + self._ask.lead:
                break
            granted.append((self._give(reservation, at, at + self._ask.per + hold), at, Priority(reservation.priority)))
        return granted

    def reserve(self) -> float | None:
        """Make a reservation for each waiting priority. Return the earliest time, or None if no request waits."""
        state, ask = self._state, self._ask
        if ask.reserve is not None and not any(self._waiting):
            self._waiting[ask.reserve] = 1
        reserved = [self._reservation(priority) for priority in PRIORITIES if self._waiting[priority]]
        state.reservations = self._others
        for reservation in reserved:
            _, ahead = self._turn([reservation])
            reservation.at = self._time_of(reservation, ahead)
            bisect.insort(state.reservations, reservation, key=lambda one: one.ticket)
            self._others = state.reservations
        return min((reservation.at for reservation in reserved), default=None)

    def _time_of(self, reservation: Reservation, ahead: Sequence[Reservation]) -> float:
        """Return the expected time of a reservation. It can be too early, because it assumes usual answers."""
        state, ask, now = self._state, self._ask, self._now
        soon = (1 + _EARLY_ANSWER_SHARE) * ask.per
        expected_frees = _merged(state.frees, (min(slot.free, slot.at + soon) for slot in state.out.values()))
        at = self._time_of_slot(len(ahead), expected_frees)
        polls = sum(other.priority == Priority.POLL for other in ahead)
        polls_from = state.next_poll + polls * ask.poll_interval if reservation.priority == Priority.POLL else -math.inf
        at = max(at, polls_from)
        if len(expected_frees) + len(ahead) >= self._slots:
            state.full_until = now + _FULL_USE_PERIODS * ask.per
            spacing = _RESERVATION_SPACING_SHARE * ask.per / self._slots
            at = max(at, max([state.last, *(other.at for other in ahead)]) + spacing)
        return at if at > now + ask.lead else max(self._time_of_slot(len(ahead), self._frees), polls_from)

    def _is_due(self, priority: int) -> bool:
        return priority != Priority.POLL or self._state.next_poll <= self._now + self._ask.lead

    def _reservation(self, priority: int) -> Reservation:
        reservation = self._mine.get(priority)
        if reservation is None:
            self._state.ticket += 1
            reservation = self._mine[priority] = Reservation(self._worker, priority, self._state.ticket, math.inf)
        return reservation

    def _give(self, reservation: Reservation, at: float, free: float) -> int:
        state = self._state
        waits = {other.priority for other in self._others} | {one for one in PRIORITIES if self._waiting[one]}
        for priority in waits:
            state.passed_over[priority] += 1
        state.passed_over[reservation.priority] = 0
        self._waiting[reservation.priority] -= 1
        del self._mine[reservation.priority]
        state.number += 1
        is_poll = reservation.priority == Priority.POLL
        if is_poll:
            state.next_poll = at + self._ask.poll_interval
        state.out[state.number] = SlotOut(at, free, is_poll)
        state.last = max(state.last, at)
        bisect.insort(self._frees, free)
        return state.number

    def _turn(self, mine: Sequence[Reservation]) -> tuple[Reservation, Sequence[Reservation]]:
        """Return the worker's reservation that is served first, and the reservations of others before it."""
        if len(mine) == 1 and not self._others:
            return mine[0], ()
        queues: dict[int, list[Reservation]] = {}
        own = {reservation.priority for reservation in mine}
        for reservation in sorted([*self._others, *mine], key=lambda reservation: -reservation.ticket):
            if reservation.priority in own or self._is_due(reservation.priority):
                queues.setdefault(reservation.priority, []).append(reservation)
        passed_over, served = list(self._state.passed_over), list[Reservation]()
        while (following := queues[chosen := choose_priority(queues, passed_over)].pop()) not in mine:
            served.append(following)
            if not queues[chosen]:
                del queues[chosen]
        return following, served

    def _time_of_slot(self, ahead: int, frees: Sequence[float]) -> float:
        """Return the time of the next free slot, after a number of other requests that have not left yet."""
        state, per = self._state, self._ask.per
        at = max(self._now, state.paused_until)
        turns, rest = divmod(ahead, self._slots)
        over = len(frees) - self._slots + rest
        if over >= 0:
            at = max(at, frees[over])
        at += turns * per
        if self._now < state.full_until:
            # Spread the requests, so that the server has free slots when another program sends its first request.
            at = max(at, state.last + (ahead + 1) * _MIN_SPACING_SHARE * per / self._slots)
        # A fractional slot is a longer wait.
        if at < state.spaced_until or self.capacity < state.allowed:
            at = max(at, state.last + (ahead + 1) * per / self.capacity)
        return at


def _merged(frees: array[float], others: Iterable[float]) -> array[float]:
    """Return sorted times with others inserted. A copy is fast, even with thousands of slots."""
    merged = frees[:]
    for other in others:
        bisect.insort(merged, other)
    return merged


def _least(one: float, other: float) -> float:
    """Return the smaller of two numbers, where 0 stands for no number."""
    return min(one, other) if one and other else max(one, other)
