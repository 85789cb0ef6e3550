"""What everybody does after a 429: wait as long as the service asks, and then leave one by one."""

from __future__ import annotations

import math
from typing import Final

import attrs

from launch_async.rate_limit.types import Answer

__all__ = ["NO_PAUSE", "Pause", "pause_after"]

_SHORTEST_S: Final = 0.05
_LONGEST_S: Final = 60.0


@attrs.frozen
class Pause:
    """A time in which nobody sends, and one in which requests leave evenly spaced; by the clock of the loop.

    Attributes:
        until: When the first request may leave.
        spaced_until: Until when requests leave evenly spaced, for a server that says when to come back may let in only
            one then; in the past where the server did not say.
    """

    until: float
    spaced_until: float

    def and_then(self, other: Pause) -> Pause:
        """Return what both ask for."""
        return Pause(max(self.until, other.until), max(self.spaced_until, other.spaced_until))


NO_PAUSE: Final = Pause(-math.inf, -math.inf)


def pause_after(answer: Answer, per: float) -> Pause | None:
    """Return the pause that an answer asks everybody for, with a period of `per` seconds; None if it asks for none."""
    asked = _asked(answer, per)
    if asked is None and not answer.refused:
        return None
    until = answer.answered_at + min(max(asked or 0.0, _SHORTEST_S * min(per, 1.0)), _LONGEST_S)
    return Pause(until, until + per if asked is not None and asked > 0 else -math.inf)


def _asked(answer: Answer, per: float) -> float | None:
    """Return the seconds that the service asked for.

    A reset within one period is ignored where nothing was refused: slots are more precise than whole seconds.
    """
    if answer.refused:
        return answer.reset_after if answer.retry_after is None else answer.retry_after
    return answer.reset_after if answer.remaining == 0 and (answer.reset_after or 0.0) > per else None
