"""What a refusal says: that the window was too short for this network, or that somebody else uses the budget."""

from __future__ import annotations

import math
from typing import Final

from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.windows import AckClockedWindow, Slot

__all__ = ["WindowLearning"]

_LOSS_WORTH_A_BONUS: Final = 0.07
_REFUSED_WEIGHT: Final = math.log(0.04 / 0.008)
_ACCEPTED_WEIGHT: Final = math.log(0.96 / 0.992)
_MOST_EVIDENCE: Final = 4.0
_KEPT: Final = 0.9
"""Share of the bonus that is left after a trial without it: there was a reason for the trial."""
# In periods.
_SETTLED_AFTER: Final = 1.5
_TRIAL: Final = 6.0


class WindowLearning:
    """The window, and whether it may bet on its bonus at present.

    With a network so steady that the window loses little without a bonus, none is tried: the rest is not worth a
    refusal. Otherwise refusals are first the bonus's fault. When they come too often (a cumulative sum of
    log-likelihood ratios, 4 % refused against 0.8 %), the window goes without a bonus for a while. If requests are
    refused even so, somebody else is there; if not, the bonus comes back.
    """

    def __init__(self, per: float, trips: RoundTrips) -> None:
        self.window: AckClockedWindow = AckClockedWindow(per, trips)
        self._per = per
        self._counts_from = -math.inf
        self._bets_from = -math.inf
        self._evidence = 0.0
        self._set_aside = 0.0

    def learn(self, slot: Slot, now: float, *, at_full_capacity: bool) -> bool:
        """Learn from an answer; return whether the request was sent so that only a used-up budget can refuse it."""
        if slot.sent_at < self._counts_from:
            return False
        worth = self.window.safe_loss > _LOSS_WORTH_A_BONUS and at_full_capacity
        if not worth or now < self._bets_from:
            if self.window.bonus:
                self._go_without(now)
            return True
        safe = self.window.bonus == self._set_aside == 0
        self.window.bonus, self._set_aside = self.window.bonus + _KEPT * self._set_aside, 0.0
        self.window.learn(refused=slot.refused)
        self._evidence = max(self._evidence + (_REFUSED_WEIGHT if slot.refused else _ACCEPTED_WEIGHT), 0.0)
        if self._evidence > _MOST_EVIDENCE:
            self._bets_from = now + _TRIAL * self._per
            self._go_without(now)
        return safe

    def _go_without(self, now: float) -> None:
        """Set the bonus aside, and judge nothing until the server has forgotten what was sent with it."""
        self._set_aside, self.window.bonus = self.window.bonus, 0.0
        self._evidence = 0.0
        self._counts_from = now + _SETTLED_AFTER * self._per
