"""How much an organization's rate limit allows: requests per deployment, and environments per hour.

This is arithmetic on the rules by which the SDK sends requests. No request is sent.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import attrs

from launch_async.errors import InvalidArgumentError
from launch_async.rate_limit.types import RateLimit
from launch_async.watch.schedule import until_next_poll

__all__ = ["Sizing", "size"]

_BEFORE_WAITING: Final = {"redeploy": 1, "upload": 2}
"""Number of requests before the SDK waits for a build, by action."""
_HISTORY: Final = 1
"""Number of requests that read how long earlier builds took."""
_MARGIN_S: Final = 1e-9
"""Seconds that absorb rounding errors."""


@attrs.frozen(kw_only=True)
class Sizing:
    """The cost of a number of deployments.

    Attributes:
        requests_each: Requests for one environment that is deployed alone, including the wait for its build.
        requests_least: Minimum number of requests for one environment among many, with one poll of its build.
        polls_each: How many of `requests_each` are polls of the build.
        polls_per_minute: Polls per minute of waiting for one build.
        environments_per_hour: Environments per hour if each one takes `requests_each`.
        most_per_hour: Maximum number of environments per hour that the rate limit allows.
        seconds: Minimum time for all environments: for their requests, or for the requests that start them and the
            last build.
    """

    requests_each: int
    requests_least: int
    polls_each: int
    polls_per_minute: float
    environments_per_hour: float
    most_per_hour: float
    seconds: float


def size(
    environments: int,
    *,
    build_seconds: float,
    action: Literal["redeploy", "upload"] = "redeploy",
    wait: bool = True,
    known: bool = True,
    rate_limit: RateLimit = RateLimit(10, per=1.0),
) -> Sizing:
    """Return the cost of deploying environments and waiting for them.

    If many builds run at the same time, the SDK polls each build less often and notices its end later. So a bulk
    operation is between `environments_per_hour` and `most_per_hour`. Reads of logs, retries and other clients of the
    organization take further requests.

    Args:
        environments: Number of environments.
        build_seconds: Seconds that one build takes.
        action: Whether to redeploy the current source, or to upload a ZIP for each environment.
        wait: Whether to wait for the builds.
        known: Whether earlier builds of the environments show how long a build takes.
        rate_limit: Rate limit of the organization's plan.

    Raises:
        InvalidArgumentError: A number is out of range.
    """
    if environments < 1:
        raise InvalidArgumentError("environments", f"must be at least 1, not {environments}")
    if not (math.isfinite(build_seconds) and build_seconds > 0):
        raise InvalidArgumentError("build_seconds", f"must be a positive number of seconds, not {build_seconds}")
    polls = _polls(build_seconds, build_seconds if known else None) if wait else 0
    before = _BEFORE_WAITING[action]
    each, least = (before + _HISTORY + polls, before + _HISTORY + 1) if wait else (before, before)
    rate = rate_limit.requests / rate_limit.per
    poll_rate = rate_limit.poll_share * rate
    begun = environments * before / rate
    ends_seen = max(begun, (environments - 1) / poll_rate) + build_seconds
    all_polled = environments * (least - before) / poll_rate
    return Sizing(
        requests_each=each,
        requests_least=least,
        polls_each=polls,
        polls_per_minute=60 * polls / build_seconds,
        environments_per_hour=_per_hour(each, before, rate_limit),
        most_per_hour=_per_hour(least, before, rate_limit),
        seconds=max(environments * least / rate, all_polled, ends_seen if wait else 0.0),
    )


def _per_hour(requests: int, before: int, rate_limit: RateLimit) -> float:
    """Return how many environments fit into one hour. All requests after the first few are polls."""
    seconds = rate_limit.per / rate_limit.requests
    return 3600 / max(requests * seconds, (requests - before) * seconds / rate_limit.poll_share)


def _polls(build_seconds: float, expected: float | None) -> int:
    """Count the polls up to the first poll after the end."""
    age, polls = 0.0, 0
    while age < build_seconds - _MARGIN_S:
        age += until_next_poll(age, expected)
        polls += 1
    return polls
