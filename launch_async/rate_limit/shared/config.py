"""What all workers of one shared budget have in common."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from launch_async.errors import LaunchError
from launch_async.rate_limit.shared.local_share import LocalShare
from launch_async.rate_limit.shared.store import Store
from launch_async.rate_limit.types import RateLimit

__all__ = ["Config"]


@attrs.frozen(kw_only=True)
class Config:
    """What all workers of a limiter have in common.

    Attributes:
        name: What the budget is called in the log, such as "the shared budget in Redis".
        connect: Makes a way to the store, for one event loop.
        rate_limit: What the plan allows.
        patience: Seconds without the store before it counts as gone.
        share: What may be sent then; None for nothing.
        unavailable: Makes the error of calls that are refused for that, from the reason.
    """

    name: str
    connect: Callable[[], Store] = attrs.field(repr=False)
    rate_limit: RateLimit
    patience: float
    share: LocalShare | None
    unavailable: Callable[[str], LaunchError]
