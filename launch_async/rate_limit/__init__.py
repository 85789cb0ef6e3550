"""The organization's rate limit, which all requests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.rate_limit.local import LocalRateLimiter as LocalRateLimiter
    from launch_async.rate_limit.registry import RateLimitMismatchWarning as RateLimitMismatchWarning
    from launch_async.rate_limit.types import (
        Answer as Answer,
        LimiterStatus as LimiterStatus,
        Operation as Operation,
        Permit as Permit,
        Priority as Priority,
        RateLimit as RateLimit,
        RateLimiter as RateLimiter,
    )
    from launch_async.rate_limit.unlimited import UnlimitedRateLimiter as UnlimitedRateLimiter
else:
    __getattr__, __dir__ = lazy(__name__)
