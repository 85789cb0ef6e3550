"""Checks for purges of the CDN cache: whether the daily quota is used up, and whether a purge is needed.

The responses for "over the quota" and "over the rate limit" look alike, and the status of the former is not known
(FACTS §11 row 24). Only the usage call shows the difference. A deployment purges the whole cache automatically
(FACTS §6), so a purge right after a deployment wastes quota.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from launch_async._text import count_of
from launch_async.errors import APIError, LaunchError, QuotaExceededError
from launch_async.http.pipeline import Pipeline

__all__ = ["CachePurges", "quota_reclassifier"]

_LOG: Final = logging.getLogger(__name__)
_PURGE_SPREAD_S: Final = 60.0
"""Seconds after which a purge has usually reached all places of the CDN (FACTS §8)."""


class CachePurges:
    """Remembers the environments that this client deployed to recently.

    Args:
        clock: Returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deployed: dict[str, float] = {}

    def deployed(self, environment_uid: str) -> None:
        """Note that a deployment is live, which purged the whole cache."""
        self._deployed[environment_uid] = self._clock()

    def hint(self, environment_uid: str) -> None:
        """Log a warning, once per deployment, if the next purge is probably not needed."""
        deployed = self._deployed.pop(environment_uid, None)
        if deployed is not None and (ago := self._clock() - deployed) <= _PURGE_SPREAD_S:
            _LOG.warning(
                "A deployment of environment %s purged its whole cache %.0f s ago. This revalidation counts against "
                "the organization's daily quota, and is needed only if content has changed since the deployment",
                environment_uid,
                ago,
                extra={"environment_uid": environment_uid},
            )


def quota_reclassifier(pipeline: Pipeline) -> Callable[[APIError], Awaitable[LaunchError]]:
    """Return a function that detects "over quota" among the errors of one call, with at most one usage request."""
    was_checked = False

    async def reclassify(error: APIError) -> LaunchError:
        nonlocal was_checked
        if was_checked or error.status not in {403, 429} or not any(code.startswith("launch.") for code in error.codes):
            return error
        was_checked = True
        from launch_async.resources.usage import Usage

        try:
            usage = await Usage(pipeline).cache_revalidations()
        except LaunchError:
            return error
        if usage.remaining != 0:
            return error
        reset = f". The quota resets at {usage.usage_reset}" if usage.usage_reset else ""
        exceeded = QuotaExceededError(
            f"The daily quota of {count_of(usage.max_cache_revalidations or 0, 'cache revalidation')} is used up"
            f"{reset}. A deployment also purges the whole cache, and does not count against the quota",
            operation=error.operation,
            status=error.status,
            codes=error.codes,
            request_id=error.request_id,
        )
        exceeded.body = error.body
        return exceeded

    return reclassify
