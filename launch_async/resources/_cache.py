"""What a purge of the CDN cache should know: whether the daily quota is used up, and whether it is needed at all.

Over the quota and over the rate limit look alike, and which status the former has is not known (FACTS §11 row 24).
Only the usage call tells them apart. A deployment purges everything by itself (FACTS §6), so that a purge right after
one of our own costs quota for nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from launch_async.errors import APIError, LaunchError, QuotaExceededError
from launch_async.http.pipeline import Pipeline

__all__ = ["CachePurges", "quota_reclassifier"]

_LOG: Final = logging.getLogger(__name__)
_FRESH: Final = 60.0
"""Seconds in which a purge is usually done everywhere (FACTS §8)."""


class CachePurges:
    """Remembers which environments this client has deployed to just now.

    Args:
        clock: Seconds that only ever grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deployed: dict[str, float] = {}

    def deployed(self, environment_uid: str) -> None:
        """Note that a deployment went live, which purged everything."""
        self._deployed[environment_uid] = self._clock()

    def hint(self, environment_uid: str) -> None:
        """Warn, once per deployment, if a purge that is about to be sent is hardly needed."""
        deployed = self._deployed.pop(environment_uid, None)
        if deployed is not None and (ago := self._clock() - deployed) <= _FRESH:
            _LOG.warning(
                "environment %s was deployed %.0f s ago, and that purged its whole cache: this revalidation counts "
                "against the organization's daily quota for nothing, unless content has changed since",
                environment_uid,
                ago,
                extra={"environment_uid": environment_uid},
            )


def quota_reclassifier(pipeline: Pipeline) -> Callable[[APIError], Awaitable[LaunchError]]:
    """Return what tells, for one call, "over quota" from "too fast" and "not allowed"; it asks at most once."""
    asked = False

    async def reclassify(error: APIError) -> LaunchError:
        nonlocal asked
        if asked or error.status not in {403, 429} or not any(code.startswith("launch.") for code in error.codes):
            return error
        asked = True
        from launch_async.resources.usage import Usage

        try:
            usage = await Usage(pipeline).cache_revalidations()
        except LaunchError:
            return error
        if usage.remaining != 0:
            return error
        reset = f"; counting starts anew at {usage.usage_reset}" if usage.usage_reset else ""
        exceeded = QuotaExceededError(
            f"all {usage.max_cache_revalidations} cache revalidations of the day are used{reset}. A deployment purges "
            "everything and needs none",
            operation=error.operation,
            status=error.status,
            codes=error.codes,
            request_id=error.request_id,
        )
        exceeded.body = error.body
        return exceeded

    return reclassify
