"""The organization's rate limit, shared by several machines through Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.rate_limit.redis.limiter import (
        BudgetUnavailable as BudgetUnavailable,
        RedisRateLimiter as RedisRateLimiter,
    )
else:
    __getattr__, __dir__ = lazy(__name__)
