"""The organization's rate limit, shared by everything that sends requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.rate_limit.local import (
        Answer as Answer,
        LimiterStatus as LimiterStatus,
        LocalRateLimiter as LocalRateLimiter,
        Priority as Priority,
        RateLimit as RateLimit,
        RateLimiter as RateLimiter,
        RateLimitMismatchWarning as RateLimitMismatchWarning,
        UnlimitedRateLimiter as UnlimitedRateLimiter,
    )
    from launch_async.rate_limit.sizing import Sizing as Sizing, size as size
else:
    __getattr__, __dir__ = lazy(__name__)
