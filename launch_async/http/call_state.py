"""The state of a running call: its attempts, the delays between them, and its deadline.

Calls to the Launch API and to the hosts that issue tokens work in the same way. Each attempt ends in a result or in an
error. After an error, the retry policy decides whether there is another attempt. The error of a failed call reports how
often the SDK sent the request, and whether the service may have acted on an attempt.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Final, TypeVar

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
"""Statuses of redirects after which the server has not acted. A 302 or 303 may also link to a request's result."""

_PROCESS: Final = os.urandom(4).hex()
_numbers = itertools.count(1)
T = TypeVar("T")

_CURRENT_CALL: Final[ContextVar[CallState]] = ContextVar("launch_async_current_call")
"""The call whose middleware is running. Tasks that the middleware starts see the call too."""


def noting(send: Send) -> Send:
    """Return a function that sends a request and reports the outcome to its call. It runs below all middleware."""

    async def noted(request: Request) -> Response:
        return await _CURRENT_CALL.get()._send_and_note(send, request)  # noqa: SLF001

    return noted


def _may_have_acted(error: LaunchError) -> bool:
    """Return whether the service may have acted on a request that ended in an error.

    Errors from before the send, such as a closed client or an unusable proxy, do not count.
    """
    if isinstance(error, RedirectRefused):
        return error.status not in _MOVED
    return isinstance(error, TransportError) and not isinstance(error, ConnectError)


class CallState:
    """The state of one call.

    Attributes:
        operation: Name of the operation.
        retry: The retry policy.
        timeout: Seconds for the whole call.
        repeatable: Whether the SDK may repeat the request although the service may have acted on an earlier attempt.
        changes_something: Whether the call may change something. Its outcome is then unknown if the response is lost.
        paced: Whether a rate limiter delays requests after a 429.
        layered: Whether middleware surrounds each exchange, so that `noting` reports the outcome.
        clock: The loop's clock.
        ends: When the call must end, by the loop's clock.
        attempts: Number of attempts that were sent.
        status: Status of the last response.
        maybe_done: Whether the service may have acted on an attempt whose response was lost.
        sent_at: When the last attempt was sent, by the loop's clock.
        answered_at: When the last response arrived, by the loop's clock.
        credentials: Headers of the last attempt that contain its credentials.
        is_renewed: Whether the call has renewed its credentials.
    """

    def __init__(
        self,
        *,
        operation: str,
        retry: RetryPolicy,
        timeout: float,
        repeatable: bool,
        changes_something: bool,
        paced: bool = True,
        layered: bool = False,
    ) -> None:
        self.operation: str = operation
        self.retry: RetryPolicy = retry
        self.timeout: float = timeout
        self.repeatable: bool = repeatable
        self.changes_something: bool = changes_something
        self.paced: bool = paced
        self.layered: bool = layered
        self.clock: Callable[[], float] = time.monotonic
        self.ends: float = 0.0
        self.attempts: int = 0
        self.status: int | None = None
        self.maybe_done: bool = False
        self.sent_at: float = 0.0
        self.answered_at: float = 0.0
        self.credentials: Mapping[str, str] = {}
        self.is_renewed: bool = False
        self._tries = 0
        self._refusals = 0
        self._in_flight = False
        self._is_connecting = False
        self._opened: tuple[BodyStream, ...] = ()
        self._request_id = ""

    @property
    def request_id(self) -> str:
        """The id of the call in logs and errors. It is unique, and the client never sends it."""
        self._request_id = self._request_id or f"{_PROCESS}-{next(_numbers)}"
        return self._request_id

    async def run(
        self,
        attempt: Callable[[], Awaitable[T | LaunchError]],
        *,
        reconsider: Callable[[LaunchError], Awaitable[LaunchError | None]] | None = None,
        on_retry: Callable[[Decision], object] | None = None,
    ) -> T:
        """Make attempts until an attempt has a result, the policy ends the call, or the deadline has passed.

        Args:
            attempt: Sends the request once. It returns the result, or an error that allows another attempt.
            reconsider: Checks the error of an attempt again. It returns the same or another error, or None to send the
                request again immediately.
            on_retry: Called before each delay.

        Raises:
            DeadlineExceeded: The deadline has passed.
            LaunchError: The call has failed permanently.
        """
        self.clock = asyncio.get_running_loop().time
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
            self._add_details(error)
            raise
        except TimeoutError:
            if not deadline.expired:
                raise
        raise DeadlineExceeded(
            f"{self.operation} did not end within its timeout of {self.timeout:g} s. {self._progress}",
            operation=self.operation,
            request_id=self.request_id,
            attempts=self.attempts,
            ambiguous=self.changes_something and (self.maybe_done or self._in_flight),
        )

    async def exchange(self, send: Send, request: Request) -> Response | LaunchError:
        """Send the request once. Return the response with any status, or the error if there is no response."""
        self.attempts += 1
        self._in_flight, self.sent_at = not self.layered, self.clock()
        if self.layered:
            _CURRENT_CALL.set(self)
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
            # A transport's unknown error may come after the service has acted. With middleware, `noting` records this.
            self.maybe_done |= not self.layered
            raise
        self._in_flight = False
        self._note_stream(response)
        self.status = response.status
        self.answered_at = self.clock()
        received(request, response, self.answered_at - self.sent_at)
        # If aiohttp sent the request twice, this is the response to the second send. The first response was lost.
        self.maybe_done |= response.sends > 1 and not response.is_success
        return response

    def close_streams(self, kept: BodyStream | None = None) -> None:
        """Close every body that was opened for this call, except the body that the call returns."""
        for stream in self._opened:
            if stream is not kept:
                stream.close()

    def _note_stream(self, response: Response) -> None:
        if response.stream is not None:
            self._opened += (response.stream,)

    def refusal(self, response: Response, *, secrets: tuple[str, ...], region_hint: str = "") -> APIError:
        """Return the error for a response that is not a success."""
        self._refusals += response.status == 429
        self.maybe_done |= self._is_ambiguous(response.status)
        from launch_async.wire.error_bodies import error_from_response

        return error_from_response(
            response.status,
            response.body,
            operation=self.operation,
            secrets=secrets,
            request_id=request_id_of(response) or self.request_id,
            retry_after=parse_retry_after(response.header("Retry-After"), date=response.header("Date")),
            region_hint=region_hint,
        )

    @property
    def _progress(self) -> str:
        if self._is_connecting:
            return "The SDK was still connecting"
        return f"The SDK was waiting for {'a response' if self._in_flight else 'the next attempt'}"

    def _is_ambiguous(self, status: int) -> bool:
        """Return whether the service may have acted on a request although it answered with this status."""
        return status in TRANSIENT or (status >= 500 and not self.repeatable)

    async def _send_and_note(self, send: Send, request: Request) -> Response:
        """Send the request and record its outcome, because middleware may raise before or after the send."""
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
            remaining=self.ends - self.clock(),
            random=random.random(),  # noqa: S311 - it spreads delays
            paced=self.paced,
        )
        if not decision.retry:
            raise failure
        if on_retry is not None:
            on_retry(decision)
        return decision.delay

    def _add_details(self, error: LaunchError) -> None:
        """Add this call's details to an error. The error of another call, such as a token refresh, keeps its own."""
        error.operation = error.operation or self.operation
        error.request_id = error.request_id or self.request_id
        if error.operation == self.operation:
            error.attempts = self.attempts
        error.ambiguous |= self.changes_something and self.maybe_done
