"""Retry decisions: which requests the SDK repeats, and when."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from launch_async import (
    BadGatewayError,
    ConnectError,
    InternalServerError,
    LaunchError,
    RateLimitError,
    ResponseLost,
    RetryPolicy,
)
from launch_async.http.retry import IDEMPOTENT, Decision


def _decided(error: LaunchError, method: str = "GET", **changes: float) -> Decision:
    facts = {"attempt": 1, "refusals": 0, "remaining": 60.0, "random": 0.5, **changes}
    return RetryPolicy().decide(error, repeatable=method in IDEMPOTENT, **facts)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_idempotent_request_is_repeated_after_a_lost_answer_or_a_bad_gateway(method: str) -> None:
    assert _decided(ResponseLost("lost"), method).retry
    assert _decided(BadGatewayError("bad", status=502), method).retry


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_post_is_repeated_only_if_the_service_cannot_have_acted(method: str) -> None:
    assert _decided(ConnectError("no connection"), method).retry
    assert _decided(RateLimitError("slow down", status=429), method, refusals=1).retry
    assert not _decided(ResponseLost("lost"), method).retry
    assert not _decided(BadGatewayError("bad", status=502), method).retry


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_500_is_never_repeated(method: str) -> None:
    assert not _decided(InternalServerError("failed", status=500), method).retry


def test_the_first_two_refusals_cause_no_delay_and_later_ones_do() -> None:
    delays = [_decided(RateLimitError("slow down", status=429), refusals=count).delay for count in range(1, 7)]

    assert delays == [0.0, 0.0, 0.25, 0.5, 1.0, 2.0]


def test_a_given_retry_after_is_followed_every_time() -> None:
    error = RateLimitError("slow down", status=429, retry_after=0.3)

    assert {_decided(error, refusals=count).delay for count in range(1, 15)} == {0.3}


@given(
    attempt=st.integers(1, 10),
    random=st.floats(0, 1, exclude_max=True),
    retry_after=st.none() | st.floats(0, 1e9),
    remaining=st.floats(-10, 120),
)
def test_no_decision_exceeds_the_deadline_the_attempts_or_the_cap(
    attempt: int, random: float, retry_after: float | None, remaining: float
) -> None:
    policy = RetryPolicy()
    error = BadGatewayError("bad", status=502, retry_after=retry_after)
    decision = _decided(error, attempt=attempt, random=random, remaining=remaining)

    assert 0.0 <= decision.delay <= max(policy.backoff_cap, policy.retry_after_cap)
    assert not decision.retry or (attempt < policy.attempts and decision.delay < remaining)
