"""The process's limiters: one for each organization at an API host, shared by all clients that name the same two.

A limiter lives as long as a client that has it, and the latest few beyond that.
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
"""Who shares a budget: the processes of one user on this machine, or the clients of this process."""

_SDK_PACKAGES = ("launch_async.", "launch_sync.")


class RateLimitMismatchWarning(UserWarning):
    """Two clients of one process disagree about an organization's rate limit, or about who shares it.

    The lower figure is used, and the first client says who shares it.
    """


_MOST_IDLE: Final = 8
"""Limiters that are kept although no client has them any more, for the organization's next client to go on with."""
_shared: WeakValueDictionary[tuple[str, str], LocalRateLimiter | MachineRateLimiter] = WeakValueDictionary()
_latest: deque[LocalRateLimiter | MachineRateLimiter] = deque(maxlen=_MOST_IDLE)
_lock = threading.Lock()


def check_share_budget(share_budget: str) -> ShareBudget:
    """Return who shares a budget.

    Raises:
        ConfigurationError: It is neither "machine" nor "process".
    """
    if share_budget not in ("machine", "process"):
        raise ConfigurationError(f"share_budget must be 'machine' or 'process', not {share_budget!r}")
    return "machine" if share_budget == "machine" else "process"


def shared_limiter(
    host: str, organization_uid: str, rate_limit: RateLimit, share_budget: ShareBudget = "machine"
) -> LocalRateLimiter | MachineRateLimiter:
    """Return the process's one limiter for an organization at an API host; thread-safe.

    If an earlier caller believed that the plan allows something else, both use the lower figure, with a
    `RateLimitMismatchWarning`. Whether it is shared with the machine is for the first caller to say; another one that
    says otherwise is warned, too.
    """
    with _lock:
        key = host.lower(), organization_uid
        limiter = _shared.get(key)
        if limiter is None:
            limiter = _shared[key] = _limiter(*key, rate_limit, share_budget)
        if limiter in _latest:
            _latest.remove(limiter)
        _latest.append(limiter)
        known = limiter.rate_limit
        lower = attrs.evolve(
            min(known, rate_limit, key=lambda figure: figure.requests / figure.per),
            poll_share=min(known.poll_share, rate_limit.poll_share),
        )
        if lower != known:
            limiter.lower(lower)
    if known != rate_limit:
        warnings.warn(
            f"two clients disagree about the rate limit of organization {organization_uid} at {host}: "
            f"{_text(known)} and {_text(rate_limit)}; both now use {_text(lower)}. "
            "Give every client the same rate_limit, with the plan's figure.",
            RateLimitMismatchWarning,
            stacklevel=_level_of_the_user(),
        )
    shared_by = "machine" if isinstance(limiter, MachineRateLimiter) else "process"
    if shared_by != share_budget:
        warnings.warn(
            f"two clients disagree about who shares the budget of organization {organization_uid} at {host}: "
            f"share_budget={shared_by!r} holds for both, as the first one said. Give every client the same.",
            RateLimitMismatchWarning,
            stacklevel=_level_of_the_user(),
        )
    return limiter


def _limiter(
    host: str, organization_uid: str, rate_limit: RateLimit, share_budget: ShareBudget
) -> LocalRateLimiter | MachineRateLimiter:
    if share_budget == "machine":
        return MachineRateLimiter(host, organization_uid, rate_limit)
    from launch_async.rate_limit.local import LocalRateLimiter

    return LocalRateLimiter(rate_limit)


def _text(figure: RateLimit) -> str:
    return f"{figure.requests} per {figure.per:g} s (polls: at most {figure.poll_share:.0%})"


def _level_of_the_user() -> int:
    """Return the caller's `stacklevel` of the first frame outside this SDK, so that a warning names the user's line.

    Python 3.12 has `skip_file_prefixes` for this; Python 3.11 has nothing.
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
