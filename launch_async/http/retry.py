"""The retry policy: pure decisions, without a clock, an event loop or a random source.

The SDK repeats GET, PUT and DELETE after the statuses 408, 429, 502, 503 and 504, and after failures of the connection.
It repeats POST and PATCH only after 429, because the service refused to act, and if the request was certainly not sent.
It never repeats a request after 500. Delays grow exponentially with full jitter. A Retry-After makes them longer, up to
60 s. A 429 does not count as an attempt: the rate limiter pauses all requests of the organization, and the request
waits in the queue again, until the deadline of the call.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, Final, NamedTuple

import attrs

from launch_async.errors import ConnectError, InvalidArgumentError, LaunchError, RateLimitError, TransportError

__all__ = ["Decision", "RetryPolicy"]

IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods that the SDK may repeat although the service may have acted on an earlier attempt."""

TRANSIENT: Final = frozenset({408, 502, 503, 504})
"""Statuses of temporary failures. The service may have acted on the request."""

_REFUSALS_WITHOUT_DELAY: Final = 2
"""Number of 429 responses after which a call still adds no delay, because the rate limiter pauses all requests."""


class Decision(NamedTuple):
    """The decision about a failed attempt.

    Attributes:
        retry: Whether to send the request again.
        delay: Seconds to wait before the next attempt.
        reason: Reason in a few words, for the log.
    """

    retry: bool
    delay: float = 0.0
    reason: str = ""


def _tuple(delays: Iterable[float]) -> tuple[float, ...]:
    # attrs inspects the signature of a converter. For the built-in class `tuple`, that takes 5 ms.
    return tuple(delays)


def _count(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not isinstance(value, Integral) or value < 1:
        raise InvalidArgumentError(attribute.name, f"must be a whole number of at least 1, not {value!r}")


def _positive(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not isinstance(value, Real) or not 0 < value < math.inf:
        raise InvalidArgumentError(attribute.name, f"must be a positive number of seconds, not {value!r}")


def _delays(_: object, attribute: attrs.Attribute[Any], value: tuple[float, ...]) -> None:
    if not value or not all(isinstance(delay, Real) and 0 <= delay < math.inf for delay in value):
        raise InvalidArgumentError(
            attribute.name, f"must contain at least one number of seconds, each 0 or more, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often and when the SDK repeats a request.

    Attributes:
        attempts: Maximum number of attempts of one call, without those that ended in 429; 1 disables retries.
        refusals: Maximum number of 429 responses of one call.
        backoff_base: Maximum of the first delay, in seconds. The maximum doubles with each attempt.
        backoff_cap: Maximum of any delay, in seconds.
        look_up_delays: Seconds before each of the first look-ups after the response to a creation was lost. The delays
            between later look-ups grow.
        retry_after_cap: Maximum wait for a Retry-After, in seconds. The SDK does not wait longer, even if the service
            requests a longer wait.
        settle_after: Seconds in which the service may still carry out a creation whose response was lost. The SDK does
            not repeat the creation before `resend_after`, which also includes the delay of listings.

    Raises:
        InvalidArgumentError: A value is out of range, or `look_up_delays` is empty. Without a look-up, the SDK would
            repeat a creation without knowing whether it happened.
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
        """Seconds after which the SDK repeats a creation whose response was lost, and whose result it has not found.

        The value is five thirds of `settle_after`, by default 50 s, because a resource that is created at the end of
        `settle_after` may be missing in listings for another 20 s.
        """
        return self.settle_after * 5 / 3

    def look_times(self) -> list[float]:
        """Return the times of the look-ups after the response to a creation was lost, in seconds since the loss.

        The first look-ups follow `look_up_delays`. Then the intervals grow. The last look-up is at `resend_after`.
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
            error: Error of the attempt.
            repeatable: Whether the SDK may repeat the request although the service may have acted on it.
            attempt: Number of the failed attempt, from 1, without those that ended in 429.
            refusals: Number of 429 responses of this call.
            remaining: Seconds until the deadline of the call.
            random: A number in [0, 1) that spreads the delay.
            paced: Whether a rate limiter pauses all requests after a 429, so that the first retries need no delay here.
        """
        if isinstance(error, RateLimitError):
            if refusals >= self.refusals:
                return Decision(False, reason="refused too often")
        elif attempt >= self.attempts:
            return Decision(False, reason="no attempts left")
        elif not _may_repeat(error, repeatable):
            return Decision(False, reason="not safe to repeat")
        delay = self._delay(error, attempt, refusals - _REFUSALS_WITHOUT_DELAY if paced else refusals, random)
        if delay >= remaining:
            return Decision(False, reason="the deadline is nearer than the next attempt")
        return Decision(True, delay, type(error).__name__)

    def _delay(self, error: LaunchError, attempt: int, refusals: int, random: float) -> float:
        step = attempt
        if isinstance(error, RateLimitError):
            # The limiter has paused all requests, and a second wait here would only lose the place in the queue. After
            # several 429 responses without Retry-After, the call also waits here, because the limiter may never pause.
            step = 0 if error.retry_after is not None else refusals
        ceiling = min(self.backoff_cap, self.backoff_base * 2.0 ** (step - 1)) if step > 0 else 0.0
        requested = min(max(error.retry_after or 0.0, 0.0), self.retry_after_cap)
        return max(ceiling * random, requested)


def _may_repeat(error: LaunchError, repeatable: bool) -> bool:
    if isinstance(error, ConnectError):
        return error.retryable
    return repeatable and (error.status in TRANSIENT or (isinstance(error, TransportError) and error.retryable))
