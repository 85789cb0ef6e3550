"""Calls to the hosts that issue tokens: few, with a deadline of their own, not counted against the budget.

A secret is sent to nobody but the host that it was issued for.
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
_ATTEMPT_TIMEOUT: Final = 10.0
R = TypeVar("R", bound=TokenRequestError)


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
        """Send a request and return its success."""
        one = CallState(
            operation=request.operation,
            retry=_RETRY,
            timeout=self.timeout,
            repeatable=self.repeatable,
            changes_something=True,
            paced=False,
        )
        send = sender(self.transport)
        timed = attrs.evolve(request, timeout=min(_ATTEMPT_TIMEOUT, self.timeout))

        async def attempt() -> Response | LaunchError:
            outcome = await one.exchange(send, timed)
            if isinstance(outcome, LaunchError) or outcome.is_success:
                return outcome
            return one.refusal(outcome, secrets=self.secrets)

        return await one.run(attempt)


def form_request(url: str, fields: Mapping[str, str], operation: str) -> Request:
    """Return a form-encoded POST."""
    form = {"Accept": "application/json", "User-Agent": USER_AGENT, "Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", url, form, urlencode(fields).encode(), operation=operation)


def refusal(kind: type[R], error: APIError, advice: str) -> R:
    """Return the error of a refused login or token, with the service's words and our own advice."""
    from launch_async.wire.error_bodies import read_envelope

    words = " ".join(read_envelope(error.body.encode()).message.split()) or f"the service answered {error.status}"
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
