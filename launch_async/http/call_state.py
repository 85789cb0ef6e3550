"""One call under way: its attempts, the delays between them, and the deadline for all of it.

The Launch API and the hosts that issue tokens are called in the same way. Each attempt ends in a result or in an error,
and the policy decides whether another one follows. Whatever error the call ends in says how often the request was sent
and whether one of the attempts may have been acted on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, TypeVar

import attrs

from launch_async.errors import (
    APIError,
    ConnectError,
    DeadlineExceeded,
    LaunchError,
    RateLimitError,
    RedirectRefused,
    TransportError,
)
from launch_async.http.base import BodyStream, Request, Response, Send, was_unsent
from launch_async.http.deadlines import Deadline
from launch_async.http.recording import received, request_id_of
from launch_async.http.retry import TRANSIENT, Decision, RetryPolicy
from launch_async.wire.header_values import parse_retry_after

__all__ = ["CallState", "noting"]

_MOVED: Final = frozenset({301, 307, 308})
"""Statuses that mean: not done here. A 302 or 303 may also show where to look at what was done."""

_PROCESS: Final = os.urandom(4).hex()
_numbers = itertools.count(1)
T = TypeVar("T")

_UNDER_WAY: Final[ContextVar[CallState]] = ContextVar("launch_async_call_under_way")
"""The call that a middleware is around, in whichever task the middleware sends it."""


def noting(send: Send) -> Send:
    """Return what sends a request and tells its call what became of it; it stands below all middleware."""

    async def noted(request: Request) -> Response:
        return await _UNDER_WAY.get()._noted(send, request)  # noqa: SLF001

    return noted


def _may_have_acted(error: LaunchError) -> bool:
    """Return whether the service may have acted on a request that ended in an error.

    Only what follows a send counts: a closed client or a proxy that cannot be used has sent nothing.
    """
    if isinstance(error, RedirectRefused):
        return error.status not in _MOVED
    return isinstance(error, TransportError) and not isinstance(error, ConnectError)


@attrs.define(eq=False, kw_only=True)
class CallState:
    """The state of one call.

    Attributes:
        operation: Name of the operation.
        retry: What may be sent again, and when.
        timeout: Seconds for the whole call.
        repeatable: Whether the request may be sent again although an earlier attempt may have been acted on.
        changes_something: Whether the call may have an effect, so that a lost answer leaves its outcome unknown.
        paced: Whether a limiter holds requests back after a 429.
        layered: Whether middleware stands around each exchange, so that `noting` tells what became of it.
        ends: When the call must end, by the loop's clock.
        attempts: How often it was sent.
        status: Status of the last answer.
        maybe_done: Whether an attempt may have been acted on although its answer was lost.
    """

    operation: str
    retry: RetryPolicy
    timeout: float
    repeatable: bool
    changes_something: bool
    paced: bool = True
    layered: bool = False
    ends: float = attrs.field(init=False, default=0.0)
    attempts: int = attrs.field(init=False, default=0)
    status: int | None = attrs.field(init=False, default=None)
    maybe_done: bool = attrs.field(init=False, default=False)
    _tries: int = attrs.field(init=False, default=0)
    _refusals: int = attrs.field(init=False, default=0)
    _in_flight: bool = attrs.field(init=False, default=False)
    _is_connecting: bool = attrs.field(init=False, default=False)
    _opened: tuple[BodyStream, ...] = attrs.field(init=False, default=())
    _request_id: str = attrs.field(init=False, default="")

    @property
    def request_id(self) -> str:
        """The client's own id of the call: unique in logs, and never sent."""
        self._request_id = self._request_id or f"{_PROCESS}-{next(_numbers)}"
        return self._request_id

    async def run(
        self,
        attempt: Callable[[], Awaitable[T | LaunchError]],
        *,
        reconsider: Callable[[LaunchError], Awaitable[LaunchError | None]] | None = None,
        on_retry: Callable[[Decision], object] | None = None,
    ) -> T:
        """Make attempts until one has a result, the policy gives up, or the time is over.

        Args:
            attempt: Sends once; returns the result, or an error that may be followed by another attempt.
            reconsider: Looks at such an error again: returns it or another one, or None to send again at once.
            on_retry: Called before the delay.

        Raises:
            DeadlineExceeded: The time is over.
            LaunchError: The call has failed for good.
        """
        deadline = Deadline(self.timeout)
        try:
            with deadline:
                self.ends = deadline.when
                while True:
                    outcome = await attempt()
                    if not isinstance(outcome, LaunchError):
                        return outcome
                    delay = await self._delay_after(outcome, reconsider, on_retry)
                    if delay:
                        await asyncio.sleep(delay)
        except LaunchError as error:
            self._sign(error)
            raise
        except TimeoutError:
            if not deadline.expired:
                raise
        raise DeadlineExceeded(
            f"{self.operation} did not end within its timeout of {self.timeout:g} s, {self._what_was_under_way}",
            operation=self.operation,
            request_id=self.request_id,
            attempts=self.attempts,
            ambiguous=self.changes_something and (self.maybe_done or self._in_flight),
        )

    async def exchange(self, send: Send, request: Request) -> Response | LaunchError:
        """Send once; return the answer of any status, or the error that came instead of one."""
        clock = asyncio.get_running_loop().time
        self.attempts += 1
        self._in_flight, sent_at = not self.layered, clock()
        if self.layered:
            _UNDER_WAY.set(self)
        try:
            response = await send(request)
        except LaunchError as error:
            self._in_flight = False
            self.maybe_done |= _may_have_acted(error)
            return error
        except asyncio.CancelledError as error:
            self._is_connecting = was_unsent(error)
            self._in_flight &= not self._is_connecting
            raise
        except Exception:
            # Nobody says what a transport means by an error that is not ours; that of a middleware says nothing.
            self.maybe_done |= not self.layered
            raise
        self._in_flight = False
        self._note_stream(response)
        self.status = response.status
        received(request, response, clock() - sent_at)
        # aiohttp may send by itself a second time: this answer is the second one's, and the first one's was lost.
        self.maybe_done |= response.sends > 1 and not response.is_success
        return response

    def close_streams(self, kept: BodyStream | None = None) -> None:
        """Close every body that was opened for this call, but the one that it returns."""
        for stream in self._opened:
            if stream is not kept:
                stream.close()

    def _note_stream(self, response: Response) -> None:
        if response.stream is not None:
            self._opened += (response.stream,)

    def refusal(self, response: Response, *, secrets: tuple[str, ...], region_hint: str = "") -> APIError:
        """Return the error that an answer means which is no success."""
        self._refusals += response.status == 429
        self.maybe_done |= self._is_ambiguous(response.status)
        from launch_async.wire.error_bodies import error_from_answer

        return error_from_answer(
            response.status,
            response.body,
            operation=self.operation,
            secrets=secrets,
            request_id=request_id_of(response) or self.request_id,
            retry_after=parse_retry_after(response.header("Retry-After"), date=response.header("Date")),
            region_hint=region_hint,
        )

    @property
    def _what_was_under_way(self) -> str:
        if self._is_connecting:
            return "there was no connection yet"
        return "an answer was outstanding" if self._in_flight else "waiting for its next attempt"

    def _is_ambiguous(self, status: int) -> bool:
        """Return whether the service may have acted although it answered so: nobody says that a 500 did nothing."""
        return status in TRANSIENT or (status >= 500 and not self.repeatable)

    async def _noted(self, send: Send, request: Request) -> Response:
        """Send, and note what became of it: a middleware may raise before that, or afterwards."""
        self._in_flight = True
        try:
            response = await send(request)
        except BaseException as error:
            self._in_flight &= not was_unsent(error)
            self.maybe_done |= not was_unsent(error) and (not isinstance(error, LaunchError) or _may_have_acted(error))
            raise
        self.maybe_done |= response.is_success or self._is_ambiguous(response.status)
        self._note_stream(response)
        return response

    async def _delay_after(
        self,
        error: LaunchError,
        reconsider: Callable[[LaunchError], Awaitable[LaunchError | None]] | None,
        on_retry: Callable[[Decision], object] | None,
    ) -> float:
        failure = error if reconsider is None else await reconsider(error)
        self._tries += not isinstance(failure, RateLimitError)
        if failure is None:
            return 0.0
        decision = self.retry.decide(
            failure,
            repeatable=self.repeatable,
            attempt=self._tries,
            refusals=self._refusals,
            remaining=self.ends - asyncio.get_running_loop().time(),
            random=random.random(),  # noqa: S311 - it spreads delays
            paced=self.paced,
        )
        if not decision.retry:
            raise failure
        if on_retry is not None:
            on_retry(decision)
        return decision.delay

    def _sign(self, error: LaunchError) -> None:
        """Note in an error what it ends; one of another call, such as a token's renewal, has its own attempts."""
        error.operation = error.operation or self.operation
        error.request_id = error.request_id or self.request_id
        if error.operation == self.operation:
            error.attempts = self.attempts
        error.ambiguous |= self.changes_something and self.maybe_done
