"""The time at which a slot of the budget is free again: one period after its answer, minus a learned credit."""

from __future__ import annotations

from typing import Final

import attrs

from launch_async.rate_limit.round_trips import RoundTrips

__all__ = ["AckClockedWindow", "Slot"]

_SAFE_SHARE_OF_SHORTEST: Final = 0.75
"""Share of the shortest round trip that is a safe credit."""
_MARGIN_SHARE: Final = 0.005
"""Share of a period that a slot is held longer while a bonus is in use."""
_SPACING_SHARE: Final = 0.015
"""Share of a period that a slot is held longer, because a busy machine can delay one request and not the next."""
_HOLD_UNKNOWN_S: Final = 1.0
"""Seconds that a slot is held beyond its period before the first answer has arrived."""
_SHORTEST_HOLD_S: Final = 1.0
"""Minimum seconds that a slot without an answer is held beyond its period."""
_LONGEST_HOLD_TRIPS: Final = 5.0
"""Median round trips beyond the period, after which a slot without an answer is free."""


@attrs.define(eq=False)
class Slot:
    """One slot of the budget: taken when a request leaves, and free again when the server no longer counts it.

    Attributes:
        sent_at: Time at which the request left, in seconds.
        answered_at: Time at which its answer arrived; None before that.
        refused: Whether the answer was a 429. The server probably does not count such a request.
        is_poll: Whether the request is a poll.
    """

    sent_at: float
    answered_at: float | None = None
    refused: bool = False
    is_poll: bool = False


class AckClockedWindow:
    """A rule for slots: a slot is free one period after its answer, minus a credit.

    The server counted the request before it answered. Without a credit, no way of counting can therefore refuse the
    next request. Most of the shortest round trip is a safe credit, because the next request also needs this time to
    arrive. A larger credit (`bonus`) relies on the network's jitter. The bonus grows a little with every accepted
    request and shrinks a lot with every refused one, in a proportion that settles at `TARGET_REFUSED` refusals. With
    jitter, a short round trip had a short way back, so its credit is smaller. A long round trip had its delay on one
    way, and most likely a usual way back.
    """

    TARGET_REFUSED = 0.007
    _STEP = 0.16  # share of the spread of round trips
    _FIRST_GROWTH = 30.0  # factor until the first refusal
    _LENGTH_WEIGHT = 0.3
    _MAX_CREDIT = 2.5  # median round trips

    def __init__(self, per: float, trips: RoundTrips) -> None:
        self.per = per
        self.bonus: float = 0.0
        self._trips = trips
        self._unrefused = True

    @property
    def safe_credit(self) -> float:
        """Seconds of credit that no server can refuse; 0 during the cold start, which hides the shortest round trip."""
        return _SAFE_SHARE_OF_SHORTEST * self._trips.shortest if self._trips.is_warm else 0.0

    @property
    def cycle(self) -> float:
        """Seconds from taking a slot until it is usually free again."""
        return self.per + max(self._trips.median - self.safe_credit - self.bonus, _SPACING_SHARE * self.per)

    @property
    def safe_loss(self) -> float:
        """Share of the budget that the window loses without a bonus."""
        return (self._trips.median - self.safe_credit) / self.per

    def free_at(self, slot: Slot, now: float) -> float:
        """Return the time at which the slot is free; for a request without an answer, the latest time."""
        if slot.refused and slot.answered_at is not None:
            # The server probably does not count it, but an immediate retry would be refused again.
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
        return credit * min(1 - self._LENGTH_WEIGHT * (1 - length), 1 + self._LENGTH_WEIGHT)

    def learn(self, *, refused: bool) -> None:
        """Adjust the bonus after an answer to a request that was sent with this window."""
        step = self._STEP * max(self._trips.median - self._trips.shortest, 0.0)
        if refused:
            self._unrefused = False
            self.bonus = max(self.bonus - step, 0.0)
        elif self.safe_credit + self.bonus < self._MAX_CREDIT * self._trips.median:
            growth = step * self.TARGET_REFUSED / (1 - self.TARGET_REFUSED)
            self.bonus += growth * (self._FIRST_GROWTH if self._unrefused else 1.0)

    @property
    def _longest_hold(self) -> float:
        """Seconds beyond the period, after which a request without an answer has certainly arrived."""
        return max(_SHORTEST_HOLD_S, _LONGEST_HOLD_TRIPS * self._trips.median) if len(self._trips) else _HOLD_UNKNOWN_S
