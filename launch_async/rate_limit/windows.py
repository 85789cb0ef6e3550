"""When is a slot of the budget free again: one period after its answer, less a credit that is learnt."""

from __future__ import annotations

from typing import Final

import attrs

from launch_async.rate_limit.round_trips import RoundTrips

__all__ = ["AckClockedWindow", "Slot"]

_SAFE_SHARE_OF_SHORTEST: Final = 0.75
_MARGIN_SHARE: Final = 0.005
_SPACING_SHARE: Final = 0.015
"""Share of a period that a slot is held beyond it: a busy machine delays one request by that much, and not the next."""
_HOLD_UNKNOWN_S: Final = 1.0
_SHORTEST_HOLD_S: Final = 1.0
_LONGEST_HOLD_TRIPS: Final = 5.0
"""Median round trips that a missing answer may hold its slot beyond the period."""


@attrs.define(eq=False)
class Slot:
    """One place in the budget: taken when a request leaves, free again when the server has forgotten it.

    Attributes:
        sent_at: When the request left, in seconds.
        answered_at: When its answer came; None while it is out.
        refused: Whether that answer was a 429, so that the server (as far as is known) does not count it.
        is_poll: Whether the request is a poll.
    """

    sent_at: float
    answered_at: float | None = None
    refused: bool = False
    is_poll: bool = False


class AckClockedWindow:
    """A slot is free one period after its answer, less a credit.

    The server counted the request before it answered, so without a credit no way of counting can refuse the next one.
    Most of the shortest round trip is a safe credit: the next request needs its part of that time too. More than that
    (`bonus`) is a bet on the network's jitter. It grows a little with every accepted request and shrinks a lot with
    every refused one, in a proportion that settles at `TARGET_REFUSED` refusals. Where there is jitter, a short round
    trip had a short way back, so its credit is less; a long one had its delay on one way, and most likely a usual way
    back.
    """

    TARGET_REFUSED = 0.007
    _STEP = 0.16  # of the spread of round trips
    _FIRST_GROWTH = 30.0  # times as fast until the first refusal
    _BY_LENGTH = 0.3
    _MOST_CREDIT = 2.5  # median round trips

    def __init__(self, per: float, trips: RoundTrips) -> None:
        self.per = per
        self.bonus: float = 0.0
        self._trips = trips
        self._unrefused = True

    @property
    def safe_credit(self) -> float:
        """Seconds of credit that no server can object to: none after a cold start, which hides how fast it can be."""
        return _SAFE_SHARE_OF_SHORTEST * self._trips.shortest if self._trips.is_warm else 0.0

    @property
    def cycle(self) -> float:
        """Seconds after which a slot is usually free again."""
        return self.per + max(self._trips.median - self.safe_credit - self.bonus, _SPACING_SHARE * self.per)

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
        earliest = slot.sent_at + self.per * (1 + (_MARGIN_SHARE if self.bonus else _SPACING_SHARE))
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
        length = (slot.answered_at - slot.sent_at) / max(self._trips.median, _MARGIN_SHARE * self.per)
        return credit * min(1 - self._BY_LENGTH * (1 - length), 1 + self._BY_LENGTH)

    def learn(self, *, refused: bool) -> None:
        """Move the bonus after an answer to a request that was sent in this window."""
        step = self._STEP * max(self._trips.median - self._trips.shortest, 0.0)
        if refused:
            self._unrefused = False
            self.bonus = max(self.bonus - step, 0.0)
        elif self.safe_credit + self.bonus < self._MOST_CREDIT * self._trips.median:
            growth = step * self.TARGET_REFUSED / (1 - self.TARGET_REFUSED)
            self.bonus += growth * (self._FIRST_GROWTH if self._unrefused else 1.0)

    @property
    def _longest_hold(self) -> float:
        """Seconds that a missing answer may hold its slot beyond the period: it surely arrived long before."""
        return max(_SHORTEST_HOLD_S, _LONGEST_HOLD_TRIPS * self._trips.median) if len(self._trips) else _HOLD_UNKNOWN_S
