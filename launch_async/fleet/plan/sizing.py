"""How far an organization's budget reaches: requests per deployment, and environments per hour.

Pure arithmetic on the rules by which this SDK sends; nothing is requested.
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
_HISTORY: Final = 1
_MARGIN: Final = 1e-9


@attrs.frozen(kw_only=True)
class Sizing:
    """What a number of deployments costs.

    Attributes:
        requests_each: Requests for one environment that is waited for alone, from the first to the end of its build.
        requests_least: The least that one environment takes among many, whose builds are polled but once.
        polls_each: How many of `requests_each` poll the build.
        polls_per_minute: Polls per minute of waiting for one build.
        environments_per_hour: Environments in an hour, each waited for as if alone.
        most_per_hour: Environments in an hour that the budget allows at the most.
        seconds: The least time for all of them: their requests, or the requests that begin them and the last build.
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
    """Return what it costs to deploy environments and to wait for them.

    Builds that are waited for together are polled less often when the budget is short, and their ends are noticed
    later: a bulk operation is between `environments_per_hour` and `most_per_hour`. Reads of logs, retries and other
    clients of the organization come on top.

    Args:
        environments: How many.
        build_seconds: How long one build takes, in seconds.
        action: What is deployed: what is there already, or a ZIP that is uploaded for each.
        wait: Whether to wait for the builds.
        known: Whether earlier builds of the environments tell how long one takes.
        rate_limit: What the organization's plan allows.

    Raises:
        InvalidArgumentError: A figure is out of its range.
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
    """Return how many environments have their requests in an hour; all but the first few requests are polls."""
    seconds = rate_limit.per / rate_limit.requests
    return 3600 / max(requests * seconds, (requests - before) * seconds / rate_limit.poll_share)


def _polls(build_seconds: float, expected: float | None) -> int:
    """Count the polls until the one that sees the end."""
    age, polls = 0.0, 0
    while age < build_seconds - _MARGIN:
        age += until_next_poll(age, expected)
        polls += 1
    return polls
