"""Which rule frees the slots: chosen by what it loses on this network, and by what this server refuses."""

from __future__ import annotations

import math
from collections import deque

from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.types import RateLimit
from launch_async.rate_limit.windows import AckClockedWindow, AlignedBurst, Slot, Window

__all__ = ["WindowChoice"]


class WindowChoice:
    """The rule that fits this server and network: `AckClockedWindow`, until there is a reason to try `AlignedBurst`.

    With a network so steady that `AckClockedWindow` without a bonus loses little (7 %), nothing else is tried: the rest
    is not worth a refusal. Otherwise `AlignedBurst` is tried early, and left for good when it is refused often (a
    cumulative sum of log-likelihood ratios, 15 % against 2 %); then `AckClockedWindow` starts to bet on its bonus.
    """

    _LOSS_WORTH_A_TRIAL = 0.07
    _GRACE_REQUESTS = 80
    _REFUSED_WEIGHT = math.log(0.15 / 0.02)
    _ACCEPTED_WEIGHT = math.log(0.85 / 0.98)
    _MOST_EVIDENCE = 15.0
    _BONUS_RECENT_ANSWERS = 20
    _BONUS_MOST_REFUSED = 3
    # The following are in periods.
    _GRACE = 2
    _PROVEN_AFTER = 60.0
    _SECOND_TRIAL_AFTER = 30.0
    _RETRIAL_AFTER = 900.0
    _SAFE_FOR = 8.0

    def __init__(self, rate_limit: RateLimit, trips: RoundTrips) -> None:
        self.window: Window = AckClockedWindow(rate_limit.per, trips)
        self._rate_limit = rate_limit
        self._per = rate_limit.per
        self._trips = trips
        self._burst_from = -math.inf
        self._counts_from = -math.inf
        self._bets_from = -math.inf
        self._evidence = 0.0
        self._recent: deque[bool] = deque(maxlen=self._BONUS_RECENT_ANSWERS)

    def learn(self, slot: Slot, now: float, *, at_full_capacity: bool) -> bool:
        """Learn from an answer; return whether the request was sent so that only a smaller budget can refuse it."""
        if isinstance(self.window, AlignedBurst):
            self._judge_burst(self.window, slot, now)
            return False
        if slot.sent_at < self._counts_from:
            return False
        ack_clocked = self.window
        worth = ack_clocked.safe_loss > self._LOSS_WORTH_A_TRIAL and at_full_capacity
        if ack_clocked.bonus > 0 or (worth and self._bets_from < now < self._burst_from):
            return self._judge_bonus(ack_clocked, now, refused=slot.refused, worth=worth)
        if worth and now > self._burst_from and not slot.refused and self._trips.is_warm:
            self._evidence = 0.0
            grace = max(self._GRACE_REQUESTS / self._rate_limit.requests, self._GRACE)
            self._counts_from = now + grace * self._per
            self.window = AlignedBurst((self._rate_limit.requests, self._per), now, self._trips)
        return True

    def _judge_burst(self, burst: AlignedBurst, slot: Slot, now: float) -> None:
        if slot.sent_at >= burst.started_at:
            burst.learn(slot.sent_at, now, refused=slot.refused)
        if slot.sent_at < self._counts_from:
            return
        weight = self._REFUSED_WEIGHT if slot.refused else self._ACCEPTED_WEIGHT
        self._evidence = max(self._evidence + weight, 0.0)
        if self._evidence > self._MOST_EVIDENCE:
            proven = now - burst.started_at > self._PROVEN_AFTER * self._per
            self._burst_from = now + (self._SECOND_TRIAL_AFTER if proven else self._RETRIAL_AFTER) * self._per
            self._settle(now)
            self.window = AckClockedWindow(self._per, self._trips)

    def _judge_bonus(self, ack_clocked: AckClockedWindow, now: float, *, refused: bool, worth: bool) -> bool:
        """Let the bonus learn; give it up when refusals come close together, or when it is not worth having."""
        self._recent.append(refused)
        if not worth or sum(self._recent) >= self._BONUS_MOST_REFUSED:
            ack_clocked.give_up_bonus()
            self._settle(now)
            return False
        safe = ack_clocked.bonus == 0
        ack_clocked.learn(refused=refused)
        return safe

    def _settle(self, now: float) -> None:
        """Judge nothing until the server has forgotten what the last rule sent, then be safe long enough to judge."""
        self._recent.clear()
        self._counts_from = now + 1.5 * self._per
        self._bets_from = now + self._SAFE_FOR * self._per
