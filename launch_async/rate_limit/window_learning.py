"""The cause of a refusal: a window that is too short for the network, or another program that uses the budget."""

from __future__ import annotations

import math
from typing import Final

from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.windows import AckClockedWindow, Slot

__all__ = ["WindowLearning"]

_MIN_LOSS_FOR_BONUS: Final = 0.07
"""Share of the budget that the window loses without a bonus, above which a bonus is tried."""
_REFUSED_WEIGHT: Final = math.log(0.04 / 0.008)
_ACCEPTED_WEIGHT: Final = math.log(0.96 / 0.992)
"""Log-likelihood ratios of an answer, for 4 % refused requests against 0.8 %."""
_EVIDENCE_LIMIT: Final = 4.0
"""Sum of log-likelihood ratios above which a trial without a bonus starts."""
_RESTORED_SHARE: Final = 0.9
"""Share of the bonus that returns after a trial without it. The rest is lost, because the trial had a reason."""
_SETTLING_PERIODS: Final = 1.5
"""Periods at the start of a trial, whose answers are ignored."""
_TRIAL_PERIODS: Final = 6.0
"""Length of a trial without a bonus."""


class WindowLearning:
    """The window, with the decision whether it uses a bonus at present.

    If the network is so steady that the window loses little without a bonus, the window uses none. Otherwise, refusals
    are first attributed to the bonus. If they become too frequent (a cumulative sum of log-likelihood ratios, 4 %
    refused against 0.8 %), the window works without a bonus for a trial. If requests are refused during the trial,
    another program uses the budget. If not, the bonus returns.
    """

    def __init__(self, per: float, trips: RoundTrips) -> None:
        self.window: AckClockedWindow = AckClockedWindow(per, trips)
        self._per = per
        self._judge_from = -math.inf
        self._bonus_from = -math.inf
        self._evidence = 0.0
        self._suspended = 0.0

    def learn(self, slot: Slot, now: float, *, at_full_capacity: bool) -> bool:
        """Learn from an answer. Return whether only a used-up budget could have refused this request."""
        if slot.sent_at < self._judge_from:
            return False
        may_use_bonus = self.window.safe_loss > _MIN_LOSS_FOR_BONUS and at_full_capacity
        if not may_use_bonus or now < self._bonus_from:
            if self.window.bonus:
                self._suspend_bonus(now)
            return True
        safe = self.window.bonus == self._suspended == 0
        self.window.bonus, self._suspended = self.window.bonus + _RESTORED_SHARE * self._suspended, 0.0
        self.window.learn(refused=slot.refused)
        self._evidence = max(self._evidence + (_REFUSED_WEIGHT if slot.refused else _ACCEPTED_WEIGHT), 0.0)
        if self._evidence > _EVIDENCE_LIMIT:
            self._bonus_from = now + _TRIAL_PERIODS * self._per
            self._suspend_bonus(now)
        return safe

    def _suspend_bonus(self, now: float) -> None:
        """Suspend the bonus, and ignore answers until the server has forgotten the requests that were sent with it."""
        self._suspended, self.window.bonus = self.window.bonus, 0.0
        self._evidence = 0.0
        self._judge_from = now + _SETTLING_PERIODS * self._per
