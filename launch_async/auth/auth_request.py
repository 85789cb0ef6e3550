"""Calls beside the Launch API, to the hosts that issue tokens: few, not counted against the organization's budget.

They have a small retry and a deadline of their own, and send a secret to nobody but the host that it was issued for.
"""

from __future__ import annotations

import asyncio
import platform
import random
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlencode

import attrs

from launch_async._version import __version__
from launch_async.errors import (
    APIError,
    ConnectError,
    DeadlineExceeded,
    LaunchError,
    TokenRequestError,
    TransportError,
)
from launch_async.http.base import Request, Response, Transport
from launch_async.wire.error_bodies import error_from_answer, read_envelope
from launch_async.wire.header_values import parse_retry_after
from launch_async.wire.secret import Secret

__all__ = ["USER_AGENT", "AuthRequest", "form_request"]

USER_AGENT: Final = f"contentstack-launch/{__version__} Python/{platform.python_version()}"

_ATTEMPTS: Final = 3
_ATTEMPT_TIMEOUT: Final = 10.0
_BACKOFF: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_TRANSIENT: Final = frozenset({408, 502, 503, 504})
R = TypeVar("R", bound=TokenRequestError)
_REQUEST_IDS: Final = ("x-request-id", "x-runtime-id", "request-id")


@attrs.frozen(kw_only=True)
class AuthRequest:
    """How one such call is sent.

    Attributes:
        transport: Performs the exchanges.
        secrets: Values that no error may repeat.
        repeatable: Whether it may be sent again although an earlier attempt may have been acted on.
        timeout: Seconds for everything together.
    """

    transport: Transport
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    repeatable: bool = True
    timeout: float = 30.0

    async def send(self, request: Request) -> Response:
        """Send a request and return its success.

        Raises:
            APIError: It was refused.
            TransportError: No usable answer came back.
            DeadlineExceeded: The time ran out.
        """
        try:
            async with asyncio.timeout(self.timeout):
                return await self._attempts(request)
        except TimeoutError as error:
            if isinstance(error, LaunchError):
                raise
            raise DeadlineExceeded(
                f"{request.operation} did not end within {self.timeout:g} s", operation=request.operation
            ) from None

    async def _attempts(self, request: Request) -> Response:
        attempt, unknown = 0, False
        while True:
            attempt += 1
            outcome = await self._one(request)
            if isinstance(outcome, Response):
                return outcome
            unknown |= outcome.ambiguous or _may_have_acted(outcome)
            outcome.attempts, outcome.ambiguous = attempt, unknown
            if attempt == _ATTEMPTS or not self._may_repeat(outcome):
                raise outcome
            pause = random.random() * _BACKOFF * 2.0 ** (attempt - 1)  # noqa: S311 - it spreads delays
            await asyncio.sleep(max(pause, min(outcome.retry_after or 0.0, _LONGEST_PAUSE)))

    async def _one(self, request: Request) -> Response | LaunchError:
        try:
            response = await self.transport.send(attrs.evolve(request, timeout=min(_ATTEMPT_TIMEOUT, self.timeout)))
        except TransportError as error:
            return error
        if 200 <= response.status < 300:
            return response
        failure = error_from_answer(
            response.status,
            response.body,
            operation=request.operation,
            secrets=self.secrets,
            request_id=next((value for name in _REQUEST_IDS if (value := response.header(name))), None),
            retry_after=parse_retry_after(response.header("Retry-After"), date=response.header("Date")),
        )
        # aiohttp has sent it twice by itself: this answer is the second one's, and the first one's was lost.
        failure.ambiguous = response.sends > 1
        return failure

    def _may_repeat(self, error: LaunchError) -> bool:
        if isinstance(error, ConnectError) or error.status == 429:
            return error.retryable
        return self.repeatable and _may_have_acted(error)


def _may_have_acted(error: LaunchError) -> bool:
    """Return whether the host may have done what it was asked although this came back: its answer was lost."""
    lost = isinstance(error, TransportError) and not isinstance(error, ConnectError) and error.retryable
    return lost or (isinstance(error, APIError) and error.status in _TRANSIENT)


def form_request(url: str, fields: Mapping[str, str], operation: str) -> Request:
    """Return a form-encoded POST."""
    form = {"Accept": "application/json", "User-Agent": USER_AGENT, "Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", url, form, urlencode(fields).encode(), operation=operation)


def refusal(kind: type[R], error: APIError, advice: str) -> R:
    """Return the error of a refused login or token, with the service's words and our own advice."""
    words = read_envelope(error.body.encode()).message or f"the service answered {error.status}"
    refused = kind(
        f"{words.rstrip('.')}. {advice}",
        operation=error.operation,
        status=error.status,
        codes=error.codes,
        field_errors=error.field_errors,
        request_id=error.request_id,
        attempts=error.attempts,
        retry_after=error.retry_after,
        ambiguous=error.ambiguous,
    )
    refused.body = error.body
    return refused


def known_secrets(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return those of the values that are there, marked."""
    return tuple(Secret(value) for value in values if value)
