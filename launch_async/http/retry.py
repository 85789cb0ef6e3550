"""Which failure may be sent again, and when: pure decisions, without a clock, a loop or a random source of their own.

GET, PUT and DELETE are repeated on 408, 429, 502, 503, 504 and on failures of the connection. POST and PATCH are
repeated only on 429, where the service refused to act, and where the request provably never left. 500 is never
repeated. Delays are full-jitter exponential; a Retry-After lengthens them, to a minute at most. A 429 does not use up
an attempt: the whole organization's budget pauses, and the request queues again, until the call's deadline.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, Final

import attrs

from launch_async.errors import ConnectError, InvalidArgumentError, LaunchError, RateLimitError, TransportError

__all__ = ["Decision", "RetryPolicy"]

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods that may be sent again although an earlier attempt may have been acted on."""

TRANSIENT: Final = frozenset({408, 502, 503, 504})
"""Statuses that pass; the request may have been acted on although one of them was answered."""

_PATIENT_REFUSALS: Final = 2


@attrs.frozen
class Decision:
    """What to do about a failed attempt.

    Attributes:
        retry: Whether to send the request again.
        delay: Seconds to wait before that.
        reason: Why, in a few words, for the log.
    """

    retry: bool
    delay: float = 0.0
    reason: str = ""


def _tuple(delays: Iterable[float]) -> tuple[float, ...]:
    # Not `tuple` itself: attrs looks at the signature of a converter, and that of a built-in class takes 5 ms to find.
    return tuple(delays)


def _count(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not isinstance(value, Integral) or value < 1:
        raise InvalidArgumentError(attribute.name, f"must be a whole number, at least 1, not {value!r}")


def _positive(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not isinstance(value, Real) or not 0 < value < math.inf:
        raise InvalidArgumentError(attribute.name, f"must be a positive number of seconds, not {value!r}")


def _delays(_: object, attribute: attrs.Attribute[Any], value: tuple[float, ...]) -> None:
    if not value or not all(isinstance(delay, Real) and 0 <= delay < math.inf for delay in value):
        raise InvalidArgumentError(attribute.name, f"must be one or more numbers of seconds, not {value!r}")


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and how late a request is sent again.

    Attributes:
        attempts: Most times that one call is sent, 429 answers not counted; 1 never repeats.
        refusals: Most 429 answers that one call puts up with.
        backoff_base: Upper end of the first delay, in seconds; it doubles with each attempt.
        backoff_cap: Upper end of any delay, in seconds.
        look_up_delays: Seconds before each of the first looks for what a creation may have created although its answer
            was lost; later looks are ever further apart.
        retry_after_cap: Most seconds that a Retry-After is waited for; after a longer one the service is asked earlier.
        settle_after: Seconds for which a creation whose answer was lost may still be carried out. It is not sent again
            before `resend_after`, which is longer by the time that a listing may be late.

    Raises:
        InvalidArgumentError: A figure is out of its range, or there is no look at all: without one, a creation would be
            sent again although nobody knows whether it happened.
    """

    attempts: int = attrs.field(default=4, validator=_count)
    refusals: int = attrs.field(default=20, validator=_count)
    backoff_base: float = attrs.field(default=0.5, validator=_positive)
    backoff_cap: float = attrs.field(default=8.0, validator=_positive)
    retry_after_cap: float = attrs.field(default=60.0, validator=_positive)
    look_up_delays: tuple[float, ...] = attrs.field(default=(0.5, 1.0, 2.0), converter=_tuple, validator=_delays)
    settle_after: float = attrs.field(default=30.0, validator=_positive)

    @property
    def resend_after(self) -> float:
        """Seconds after which a creation that has lost its answer, and is not found, is sent again.

        It is five thirds of `settle_after`, 50 s by default: what takes effect at the very end of that may be listed as
        much as 20 s later (FACTS §11 row 35).
        """
        return self.settle_after * 5 / 3

    def look_times(self) -> list[float]:
        """Return when to look for what a lost creation may have created, in seconds since its answer was lost.

        First after each of `look_up_delays`, then ever more rarely, and a last time at `resend_after`.
        """
        times = list(itertools.accumulate(self.look_up_delays))
        gap = self.look_up_delays[-1]
        while times[-1] < self.resend_after:
            gap = max(2 * gap, self.resend_after / 16)
            times.append(min(times[-1] + gap, self.resend_after))
        return times

    def decide(
        self,
        error: LaunchError,
        *,
        repeatable: bool,
        attempt: int,
        refusals: int,
        remaining: float,
        random: float,
        paced: bool = True,
    ) -> Decision:
        """Decide about one failed attempt.

        Args:
            error: What the attempt ended in.
            repeatable: Whether it may be sent again although the failed attempt may have been acted on.
            attempt: Which attempt failed, from 1; 429 answers are not counted.
            refusals: How many 429 answers this call has had.
            remaining: Seconds until the call's deadline.
            random: A number in [0, 1) that spreads the delay.
            paced: Whether a limiter holds all requests back after a 429, so that the first ones need no delay here.
        """
        if isinstance(error, RateLimitError):
            if refusals >= self.refusals:
                return Decision(False, reason="refused too often")
        elif attempt >= self.attempts:
            return Decision(False, reason="no attempts left")
        elif not _may_repeat(error, repeatable):
            return Decision(False, reason="not safe to repeat")
        delay = self._delay(error, attempt, refusals - _PATIENT_REFUSALS if paced else refusals, random)
        if delay >= remaining:
            return Decision(False, reason="the deadline is nearer than the next attempt")
        return Decision(True, delay, type(error).__name__)

    def _delay(self, error: LaunchError, attempt: int, refusals: int, random: float) -> float:
        step = attempt
        if isinstance(error, RateLimitError):
            # The limiter has paused the whole budget, and a second wait here would only lose the place in the queue.
            # Refused again and again without a word, a call makes way: the limiter may be one that never pauses.
            step = 0 if error.retry_after is not None else refusals
        ceiling = min(self.backoff_cap, self.backoff_base * 2.0 ** (step - 1)) if step > 0 else 0.0
        asked = min(max(error.retry_after or 0.0, 0.0), self.retry_after_cap)
        return max(ceiling * random, asked)


def _may_repeat(error: LaunchError, repeatable: bool) -> bool:
    if isinstance(error, ConnectError):
        return error.retryable
    return repeatable and (error.status in TRANSIENT or (isinstance(error, TransportError) and error.retryable))
