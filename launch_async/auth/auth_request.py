"""Requests to the hosts that issue tokens.

These requests are few, have a separate deadline, and do not count against the rate limit. The SDK sends a secret only
to the host that issued the secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlencode

import attrs

from launch_async.errors import APIError, LaunchError, TokenRequestError
from launch_async.http.base import USER_AGENT, Request, Response, Transport, sender
from launch_async.http.call_state import CallState
from launch_async.http.retry import RetryPolicy
from launch_async.wire.secret import Secret

__all__ = ["AuthRequest", "form_request"]

_RETRY: Final = RetryPolicy(attempts=3, refusals=3, backoff_base=0.5, retry_after_cap=5.0)
_ATTEMPT_TIMEOUT_S: Final = 10.0
R = TypeVar("R", bound=TokenRequestError)


@attrs.frozen(kw_only=True)
class AuthRequest:
    """How to send one request to a host that issues tokens.

    Attributes:
        transport: The transport that sends the request.
        secrets: Values that errors must not contain.
        repeatable: Whether a retry is safe although the service may have processed an earlier attempt.
        timeout: Total time for the call, including retries, in seconds.
    """

    transport: Transport
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    repeatable: bool = True
    timeout: float = 30.0

    async def send(self, request: Request) -> Response:
        """Send a request and return the successful response."""
        state = CallState(
            operation=request.operation,
            retry=_RETRY,
            timeout=self.timeout,
            repeatable=self.repeatable,
            changes_something=True,
            paced=False,
        )
        send = sender(self.transport)
        timed = attrs.evolve(request, timeout=min(_ATTEMPT_TIMEOUT_S, self.timeout))

        async def attempt() -> Response | LaunchError:
            outcome = await state.exchange(send, timed)
            if isinstance(outcome, LaunchError) or outcome.is_success:
                return outcome
            return state.refusal(outcome, secrets=self.secrets)

        return await state.run(attempt)


def form_request(url: str, fields: Mapping[str, str], operation: str) -> Request:
    """Return a form-encoded POST."""
    form = {"Accept": "application/json", "User-Agent": USER_AGENT, "Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", url, form, urlencode(fields).encode(), operation=operation)


def refusal(kind: type[R], error: APIError, advice: str) -> R:
    """Return the error for a refused login or token request, with the message of the service and our advice."""
    from launch_async.wire.error_bodies import read_envelope

    status = f"The service answered with status {error.status}"
    message = " ".join(read_envelope(error.body.encode()).message.split()) or status
    refused = kind(
        f"{message.rstrip('.')}. {advice}",
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
    """Return the values that are not empty, marked as secrets."""
    return tuple(Secret(value) for value in values if value)
