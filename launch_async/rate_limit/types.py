"""The `RateLimiter` protocol, and the values that it uses.

The SDK calls `acquire` before it sends a request. `acquire` waits for the rate limit and returns a `Permit`. The SDK
then settles the permit: with `answered` if the request was sent, or with `release` if it was not.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Final, Protocol

import attrs

from launch_async._views import Displayable
from launch_async.errors import DeadlineExceeded, InvalidArgumentError

__all__ = [
    "PRIORITIES",
    "Answer",
    "LimiterStatus",
    "Operation",
    "Permit",
    "Priority",
    "RateLimit",
    "RateLimiter",
    "deadline_too_near",
]


@attrs.frozen
class RateLimit:
    """The number of requests that an organization may send per period, and the share of polls among them.

    Attributes:
        requests: Requests per period, a whole number, at least 1.
        per: Length of the period in seconds.
        poll_share: Largest share of the rate limit that polls use in any ten seconds. Polls are waits, followed logs
            and tails of server logs, all together. Above 0, and at most 1.

    Raises:
        InvalidArgumentError: A value is not a number, not whole, or out of its range.
    """

    requests: int
    per: float = 1.0
    poll_share: float = 0.5

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.requests, Integral) or self.requests < 1:
            raise InvalidArgumentError("requests", f"must be a whole number, at least 1, not {self.requests!r}")
        if not isinstance(self.per, Real) or not 0 < self.per < math.inf:
            raise InvalidArgumentError("per", f"must be a positive number of seconds, not {self.per!r}")
        if not isinstance(self.poll_share, Real) or not 0 < self.poll_share <= 1:
            raise InvalidArgumentError(
                "poll_share",
                f"must be above 0 and at most 1, such as 0.5 for half of the rate limit, not {self.poll_share!r}",
            )


class Priority(enum.IntEnum):
    """The order in which waiting requests are sent: a lower number goes first."""

    INTERACTIVE = 0
    """A call that a user waits for."""
    WRITE = 1
    """A write of a running operation, such as the next target of a fleet."""
    POLL = 2
    """A poll of a running deployment or of a log."""


PRIORITIES: Final = tuple(Priority)
"""All priorities. To iterate over a tuple is faster than over the class, and the limiters do so for each request."""


class Operation(Protocol):
    """The request that a permit is for."""

    @property
    def name(self) -> str:
        """The operation's id, such as `getProject`."""
        ...

    @property
    def method(self) -> str:
        """The HTTP method, such as `GET`."""
        ...


# Not frozen: every request creates one, and an instance of a frozen class takes twice as long to create.
@attrs.define(eq=False)
class Answer:
    """The outcome of a request that was sent. The limiter learns from it.

    Attributes:
        answered_at: Time at which the head of the response arrived, or at which the response was declared lost, in
            seconds on the clock of the event loop (`loop.time()`).
        refused: Whether the service answered with 429.
        lost: Whether no response arrived (the connection was lost, or the attempt timed out).
        sends: Number of times that the request was sent. aiohttp sends some requests a second time if a connection
            drops.
        retry_after: Seconds of the response's `Retry-After`; None if there was no such header.
        limit: `X-RateLimit-Limit` of the response; None if there was no such header.
        remaining: `X-RateLimit-Remaining` of the response; None if there was no such header.
        reset_after: Seconds until the service starts a new window; None if the response did not say so.
    """

    answered_at: float
    refused: bool = False
    lost: bool = False
    sends: int = 1
    retry_after: float | None = None
    limit: float | None = None
    remaining: float | None = None
    reset_after: float | None = None


class Permit:
    """The right to send one request.

    The first call of `answered` or `release` settles the permit, and later calls do nothing. If no call settles a
    permit, it counts like a request without a response: it uses its part of the rate limit for a limited time.

    Args:
        waited: Seconds that `acquire` waited.
        settle: Called once, with the answer, or with None if the permit is released. None if there is nothing to call.
    """

    __slots__ = ("_settle", "_waited")

    def __init__(self, waited: float = 0.0, settle: Callable[[Answer | None], None] | None = None) -> None:
        self._waited = waited
        self._settle = settle

    @property
    def waited(self) -> float:
        """Seconds that `acquire` waited."""
        return self._waited

    def answered(self, answer: Answer) -> None:
        """Report the outcome of the request. Thread-safe."""
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(answer)

    def release(self) -> None:
        """Return the permit, because no request was sent with it. Thread-safe."""
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(None)


@attrs.frozen(kw_only=True, eq=False)
class LimiterStatus(Displayable):
    """The state of a limiter at one moment.

    Attributes:
        rate: Current rate, in requests per second.
        queued: Number of waiting callers, by priority.
        expected_wait: Seconds that a new interactive caller would wait.
        sent: Number of requests sent so far.
        refused: Number of requests that the service has refused with 429 so far.
        paused_for: Seconds until the pause after a 429 ends; 0 if there is no pause.
        poll_rate: Current maximum rate of polls, in polls per second. Polls are also part of `rate`. Infinite if the
            limiter does not limit polls.
    """

    rate: float
    queued: Mapping[Priority, int]
    expected_wait: float
    sent: int
    refused: int
    paused_for: float
    poll_rate: float = math.inf


class RateLimiter(Protocol):
    """The interface of a rate limiter. Implement it to share a rate limit in your own way, or to replace the pacing."""

    async def acquire(
        self,
        operation: Operation | None = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent. A cancelled call uses nothing of the rate limit.

        Args:
            operation: The operation of the request; None for a request that the SDK does not send.
            priority: The priority among waiting callers.
            timeout: Maximum wait in seconds; None for no limit.

        Returns:
            The permit. The caller must call its `answered` or `release`.

        Raises:
            DeadlineExceeded: The wait would be longer than `timeout`, or has become longer. Nothing was sent.
        """
        ...

    def status(self) -> LimiterStatus:
        """Return the current state of the limiter. Thread-safe."""
        ...


def deadline_too_near(expected: float, timeout: float) -> DeadlineExceeded:
    """Return the error of a caller that would wait for `expected` seconds and has only `timeout`."""
    return DeadlineExceeded(
        f"The organization's rate limit is in use. The wait would be about {expected:.1f} s, and the deadline is "
        f"{timeout:.1f} s away. Use a longer timeout or send fewer requests at the same time.",
        expected_wait=expected,
    )
