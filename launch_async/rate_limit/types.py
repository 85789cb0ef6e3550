"""What the SDK asks of a budget, and what it tells it: the `RateLimiter` protocol and the values that it speaks of.

Before a request is sent, `acquire` waits for the budget and returns a `Permit`. The permit is then either answered
(`answered`: the request was sent, and this is what became of it) or released (`release`: the request was not sent).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Protocol

import attrs

from launch_async._views import Displayable
from launch_async.errors import DeadlineExceeded, InvalidArgumentError

__all__ = [
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
    """How many requests an organization may make in how many seconds, and how many of them may be polls.

    Attributes:
        requests: Requests per period, a whole number, at least 1.
        per: Length of the period in seconds.
        poll_share: Share of the budget that polls use at most over any ten seconds: waits, followed logs and tails of
            server logs, all together. Above 0, and at most 1.

    Raises:
        InvalidArgumentError: a figure is no number, not whole, or out of its range.
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
                f"must be above 0 and at most 1, such as 0.5 for half of the budget, not {self.poll_share!r}",
            )


class Priority(enum.IntEnum):
    """Who goes first when several wait: the lower number."""

    INTERACTIVE = 0
    """A call that somebody waits for."""
    WRITE = 1
    """A write of a running operation, such as the next target of a fleet."""
    POLL = 2
    """A look at something that is still going on."""


class Operation(Protocol):
    """What a limiter may know about the request that it is asked for."""

    @property
    def name(self) -> str:
        """The operation's id, such as `getProject`."""
        ...

    @property
    def method(self) -> str:
        """The HTTP method, such as `GET`."""
        ...


# Not frozen: one is made for every request, and a frozen class takes twice as long to make.
@attrs.define
class Answer:
    """What became of a request that was sent: what the limiter learns from.

    Attributes:
        answered_at: When the head of the answer arrived, or when the answer was given up as lost, in seconds by the
            clock of the event loop (`loop.time()`).
        refused: Whether the service said 429.
        lost: Whether no answer came (connection lost, attempt timed out).
        sends: How often the request really left: aiohttp sends some a second time when a connection drops.
        retry_after: Seconds that the service asked to wait, if it did.
        limit: `X-RateLimit-Limit`, if it was there.
        remaining: `X-RateLimit-Remaining`, if it was there.
        reset_after: Seconds until the service's window starts anew, if it said so.
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
    """The right to send one request: answered if it was sent, released if it was not.

    The first call of `answered` or `release` settles the permit, and later calls do nothing. A permit that nobody
    settles holds its part of the budget as a request does whose answer never comes: for a while, not for ever.

    Args:
        waited: Seconds that `acquire` waited.
        settle: Called once, with the answer, or with None if the permit is released; None if nobody wants to know.
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
        """Tell what became of the request; from any thread."""
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(answer)

    def release(self) -> None:
        """Give the permit back, because no request was sent with it; from any thread."""
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(None)


@attrs.frozen(kw_only=True)
class LimiterStatus(Displayable):
    """What a limiter is doing at one moment.

    Attributes:
        rate: Requests per second that it lets through at present.
        queued: Callers that wait, by priority.
        expected_wait: Seconds that a new interactive caller would wait.
        sent: Requests let through so far.
        refused: Requests that the service refused with 429 so far.
        paused_for: Seconds until the pause after a 429 ends; 0 if there is none.
        poll_rate: Polls per second that it lets through at most at present, of all requests; infinite if it does not
            limit them.
    """

    rate: float
    queued: Mapping[Priority, int]
    expected_wait: float
    sent: int
    refused: int
    paused_for: float
    poll_rate: float = math.inf


class RateLimiter(Protocol):
    """What the SDK asks of a budget; implement it to share one between processes, or to replace the pacing."""

    async def acquire(
        self,
        operation: Operation | None = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent; if cancelled, nothing is spent.

        Args:
            operation: What the request does; None for a request that is not the SDK's.
            priority: Who goes first when several wait.
            timeout: Seconds to wait at most; None for no limit.

        Returns:
            The permit, to be answered or released.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout`; nothing was spent.
        """
        ...

    def status(self) -> LimiterStatus:
        """Return what the limiter is doing now; from any thread."""
        ...


def deadline_too_near(expected: float, timeout: float) -> DeadlineExceeded:
    """Return the error of a caller that would wait for `expected` seconds and has only `timeout`."""
    return DeadlineExceeded(
        f"the organization's request budget is in use: the wait would be about {expected:.1f} s, "
        f"and the deadline is {timeout:.1f} s away; allow more time or send less at once",
        expected_wait=expected,
    )
