"""The pipeline: retries, deadlines, credentials, the rate limit, and the events that observers get."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given, strategies as st

from launch_async import (
    AccessToken,
    APIError,
    AttemptTimeout,
    BudgetWait,
    ConnectError,
    Credentials,
    DeadlineExceeded,
    DecodeError,
    ForbiddenError,
    GitProviderError,
    Hooks,
    InternalServerError,
    InvalidTokenError,
    LaunchClient,
    LaunchError,
    MissingScopeError,
    NotFoundError,
    RateLimit,
    RateLimitError,
    RedirectRefused,
    RequestFinished,
    RequestRetried,
    RequestStarted,
    ResponseLost,
    RetryPolicy,
    ServiceUnavailableError,
    UnauthorizedError,
)
from launch_async.http import Request, Response, Send
from launch_async.rate_limit import Answer, LimiterStatus, LocalRateLimiter, Permit, Priority, UnlimitedRateLimiter
from launch_async.settings import REGIONS
from launch_async.wire.header_values import parse_retry_after
from tests.support.core import (
    DEPLOYMENT,
    ENVIRONMENT,
    ORGANIZATION,
    PROJECT,
    TOKEN,
    FakeTransport,
    answer,
    client_on,
    virtual_time,
)

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
NOT_IDEMPOTENT = ("POST", "PATCH")
EVERY_METHOD = IDEMPOTENT + NOT_IDEMPOTENT
TRANSIENT = (408, 502, 503, 504)
DONE = answer(200, {})
GIT_REFUSAL = answer(401, {"errors": [{"code": "launch.GIT_PROVIDER.UNAUTHORIZED_ACCESS", "message": "No."}]})


async def outcome_of(transport: FakeTransport, method: str, **options: Any) -> LaunchError | None:
    """Send one raw request, and return its error; None if it succeeds."""
    async with client_on(transport, **options) as launch:
        try:
            await launch.request(method, "/anything")
        except LaunchError as error:
            return error
    return None


async def slowly(_: Request) -> Response:
    await asyncio.sleep(1000)
    return DONE


def after(seconds: float, response: Response | BaseException) -> Any:
    async def step(_: Request) -> Response:
        await asyncio.sleep(seconds)
        if isinstance(response, BaseException):
            raise response
        return response

    return step


class RecordingLimiter(UnlimitedRateLimiter):
    """Record the calls of the limiter."""

    def __init__(self, wait: float = 0.0) -> None:
        super().__init__()
        self.wait = wait
        self.asked: list[tuple[Priority, float | None]] = []
        self.answers: list[Answer] = []
        self.released = 0

    async def acquire(
        self,
        operation: object = None,
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        self.asked.append((priority, timeout))
        await asyncio.sleep(self.wait)
        return Permit(self.wait, self._note)

    def _note(self, answer: Answer | None) -> None:
        if answer is None:
            self.released += 1
        else:
            self.answers.append(answer)


# Retries


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("status", TRANSIENT)
@virtual_time
async def test_an_idempotent_request_is_repeated_after_a_temporary_failure(method: str, status: int) -> None:
    transport = FakeTransport(answer(status), answer(status), DONE)

    assert await outcome_of(transport, method) is None
    assert len(transport.requests) == 3


@pytest.mark.parametrize("method", NOT_IDEMPOTENT)
@pytest.mark.parametrize("status", TRANSIENT)
@virtual_time
async def test_a_request_that_is_not_idempotent_is_not_repeated_and_its_error_is_ambiguous(
    method: str, status: int
) -> None:
    transport = FakeTransport(answer(status), DONE)

    error = await outcome_of(transport, method)

    assert len(transport.requests) == 1
    assert isinstance(error, APIError)
    assert (error.status, error.ambiguous, error.attempts) == (status, True, 1)


@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("status", [304, 400, 401, 403, 404, 409, 418, 422, 500, 501])
@virtual_time
async def test_a_lasting_failure_is_never_repeated(method: str, status: int) -> None:
    transport = FakeTransport(answer(status), DONE)

    error = await outcome_of(transport, method)

    assert len(transport.requests) == 1
    assert isinstance(error, APIError)
    assert (error.status, error.ambiguous) == (status, status >= 500 and method in {"POST", "PATCH"})


@pytest.mark.parametrize("status", [500, 501, 505, 520, 522, 524, 599])
@virtual_time
async def test_a_post_is_ambiguous_after_every_5xx(status: int) -> None:
    error = await outcome_of(FakeTransport(answer(status), DONE), "POST")

    assert (error.status, error.ambiguous, error.attempts) == (status, True, 1)


@pytest.mark.parametrize("method", EVERY_METHOD)
@virtual_time
async def test_a_request_that_was_never_sent_is_repeated_with_any_method(method: str) -> None:
    transport = FakeTransport(ConnectError("no connection"), DONE)

    assert await outcome_of(transport, method) is None
    assert len(transport.requests) == 2


@virtual_time
async def test_a_lasting_connection_failure_is_not_retried() -> None:
    transport = FakeTransport(ConnectError("no secure connection", retryable=False))

    error = await outcome_of(transport, "GET")

    assert len(transport.requests) == 1
    assert error is not None
    assert not error.ambiguous


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("lost", [ResponseLost("lost"), AttemptTimeout("slow")], ids=lambda error: type(error).__name__)
@virtual_time
async def test_an_idempotent_request_is_repeated_after_a_lost_answer(method: str, lost: LaunchError) -> None:
    transport = FakeTransport(lost, DONE)

    assert await outcome_of(transport, method) is None
    assert len(transport.requests) == 2


@pytest.mark.parametrize("method", NOT_IDEMPOTENT)
@pytest.mark.parametrize("lost", [ResponseLost("lost"), AttemptTimeout("slow")], ids=lambda error: type(error).__name__)
@virtual_time
async def test_a_lost_answer_leaves_the_outcome_unknown_if_a_repetition_is_unsafe(
    method: str, lost: LaunchError
) -> None:
    transport = FakeTransport(lost, DONE)

    error = await outcome_of(transport, method)

    assert error is lost
    assert len(transport.requests) == 1
    assert lost.ambiguous


@virtual_time
async def test_a_get_whose_answers_are_all_lost_has_done_nothing() -> None:
    error = await outcome_of(FakeTransport(ResponseLost("lost")), "GET")

    assert isinstance(error, ResponseLost)
    assert (error.ambiguous, error.attempts) == (False, 4)


@virtual_time
async def test_a_redirect_is_not_retried() -> None:
    transport = FakeTransport(RedirectRefused("elsewhere"))

    assert isinstance(await outcome_of(transport, "GET"), RedirectRefused)
    assert len(transport.requests) == 1


@pytest.mark.parametrize("method", EVERY_METHOD)
@virtual_time
async def test_a_429_is_repeated_with_any_method_and_uses_no_attempt(method: str) -> None:
    transport = FakeTransport(answer(429), answer(429), answer(429), DONE)

    assert await outcome_of(transport, method, retry=RetryPolicy(attempts=1)) is None
    assert len(transport.requests) == 4


@virtual_time
async def test_a_call_fails_after_a_limited_number_of_429() -> None:
    transport = FakeTransport(answer(429))

    error = await outcome_of(transport, "POST", retry=RetryPolicy(refusals=3))

    assert isinstance(error, RateLimitError)
    assert (error.attempts, len(transport.requests)) == (3, 3)


@virtual_time
async def test_a_call_fails_after_its_last_attempt() -> None:
    transport = FakeTransport(answer(503))

    error = await outcome_of(transport, "GET", retry=RetryPolicy(attempts=3))

    assert isinstance(error, ServiceUnavailableError)
    assert (error.attempts, len(transport.requests)) == (3, 3)
    assert "3 attempts" in str(error)


@virtual_time
async def test_one_attempt_means_no_repetition() -> None:
    transport = FakeTransport(answer(503))

    await outcome_of(transport, "GET", retry=RetryPolicy(attempts=1))

    assert len(transport.requests) == 1


@virtual_time
async def test_delays_grow_and_stay_below_their_ceiling() -> None:
    transport = FakeTransport(answer(503))
    policy = RetryPolicy(attempts=7, backoff_base=1.0, backoff_cap=4.0)

    await outcome_of(transport, "GET", retry=policy)

    delays = [later - earlier for earlier, later in zip(transport.times, transport.times[1:], strict=False)]
    assert all(0 <= delay < most for delay, most in zip(delays, [1, 2, 4, 4, 4, 4], strict=True))


# Retry-After


@pytest.mark.parametrize("status", [429, 503])
@virtual_time
async def test_the_service_may_ask_for_a_longer_wait(status: int) -> None:
    transport = FakeTransport(answer(status, headers={"retry-after": "20"}), DONE)

    assert await outcome_of(transport, "GET") is None
    assert transport.times == [0.0, 20.0]


@pytest.mark.parametrize("asked", ["61", "86400", "1e300", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("status", [429, 503])
@virtual_time
async def test_a_huge_wait_is_cut_to_the_cap(status: int, asked: str) -> None:
    transport = FakeTransport(answer(status, headers={"Retry-After": asked}), DONE)

    assert await outcome_of(transport, "GET", timeout=1000.0) is None
    assert transport.times == [0.0, 60.0]


@pytest.mark.parametrize("asked", ["-5", "-1e300", "-inf", "0", "Thu, 01 Jan 1970 00:00:00 GMT"])
@virtual_time
async def test_a_retry_after_in_the_past_causes_no_wait(asked: str) -> None:
    transport = FakeTransport(answer(429, headers={"Retry-After": asked}), DONE)

    assert await outcome_of(transport, "GET") is None
    assert transport.times == [0.0, 0.0]


@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1)])
@virtual_time
async def test_a_retry_after_date_is_compared_with_the_clock_of_the_service(ahead: timedelta) -> None:
    theirs = datetime.now(UTC) + ahead
    headers = {
        "Date": format_datetime(theirs, usegmt=True),
        "Retry-After": format_datetime(theirs + timedelta(seconds=20), usegmt=True),
    }
    transport = FakeTransport(answer(429, headers=headers), DONE)

    assert await outcome_of(transport, "GET") is None
    assert transport.times == [0.0, 20.0]


@virtual_time
async def test_a_huge_wait_beyond_the_deadline_ends_the_call_and_is_reported() -> None:
    transport = FakeTransport(answer(429, headers={"Retry-After": "86400"}), DONE)

    error = await outcome_of(transport, "GET", timeout=30.0)

    assert isinstance(error, RateLimitError)
    assert (error.retry_after, len(transport.requests)) == (86400.0, 1)


@virtual_time
async def test_a_wait_beyond_the_deadline_ends_the_call_immediately() -> None:
    transport = FakeTransport(answer(503, headers={"Retry-After": "30"}), DONE)

    error = await outcome_of(transport, "GET", timeout=10.0)

    assert isinstance(error, ServiceUnavailableError)
    assert asyncio.get_running_loop().time() == 0.0


NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
A_YEAR = 365 * 86400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 2.5 ", 2.5),
        ("0", 0.0),
        ("-4", 0.0),
        ("inf", A_YEAR),
        ("9" * 400, A_YEAR),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Mon, 04 May 2026 09:01:00", 60.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        (None, None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, date=format_datetime(NOW, usegmt=True)) == seconds


@given(text=st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]\d+"))
def test_no_retry_after_header_raises(text: str) -> None:
    seconds = parse_retry_after(text)

    assert seconds is None or seconds >= 0


# Deadlines


@pytest.mark.parametrize(("method", "ambiguous"), [("GET", False), ("POST", True), ("PATCH", True)])
@virtual_time
async def test_a_deadline_during_an_exchange_says_whether_the_outcome_is_unknown(method: str, ambiguous: bool) -> None:
    error = await outcome_of(FakeTransport(slowly), method, timeout=5.0)

    assert isinstance(error, DeadlineExceeded)
    assert "did not end within its timeout of 5 s. The SDK was waiting for a response" in str(error)
    assert (error.ambiguous, error.attempts, error.operation) == (ambiguous, 1, f"{method} /anything")
    assert asyncio.get_running_loop().time() == 5.0


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_a_call_without_time_sends_nothing(timeout: float) -> None:
    transport, limiter = FakeTransport(DONE), RecordingLimiter()

    async with client_on(transport, limiter=limiter) as launch:
        with pytest.raises(DeadlineExceeded, match="The deadline passed before POST /anything could be sent") as caught:
            await launch.request("POST", "/anything", timeout=timeout)

    assert not caught.value.ambiguous
    assert (limiter.asked, transport.requests) == ([], [])


@virtual_time
async def test_a_deadline_between_two_attempts_is_reported_as_such() -> None:
    transport = FakeTransport(after(1, answer(429)), DONE)

    error = await outcome_of(transport, "GET", timeout=5.0, limiter=RecordingLimiter(wait=3.0))

    assert isinstance(error, DeadlineExceeded)
    assert "waiting for the next attempt" in str(error)
    assert not error.ambiguous


@virtual_time
async def test_each_call_may_have_its_own_deadline() -> None:
    async with client_on(FakeTransport(slowly), timeout=500.0) as launch:
        with pytest.raises(DeadlineExceeded, match="its timeout of 2 s"):
            await launch.request("GET", "/anything", timeout=2.0)

    assert asyncio.get_running_loop().time() == 2.0


@virtual_time
async def test_the_deadline_covers_all_attempts_and_waits() -> None:
    transport = FakeTransport(after(4, answer(503)))

    error = await outcome_of(transport, "GET", timeout=10.0)

    assert error is not None
    assert asyncio.get_running_loop().time() <= 10.0


@virtual_time
async def test_each_attempt_has_its_own_limit() -> None:
    transport = FakeTransport(DONE)

    await outcome_of(transport, "GET", attempt_timeout=7.0)

    assert transport.requests[0].timeout == 7.0


@virtual_time
async def test_a_timeout_of_a_middleware_is_not_mistaken_for_the_deadline() -> None:
    async def impatient(request: Request, send: Send) -> Response:
        raise TimeoutError("my own")

    with pytest.raises(TimeoutError, match="my own"):
        await outcome_of(FakeTransport(DONE), "GET", middleware=[impatient])


@virtual_time
async def test_a_cancelled_call_is_cancelled_and_counted() -> None:
    limiter = RecordingLimiter()
    async with client_on(FakeTransport(slowly), limiter=limiter) as launch:
        call = asyncio.ensure_future(launch.projects.get(PROJECT))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert [answer.lost for answer in limiter.answers] == [True]


# The budget


@virtual_time
async def test_every_attempt_takes_a_permit_and_settles_it() -> None:
    limiter = RecordingLimiter(wait=1.0)
    headers = {"Retry-After": "2", "X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "many"}
    transport = FakeTransport(after(1, answer(429, headers=headers)), after(1, ResponseLost("lost")), after(1, DONE))

    async with client_on(transport, limiter=limiter, timeout=30.0) as launch:
        await launch.request("GET", "/anything")

    assert len(limiter.asked) == 3
    assert limiter.asked[0] == (Priority.INTERACTIVE, 30.0)
    refused, lost, answered = limiter.answers
    assert refused.answered_at == 2.0
    assert (refused.refused, refused.retry_after, refused.limit, refused.remaining) == (True, 2.0, 10.0, None)
    assert (lost.lost, lost.refused) == (True, False)
    assert (answered.lost, answered.refused, answered.retry_after) == (False, False, None)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("5", 5.0),
        ("-5", 0.0),
        (str(int(NOW.timestamp()) + 7), 7.0),
        (str(int(NOW.timestamp()) - 7), 0.0),
        (str(int(NOW.timestamp() * 1000) + 7000), None),
        ("9" * 400, None),
        ("soon", None),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
@virtual_time
async def test_the_limiter_gets_the_reset_time_of_the_service(status: int, reset: str, seconds: float | None) -> None:
    limiter = RecordingLimiter()
    headers = {
        "Date": format_datetime(NOW, usegmt=True),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": reset,
    }

    await outcome_of(FakeTransport(answer(status, {}, headers=headers), DONE), "GET", limiter=limiter)

    assert limiter.answers[0].reset_after == seconds


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e400", "9" * 400])
@virtual_time
async def test_a_rate_limit_header_that_is_no_number_is_ignored(number: str) -> None:
    headers = {"X-RateLimit-Limit": number, "X-RateLimit-Remaining": number}
    transport = FakeTransport(*[answer(200, {}, headers=headers)] * 2)

    async with client_on(transport, limiter=LocalRateLimiter(RateLimit(10))) as launch:
        await launch.request("GET", "/anything")
        await launch.request("GET", "/anything")

    assert transport.times == [0.0, 0.0]


@virtual_time
async def test_a_permit_that_comes_too_late_is_refused_before_a_request_is_sent() -> None:
    class Full(UnlimitedRateLimiter):
        async def acquire(
            self,
            operation: object = None,
            *,
            priority: Priority = Priority.INTERACTIVE,
            timeout: float | None = None,
        ) -> Permit:
            raise DeadlineExceeded("the budget is in use", expected_wait=7.0)

    transport = FakeTransport(DONE)

    error = await outcome_of(transport, "GET", limiter=Full())

    assert isinstance(error, DeadlineExceeded)
    assert (error.expected_wait, error.operation, error.attempts) == (7.0, "GET /anything", 0)
    assert error.request_id
    assert transport.requests == []


# DELETE


@pytest.mark.parametrize("lost", [ResponseLost("lost"), answer(502)], ids=["lost", "502"])
@virtual_time
async def test_a_404_after_a_lost_answer_to_a_delete_is_a_success(lost: LaunchError | Response) -> None:
    async with client_on(FakeTransport(lost, answer(404))) as launch:
        assert await launch.projects.delete(PROJECT) is None


@virtual_time
async def test_a_404_after_a_silent_resend_of_a_delete_is_a_success() -> None:
    async with client_on(FakeTransport(attrs.evolve(answer(404), sends=2))) as launch:
        assert await launch.environments.delete(PROJECT, ENVIRONMENT) is None


@virtual_time
async def test_a_refused_silent_resend_of_a_delete_is_ambiguous() -> None:
    async with client_on(FakeTransport(attrs.evolve(answer(429), sends=2), answer(404))) as launch:
        assert await launch.environments.delete(PROJECT, ENVIRONMENT) is None


@virtual_time
async def test_an_error_after_a_lost_answer_does_not_claim_that_nothing_happened() -> None:
    async with client_on(FakeTransport(ResponseLost("lost"), answer(403))) as launch:
        with pytest.raises(ForbiddenError) as caught:
            await launch.projects.delete(PROJECT)

    assert caught.value.ambiguous


@pytest.mark.parametrize(
    "first", [[], [answer(429)], [ConnectError("no")]], ids=["immediately", "refused", "never sent"]
)
@virtual_time
async def test_a_404_to_the_first_delete_is_not_found(first: list[Any]) -> None:
    async with client_on(FakeTransport(*first, answer(404))) as launch:
        with pytest.raises(NotFoundError):
            await launch.projects.delete(PROJECT)


@virtual_time
async def test_a_404_is_a_success_only_for_a_delete() -> None:
    async with client_on(FakeTransport(ResponseLost("lost"), answer(404))) as launch:
        with pytest.raises(NotFoundError):
            await launch.projects.get(PROJECT)


# Credentials


class Rotating(Credentials):
    """Return the same mapping each time, with a new token in it. The truth value of the mapping is False."""

    def __init__(self) -> None:
        self._given = {"authtoken": ""}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return 0

    async def headers(self) -> Mapping[str, str]:
        self._given["authtoken"] = f"token-{next(self._numbers)}"
        return self._given


async def test_credentials_may_change_the_mapping_that_they_returned() -> None:
    transport = FakeTransport(DONE)

    async with client_on(transport, credentials=Rotating()) as launch:
        for _ in range(3):
            await launch.request("GET", "/anything")

    assert [request.headers["authtoken"] for request in transport.requests] == ["token-1", "token-2", "token-3"]


@attrs.define(slots=False)
class Renewable(Credentials):
    """Credentials with a slow refresh."""

    generation: int = 0
    renewals: int = 0
    works: bool = True

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer generation-{self.generation}"}

    async def refresh(self) -> bool:
        self.renewals += 1
        await asyncio.sleep(1)
        self.generation += self.works
        return self.works


def only_generation(number: int, refusal: Response | None = None) -> Any:
    async def step(request: Request) -> Response:
        await asyncio.sleep(0.5)
        good = request.headers["Authorization"] == f"Bearer generation-{number}"
        return answer(200, {"project": {"uid": PROJECT}}) if good else refusal or answer(401)

    return step


@pytest.mark.parametrize(
    "refusal",
    [answer(401), answer(403, {"error_code": 105, "error_message": "The access token is expired."})],
    ids=["401", "105"],
)
@virtual_time
async def test_refused_credentials_are_renewed_and_the_request_is_repeated(refusal: Response) -> None:
    credentials = Renewable()
    async with client_on(FakeTransport(only_generation(1, refusal)), credentials=credentials) as launch:
        assert (await launch.projects.get(PROJECT)).uid == PROJECT

    assert credentials.renewals == 1


@virtual_time
async def test_many_calls_share_one_renewal() -> None:
    credentials, transport = Renewable(), FakeTransport(only_generation(1))
    async with client_on(transport, credentials=credentials) as launch:

        async def late() -> None:
            await asyncio.sleep(0.9)
            await launch.projects.get(PROJECT)

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(launch.projects.get(PROJECT))
                group.create_task(late())

    assert credentials.renewals == 1


@virtual_time
async def test_a_cancelled_call_does_not_stop_the_renewal_for_other_calls() -> None:
    credentials = Renewable()
    async with client_on(FakeTransport(only_generation(1)), credentials=credentials) as launch:
        impatient = asyncio.ensure_future(launch.projects.get(PROJECT))
        patient = asyncio.ensure_future(launch.projects.get(PROJECT))
        await asyncio.sleep(0.8)
        impatient.cancel()

        assert (await patient).uid == PROJECT
    assert credentials.renewals == 1


@virtual_time
async def test_credentials_are_renewed_at_most_once_per_call() -> None:
    credentials, transport = Renewable(), FakeTransport(only_generation(99))
    async with client_on(transport, credentials=credentials) as launch:
        with pytest.raises(UnauthorizedError):
            await launch.projects.get(PROJECT)

    assert (credentials.renewals, len(transport.requests)) == (1, 2)


@virtual_time
async def test_credentials_that_cannot_be_renewed_end_the_call() -> None:
    transport = FakeTransport(only_generation(1))
    async with client_on(transport, credentials=Renewable(works=False)) as launch:
        with pytest.raises(UnauthorizedError):
            await launch.projects.get(PROJECT)

    assert len(transport.requests) == 1


@virtual_time
async def test_an_unreachable_git_account_causes_no_renewal() -> None:
    credentials, transport = Renewable(), FakeTransport(only_generation(1, GIT_REFUSAL))
    async with client_on(transport, credentials=credentials) as launch:
        with pytest.raises(GitProviderError):
            await launch.projects.get(PROJECT)

    assert (credentials.renewals, len(transport.requests)) == (0, 1)


@virtual_time
async def test_a_renewal_that_fails_says_why() -> None:
    class Broken(Renewable):
        async def refresh(self) -> bool:
            raise ForbiddenError("the app was removed")

    async with client_on(FakeTransport(only_generation(1)), credentials=Broken()) as launch:
        with pytest.raises(ForbiddenError, match="the app was removed"):
            await launch.projects.get(PROJECT)


# Requests


async def sent(client_options: Mapping[str, Any], method: str = "GET", **options: Any) -> Request:
    transport = FakeTransport(DONE)
    async with client_on(transport, **client_options) as launch:
        await launch.request(method, "/anything", **options)
    return transport.requests[0]


async def test_a_query_is_written_as_the_service_would_write_it() -> None:
    query = {"yes": True, "no": False, "limit": 5, "name": "a b", "left out": None}

    assert (await sent({}, query=query)).url.endswith("/anything?yes=true&no=false&limit=5&name=a+b")


async def test_an_authtoken_is_sent_with_its_organization() -> None:
    headers = (await sent({})).headers

    assert headers["authtoken"] == TOKEN
    assert headers["organization_uid"] == ORGANIZATION
    assert "Authorization" not in headers
    assert headers["User-Agent"].startswith("contentstack-launch/")


@pytest.mark.parametrize("organization", [None, ORGANIZATION])
async def test_a_bearer_token_is_sent_with_the_organization_if_known(organization: str | None) -> None:
    headers = (await sent({"credentials": AccessToken(TOKEN), "organization_uid": organization})).headers

    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers.get("organization_uid") == organization
    assert "authtoken" not in headers


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_a_request_without_a_body_declares_none(method: str) -> None:
    request = await sent({}, method)

    assert request.body is None
    assert "Content-Type" not in request.headers


@pytest.mark.parametrize("document", [{}, [], {"a": None}, 0, ""], ids=repr)
async def test_a_body_is_declared_as_json(document: Any) -> None:
    request = await sent({}, "POST", json=document)

    assert request.body is not None
    assert request.headers["Content-Type"] == "application/json"


async def test_query_parameters_are_quoted_and_none_is_omitted() -> None:
    request = await sent({}, query={"a": "b c&d", "n": 5, "none": None, "zero": 0})

    assert request.url == "https://launch-api.contentstack.com/anything?a=b+c%26d&n=5&zero=0"


async def test_a_base_url_may_have_a_prefix() -> None:
    assert (await sent({"base_url": "https://gateway.example.com/launch/"})).url == (
        "https://gateway.example.com/launch/anything"
    )


# Logs and hooks


@pytest.mark.parametrize("name", ["x-request-id", "X-Runtime-Id", "Request-Id"])
@virtual_time
async def test_an_error_carries_the_request_id_of_the_service(name: str) -> None:
    error = await outcome_of(FakeTransport(answer(500, headers={name: "service-7"})), "GET")

    assert isinstance(error, InternalServerError)
    assert error.request_id == "service-7"


@virtual_time
async def test_an_error_without_a_service_id_has_an_id_that_was_never_sent() -> None:
    transport = FakeTransport(answer(500))

    one, other = await outcome_of(transport, "GET"), await outcome_of(transport, "GET")

    assert one is not None
    assert other is not None
    assert one.request_id
    assert one.request_id != other.request_id
    assert not any(one.request_id in str(value) for value in transport.requests[0].headers.values())


class Observer(Hooks):
    def __init__(self) -> None:
        self.events: list[object] = []

    def request_started(self, event: RequestStarted) -> None:
        self.events.append(event)

    def waited_for_budget(self, event: BudgetWait) -> None:
        self.events.append(event)

    def request_retried(self, event: RequestRetried) -> None:
        self.events.append(event)

    def request_finished(self, event: RequestFinished) -> None:
        self.events.append(event)


@virtual_time
async def test_an_observer_sees_a_call_from_its_start_to_its_end() -> None:
    observer = Observer()
    transport = FakeTransport(
        after(1, answer(429, headers={"Retry-After": "2"})), after(1, answer(200, {"project": {"uid": "u"}}))
    )

    async with client_on(transport, hooks=observer, limiter=RecordingLimiter(wait=1.0)) as launch:
        await launch.projects.get(PROJECT)

    started, waited, retried, waited_again, finished = observer.events
    assert isinstance(started, RequestStarted)
    name = started.request_id
    assert started == RequestStarted(name, "getProject", "GET", f"/projects/{PROJECT}")
    assert waited == waited_again == BudgetWait(name, "getProject", 1.0)
    assert retried == RequestRetried(name, "getProject", 1, 2.0, "RateLimitError")
    assert finished == RequestFinished(name, "getProject", 200, 2, 6.0, None)


@virtual_time
async def test_an_observer_sees_the_error_that_a_call_ends_in() -> None:
    observer = Observer()

    await outcome_of(FakeTransport(answer(404)), "GET", hooks=observer)

    finished = observer.events[-1]
    assert isinstance(finished, RequestFinished)
    assert (finished.status, finished.attempts, finished.error) == (404, 1, "NotFoundError")


@virtual_time
async def test_an_observer_may_ignore_all_events() -> None:
    assert (
        await outcome_of(FakeTransport(answer(503), DONE), "GET", hooks=Hooks(), limiter=RecordingLimiter(1.0)) is None
    )


class Faulty(Observer):
    """An observer that raises an error at each event."""

    @property
    def events(self) -> list[object]:
        raise ZeroDivisionError

    @events.setter
    def events(self, _: object) -> None:
        pass


@virtual_time
async def test_an_observer_that_fails_is_logged_and_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = FakeTransport(answer(503), DONE, DONE)

    async with client_on(transport, hooks=Faulty(), limiter=RecordingLimiter(wait=1.0)) as launch:
        for _ in range(2):
            await launch.request("GET", "/anything")

    failed = [record.getMessage().partition(" ")[0] for record in caplog.records if record.name == "launch_async.hooks"]
    methods = ("request_finished", "request_retried", "request_started", "waited_for_budget")
    assert sorted(failed) == [f"hooks.{method}" for method in methods]
    assert len(transport.requests) == 3


@virtual_time
async def test_an_observer_never_sees_the_secret_of_a_hook() -> None:
    observer = Observer()
    async with client_on(FakeTransport(answer(404)), hooks=observer) as launch:
        with pytest.raises(NotFoundError) as caught:
            await launch.deploy_hooks.trigger(DEPLOYMENT)

    assert DEPLOYMENT not in repr(observer.events)
    assert DEPLOYMENT not in str(caught.value)


@virtual_time
async def test_middleware_wraps_each_attempt_the_outermost_first() -> None:
    seen: list[str] = []

    def layer(name: str) -> Any:
        async def pass_on(request: Request, send: Send) -> Response:
            seen.append(f"{name} in")
            response = await send(attrs.evolve(request, headers={**request.headers, f"X-{name}": "1"}))
            seen.append(f"{name} out")
            return response

        return pass_on

    transport = FakeTransport(answer(503), DONE)

    assert await outcome_of(transport, "GET", middleware=[layer("outer"), layer("inner")]) is None
    assert seen == ["outer in", "inner in", "inner out", "outer out"] * 2
    assert {"X-outer", "X-inner"} <= set(transport.requests[0].headers)


@virtual_time
async def test_a_middleware_may_answer_without_a_request() -> None:
    async def cached(request: Request, send: Send) -> Response:
        return DONE

    transport = FakeTransport(answer(500))

    assert await outcome_of(transport, "GET", middleware=[cached]) is None
    assert transport.requests == []


@virtual_time
async def test_an_error_of_a_middleware_reaches_the_caller() -> None:
    async def broken(request: Request, send: Send) -> Response:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        await outcome_of(FakeTransport(DONE), "GET", middleware=[broken])


@virtual_time
async def test_log_records_describe_a_call_without_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "launch_async")
    refusal = answer(503, {"message": f"{TOKEN} hidden-value"})
    async with client_on(FakeTransport(refusal, answer(400, {"message": f"{TOKEN} hidden-value"}))) as launch:
        with pytest.raises(APIError) as caught:
            await launch.environments.update(PROJECT, ENVIRONMENT, environment_variables={"A": "hidden-value"})

    retried, finished = caplog.records
    assert retried.name == finished.name == "launch_async.http.pipeline"
    assert "The SDK will send updateEnvironment again in" in retried.getMessage()
    assert (retried.levelname, finished.levelname) == ("INFO", "DEBUG")
    fields = finished.__dict__
    assert (fields["operation"], fields["status"], fields["attempts"]) == ("updateEnvironment", 400, 2)
    assert fields["request_id"] == caught.value.request_id
    everything = (
        repr([record.__dict__ for record in caplog.records]) + caplog.text + repr(caught.value) + caught.value.body
    )
    assert TOKEN not in everything
    assert "hidden-value" not in everything


@virtual_time
async def test_a_token_is_not_repeated_for_any_spelling_of_its_header() -> None:
    class LowerCase(Renewable):
        async def headers(self) -> Mapping[str, str]:
            return {"authorization": f"bearer {TOKEN}"}

    error = await outcome_of(FakeTransport(answer(400, {"message": f"bad {TOKEN}"})), "GET", credentials=LowerCase())

    assert error is not None
    assert TOKEN not in f"{error} {error!r} {vars(error)}"


async def test_the_repr_of_a_request_and_a_response_hides_headers_and_bodies() -> None:
    request = await sent({}, "POST", json={"secret": "hidden-value"})

    assert TOKEN not in repr(request)
    assert "hidden-value" not in repr(request)
    assert "hidden-value" not in repr(answer(200, "hidden-value", {"X": "hidden-value"}))


# Unusable answers


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (Response(200), r"\$: the body is empty"),
        (Response(200, body=b"  "), r"\$: the body is empty"),
        (Response(200, body=b"<html>login</html>"), r"\$: the body is not JSON"),
        (answer(200, {}), r"\$\.project: the required field is missing"),
        (answer(200, [1]), r"\$\.project: the required field is missing"),
        (answer(200, {"project": None}), r"\$\.project: expected an object, got null"),
        (answer(200, {"project": {"uid": 7}}), r"\$\.project\.uid: expected a string, got a number"),
    ],
)
async def test_a_success_of_another_shape_names_the_mismatch(response: Response, problem: str) -> None:
    transport = FakeTransport(response)
    async with client_on(transport) as launch:
        with pytest.raises(DecodeError, match=problem) as caught:
            await launch.projects.get(PROJECT)

    assert (caught.value.operation, caught.value.status, caught.value.ambiguous) == ("getProject", 200, False)
    assert "Check base_url and the proxies" in str(caught.value)
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda launch: launch.projects.get(PROJECT),
        lambda launch: launch.projects.list().page(),
        lambda launch: launch.projects.update_git_repository(PROJECT, {}),
        lambda launch: launch.deployments.logs(PROJECT, PROJECT, PROJECT),
        lambda launch: launch.deployments.server_logs(PROJECT, PROJECT, PROJECT, start=NOW, end=NOW),
        lambda launch: launch.deployments.download_url(PROJECT, PROJECT, PROJECT),
        lambda launch: launch.deploy_hooks.trigger(PROJECT),
        lambda launch: launch.openapi(),
        lambda launch: launch.request("GET", "/anything"),
    ],
)
async def test_an_unreadable_answer_names_its_request_and_attempts_for_every_operation(
    ask: Callable[[LaunchClient], Awaitable[object]],
) -> None:
    async with client_on(FakeTransport(*[answer(429), Response(200, body=b"<html>")])) as launch:
        with pytest.raises(DecodeError) as caught:
            await ask(launch)

    assert caught.value.request_id
    assert caught.value.attempts == 2


async def test_an_error_shows_the_first_five_faults_and_stores_all() -> None:
    document = {"projects": [{"uid": "u", "name": number} for number in range(9)]}
    async with client_on(FakeTransport(answer(200, document))) as launch:
        with pytest.raises(DecodeError) as caught:
            await launch.environments.list(PROJECT).page()
        assert caught.value.problems == ("$.environments: the required field is missing",)
        with pytest.raises(DecodeError) as caught:
            await launch.projects.list().page()

    assert caught.value.problems[0] == "$.projects[0].name: expected a string, got a number"


async def test_a_refused_token_suggests_other_regions() -> None:
    refusal = answer(401, {"error_message": "The access token is invalid.", "error_code": 105})
    for options, hint in (
        ({"region": "eu"}, r"this client uses region eu\. The other regions are na, au, azure-na"),
        (
            {"base_url": "https://own.example.com"},
            "this client uses the host own.example.com. The other",
        ),
    ):
        async with client_on(FakeTransport(refusal), **options) as launch:
            with pytest.raises(InvalidTokenError, match=hint) as caught:
                await launch.projects.get(PROJECT)
        hosts = [known.launch_host for name, known in REGIONS.items() if options.get("region") != name]
        assert f"with the hosts {', '.join(hosts)}" in str(caught.value)


@virtual_time
async def test_every_answer_sets_the_clock_of_the_service() -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    dates = [format_datetime(noon + timedelta(hours=hours), usegmt=True) for hours in (0, 1, -1)]
    transport = FakeTransport(*(answer(200, {}, {"Date": date}) for date in [*dates, "never"]))
    async with client_on(transport) as launch:
        times = []
        for _ in range(4):
            await launch.request("GET", "/anything")
            times.append(launch._pipeline.clock.now())

    hours = [round((moment - noon) / timedelta(hours=1), 2) for moment in times if moment is not None]
    assert hours == [0, 1, -1, -1]


async def test_an_unreadable_date_header_is_ignored() -> None:
    async with client_on(FakeTransport(answer(200, {}, {"Date": "never"}))) as launch:
        await launch.request("GET", "/anything")

        assert launch._pipeline.clock.now() is None


def test_the_status_without_a_limit_has_no_wait() -> None:
    status = UnlimitedRateLimiter().status()

    assert isinstance(status, LimiterStatus)
    assert (status.expected_wait, status.paused_for, status.sent) == (0.0, 0.0, 0)


# Missing permissions


@attrs.frozen(slots=False)
class Limited(Credentials):
    """Credentials with a known kind and known scopes."""

    granted: frozenset[str] | None = None
    behind: Literal["user", "app"] | None = None

    @property
    def scopes(self) -> frozenset[str] | None:
        return self.granted

    @property
    def kind(self) -> Literal["user", "app"] | None:
        return self.behind

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {TOKEN}"}


async def test_a_missing_scope_is_reported_before_a_request_is_sent() -> None:
    transport = FakeTransport(answer(200, {"project": {"uid": PROJECT}}))
    credentials = Limited(frozenset({"launch.projects:read"}))
    async with client_on(transport, credentials=credentials) as launch:
        await launch.projects.get(PROJECT)
        with pytest.raises(MissingScopeError, match=r"deleteProject needs the scope .*launch\.projects:delete"):
            await launch.projects.delete(PROJECT)

    assert len(transport.requests) == 1


@pytest.mark.parametrize("granted", [None, frozenset({"launch:manage"})], ids=["unknown", "everything"])
async def test_unknown_or_sufficient_scopes_allow_the_call(granted: frozenset[str] | None) -> None:
    transport = FakeTransport(answer(204))
    async with client_on(transport, credentials=Limited(granted)) as launch:
        await launch.projects.delete(PROJECT)

    assert len(transport.requests) == 1


async def test_git_with_an_app_token_is_refused_before_a_request_is_sent() -> None:
    transport = FakeTransport(answer(500))
    async with client_on(transport, credentials=Limited(behind="app")) as launch:
        with pytest.raises(MissingScopeError, match="needs a user's token, because Launch gives an app"):
            await launch.environments.create_from_git(PROJECT, "staging", git_branch="main")
        with pytest.raises(MissingScopeError, match="needs a user's token, because Launch gives an app"):
            await launch.deployments.create(PROJECT, ENVIRONMENT, commit_hash="0123456789abcdef")

    assert transport.requests == []


async def test_the_service_decides_if_the_scopes_are_unknown() -> None:
    async with client_on(FakeTransport(answer(200, {})), credentials=Limited()) as launch:
        assert await launch.request("GET", "/anything") == {}
