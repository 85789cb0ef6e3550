"""The limiters of the process: one for each organization at an API host.

All clients with the same organization and host share one limiter. A limiter lives as long as a client uses it, and the
most recent limiters live longer.
"""

from __future__ import annotations

import inspect
import os
import threading
import warnings
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from weakref import WeakValueDictionary

import attrs

from launch_async.errors import ConfigurationError
from launch_async.rate_limit.machine.limiter import MachineRateLimiter
from launch_async.rate_limit.types import RateLimit

if TYPE_CHECKING:
    from launch_async.rate_limit.local import LocalRateLimiter

__all__ = ["RateLimitMismatchWarning", "ShareBudget", "check_share_budget", "shared_limiter"]

ShareBudget: TypeAlias = Literal["machine", "process"]
"""The programs that share a rate limit: all processes of one user on the machine, or the clients of one process."""

_SDK_PACKAGES = ("launch_async.", "launch_sync.")


class RateLimitMismatchWarning(UserWarning):
    """Two clients of one process set different rate limits for an organization, or different values of `share_budget`.

    Both clients use the lower rate limit, and the `share_budget` of the first client.
    """


_MAX_IDLE: Final = 8
"""Number of limiters to keep without a client, so that the organization's next client can use what they learned."""
_shared: WeakValueDictionary[tuple[str, str], LocalRateLimiter | MachineRateLimiter] = WeakValueDictionary()
_recent: deque[LocalRateLimiter | MachineRateLimiter] = deque(maxlen=_MAX_IDLE)
_lock = threading.Lock()


def check_share_budget(share_budget: str) -> ShareBudget:
    """Return the value of `share_budget`, checked.

    Raises:
        ConfigurationError: The value is neither "machine" nor "process".
    """
    if share_budget not in ("machine", "process"):
        raise ConfigurationError(f"share_budget must be 'machine' or 'process', not {share_budget!r}")
    return "machine" if share_budget == "machine" else "process"


def shared_limiter(
    host: str, organization_uid: str, rate_limit: RateLimit, share_budget: ShareBudget = "machine"
) -> LocalRateLimiter | MachineRateLimiter:
    """Return the process's limiter for an organization at an API host. Thread-safe.

    If an earlier caller set another rate limit, both use the lower one, with a `RateLimitMismatchWarning`. The
    `share_budget` of the first caller applies, and a different value also causes a warning.
    """
    with _lock:
        key = host.lower(), organization_uid
        limiter = _shared.get(key)
        if limiter is None:
            limiter = _shared[key] = _limiter(*key, rate_limit, share_budget)
        if limiter in _recent:
            _recent.remove(limiter)
        _recent.append(limiter)
        known = limiter.rate_limit
        lower = attrs.evolve(
            min(known, rate_limit, key=lambda figure: figure.requests / figure.per),
            poll_share=min(known.poll_share, rate_limit.poll_share),
        )
        if lower != known:
            limiter.lower(lower)
    if known != rate_limit:
        warnings.warn(
            f"Two clients set different rate limits for organization {organization_uid} at {host}: "
            f"{_describe(known)} and {_describe(rate_limit)}. Both now use {_describe(lower)}. "
            "Pass the same rate_limit to every client: the limit of the organization's plan.",
            RateLimitMismatchWarning,
            stacklevel=_user_stacklevel(),
        )
    shared_by = "machine" if isinstance(limiter, MachineRateLimiter) else "process"
    if shared_by != share_budget:
        warnings.warn(
            f"Two clients set different values of share_budget for organization {organization_uid} at {host}. Both use "
            f"share_budget={shared_by!r}, the value of the first client. Pass the same value to every client.",
            RateLimitMismatchWarning,
            stacklevel=_user_stacklevel(),
        )
    return limiter


def _limiter(
    host: str, organization_uid: str, rate_limit: RateLimit, share_budget: ShareBudget
) -> LocalRateLimiter | MachineRateLimiter:
    if share_budget == "machine":
        return MachineRateLimiter(host, organization_uid, rate_limit)
    from launch_async.rate_limit.local import LocalRateLimiter

    return LocalRateLimiter(rate_limit)


def _describe(rate_limit: RateLimit) -> str:
    requests, per, polls = rate_limit.requests, rate_limit.per, rate_limit.poll_share
    return f"{requests} requests per {per:g} s (polls: at most {polls:.0%})"


def _user_stacklevel() -> int:
    """Return the `stacklevel` of the first frame outside this SDK, so that a warning names the user's line.

    `skip_file_prefixes` does the same in Python 3.12, but does not exist in Python 3.11.
    """
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_SDK_PACKAGES):
        frame, level = frame.f_back, level + 1
    return level


def _unlock_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_in_child)
