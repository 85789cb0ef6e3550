"""The error of a call says whether the service may have acted on any of its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from launch_async import (
    ConnectError,
    Credentials,
    DeadlineExceeded,
    ForbiddenError,
    InternalServerError,
    LaunchError,
    RateLimitError,
    ResponseLost,
    RetryPolicy,
    TokenRequestError,
    UnauthorizedError,
)
from launch_async.http import Request, Response
from launch_async.rate_limit import Answer, Permit, Priority, UnlimitedRateLimiter
from tests.support.core import ENVIRONMENT, PROJECT, FakeTransport, answer, client_on, virtual_time

DONE = answer(200, {})


async def ending(transport: FakeTransport, method: str = "PUT", **options: Any) -> LaunchError:
    """Send one raw request that fails, and return the error."""
    async with client_on(transport, **options) as launch:
        with pytest.raises(LaunchError) as caught:
            await launch.request(method, "/anything")
    return caught.value


def lost() -> Any:
    return ResponseLost("the connection broke")


async def never(_: Request) -> Response:
    await asyncio.sleep(1000)
    return DONE


class FullAfterOneRequest(UnlimitedRateLimiter):
    """A rate limiter that allows one request, and refuses the next request immediately."""

    async def acquire(
        self,
        operation: object = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        if self.status().sent:
            raise DeadlineExceeded("the budget is in use", expected_wait=99.0)
        return await super().acquire(operation, priority=priority, timeout=timeout)


@attrs.define(slots=False)
class Refusing(Credentials):
    """Credentials whose refresh is refused."""

    async def headers(self) -> Mapping[str, str]:
        return {"authorization": "Bearer old"}

    async def refresh(self) -> bool:
        await asyncio.sleep(1)
        raise TokenRequestError("renewal refused")


EARLIER_SEND: dict[str, Callable[[], Any]] = {
    "lost": lost,
    "bad gateway": lambda: answer(502),
    "time-out at the gateway": lambda: answer(504),
    "sent twice, then refused": lambda: attrs.evolve(answer(429), sends=2),
}
LATER_END: dict[str, tuple[Callable[[], Any], type[LaunchError]]] = {
    "no connection": (lambda: ConnectError("no connection"), ConnectError),
    "no certificate": (lambda: ConnectError("not trusted", retryable=False), ConnectError),
    "too fast": (lambda: answer(429), RateLimitError),
    "forbidden": (lambda: answer(403), ForbiddenError),
    "failed": (lambda: answer(500), InternalServerError),
    "unauthorized": (lambda: answer(401), UnauthorizedError),
}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("end", LATER_END)
@pytest.mark.parametrize("earlier", EARLIER_SEND)
@virtual_time
async def test_an_earlier_send_makes_every_later_failure_ambiguous(earlier: str, end: str, method: str) -> None:
    later, kind = LATER_END[end]

    error = await ending(
        FakeTransport(EARLIER_SEND[earlier](), later()), method, retry=RetryPolicy(attempts=3, refusals=3)
    )

    assert type(error) is kind
    assert error.ambiguous


@pytest.mark.parametrize("end", LATER_END)
@virtual_time
async def test_attempts_that_were_refused_or_never_sent_are_not_ambiguous(end: str) -> None:
    later, kind = LATER_END[end]

    error = await ending(
        FakeTransport(answer(429), ConnectError("no connection"), later()), retry=RetryPolicy(attempts=3, refusals=3)
    )

    assert type(error) is kind
    assert not error.ambiguous


@virtual_time
async def test_a_budget_that_refuses_the_second_attempt_does_not_undo_the_first() -> None:
    error = await ending(FakeTransport(answer(502), DONE), limiter=FullAfterOneRequest())

    assert isinstance(error, DeadlineExceeded)
    assert (error.expected_wait, error.attempts, error.ambiguous) == (99.0, 1, True)


@virtual_time
async def test_a_renewal_that_fails_does_not_undo_the_first_attempt() -> None:
    error = await ending(FakeTransport(lost(), answer(401)), credentials=Refusing())

    assert isinstance(error, TokenRequestError)
    assert (error.attempts, error.ambiguous) == (2, True)


@virtual_time
async def test_calls_that_share_a_failing_renewal_get_separate_errors() -> None:
    async def step(request: Request) -> Response:
        if request.url.endswith("/lost") and not lost_once:
            lost_once.append(request)
            raise lost()
        await asyncio.sleep(0.5)
        return answer(401)

    lost_once: list[Request] = []
    policy = RetryPolicy(backoff_base=1e-9)
    async with client_on(FakeTransport(step), credentials=Refusing(), retry=policy) as launch:
        first, second = await asyncio.gather(
            launch.request("PUT", "/lost"), launch.request("PUT", "/refused"), return_exceptions=True
        )

    assert isinstance(first, TokenRequestError)
    assert isinstance(second, TokenRequestError)
    assert (first.ambiguous, first.attempts, first.operation) == (True, 2, "PUT /lost")
    assert (second.ambiguous, second.attempts, second.operation) == (False, 1, "PUT /refused")


@pytest.mark.parametrize(("steps", "ambiguous"), [((never,), True), ((lost(), never), True), ((answer(429),), False)])
@virtual_time
async def test_a_deadline_reports_whether_an_earlier_send_is_ambiguous(steps: tuple[Any, ...], ambiguous: bool) -> None:
    class Slow(UnlimitedRateLimiter):
        async def acquire(
            self,
            operation: object = None,
            *,
            priority: Priority = Priority.INTERACTIVE,
            timeout: float | None = None,
        ) -> Permit:
            await asyncio.sleep(3.0)
            return Permit(3.0)

    error = await ending(FakeTransport(*steps), timeout=7.0, limiter=Slow())

    assert isinstance(error, DeadlineExceeded)
    assert error.ambiguous is ambiguous


@virtual_time
async def test_a_500_to_a_request_that_aiohttp_sent_twice_is_ambiguous() -> None:
    error = await ending(FakeTransport(attrs.evolve(answer(500), sends=2)))

    assert isinstance(error, InternalServerError)
    assert error.ambiguous


@pytest.mark.parametrize("first", [lost(), answer(503), attrs.evolve(answer(429), sends=2)], ids=["lost", "503", "429"])
@virtual_time
async def test_a_deletion_survives_a_renewal_between_its_sends(first: Any) -> None:
    class Renewing(Refusing):
        async def refresh(self) -> bool:
            return True

    transport = FakeTransport(first, answer(401), answer(404))
    async with client_on(transport, credentials=Renewing()) as launch:
        await launch.environments.delete(PROJECT, ENVIRONMENT)

    assert len(transport.requests) == 3


@virtual_time
async def test_a_request_that_aiohttp_sent_twice_takes_two_places_in_the_budget() -> None:
    class Recording(UnlimitedRateLimiter):
        async def acquire(
            self,
            operation: object = None,
            *,
            priority: Priority = Priority.INTERACTIVE,
            timeout: float | None = None,
        ) -> Permit:
            return Permit(settle=answers.append)

    answers: list[Answer | None] = []
    twice = lost()
    twice.sends = 2

    await ending(FakeTransport(twice, answer(403)), limiter=Recording())

    assert [one and (one.lost, one.sends) for one in answers] == [(True, 2), (False, 1)]
